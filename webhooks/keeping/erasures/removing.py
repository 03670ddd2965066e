"""Removing rows for good: events with all that hangs on them, and kept requests.

Children first, in the order of keys; the caller holds the transaction.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from webhooks.sql import bind, fast_cursor, marks

_OF_EVENTS = (
    ("attempts", "webhooks_attempt", "delivery_id IN (SELECT id FROM webhooks_delivery WHERE event_id IN ({marks}))"),
    ("deliveries", "webhooks_delivery", "event_id IN ({marks})"),
    ("quarantine", "webhooks_quarantinedrequest", "event_id IN ({marks})"),
    ("payloads", "webhooks_payload", "event_id IN ({marks})"),
    ("events", "webhooks_event", "id IN ({marks})"),
)


def remove_events(keys: Sequence[UUID]) -> Counter[str]:
    """Remove events with their payload rows, deliveries, attempts and refused repeats; return how many of each."""
    return Counter({name: _removed(table, where, keys) for name, table, where in _OF_EVENTS})


def remove_refused(keys: Sequence[UUID]) -> int:
    """Remove requests from the quarantine; return how many were there."""
    return _removed("webhooks_quarantinedrequest", "id IN ({marks})", keys)


def _removed(table: str, where: str, keys: Sequence[Any]) -> int:
    if not keys:
        return 0
    with fast_cursor() as cursor:
        cursor.execute(f"DELETE FROM {table} WHERE {where.format(marks=marks(keys))}", list(map(bind, keys)))  # noqa: S608
        return int(cursor.rowcount)
