"""What SQL kinds are: one row per event, one row per user, and a link to each payload."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from time import monotonic
from typing import Any, ClassVar, TypeVar

from destinations import terra
from destinations.adapters.base import Adapter, Erased, Limits, Message, Outcome, Person, Result, Step
from destinations.adapters.rows import EventRows, Table, rows_of
from destinations.adapters.sql_batch import Batch, Refusal, Writer
from destinations.adapters.sql_check import SqlCheck
from destinations.adapters.sql_config import SqlConfig, SqlCredentials, problems_of
from destinations.adapters.sql_erasing import wanted
from destinations.adapters.sql_errors import TIMEOUT, StatementFailed, Unwell
from destinations.adapters.sql_link import SqlLink
from destinations.egress import EgressPolicy

ConfigT = TypeVar("ConfigT", bound=SqlConfig)
CredentialsT = TypeVar("CredentialsT", bound=SqlCredentials)
MOST_DEADLOCKS = 3


class SqlAdapter(Adapter[ConfigT, CredentialsT]):
    """Writes batches in one transaction over one kept connection.

    Needs the rights of the page's script and no more: it creates Terra's three tables when they
    are missing, also while it runs, and never alters or drops one.
    """

    summary = "Rows in terra_users, terra_data_payloads and terra_other_payloads, with a link to each payload."
    on_repeat = "No duplicates: the row with the event's id is written again."
    max_batch = 500
    erases = True
    # The TLS fields too: weaker TLS would show the password's proof to whoever is in between.
    host_fields: ClassVar[frozenset[str]] = frozenset(
        {"host", "port", "database", "username", "ssl_mode", "ca_certificate"}
    )

    def __init__(
        self,
        config: ConfigT,
        credentials: CredentialsT,
        limits: Limits | None = None,
        policy: EgressPolicy | None = None,
    ) -> None:
        """Keep the set-up; open no connection yet."""
        super().__init__(config, credentials, limits, policy)
        self._link = self._new_link()

    def deliver(self, batch: Sequence[Message]) -> Sequence[Result]:
        """Write the rows of a batch; a repeat of an event leaves one row."""
        started = monotonic()
        self._link.start(self.limits.timeout_s)
        read = [self._read(message) for message in batch]
        events = [rows for rows in read if isinstance(rows, EventRows)]
        if not events:
            return [rows for rows in read if isinstance(rows, Result)]
        try:
            written = self._write(events)
        except Unwell as unwell:
            result = unwell.result(duration_ms=_since(started))
            return [result if isinstance(rows, EventRows) else rows for rows in read]
        took = _since(started)
        return [self._result(written, rows, took) if isinstance(rows, EventRows) else rows for rows in read]

    def check(self) -> Iterator[Step]:
        """Try what writing needs, in a transaction that is rolled back."""
        link = self._new_link()
        link.start(self.limits.timeout_s)
        try:
            yield from self._new_check(link).steps()
        finally:
            link.close()

    def erase(self, person: Person, messages: Iterable[Message]) -> Erased:
        """Delete the person's rows from Terra's three tables, in small transactions, each with the time of a try."""
        count = 0
        try:
            for table, column, values in wanted(person, messages):
                while deleted := self._deleted(table, column, values):
                    count += deleted
        except Unwell as unwell:
            return Erased(count, unwell.result())
        return Erased(count, detail=f"Rows of the person in {self._place()}.")

    @classmethod
    def validate(cls, config: ConfigT) -> Mapping[str, str]:
        """Refuse what a driver would read as a list of hosts or a socket, and certificates that are none."""
        return problems_of(config)

    def close(self) -> None:
        """Close the connection."""
        self._link.close()

    @abstractmethod
    def _new_link(self) -> SqlLink[Any]:
        """Return a link to the server that is not open."""

    @abstractmethod
    def _new_check(self, link: SqlLink[Any]) -> SqlCheck:
        """Return a check over a link of its own."""

    @abstractmethod
    def _writer(self) -> Writer:
        """Return what writes over the open connection."""

    @abstractmethod
    def _create_missing(self) -> None:
        """Make the tables that are missing."""

    @abstractmethod
    def _delete(self, table: Table, column: str, values: Sequence[str]) -> int:
        """Delete some of the rows whose ``column`` has one of ``values``, and commit; return how many."""

    @abstractmethod
    def _names(self) -> Mapping[str, str]:
        """Return this destination's names as they stand in SQL; ``place`` is what the tables are in."""

    @abstractmethod
    def _place(self) -> str:
        """Return what the tables are in, for people."""

    def _opened(self) -> None:
        """Look at what a new connection leads to; raise ``Unwell`` where it is no place for rows."""

    def _unfit(self, _message: Message, _rows: EventRows) -> Result | None:
        """Return the result of an event that the server need not be asked about."""
        return None

    def _read(self, message: Message) -> EventRows | Result:
        try:
            rows = rows_of(message)
        except terra.InvalidPayload as invalid:
            return Result(Outcome.REJECTED, "unprocessable", str(invalid))
        return self._unfit(message, rows) or rows

    def _write(self, events: Sequence[EventRows]) -> Batch:
        """Write ``events``; once each, make missing tables and replace a connection that broke while it was idle.

        A batch that a deadlock took back is written again at once, a few times.
        """
        must_create, deadlocks = False, 0
        while True:
            try:
                return self._write_once(events, must_create)
            except StatementFailed as failed:
                self._link.recover()
                deadlocks += failed.is_deadlock
                if failed.is_missing_table and not must_create:
                    must_create = True
                elif not failed.is_deadlock or deadlocks > MOST_DEADLOCKS:
                    raise failed.as_unwell(self._names()) from None
            except Unwell as unwell:
                self._raise_unless_idle(unwell)

    def _raise_unless_idle(self, unwell: Unwell) -> None:
        """Raise it again, unless a connection broke while it was idle: then a new one is tried."""
        if self._link.is_fresh or self._link.is_open or unwell.code == TIMEOUT:
            self._link.recover()
            raise unwell

    def _deleted(self, table: Table, column: str, values: Sequence[str]) -> int:
        self._link.start(self.limits.timeout_s)
        deadlocks = 0
        while True:
            try:
                self._link.open()
                return self._delete(table, column, values)
            except StatementFailed as failed:
                self._link.recover()
                deadlocks += 1
                if failed.is_missing_table:
                    return 0
                if not failed.is_deadlock or deadlocks > MOST_DEADLOCKS:
                    raise failed.as_unwell(self._names()) from None
            except Unwell as unwell:
                self._raise_unless_idle(unwell)

    def _write_once(self, events: Sequence[EventRows], must_create: bool) -> Batch:
        self._link.open()
        if self._link.is_fresh:
            self._opened()
        if must_create:
            self._create_missing()
        batch = Batch(self._writer(), events)
        batch.write()
        return batch

    def _result(self, written: Batch, rows: EventRows, took_ms: int) -> Result:
        request = {"table": f"{self._place()}.{rows.table.name}", "payload_id": rows.payload.payload_id}
        refusal = written.refusal_of(rows)
        if refusal is None:
            return Result(Outcome.DELIVERED, duration_ms=took_ms, request=request)
        return _refused(refusal, took_ms, request)


def _refused(refusal: Refusal, took_ms: int, request: Mapping[str, Any]) -> Result:
    outcome = Outcome.REJECTED if refusal.is_final else Outcome.RETRY
    hint = "Change the table or its constraint, then resend." if refusal.is_final else ""
    return Result(outcome, refusal.code, refusal.detail, hint, duration_ms=took_ms, request=request)


def _since(started: float) -> int:
    return round((monotonic() - started) * 1000)
