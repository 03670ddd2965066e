"""What the removals share: values in statements, locks that wait for nobody, and which events are pending."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from webhooks.sql import as_uuid, bind, fast_cursor, marks, on_postgres

NUMBER, KEY, TEXT = "bigint", "uuid", "text"  # PostgreSQL's types of keys


@dataclass(frozen=True, slots=True)
class Page:
    """What a look found, in the order of its index."""

    keys: Sequence[Any]  # of what can be removed
    cursor: str  # the last key that was looked at
    last: bool  # nothing that is old enough follows
    held: int = 0  # old enough, and not to be removed now


@dataclass(frozen=True, slots=True)
class Removed:
    """What a removal did in the current transaction."""

    rows: int = 0
    bytes: int = 0
    held: int = 0  # somebody else has them in hand, or they became pending
    files: Sequence[str] = field(default=())  # of the payload store, to be deleted after the commit


def among(column: str, kind: str, values: Collection[Any]) -> tuple[str, list[Any]]:
    """Return the condition that a column is one of some values, and its parameters."""
    if on_postgres():
        return f"{column} = ANY(%s::{kind}[])", [list(values)]
    return f"{column} IN ({marks(list(values))})", [bind(value) for value in values]


def lock(cursor: Any, columns: str, table: str, column: str, kind: str, values: Collection[Any]) -> list[Any]:
    """Lock the rows of some keys in their order and return ``columns``; those that somebody else has are left out."""
    condition, parameters = among(column, kind, values)
    tail = " FOR UPDATE SKIP LOCKED" if on_postgres() else ""  # SQLite's transaction has the only lock
    sql = f"SELECT {columns} FROM {table} WHERE {condition} ORDER BY {column}{tail}"  # noqa: S608
    cursor.execute(sql, parameters)
    return list(cursor.fetchall())


def delete(cursor: Any, table: str, column: str, kind: str, values: Collection[Any]) -> int:
    """Delete the rows of some keys, which the caller has locked; return how many."""
    if not values:
        return 0
    condition, parameters = among(column, kind, values)
    cursor.execute(f"DELETE FROM {table} WHERE {condition}", parameters)  # noqa: S608
    return int(cursor.rowcount)


# An index probe for each event: OFFSET 0 keeps the planner from reading the whole queue instead.
_DELIVERIES = (
    "SELECT d.id, d.event_id, d.status FROM unnest(%s::uuid[]) AS e(id) CROSS JOIN LATERAL "
    "(SELECT id, event_id, status FROM webhooks_delivery WHERE event_id = e.id OFFSET 0) d"
)


def deliveries_of(cursor: Any, events: Collection[UUID]) -> list[tuple[int, UUID, str]]:
    """Return id, event and status of each delivery of some events."""
    if on_postgres():
        cursor.execute(_DELIVERIES, [list(events)])
        return list(cursor.fetchall())
    condition, parameters = among("event_id", KEY, events)
    cursor.execute(f"SELECT id, event_id, status FROM webhooks_delivery WHERE {condition}", parameters)  # noqa: S608
    return [(pk, as_uuid(event), status) for pk, event, status in cursor.fetchall()]


def pending_among(events: Collection[UUID]) -> set[UUID]:
    """Return those of some events that still have something to deliver."""
    if not events:
        return set()
    with fast_cursor() as cursor:
        return {event for _, event, status in deliveries_of(cursor, events) if status == "pending"}
