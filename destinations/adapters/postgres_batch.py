"""Writes the stages of a batch in one pipeline; a row's error takes back its own stage only."""

from collections.abc import Sequence
from typing import Any

from destinations.adapters.postgres_errors import describe, is_row_error
from destinations.adapters.postgres_link import Link, PostgresStatementFailed
from destinations.adapters.postgres_sql import (
    LOCK_CREATION,
    Statement,
    TerraTables,
    begin,
    release,
    roll_back_to,
    savepoint,
)
from destinations.adapters.rows import TABLES, Table
from destinations.adapters.sql_batch import RowError

TOO_LONG_FOR_TYPE, TOO_LONG_TO_INDEX = "22001", "54000"
COMMIT: Statement = ("COMMIT", ())


def create_missing(link: Link, tables: TerraTables) -> None:
    """Make the tables that are missing, in a transaction that is left open."""
    answers = link.run([*begin(link.statement_ms), LOCK_CREATION, tables.existing()])
    present = {name for (name,) in answers[-1].fetchall()}
    link.run(tables.create(table for table in TABLES if table.name not in present))


class PostgresWriter:
    """The ``Writer`` of one batch."""

    def __init__(self, link: Link, tables: TerraTables) -> None:
        """Write over an open link."""
        self._link, self._tables = link, tables

    @property
    def remaining_ms(self) -> int:
        """Return the milliseconds that are left for the batch."""
        return self._link.remaining_ms

    def write_all(self, stages: Sequence[tuple[Table, Sequence[Any]]]) -> RowError | None:
        """Begin, write every stage, commit: all sent before the first answer is awaited."""
        statements: list[tuple[Table | None, Statement]] = [
            (None, statement) for statement in begin(self._link.statement_ms)
        ]
        for table, rows in stages:
            statements.append((table, savepoint(table)))
            statements += [(table, statement) for statement in self._tables.write(table, rows)]
        statements.append((None, COMMIT))
        try:
            self._link.run([statement for _, statement in statements])
        except PostgresStatementFailed as failed:
            return self._taken_back(statements[failed.index][0], failed)
        return None

    def write(self, table: Table, rows: Sequence[Any]) -> RowError | None:
        """Write rows, or none of them."""
        try:
            self._link.run([savepoint(table), *self._tables.write(table, rows), release(table)])
        except PostgresStatementFailed as failed:
            return self._taken_back(table, failed)
        return None

    def commit(self) -> None:
        """Commit the open transaction."""
        self._link.run([COMMIT])

    def explained(self, error: RowError, row: Any) -> str:
        """Return the detail with the column, also where the server did not name it."""
        return describe(error.cause, error.table.name, self._too_long(error.table, row, error.code))

    def _taken_back(self, table: Table | None, failed: PostgresStatementFailed) -> RowError:
        """Roll back to before the table's rows, and return the row's error; raise what is no row's."""
        error = failed.error
        if table is None or not is_row_error(error):
            raise failed
        self._link.run(roll_back_to(table))
        return RowError(table, str(error.sqlstate), describe(error, table.name), error)

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
