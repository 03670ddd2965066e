"""One batch in one transaction; where a row spoils it, the bad rows are found and left out."""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg

from destinations.adapters.postgres_errors import Unwell, describe, is_row_error
from destinations.adapters.postgres_link import Link, StatementFailed
from destinations.adapters.postgres_sql import (
    LOCK_CREATION,
    Statement,
    TerraTables,
    begin,
    release,
    roll_back_to,
    savepoint,
)
from destinations.adapters.rows import TABLES, USERS, EventRows, Table, newest_users

TOO_LONG_FOR_TYPE, TOO_LONG_TO_INDEX = "22001", "54000"
COMMIT: Statement = ("COMMIT", ())
# Halving 500 rows takes 10 tries for each bad row among them; what is not found by then waits for its retry.
MOST_TRIES = 200
# So many bad rows and not one good: the table is at fault, and rejecting them would be wrong.
HOPELESS_AFTER = 3
PROBES = 8


def create_missing(link: Link, tables: TerraTables) -> None:
    """Make the tables that are missing, in a transaction that is left open."""
    answers = link.run([*begin(link.statement_ms), LOCK_CREATION, tables.existing()])
    present = {name for (name,) in answers[-1].fetchall()}
    link.run(tables.create(table for table in TABLES if table.name not in present))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a row was not written: for good, or because its turn did not come in this batch."""

    code: str
    detail: str
    is_final: bool = True


class Batch:
    """Writes events; afterwards ``refusal_of`` says which of them were left out."""

    def __init__(self, link: Link, tables: TerraTables, events: Sequence[EventRows]) -> None:
        """Prepare ``events``, each at most once."""
        self._link, self._tables, self._events = link, tables, events
        self._refused: dict[tuple[str, str], Refusal] = {}  # by table and key
        self._tries = 0
        self._stop_at_ms = link.remaining_ms // 2

    def refusal_of(self, event: EventRows) -> Refusal | None:
        """Return why an event was left out, ``None`` if it was written: its users come first, then its payload."""
        keys = [(USERS.name, user.user_id) for user in event.users]
        keys.append((event.table.name, event.payload.payload_id))
        return next((self._refused[key] for key in keys if key in self._refused), None)

    def write(self) -> None:
        """Write and commit all that can be written.

        Raises ``StatementFailed`` or ``Unwell`` where nothing was committed, or where the answer
        to the commit was lost: repeating the batch is right in both cases.
        """
        statements: list[tuple[Table | None, Statement]] = [
            (None, statement) for statement in begin(self._link.statement_ms)
        ]
        statements += [pair for table in TABLES for pair in self._stage(table)]
        statements.append((None, COMMIT))
        try:
            self._link.run([statement for _, statement in statements])
        except StatementFailed as failed:
            table = statements[failed.index][0]
            if table is None or not is_row_error(failed.error):
                raise
            self._write_around(table, failed.error)

    def _stage(self, table: Table) -> Iterator[tuple[Table | None, Statement]]:
        if rows := self._rows(table):
            yield table, savepoint(table)
            for statement in self._tables.write(table, rows):
                yield table, statement

    def _rows(self, table: Table) -> list[Any]:
        events = [event for event in self._events if not self._refused or self.refusal_of(event) is None]
        if table is USERS:
            return newest_users(events)
        found = {event.payload.payload_id: event.payload for event in events if event.table is table}
        return [found[key] for key in sorted(found)]

    def _write_around(self, failed_table: Table, error: psycopg.Error) -> None:
        """Go on from the table that failed: what was written before it in this transaction stays."""
        self._link.run(roll_back_to(failed_table))
        self._isolate(failed_table, self._rows(failed_table), error)
        for table in TABLES[TABLES.index(failed_table) + 1 :]:
            rows = self._rows(table)
            later_error = self._try(table, rows) if rows else None
            if later_error is not None:
                self._isolate(table, rows, later_error)
        self._link.run([COMMIT])

    def _isolate(self, table: Table, rows: list[Any], error: psycopg.Error) -> None:
        """Write all of ``rows`` but the bad ones; ``error`` is what the first bad one among them gave."""
        found = accepted = 0
        while rows and self._may_go_on():
            bad, error, rest = self._first_bad(table, rows, error)
            accepted += len(rows) - len(rest) - 1
            found += 1
            self._refuse(table, bad, error)
            rest_error = self._try(table, rest) if rest else None
            if rest_error is None:
                return
            if found >= HOPELESS_AFTER and not accepted:
                accepted = self._probe(table, rest, rest_error)
            rows, error = rest, rest_error
        self._postpone(table, rows, error)

    def _probe(self, table: Table, rows: Sequence[Any], error: psycopg.Error) -> int:
        """Return 1 if some row is accepted; raise ``Unwell`` if the table takes none.

        Drawn at random: the next try of an unlucky batch looks at other rows.
        """
        for row in random.sample(rows, min(PROBES, len(rows))):
            if self._try(table, [row]) is None:
                return 1
        hint = f"Every row is refused: look at the columns, constraints and triggers of {table.name}."
        raise Unwell(str(error.sqlstate), describe(error, table.name), hint)

    def _first_bad(self, table: Table, rows: list[Any], error: psycopg.Error) -> tuple[Any, psycopg.Error, list[Any]]:
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

    def _try(self, table: Table, rows: Sequence[Any]) -> psycopg.Error | None:
        """Write rows, or none of them and return what the bad one gave."""
        self._tries += 1
        try:
            self._link.run([savepoint(table), *self._tables.write(table, rows), release(table)])
        except StatementFailed as failed:
            if not is_row_error(failed.error):
                raise
            self._link.run(roll_back_to(table))
            return failed.error
        return None

    def _may_go_on(self) -> bool:
        return self._tries < MOST_TRIES and self._link.remaining_ms > self._stop_at_ms

    def _refuse(self, table: Table, row: Any, error: psycopg.Error) -> None:
        detail = describe(error, table.name, self._too_long(table, row, str(error.sqlstate)))
        self._refused[table.name, getattr(row, table.key)] = Refusal(str(error.sqlstate), detail)

    def _postpone(self, table: Table, rows: Sequence[Any], error: psycopg.Error) -> None:
        detail = f"Not written yet: other rows of its batch were refused ({describe(error, table.name)})."
        for row in rows:
            self._refused[table.name, getattr(row, table.key)] = Refusal(str(error.sqlstate), detail, is_final=False)

    def _too_long(self, table: Table, row: Any, sqlstate: str) -> str:
        """Return the column whose text is too long, where that is the error: the server does not name it."""
        texts = {column.name: getattr(row, column.name) or "" for column in table.columns if not column.is_moment}
        if sqlstate == TOO_LONG_TO_INDEX:
            return max(texts, key=lambda name: len(texts[name]))
        if sqlstate != TOO_LONG_FOR_TYPE:
            return ""
        answer = self._link.run([self._tables.columns()])[0].fetchall()
        widths = {column: width for name, column, width in answer if name == table.name and width}
        return next((name for name, width in widths.items() if len(texts.get(name, "")) > width), "")
