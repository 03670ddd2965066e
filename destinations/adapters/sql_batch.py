"""One batch in one transaction; where a row spoils it, the bad rows are found and left out."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from destinations.adapters.rows import TABLES, USERS, EventRows, Table, newest_users
from destinations.adapters.sql_errors import Unwell

# Halving 500 rows takes 10 tries for each bad row among them; what is not found by then waits for its retry.
MOST_TRIES = 200
# So many bad rows and not one good: the table is at fault, and rejecting them would be wrong.
HOPELESS_AFTER = 3
PROBES = 8


@dataclass(frozen=True, slots=True)
class RowError:
    """What the server said of one row among those that a statement was to write."""

    table: Table
    code: str
    detail: str  # one line without a value of the row
    cause: Any  # the driver's own error


class Writer(Protocol):
    """Writes rows in one transaction. Whatever is not a row's fault is raised, ``StatementFailed`` or ``Unwell``."""

    @property
    def remaining_ms(self) -> int:
        """Return the milliseconds that are left for the batch."""
        ...

    def write_all(self, stages: Sequence[tuple[Table, Sequence[Any]]]) -> RowError | None:
        """Begin, write every stage, commit.

        Where a row spoils it, return its error: the transaction is open, with all stages before
        the one that failed in it.
        """
        ...

    def write(self, table: Table, rows: Sequence[Any]) -> RowError | None:
        """Write rows within the open transaction; return the error that kept one of them out.

        What was written of the others then does no harm when it is written again.
        """
        ...

    def commit(self) -> None:
        """Commit the open transaction."""
        ...

    def explained(self, error: RowError, row: Any) -> str:
        """Return the detail of an error, now that its row is known."""
        ...


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row was not written: for good, or because its turn did not come in this batch."""

    code: str
    detail: str
    is_final: bool = True


class Batch:
    """Writes events; afterwards ``refusal_of`` says which of them were left out."""

    def __init__(self, writer: Writer, events: Sequence[EventRows]) -> None:
        """Prepare ``events``, each at most once."""
        self._writer, self._events = writer, events
        self._refused: dict[tuple[str, str], Refusal] = {}  # by table and key
        self._tries = 0
        self._stop_at_ms = writer.remaining_ms // 2

    def refusal_of(self, event: EventRows) -> Refusal | None:
        """Return why an event was left out, ``None`` if it was written: its users come first, then its payload."""
        if not self._refused:
            return None
        keys = [(USERS.name, user.user_id) for user in event.users]
        keys.append((event.table.name, event.payload.payload_id))
        return next((self._refused[key] for key in keys if key in self._refused), None)

    def write(self) -> None:
        """Write and commit all that can be written.

        Raises ``StatementFailed`` or ``Unwell`` where nothing was committed, or where the answer
        to the commit was lost: repeating the batch is right in both cases.
        """
        error = self._writer.write_all([(table, rows) for table in TABLES if (rows := self._rows(table))])
        if error is not None:
            self._write_around(error)

    def _rows(self, table: Table) -> list[Any]:
        events = [event for event in self._events if self.refusal_of(event) is None]
        if table is USERS:
            return newest_users(events)
        found = {event.payload.payload_id: event.payload for event in events if event.table is table}
        return [found[key] for key in sorted(found)]

    def _write_around(self, error: RowError) -> None:
        """Go on from the table that failed: what was written before it in this transaction stays."""
        self._isolate(error.table, self._rows(error.table), error)
        for table in TABLES[TABLES.index(error.table) + 1 :]:
            rows = self._rows(table)
            later_error = self._try(table, rows) if rows else None
            if later_error is not None:
                self._isolate(table, rows, later_error)
        self._writer.commit()

    def _isolate(self, table: Table, rows: list[Any], error: RowError) -> None:
        """Write all of ``rows`` but the bad ones; ``error`` is what the first bad one among them gave."""
        found = accepted = 0
        while rows and self._may_go_on():
            bad, error, rest = self._first_bad(table, rows, error)
            accepted += len(rows) - len(rest) - 1
            found += 1
            self._refused[table.name, getattr(bad, table.key)] = Refusal(error.code, self._writer.explained(error, bad))
            rest_error = self._try(table, rest) if rest else None
            if rest_error is None:
                return
            if found >= HOPELESS_AFTER and not accepted:
                accepted = self._probe(table, rest, rest_error)
            rows, error = rest, rest_error
        self._postpone(table, rows, error)

    def _probe(self, table: Table, rows: Sequence[Any], error: RowError) -> int:
        """Return 1 if some row is accepted; raise ``Unwell`` if the table takes none.

        Drawn at random: the next try of an unlucky batch looks at other rows.
        """
        for row in random.sample(rows, min(PROBES, len(rows))):
            if self._try(table, [row]) is None:
                return 1
        hint = f"Every row is refused: look at the columns, constraints and triggers of {table.name}."
        raise Unwell(error.code, error.detail, hint)

    def _first_bad(self, table: Table, rows: list[Any], error: RowError) -> tuple[Any, RowError, list[Any]]:
        """Halve down to the first bad row; return it, its error, and the rows that are not written yet."""
        rest: list[Any] = []
        while len(rows) > 1:
            half = (len(rows) + 1) // 2
            failed = self._try(table, rows[:half])
            if failed is None:
                rows = rows[half:]  # so the error is one of these
            else:
                rows, rest, error = rows[:half], rows[half:] + rest, failed
        return rows[0], error, rest

    def _try(self, table: Table, rows: Sequence[Any]) -> RowError | None:
        self._tries += 1
        return self._writer.write(table, rows)

    def _may_go_on(self) -> bool:
        return self._tries < MOST_TRIES and self._writer.remaining_ms > self._stop_at_ms

    def _postpone(self, table: Table, rows: Sequence[Any], error: RowError) -> None:
        detail = f"Not written yet: other rows of its batch were refused ({error.detail})."
        for row in rows:
            self._refused[table.name, getattr(row, table.key)] = Refusal(error.code, detail, is_final=False)
