"""What egress says to the HTTP client: about names, with a memory, and about each address that is dialled."""

from collections.abc import Sequence
from socket import AF_INET, AF_INET6
from time import monotonic
from typing import Any

from destinations.egress import EgressPolicy, EgressRefused, ResolveFailed, resolve, verdict
from destinations.hosts import Endpoint, parse_url
from destinations.httperrors import HttpError

RESOLVED_FOR_S = 30.0
UNRESOLVED_FOR_S = 5.0  # a name that failed is not looked up again for each request


class Judge:
    """Asks egress about names, with a memory, and about each address that is dialled."""

    def __init__(self, policy: EgressPolicy, refused_ports: frozenset[int]) -> None:
        """Judge by ``policy``, and refuse some ports whatever it says."""
        self._policy, self._refused_ports = policy, refused_ports
        self._known: dict[tuple[str, int], tuple[float, Sequence[str] | HttpError]] = {}

    def addresses(self, url: str, timeout_s: float) -> tuple[Endpoint, Sequence[str]]:
        """Return where a request goes; a lookup may take ``timeout_s``. Raises ``HttpError``."""
        try:
            endpoint = parse_url(url)
        except EgressRefused as refusal:
            raise HttpError("egress_refused", refusal.detail, refusal.hint) from refusal
        key = endpoint.host, endpoint.port
        until, answer = self._known.get(key, (0.0, ()))
        if monotonic() >= until:
            answer = self._ask(endpoint, timeout_s)
            failed = isinstance(answer, HttpError)
            self._known[key] = monotonic() + (UNRESOLVED_FOR_S if failed else RESOLVED_FOR_S), answer
        if isinstance(answer, HttpError):
            raise HttpError(answer.code, answer.detail, answer.hint)
        return endpoint, answer

    def _ask(self, endpoint: Endpoint, timeout_s: float) -> Sequence[str] | HttpError:
        try:
            return resolve(
                endpoint.host, endpoint.port, self._policy, refused_ports=self._refused_ports, timeout_s=timeout_s
            )
        except EgressRefused as refusal:
            return HttpError("egress_refused", refusal.detail, refusal.hint)
        except ResolveFailed as failure:
            return HttpError("dns_failed", failure.detail, failure.hint)

    def dialled(self, host: str, address: Any) -> EgressRefused | None:
        """Return why a socket address (of ``OPENSOCKETFUNCTION``) is not dialled, if so."""
        if address.family not in (AF_INET, AF_INET6):
            return EgressRefused("The address is neither IPv4 nor IPv6.")
        try:
            ip, port = address.addr[:2]
            verdict(ip, port, self._policy, host=host, refused_ports=self._refused_ports)
        except EgressRefused as refusal:
            return refusal
        return None
