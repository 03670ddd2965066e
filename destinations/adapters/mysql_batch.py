"""Writes the stages of a batch, statement by statement, in one transaction.

A statement that fails takes back its own rows and no others, so no savepoints are needed.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from destinations.adapters import mysql_sql as sql
from destinations.adapters.mysql_errors import verdict_of
from destinations.adapters.mysql_link import MysqlLink, MysqlStatementFailed
from destinations.adapters.rows import REPLACED, TABLES, USERS, Table, UserRow
from destinations.adapters.sql_batch import RowError
from destinations.adapters.sql_errors import Blame

_USER_FACTS = tuple(column.name for column in USERS.columns if column.name != USERS.key)


def create_tables(link: MysqlLink) -> None:
    """Make the tables that are missing; each commits by itself."""
    for table in TABLES:
        link.run(sql.create(table))


class MysqlWriter:
    """The ``Writer`` of one batch."""

    def __init__(self, link: MysqlLink) -> None:
        """Write over an open link."""
        self._link = link

    @property
    def remaining_ms(self) -> int:
        """Return the milliseconds that are left for the batch."""
        return self._link.remaining_ms

    def write_all(self, stages: Sequence[tuple[Table, Sequence[Any]]]) -> RowError | None:
        """Begin, write every stage, commit."""
        self._link.begin()
        for table, rows in stages:
            error = self.write(table, rows)
            if error is not None:
                return error
        self.commit()
        return None

    def write(self, table: Table, rows: Sequence[Any]) -> RowError | None:
        """Write rows; where one is refused, those of other statements stay, which does no harm."""
        try:
            self.put(table, rows)
        except MysqlStatementFailed as failed:
            failed.table = table.name  # which its message may not tell
            if verdict_of(failed.number).blame is not Blame.ROW:
                raise
            return RowError(table, str(failed.number), failed.said(), failed)
        return None

    def commit(self) -> None:
        """Commit the open transaction."""
        self._link.run("COMMIT")

    def explained(self, error: RowError, row: Any) -> str:
        """Return the detail: the server named the column already, where it could."""
        return error.detail

    def put(self, table: Table, rows: Sequence[Any]) -> None:
        """Write rows; users in the order of their ids, so that two writers cannot deadlock."""
        if table is USERS:
            self._put_users(rows)
            return
        # A repeat of an event changes nothing but its link, which is new after the old one was revoked.
        for statement in sql.upserts(table, rows, ["payload_url"]):
            self._link.run(*statement)

    def _put_users(self, rows: Sequence[UserRow]) -> None:
        """Make the users that are new, lock those that are not, and change the few that differ.

        What is read after the locking is what all other writers left.
        """
        made = sum(self._link.run(*statement)[0] for statement in sql.upserts(USERS, rows, []))
        if made == len(rows):
            return
        changed = list(self._changed(rows))
        for statement in sql.upserts(USERS, changed, _USER_FACTS):
            self._link.run(*statement)

    def _changed(self, rows: Sequence[UserRow]) -> Iterator["_Changed"]:
        _, held_rows = self._link.run(*sql.held_users([row.user_id for row in rows]))
        held = {_comparable(row[0]): dict(zip(_USER_FACTS, row[1:], strict=True)) for row in held_rows}
        differing = [row for row in rows if _differs(row, held.get(_comparable(row.user_id)))]
        if not differing:
            return
        newest = self._newest([row.user_id for row in differing])
        for row in differing:
            key = _comparable(row.user_id)
            yield _changed(row, held[key], *newest.get(key, (None, None)))

    def _newest(self, user_ids: Sequence[str]) -> Mapping[str, tuple[datetime | None, datetime | None]]:
        """Return when each user's newest event was made, and the newest that set a state."""
        found: dict[str, tuple[datetime | None, datetime | None]] = {}
        for statement in sql.newest_events(user_ids):
            for user_id, event, state in self._link.run(*statement)[1]:
                known = found.get(_comparable(user_id), (None, None))
                found[_comparable(user_id)] = (_later(known[0], event), _later(known[1], state))
        return found


@dataclass(frozen=True, slots=True)
class _Changed:
    """A row of ``terra_users`` as it is to be, its moments as they are stored."""

    user_id: str
    reference_id: str | None
    created_at: datetime | None
    granted_scopes: str | None
    provider: str | None
    state: str | None


def _differs(row: UserRow, held: Mapping[str, Any] | None) -> bool:
    """Tell whether a row says anything that is not held; a row that a table with other rules hides says nothing."""
    if held is None:
        return False
    new = {name: sql.stored(getattr(row, name)) for name in _USER_FACTS}
    return any(value is not None and value != held[name] for name, value in new.items())


def _changed(row: UserRow, held: Mapping[str, Any], event: datetime | None, state: datetime | None) -> _Changed:
    """Return a user's row as it is to be: an event that is not the newest fills only what is empty."""
    is_newest = event is None or event <= sql.stored(row.seen_at)
    sets_state = row.state == REPLACED or (
        held["state"] != REPLACED and (state is None or state <= sql.stored(row.state_at))
    )
    facts = {
        name: _first(sql.stored(getattr(row, name)), held[name], sets_state if name == "state" else is_newest)
        for name in _USER_FACTS
    }
    return _Changed(row.user_id, **facts)


def _first(new: Any, held: Any, is_new_first: bool) -> Any:
    first, second = (new, held) if is_new_first else (held, new)
    return second if first is None else first


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max((moment for moment in (one, other) if moment is not None), default=None)


def _comparable(user_id: str) -> str:
    """Return an id as the server compares it: spaces at its end do not count (PAD SPACE)."""
    return user_id.rstrip(" ")
