"""The steps of a PostgreSQL destination's check. They leave nothing behind: all is in one transaction, rolled back."""

import secrets
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from destinations.adapters.base import Step, StepFailed, StepStatus, run_step
from destinations.adapters.postgres_batch import create_missing
from destinations.adapters.postgres_errors import CONNECT_FAILED, CONNECTION_LOST, TIMEOUT, TLS_FAILED, Unwell, filled
from destinations.adapters.postgres_link import Link, StatementFailed
from destinations.adapters.postgres_sql import TerraTables, column_type, names_of
from destinations.adapters.rows import DATA, OTHER, TABLES, USERS, DataRow, OtherRow, Table, UserRow

_CLEAR = "Health data and the password's proof travel in clear."
_UNPROVEN = "The server's certificate is not verified: whoever stands between can read and change the data."


def check_steps(link: Link, tables: TerraTables, config: Any) -> Iterator[Step]:
    """Yield each step; stop after one that failed."""
    check = _Check(link, tables, config)
    steps: list[tuple[str, Callable[[], str]]] = [
        ("resolve", check.resolve),
        ("connect", check.connect),
        ("TLS", check.tls),
        ("authenticate", check.authenticate),
        ("permission", check.permission),
        ("write", check.write),
        ("read back", check.read_back),
        ("clean up", check.clean_up),
    ]
    for name, action in steps:
        step = run_step(name, check.guarded(action))
        yield step
        if step.status is StepStatus.FAILED:
            return


class _Check:
    """What one step learns and the next one needs."""

    def __init__(self, link: Link, tables: TerraTables, config: Any) -> None:
        self._link, self._tables, self._config = link, tables, config
        self._addresses: Sequence[str] = ()
        self._login_problem: Unwell | None = None
        self._missing: list[Table] = []
        key = f"hub-check-{secrets.token_hex(8)}"
        now = datetime.now(UTC)
        self._samples: dict[str, Any] = {
            USERS.name: UserRow(key, key, now, "check", "CHECK", "active", now, now),
            DATA.name: DataRow(key, key, "check", now, now, now, "https://example.com/check"),
            OTHER.name: OtherRow(key, key, "check", now, "https://example.com/check"),
        }
        self._key = key

    def guarded(self, action: Callable[[], str]) -> Callable[[], str]:
        """Turn what a step of a delivery raises into a failed step."""

        def run() -> str:
            try:
                return action()
            except StatementFailed as failed:
                unwell = failed.as_unwell(names_of(self._config))
                raise StepFailed(f"{unwell.code}: {unwell.detail}", unwell.hint) from None
            except Unwell as unwell:
                raise StepFailed(unwell.detail, unwell.hint) from None

        return run

    def resolve(self) -> str:
        self._addresses = self._link.resolve()
        return f"{self._config.host} is {', '.join(self._addresses)}."

    def connect(self) -> str:
        """Log in, and keep what failed after the connection stood for the step that it belongs to."""
        try:
            self._link.dial(self._addresses)
        except Unwell as unwell:
            if unwell.code in (CONNECT_FAILED, CONNECTION_LOST, TIMEOUT):
                raise
            self._login_problem = unwell
        return f"Port {self._config.port} answers."

    def tls(self) -> str:
        if self._login_problem and self._login_problem.code == TLS_FAILED:
            raise self._login_problem
        if self._config.ssl_mode == "disable":
            raise StepFailed("TLS is off.", _CLEAR, StepStatus.WARNING)
        if self._config.ssl_mode == "require":
            raise StepFailed("The connection is encrypted.", _UNPROVEN, StepStatus.WARNING)
        return "The server's certificate is verified."

    def authenticate(self) -> str:
        if self._login_problem:
            raise self._login_problem
        return f"Logged in as {self._config.username}."

    def permission(self) -> str:
        names = names_of(self._config)
        rights, lacking, columns = self._link.run(
            [self._tables.rights(), self._tables.table_rights(), self._tables.columns()]
        )
        self._check_schema(rights.fetchone(), names)
        for table, right in lacking.fetchall():
            hint = f"Run: GRANT {right} ON {names['schema']}.{table} TO {names['username']};"
            raise StepFailed(f"{self._config.username} lacks {right} on {table}.", hint)
        found = [(table, column) for table, column, _ in columns.fetchall()]
        self._check_columns(found, names)
        return "The schema may be used, and the tables " + ("can be made." if self._missing else "are right.")

    def _check_schema(self, rights: Any, names: dict[str, str]) -> None:
        if rights is None:
            raise StepFailed(
                f"There is no schema {self._config.schema}.", filled("Run: CREATE SCHEMA {schema};", names)
            )
        for right, granted in zip(("USAGE", "CREATE"), rights, strict=True):
            if not granted:
                hint = filled(f"Run: GRANT {right} ON SCHEMA {{schema}} TO {{username}};", names)
                raise StepFailed(f"{self._config.username} lacks {right} on schema {self._config.schema}.", hint)

    def _check_columns(self, found: Sequence[tuple[str, str]], names: dict[str, str]) -> None:
        present = {table for table, _ in found}
        self._missing = [table for table in TABLES if table.name not in present]
        for table in TABLES:
            for column in table.columns:
                if table.name in present and (table.name, column.name) not in found:
                    place = f"{names['schema']}.{table.name}"
                    hint = f"Run: ALTER TABLE {place} ADD COLUMN {column.name} {column_type(column)};"
                    raise StepFailed(f"{table.name} has no column {column.name}.", hint)

    def write(self) -> str:
        """Make what is missing and write a row of each kind, in a transaction that stays open."""
        create_missing(self._link, self._tables)
        for table in TABLES:
            self._link.run(self._tables.write(table, [self._samples[table.name]]))
        return "A row in each table." + (" The first delivery makes the missing ones." if self._missing else "")

    def read_back(self) -> str:
        for table in TABLES:
            row = self._link.run([self._tables.read(table, self._key)])[0].fetchone()
            if row != tuple(getattr(self._samples[table.name], column.name) for column in table.columns):
                hint = "Look for triggers or rules that change rows, and for columns of another type."
                raise StepFailed(f"{table.name} does not hold what was written.", hint)
        return "Each row came back as it was written."

    def clean_up(self) -> str:
        self._link.run([("ROLLBACK", ())])
        names = {name for (name,) in self._link.run([self._tables.existing()])[0].fetchall()}
        left = [table.name for table in self._missing if table.name in names]
        if left:
            raise StepFailed(f"{', '.join(left)} appeared during the check.", status=StepStatus.WARNING)
        return "Rolled back: nothing is left behind."
