"""The steps of an SQL destination's check, and what each learns for the next. They leave nothing behind."""

import secrets
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from destinations.adapters.base import Step, StepFailed, StepStatus, run_step
from destinations.adapters.least_rights import least_rights_step
from destinations.adapters.rows import DATA, OTHER, TABLES, USERS, Column, DataRow, OtherRow, Table, UserRow
from destinations.adapters.sql_errors import (
    CONNECT_FAILED,
    CONNECTION_LOST,
    TIMEOUT,
    TLS_FAILED,
    StatementFailed,
    Unwell,
    filled,
)
from destinations.adapters.sql_link import SqlLink
from destinations.hosts import resolved_words


class SqlCheck(ABC):
    """One check: ``steps`` yields them, and stops after one that failed."""

    in_clear: ClassVar[str]  # what travels in clear where TLS is off
    unproven: ClassVar[str]  # what may happen where the server's certificate is not verified

    def __init__(self, link: SqlLink[Any], config: Any, names: Mapping[str, str]) -> None:
        """Check the set-up ``config`` over a link that is not open; ``names`` fill the hints."""
        self._link, self._config, self._names = link, config, dict(names)
        self._addresses: Sequence[str] = ()
        self._login_problem: Unwell | None = None
        self._missing: list[Table] = []
        self._key = f"hub-check-{secrets.token_hex(8)}"
        key, now = self._key, datetime.now(UTC)
        self._samples: dict[str, Any] = {
            USERS.name: UserRow(key, key, now, "check", "CHECK", "active", now, now),
            DATA.name: DataRow(key, key, "check", now, now, now, "https://example.com/check"),
            OTHER.name: OtherRow(key, key, "check", now, "https://example.com/check"),
        }

    def steps(self) -> Iterator[Step]:
        """Yield each step; stop after one that failed."""
        steps: list[tuple[str, Callable[[], str]]] = [
            ("resolve", self._resolve),
            ("connect", self._connect),
            ("TLS", self._tls),
            ("authenticate", self._authenticate),
            ("permission", self._permission),
            ("write", self._write),
            ("read back", self._read_back),
            ("clean up", self._clean_up),
        ]
        for name, action in steps:
            step = run_step(name, self._guarded(action))
            yield step
            if step.status is StepStatus.FAILED:
                return
        yield from least_rights_step(self._noted_rights, self._config.username, "the grants of the set-up")

    def _noted_rights(self) -> Sequence[str]:
        try:
            return self._more_than_needed()
        except (StatementFailed, Unwell):
            return []  # a server that does not tell

    @abstractmethod
    def _more_than_needed(self) -> Sequence[str]:
        """Return what the user may do beside writing rows, in words, as far as looking tells."""

    def _guarded(self, action: Callable[[], str]) -> Callable[[], str]:
        """Turn what a step of a delivery raises into a failed step."""

        def run() -> str:
            try:
                return action()
            except StatementFailed as failed:
                unwell = failed.as_unwell(self._names)
                raise StepFailed(f"{unwell.code}: {unwell.detail}", unwell.hint, code=unwell.code) from None
            except Unwell as unwell:
                raise StepFailed(unwell.detail, unwell.hint, code=unwell.code) from None

        return run

    def _resolve(self) -> str:
        self._addresses = self._link.resolve()
        return resolved_words(self._config.host, self._addresses)

    def _connect(self) -> str:
        """Log in, and keep what failed after the connection stood for the step that it belongs to."""
        try:
            self._link.dial(self._addresses)
        except Unwell as unwell:
            if unwell.code in (CONNECT_FAILED, CONNECTION_LOST, TIMEOUT):
                raise
            self._login_problem = unwell
        return f"Port {self._config.port} answers."

    def _tls(self) -> str:
        if self._login_problem and self._login_problem.code == TLS_FAILED:
            raise self._login_problem
        if self._config.ssl_mode == "disable":
            raise StepFailed("TLS is off.", self.in_clear, StepStatus.WARNING)
        if not self._config.verifies:
            raise StepFailed("The connection is encrypted.", self.unproven, StepStatus.WARNING)
        return "The server's certificate is verified."

    def _authenticate(self) -> str:
        if self._login_problem:
            raise self._login_problem
        return f"Logged in as {self._config.username}."

    @abstractmethod
    def _permission(self) -> str:
        """Look for every right that writing needs, and at the tables that are there."""

    @abstractmethod
    def _write(self) -> str:
        """Write the samples in a transaction that stays open."""

    def _read_back(self) -> str:
        for table in TABLES:
            row = self._read(table, self._key)
            if row != tuple(getattr(self._samples[table.name], column.name) for column in table.columns):
                hint = "Look for triggers or rules that change rows, and for columns of another type."
                raise StepFailed(f"{table.name} does not hold what was written.", hint)
        return "Each row came back as it was written."

    @abstractmethod
    def _read(self, table: Table, key: str) -> tuple[Any, ...] | None:
        """Return the row with ``key``, its moments aware."""

    @abstractmethod
    def _clean_up(self) -> str:
        """Roll back, and make sure that nothing is left."""

    def _check_columns(self, found: Sequence[tuple[str, str]], type_of: Callable[[Column], str]) -> None:
        """Note which tables are missing; fail for a column that is, among the (table, column) pairs that are there."""
        present = {table for table, _ in found}
        self._missing = [table for table in TABLES if table.name not in present]
        for table in TABLES:
            for column in table.columns:
                if table.name in present and (table.name, column.name) not in found:
                    place = filled(f"{{place}}.{table.name}", self._names)
                    hint = f"Run: ALTER TABLE {place} ADD COLUMN {column.name} {type_of(column)};"
                    raise StepFailed(f"{table.name} has no column {column.name}.", hint)
