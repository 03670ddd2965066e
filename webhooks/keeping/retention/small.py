"""What grows slowly: refused requests, stored answers, sessions, notices, and who saw which payload."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import takewhile
from typing import Any
from uuid import UUID

from django.utils import timezone

from destinations.access.answers import prune_stored_answers
from webhooks.event_ids import first_id_at
from webhooks.keeping.retention.rows import KEY, NUMBER, TEXT, Page, Removed, delete, lock
from webhooks.sql import as_moment, as_uuid, bind, fast_cursor


# --- refused requests ------------------------------------------------------------------------------------
def look_at_quarantine(cursor: str, before: datetime, most: int) -> Page:
    """Return refused requests from before a moment."""
    sql = "SELECT id FROM webhooks_quarantinedrequest WHERE id > %s AND id < %s ORDER BY id LIMIT %s"
    with fast_cursor() as database:
        database.execute(sql, [bind(UUID(cursor or "0" * 32)), bind(first_id_at(before)), most])
        keys = [as_uuid(row[0]) for row in database.fetchall()]
    return Page(keys, str(keys[-1]) if keys else cursor, len(keys) < most)


def remove_quarantined(keys: Sequence[UUID]) -> Removed:
    """Delete refused requests that nobody is admitting at this moment."""
    with fast_cursor() as cursor:
        rows = lock(cursor, "id, COALESCE(length(body), 0)", "webhooks_quarantinedrequest", "id", KEY, keys)
        count = delete(cursor, "webhooks_quarantinedrequest", "id", KEY, [as_uuid(key) for key, _ in rows])
    return Removed(count, sum(size for _, size in rows), len(keys) - count)


# --- tables whose rows need no more than their age -------------------------------------------------------
@dataclass(frozen=True, slots=True)
class ByAge:
    """A table with an index on the time that its rows' age is counted from."""

    table: str
    key: str
    kind: str  # PostgreSQL's type of the key
    moment: str

    def look(self, cursor: str, before: datetime, most: int) -> Page:
        """Return the oldest rows from before a moment; those that are passed over come again each time."""
        sql = f"SELECT {self.key} FROM {self.table} WHERE {self.moment} < %s ORDER BY {self.moment} LIMIT %s"  # noqa: S608
        with fast_cursor() as database:
            database.execute(sql, [bind(before), most])
            rows = [row[0] for row in database.fetchall()]
        return Page([as_uuid(key) if self.kind == KEY else key for key in rows], "", len(rows) < most)

    def remove(self, keys: Sequence[Any]) -> Removed:
        """Delete rows that nobody has in hand."""
        return _removed(self.table, self.key, self.kind, keys)


@dataclass(frozen=True, slots=True)
class ByNumber:
    """A table whose rows are numbered in the order in which they were made."""

    table: str
    moment: str

    def look(self, cursor: str, before: datetime, most: int) -> Page:
        """Return the next rows up to the first that is from that moment or later."""
        sql = f"SELECT id, {self.moment} FROM {self.table} WHERE id > %s ORDER BY id LIMIT %s"  # noqa: S608
        with fast_cursor() as database:
            database.execute(sql, [int(cursor or 0), most])
            rows = database.fetchall()
        keys = [pk for pk, _ in takewhile(lambda row: as_moment(row[1]) < before, rows)]
        return Page(keys, str(keys[-1]) if keys else cursor, len(keys) < most)

    def remove(self, keys: Sequence[int]) -> Removed:
        """Delete rows that nobody has in hand."""
        return _removed(self.table, "id", NUMBER, keys)


def remove_answers(keys: Sequence[UUID]) -> Removed:
    """Delete as many stored answers, which repeated requests get again."""
    return Removed(prune_stored_answers(timezone.now(), len(keys)))


def _removed(table: str, key: str, kind: str, keys: Sequence[Any]) -> Removed:
    with fast_cursor() as cursor:
        free = [row[0] for row in lock(cursor, key, table, key, kind, keys)]
        count = delete(cursor, table, key, kind, [as_uuid(one) for one in free] if kind == KEY else free)
    return Removed(count, held=len(keys) - count)


ANSWERS = ByAge("destinations_storedanswer", "id", KEY, "created_at")
SESSIONS = ByAge("django_session", "session_key", TEXT, "expire_date")
NOTICES = ByNumber("destinations_notice", "created_at")
VIEWS = ByNumber("webhooks_payloadview", "viewed_at")
