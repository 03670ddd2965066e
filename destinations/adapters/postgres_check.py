"""The steps of a PostgreSQL destination's check: all is in one transaction, rolled back."""

from typing import Any

from destinations.adapters.base import StepFailed, StepStatus
from destinations.adapters.postgres_batch import create_missing
from destinations.adapters.postgres_link import Link
from destinations.adapters.postgres_sql import TerraTables, column_type, names_of
from destinations.adapters.rows import TABLES, Table
from destinations.adapters.sql_check import SqlCheck
from destinations.adapters.sql_errors import filled

_ATTRIBUTES = "SELECT rolsuper, rolcreaterole, rolcreatedb, rolbypassrls FROM pg_roles WHERE rolname = current_user"
_WORDS = (
    "do anything (SUPERUSER)",
    "make users (CREATEROLE)",
    "make databases (CREATEDB)",
    "pass by row security (BYPASSRLS)",
)


class PostgresCheck(SqlCheck):
    """Tries every right that writing needs."""

    in_clear = "Health data and the password's proof travel in clear."
    unproven = "The server's certificate is not verified: whoever stands between can read and change the data."

    _link: Link

    def __init__(self, link: Link, tables: TerraTables, config: Any) -> None:
        """Check ``config`` over a link that is not open."""
        super().__init__(link, config, names_of(config))
        self._tables = tables

    def _permission(self) -> str:
        names = self._names
        rights, lacking, columns = self._link.run(
            [self._tables.rights(), self._tables.table_rights(), self._tables.columns()]
        )
        self._check_schema(rights.fetchone())
        for table, right in lacking.fetchall():
            hint = f"Run: GRANT {right} ON {names['schema']}.{table} TO {names['username']};"
            raise StepFailed(f"{self._config.username} lacks {right} on {table}.", hint)
        self._check_columns([(table, column) for table, column, _ in columns.fetchall()], column_type)
        return "The schema may be used, and the tables " + ("can be made." if self._missing else "are right.")

    def _check_schema(self, rights: Any) -> None:
        if rights is None:
            raise StepFailed(
                f"There is no schema {self._config.schema}.", filled("Run: CREATE SCHEMA {schema};", self._names)
            )
        for right, granted in zip(("USAGE", "CREATE"), rights, strict=True):
            if not granted:
                hint = filled(f"Run: GRANT {right} ON SCHEMA {{schema}} TO {{username}};", self._names)
                raise StepFailed(f"{self._config.username} lacks {right} on schema {self._config.schema}.", hint)

    def _write(self) -> str:
        """Make what is missing and write a row of each kind, in a transaction that stays open."""
        create_missing(self._link, self._tables)
        for table in TABLES:
            self._link.run(self._tables.write(table, [self._samples[table.name]]))
        return "A row in each table." + (" The first delivery makes the missing ones." if self._missing else "")

    def _read(self, table: Table, key: str) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._link.run([self._tables.read(table, key)])[0].fetchone()
        return row

    def _more_than_needed(self) -> list[str]:
        row = self._link.run([(_ATTRIBUTES, ())])[0].fetchone() or ()
        return [words for words, held in zip(_WORDS, row, strict=False) if held]

    def _clean_up(self) -> str:
        self._link.run([("ROLLBACK", ())])
        names = {name for (name,) in self._link.run([self._tables.existing()])[0].fetchall()}
        left = [table.name for table in self._missing if table.name in names]
        if left:
            raise StepFailed(f"{', '.join(left)} appeared during the check.", status=StepStatus.WARNING)
        return "Rolled back: nothing is left behind."
