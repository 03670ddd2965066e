"""Events whose life is over, with all that hangs on them: deliveries, attempts, and a payload that is still there."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from webhooks.event_ids import first_id_at
from webhooks.keeping.retention.rows import (
    KEY,
    NUMBER,
    Page,
    Removed,
    among,
    delete,
    deliveries_of,
    lock,
    pending_among,
)
from webhooks.sql import as_uuid, bind, fast_cursor

MOST = 100  # in one transaction: each takes its deliveries and attempts with it


def look(cursor: str, before: datetime, most: int) -> Page:
    """Return events from before a moment, of which nothing is to be delivered."""
    most = min(most, MOST)
    sql = "SELECT id FROM webhooks_event WHERE id > %s AND id < %s ORDER BY id LIMIT %s"
    with fast_cursor() as database:
        database.execute(sql, [bind(UUID(cursor or "0" * 32)), bind(first_id_at(before)), most])
        keys = [as_uuid(row[0]) for row in database.fetchall()]
    pending = pending_among(keys)
    free = [key for key in keys if key not in pending]
    return Page(free, str(keys[-1]) if keys else cursor, len(keys) < most, held=len(pending))


def remove(keys: Sequence[UUID]) -> Removed:
    """Delete the events that are still free: children first."""
    with fast_cursor() as cursor:
        sizes = {as_uuid(key): size for key, size in lock(cursor, "id, size", "webhooks_event", "id", KEY, keys)}
        files = _lock_payloads(cursor, sizes)
        deliveries = _lock_deliveries(cursor, files)
        free = list(deliveries)
        ids = [pk for of_one in deliveries.values() for pk in of_one]
        delete(cursor, "webhooks_attempt", "delivery_id", NUMBER, ids)
        delete(cursor, "webhooks_delivery", "id", NUMBER, ids)
        delete(cursor, "webhooks_payload", "event_id", KEY, free)
        _let_go_of_quarantined(cursor, free)
        count = delete(cursor, "webhooks_event", "id", KEY, free)
    left = [key for key in free if files[key] is not None]  # their payload was still there
    names = [name for key in left if (name := files[key])]
    return Removed(count, sum(sizes[key] for key in left), len(keys) - count, names)


def _lock_payloads(cursor: Any, events: Collection[UUID]) -> dict[UUID, str | None]:
    """Lock the payloads of some events; return the events none of whose payload somebody holds, with its file's name.

    ``None``: the payload went before.
    """
    condition, parameters = among("event_id", KEY, events)
    cursor.execute(f"SELECT event_id FROM webhooks_payload WHERE {condition}", parameters)  # noqa: S608
    there = {as_uuid(row[0]) for row in cursor.fetchall()}
    rows = lock(cursor, "event_id, store_name", "webhooks_payload", "event_id", KEY, there)
    locked = {as_uuid(key): name for key, name in rows}
    return {key: locked.get(key) for key in events if key in locked or key not in there}


def _lock_deliveries(cursor: Any, events: Collection[UUID]) -> dict[UUID, list[int]]:
    """Lock the deliveries of some events; return those events none of which is pending or in somebody's hand."""
    found = {pk: event for pk, event, _ in deliveries_of(cursor, events)}
    rows = lock(cursor, "id, status", "webhooks_delivery", "id", NUMBER, found)
    ended = {pk for pk, status in rows if status != "pending"}
    held = {event for pk, event in found.items() if pk not in ended}
    free: dict[UUID, list[int]] = {event: [] for event in events if event not in held}
    for pk in ended:
        if found[pk] in free:
            free[found[pk]].append(pk)
    return free


def _let_go_of_quarantined(cursor: Any, events: Collection[UUID]) -> None:
    """Leave requests that are kept apart without the event that they became, or that they repeated."""
    condition, parameters = among("event_id", KEY, events)
    cursor.execute(f"UPDATE webhooks_quarantinedrequest SET event_id = NULL WHERE {condition}", parameters)  # noqa: S608
