"""Payloads whose life is over: the row first, then, after the commit, the file that it names."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from webhooks.event_ids import first_id_at
from webhooks.keeping.retention.rows import KEY, Page, Removed, among, delete, lock, pending_among
from webhooks.sql import as_uuid, bind, fast_cursor

# Of one transaction: a crash behind it leaves so many for the sweep at most.
MOST_FILES = 50


def look(cursor: str, before: datetime, most: int) -> Page:
    """Return payloads of events from before a moment, of which nothing is to be delivered."""
    sql = (
        "SELECT event_id, store_name <> '' FROM webhooks_payload WHERE event_id > %s AND event_id < %s "
        "ORDER BY event_id LIMIT %s"
    )
    with fast_cursor() as database:
        database.execute(sql, [bind(UUID(cursor or "0" * 32)), bind(first_id_at(before)), most])
        rows = [(as_uuid(key), has_file) for key, has_file in database.fetchall()]
    keys = _with_few_files(rows)
    pending = pending_among(keys)
    free = [key for key in keys if key not in pending]
    last = len(rows) < most and len(keys) == len(rows)
    return Page(free, str(keys[-1]) if keys else cursor, last, held=len(pending))


def _with_few_files(rows: Sequence[tuple[UUID, bool]]) -> list[UUID]:
    files, keys = 0, []
    for key, has_file in rows:
        files += bool(has_file)
        if files > MOST_FILES:
            break
        keys.append(key)
    return keys


def remove(keys: Sequence[UUID]) -> Removed:
    """Delete the payloads that are still free; whoever makes a delivery of theirs pending finds them gone."""
    with fast_cursor() as cursor:
        rows = lock(cursor, "event_id, store_name", "webhooks_payload", "event_id", KEY, keys)
        files = {as_uuid(key): name for key, name in rows}
        pending = pending_among(files)
        free = [key for key in files if key not in pending]
        size = _size_of(cursor, free)
        count = delete(cursor, "webhooks_payload", "event_id", KEY, free)
    return Removed(count, size, len(keys) - count, [files[key] for key in free if files[key]])


def _size_of(cursor: Any, keys: Sequence[UUID]) -> int:
    condition, parameters = among("id", KEY, keys)
    cursor.execute(f"SELECT COALESCE(sum(size), 0) FROM webhooks_event WHERE {condition}", parameters)  # noqa: S608
    return int(cursor.fetchone()[0])
