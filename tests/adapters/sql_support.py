"""What the tests of all SQL destinations share: events, and a place to write them to."""

import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from destinations.adapters.base import Effect, Limits, Message, Outcome, Result, Step, StepStatus
from destinations.adapters.sql import SqlAdapter
from destinations.egress import EgressPolicy
from tests.services import Login
from tests.services.proxy import FaultProxy

SAMPLES = Path(__file__).parent.parent / "samples"
RECEIVED = datetime(2026, 7, 2, 10, 0, tzinfo=UTC)
LOCAL = EgressPolicy(allow=("127.0.0.0/8",))
CANARY = "canary-of-a-person"
USER = "40f7b0e1-89e2-43ac-a5b8-1e29c8d47cad"
AnySqlAdapter = SqlAdapter[Any, Any]


class Place(ABC):
    """A new, empty database, and a user in it who has the grants of the type's page and no more."""

    kind: ClassVar[type[AnySqlAdapter]]
    utc: ClassVar[str] = ""  # what a moment in UTC ends with in the server's SQL

    def __init__(self, server: Any, login: Login) -> None:
        self.server, self.login = server, login

    def adapter(self, *, password: str | None = None, timeout_s: float = 20, **config: Any) -> Any:
        """Return an adapter as an operator would set it up: TLS verified where the server's CA is known."""
        server, login = self.server, self.login
        known = {"host": server.host, "port": server.port, "database": login.database, "username": login.user}
        trust = {"ca_certificate": server.authority.pem} if server.authority else {"ssl_mode": "disable"}
        made = self.kind.config_spec(**(known | trust | config))
        credentials = self.kind.credentials_spec(login.password if password is None else password)
        return self.kind(made, credentials, Limits(timeout_s), LOCAL)

    def proxy(self, host: str = "127.0.0.1") -> FaultProxy:
        """Return a proxy that stands before the server."""
        return FaultProxy((self.server.host, self.server.port), host)

    @abstractmethod
    def rows(self, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
        """Return what the operator sees in a table, in the order of its key, with moments in UTC."""

    @abstractmethod
    def run(self, *statements: str) -> None:
        """Run statements as the administrator in the destination's database."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Callable[[str], Any]]:
        """Open an administrator's transaction, give what runs a statement in it, and commit at the end."""

    @abstractmethod
    def someone_waits(self) -> bool:
        """Tell whether a session in the database waits for a lock of another."""

    @abstractmethod
    def tables(self) -> set[str]:
        """Return the names of the tables that are there."""

    @abstractmethod
    def end_sessions(self) -> None:
        """Cut the user's connections off, as an administrator may."""

    @abstractmethod
    def sessions(self) -> int:
        """Return how many connections the user has."""

    @abstractmethod
    def tls_of(self, adapter: Any) -> str:
        """Return the TLS version of the one connection, the adapter's, as the server sees it."""

    @abstractmethod
    def refuse_rows(self, condition: str, code: str, table: str = "terra_data_payloads") -> None:
        """Let ``table`` refuse rows with an error of the server's, as an operator's own trigger may."""

    @abstractmethod
    def refuse_no_more(self) -> None:
        """Take that trigger away."""

    def empty(self) -> None:
        """Take every row out of the tables."""
        self.run(*(f"DELETE FROM {table}" for table in sorted(self.tables())))


class SqlSuite:
    """Tests that every SQL type has to pass; ``place`` is a fixture of the subclass."""

    @pytest.fixture
    def place(self) -> Place:
        raise NotImplementedError

    @pytest.fixture
    def adapter(self, place: Place) -> Iterator[AnySqlAdapter]:
        """An adapter that has delivered one event, the sample ``daily``, and so has made its tables."""
        adapter = place.adapter()
        assert outcomes(adapter.deliver([sample("daily")])) == [Outcome.DELIVERED]
        yield adapter
        adapter.close()


def event(body: Any, at: int | None = None, event_id: str = "") -> Message:
    """Return an event of any body; ``at`` is Terra's clock, in seconds after RECEIVED."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {} if at is None else {"x-terra-ordering-timestamp": str(round(RECEIVED.timestamp() + at) * 1000)}
    key = event_id or str(uuid.uuid4())
    return Message(key, "any", raw, RECEIVED, headers=headers, payload_url=f"https://hub.example.com/p/{key}")


def sample(name: str) -> Message:
    """Return a sample file as an event that has the file's name for its id."""
    return event((SAMPLES / f"{name}.json").read_bytes(), event_id=name)


def daily(user_id: Any = USER, at: int | None = None, **user: Any) -> Message:
    """Return a data event of one user."""
    about = {"user_id": user_id, "provider": "GARMIN", "reference_id": "r", "scopes": "s"} | user
    return event({"type": "daily", "user": about, "data": []}, at)


def news(kind: str, at: int | None = None, **user: Any) -> Message:
    """Return an event about a user, such as ``deauth``."""
    about = {"user_id": USER, "provider": "GARMIN", "reference_id": "r", "scopes": "s"} | user
    return event({"type": kind, "status": "success", "user": about}, at)


def outcomes(results: Sequence[Result]) -> list[Outcome]:
    """Return the outcome of each result."""
    return [result.outcome for result in results]


def only(results: Sequence[Result]) -> Result:
    """Return the one result that every message of a batch got."""
    (result,) = {(r.outcome, r.code, r.detail, r.hint, r.effect): r for r in results}.values()
    return result


def retried(results: Sequence[Result]) -> tuple[str, Effect]:
    """Return the code and the effect of a batch that is to be tried again as a whole."""
    result = only(results)
    assert result.outcome is Outcome.RETRY
    return result.code, result.effect


def deliver_once(adapter: AnySqlAdapter) -> Result:
    try:
        return only(adapter.deliver([sample("daily")]))
    finally:
        adapter.close()


def failed(steps: Sequence[Step]) -> tuple[str, str]:
    """Return the name and the text of the one step that failed, which is the last."""
    assert [step.status for step in steps].count(StepStatus.FAILED) == 1
    assert steps[-1].status is StepStatus.FAILED
    return steps[-1].name, f"{steps[-1].detail} {steps[-1].hint}"
