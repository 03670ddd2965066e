"""The steps of a MySQL destination's check. They leave nothing behind, and make no table.

MySQL commits a CREATE TABLE at once, and the page's grants hold no DROP: a table that a check made
would stay. So rights are tried by statements that cannot do anything, and rows are written, and
rolled back, only where the tables are there.
"""

from collections.abc import Sequence
from typing import Any

from destinations.adapters import mysql_sql as sql
from destinations.adapters.base import StepFailed, StepStatus
from destinations.adapters.mysql_batch import MysqlWriter
from destinations.adapters.mysql_link import MysqlLink, MysqlStatementFailed
from destinations.adapters.rows import TABLES, Table
from destinations.adapters.sql_check import SqlCheck
from destinations.adapters.sql_errors import Unwell, filled

DUPLICATE_COLUMN = 1060
DENIED = (1142, 1143)
TABLE_UNFIT = "table_unfit"
# The server asks for the right first, then finds two columns of one name: nothing is ever made.
_MAKE_NOTHING = "CREATE TABLE terra_hub_check (twice int, twice int)"
_ENOUGH = {"CREATE", "SELECT", "INSERT", "UPDATE", "DELETE"}
_NOTHING_MADE = "The tables are missing; the first delivery makes them."
_TABLE_STAYS = "Nothing to change. A check makes no table: without DROP, which the hub does not ask for, it would stay."


class MysqlCheck(SqlCheck):
    """Tries every right that writing needs."""

    in_clear = "Health data travel in clear."
    unproven = (
        "The server's certificate is not verified: whoever stands between can read and change the data, "
        "and may be told the password."
    )

    _link: MysqlLink

    def __init__(self, link: MysqlLink, config: Any) -> None:
        """Check ``config`` over a link that is not open."""
        super().__init__(link, config, sql.names_of(config))

    def _authenticate(self) -> str:
        super()._authenticate()
        _, ((account,),) = self._link.run("SELECT CURRENT_USER()")
        user, _, host = str(account).rpartition("@")
        self._names["account"] = f"'{user}'@'{host}'"  # the hints name the very account that was taken
        return f"Logged in as {self._names['account']}."

    def _permission(self) -> str:
        self._try_create()
        for table in TABLES:
            self._try_rights(table)
        found = self._link.run(*sql.columns(self._config.database))[1]
        self._check_columns([(table, column) for table, column in found], sql.column_type)
        check_tables(self._link, self._config)
        return "The database may be used, and the tables " + ("can be made." if self._missing else "are right.")

    def _try_create(self) -> None:
        try:
            self._link.run(_MAKE_NOTHING)
        except MysqlStatementFailed as failed:
            if failed.number in DENIED:
                raise self._lacks("CREATE", self._config.database) from None
            if failed.number != DUPLICATE_COLUMN:
                raise

    def _try_rights(self, table: Table) -> None:
        """Try each right on a table; one that is missing tells, too, whether it would have been allowed."""
        for right, statement in sql.idle_tries(table):
            try:
                self._link.run(statement)
            except MysqlStatementFailed as failed:
                if failed.number in DENIED:
                    raise self._lacks(right, table.name) from None
                if failed.is_missing_table:
                    continue
                raise

    def _lacks(self, right: str, where: str) -> StepFailed:
        hint = filled(f"Run: GRANT {right} ON {{pattern}}.* TO {{account}};", self._names)
        return StepFailed(f"{self._config.username} lacks {right} on {where}.", hint)

    def _write(self) -> str:
        if self._missing:
            raise StepFailed(_NOTHING_MADE, _TABLE_STAYS, StepStatus.SKIPPED)
        self._link.begin()
        writer = MysqlWriter(self._link)
        for table in TABLES:
            writer.put(table, [self._samples[table.name]])
        return "A row in each table."

    def _read_back(self) -> str:
        if self._missing:
            raise StepFailed("Nothing was written.", status=StepStatus.SKIPPED)
        return super()._read_back()

    def _read(self, table: Table, key: str) -> tuple[Any, ...] | None:
        rows = self._link.run(*sql.read(table, key))[1]
        return tuple(sql.aware(value) for value in rows[0]) if rows else None

    def _more_than_needed(self) -> list[str]:
        """Read the user's grants; what stands behind ON may hold the password's hash, and is not kept."""
        grants = [str(row[0]) for row in self._link.run("SHOW GRANTS")[1]]
        return [words for text in grants if (words := _beyond(text))]

    def _clean_up(self) -> str:
        self._link.run("ROLLBACK")
        left = [table.name for table in TABLES if not self._missing and self._read(table, self._key)]
        if left:
            raise StepFailed(f"{', '.join(left)} kept the row {self._key}.", "Delete it by its key.")
        return "Rolled back: nothing is left behind."


def check_tables(link: MysqlLink, config: Any) -> None:
    """Raise ``Unwell`` where a table would not keep one row per event, or would keep half a batch.

    ON DUPLICATE KEY UPDATE heeds every unique key: without the primary key a repeat makes a second
    row, and under another unique key a new row vanishes into one that is there.
    """
    rows = link.run(*sql.unique_keys(config.database))[1]
    for table in TABLES:
        its = [row[1:] for row in rows if row[0] == table.name]
        problem = _problem_of(table, its)
        if problem:
            detail, hint = problem
            place = filled("{place}", sql.names_of(config))
            raise Unwell(TABLE_UNFIT, f"{table.name} {detail}.", f"Run: ALTER TABLE {place}.{table.name} {hint};")


def _problem_of(table: Table, rows: Sequence[tuple[Any, ...]]) -> tuple[str, str] | None:
    """Return what is wrong with a table, and what ALTER TABLE has to do, from rows of (engine, key, column)."""
    if not rows:
        return None  # it is missing, and will be made
    engine = rows[0][0]
    if engine is None:
        return "is a view", "RENAME TO another name"
    if str(engine).lower() != "innodb":
        return f"is of the engine {engine}, which cannot take back half a batch", "ENGINE=InnoDB"
    keys: dict[str, list[str]] = {}
    for _, key, column in rows:
        keys.setdefault(str(key), []).append(str(column))
    if keys.pop("PRIMARY", None) != [table.key]:
        return f"has not {table.key} as its primary key", f"ADD PRIMARY KEY ({table.key})"
    keys.pop("None", None)
    for key in keys:
        return f"has another unique key, {key}: rows would vanish", f"DROP INDEX {sql.quoted(key)}"
    return None


def _beyond(grant: str) -> str:
    """Return what a line of SHOW GRANTS allows beyond the page's grants, in words; "" where it is no more."""
    rights, on, rest = grant.removeprefix("GRANT ").partition(" ON ")
    given = {right.strip() for right in rights.split(",")} if on else set()
    everywhere = rest.startswith("*.*")
    spare = sorted(given - {"USAGE"} - (set() if everywhere else _ENOUGH))
    return f"{', '.join(spare)} {'on every database' if everywhere else 'on a database'}" if spare else ""
