"""The one connection of an SQL destination: dialled by vetted address, bounded by a deadline."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from time import monotonic
from typing import Any, Generic, TypeVar

from destinations.adapters.sql_config import SqlCredentials
from destinations.adapters.sql_errors import CONNECT_FAILED, DNS_FAILED, EGRESS_REFUSED, TIMEOUT, Unwell
from destinations.egress import EgressPolicy, EgressRefused, ResolveFailed, resolve
from destinations.egress import verdict as egress_verdict
from destinations.hosts import with_port

ConnectionT = TypeVar("ConnectionT")


class SqlLink(ABC, Generic[ConnectionT]):
    """Opens the connection when it is needed, and keeps it until it breaks."""

    def __init__(self, config: Any, credentials: SqlCredentials, policy: EgressPolicy) -> None:
        """Serve one destination, whose ``config`` is an ``SqlConfig``; dial nothing yet."""
        self._config, self._credentials, self._policy = config, credentials, policy
        self._connection: ConnectionT | None = None
        self._deadline = float("inf")  # a time of ``monotonic``
        self.is_fresh = True  # opened for the batch in hand, so what breaks it is no leftover of idle hours

    @property
    def remaining_ms(self) -> int:
        """Return the milliseconds until the deadline; never less than one."""
        return max(1, round((self._deadline - monotonic()) * 1000))

    @property
    def connection(self) -> ConnectionT:
        """Return the open connection."""
        if self._connection is None:
            raise RuntimeError("open() comes first")
        return self._connection

    @property
    def is_open(self) -> bool:
        """Tell whether a connection is kept."""
        return self._connection is not None

    def start(self, timeout_s: float) -> None:
        """Set the deadline of everything that follows."""
        self._deadline = monotonic() + timeout_s
        self._bound()

    def open(self) -> None:
        """Connect, unless a connection is open; raise ``Unwell`` where that fails."""
        self.is_fresh = self._connection is None
        if self._connection is None:
            self.dial(self.resolve())

    def resolve(self) -> Sequence[str]:
        """Return the vetted addresses of the host; raise ``Unwell``."""
        try:
            timeout_s = self.remaining_ms / 1000
            found = resolve(self._config.host, self._config.port, self._policy, timeout_s=timeout_s)
        except EgressRefused as refused:
            raise Unwell(EGRESS_REFUSED, refused.detail, refused.hint) from None
        except ResolveFailed as failed:
            raise Unwell(DNS_FAILED, failed.detail, failed.hint) from None
        if self._config.ssl_mode == "disable":
            self._check_private(found)
        return found

    def dial(self, addresses: Sequence[str]) -> None:
        """Connect to the first address that answers; raise ``Unwell`` with the last one's reason."""
        for position, address in enumerate(addresses, start=1):
            share_s = self.remaining_ms / 1000 / (len(addresses) - position + 1)
            try:
                self._connection = self._connect(address, share_s)
                self._bound()
                return
            except Unwell as unwell:
                if unwell.code not in (CONNECT_FAILED, TIMEOUT) or position == len(addresses):
                    self.close()
                    raise

    @abstractmethod
    def recover(self) -> None:
        """Leave a failed transaction, so that the connection can be used again; close it where that fails."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""

    @abstractmethod
    def _connect(self, address: str, timeout_s: float) -> ConnectionT:
        """Connect to one vetted address and log in; raise ``Unwell``."""

    @abstractmethod
    def _bound(self) -> None:
        """Bound every wait of the open connection, if there is one, by the deadline."""

    def _no_answer(self, address: str) -> Unwell:
        hint = "Check the address and the port, and that no firewall drops the hub's packets."
        return Unwell(TIMEOUT, f"{with_port(address, self._config.port)} did not answer in time.", hint)

    def _not_connected(self, address: str, why: str) -> Unwell:
        hint = "Check that the server listens on this address and port, and that a firewall lets the hub in."
        return Unwell(CONNECT_FAILED, f"{with_port(address, self._config.port)}: {why}", hint)

    def _check_private(self, addresses: Sequence[str]) -> None:
        """Refuse to talk in clear with any address that the public could listen in on."""
        for address in addresses:
            try:
                egress_verdict(address, self._config.port, EgressPolicy(never=self._policy.never))
            except EgressRefused:
                continue  # private: it passed only because EGRESS_ALLOW names it
            raise Unwell(
                EGRESS_REFUSED, f"Address {address} is public, and TLS is off.", "Choose the TLS mode verify-full."
            )
