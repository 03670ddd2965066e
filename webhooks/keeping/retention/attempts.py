"""Attempts: their snapshots go first, then the attempts themselves, both in the order of their ids."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from webhooks.keeping.retention.rows import NUMBER, Page, Removed, among, delete, lock
from webhooks.sql import as_moment, fast_cursor

_EMPTY = "request = '{}', response = '{}', error_detail = ''"
_FULL = "(request <> '{}' OR response <> '{}' OR error_detail <> '')"


def _old(cursor: str, before: datetime, most: int) -> tuple[list[tuple[int, int]], bool]:
    """Return id and delivery of the next attempts up to the first that began later, and whether these are all."""
    sql = "SELECT id, delivery_id, started_at FROM webhooks_attempt WHERE id > %s ORDER BY id LIMIT %s"
    with fast_cursor() as database:
        database.execute(sql, [int(cursor or 0), most])
        rows = database.fetchall()
    for place, (_, _, started_at) in enumerate(rows):
        if as_moment(started_at) >= before:
            return [(pk, delivery) for pk, delivery, _ in rows[:place]], True
    return [(pk, delivery) for pk, delivery, _ in rows], len(rows) < most


# --- snapshots -------------------------------------------------------------------------------------------
def look_at_snapshots(cursor: str, before: datetime, most: int) -> Page:
    """Return attempts whose request, response and error text are no longer kept, whatever their delivery is."""
    rows, last = _old(cursor, before, most)
    keys = [pk for pk, _ in rows]
    return Page(keys, str(keys[-1]) if keys else cursor, last)


def empty(keys: Sequence[int]) -> Removed:
    """Empty the snapshots. No round comes back to one that a late result holds: it has just been written anew."""
    with fast_cursor() as cursor:
        free = [row[0] for row in lock(cursor, "id", "webhooks_attempt", "id", NUMBER, keys)]
        condition, parameters = among("id", NUMBER, free)
        cursor.execute(f"UPDATE webhooks_attempt SET {_EMPTY} WHERE {condition} AND {_FULL}", parameters)  # noqa: S608
        return Removed(int(cursor.rowcount))


# --- attempts --------------------------------------------------------------------------------------------
def look(cursor: str, before: datetime, most: int) -> Page:
    """Return attempts that began before a moment, of deliveries that are not pending."""
    rows, last = _old(cursor, before, most)
    with fast_cursor() as database:
        pending = _pending(database, {delivery for _, delivery in rows})
    free = [key for key in rows if key[1] not in pending]
    return Page(free, str(rows[-1][0]) if rows else cursor, last, held=len(rows) - len(free))


def _pending(cursor: Any, deliveries: set[int]) -> set[int]:
    condition, parameters = among("id", NUMBER, deliveries)
    cursor.execute(f"SELECT id, status FROM webhooks_delivery WHERE {condition}", parameters)  # noqa: S608
    return {pk for pk, status in cursor.fetchall() if status == "pending"}


def remove(keys: Sequence[tuple[int, int]]) -> Removed:
    """Delete attempts whose delivery is still not pending, and in nobody's hand."""
    with fast_cursor() as cursor:
        deliveries = {delivery for _, delivery in keys}
        rows = lock(cursor, "id, status", "webhooks_delivery", "id", NUMBER, deliveries)
        free = {pk for pk, status in rows if status != "pending"}
        count = delete(cursor, "webhooks_attempt", "id", NUMBER, [pk for pk, delivery in keys if delivery in free])
    return Removed(count, held=sum(delivery not in free for _, delivery in keys))
