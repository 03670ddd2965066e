"""What an event takes in the hub's database: ``python -m benchmarks.growing``, in a hub's environment.

The rows are written by the hub's own code: received, claimed, delivered at the first try, settled. Between rounds
PostgreSQL's space is made usable again, as autovacuum would: a delivery's row is written three times.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import django

from benchmarks.fill import set_up, write_events

if TYPE_CHECKING:
    from uuid import UUID

    from webhooks.delivering.outbox import Claimed, Settlement

TABLES = ("webhooks_event", "webhooks_payload", "webhooks_delivery", "webhooks_attempt")
ROUNDS, EVENTS, BODY = 8, 250, 600  # rounds of so many events with bodies of so many bytes
HOOK = {"type": "webhook", "name": "hook", "config": {"url": "http://127.0.0.1:18999/hook"}, "credentials": {}}
# What a webhook's attempt keeps of an answer without a body.
REQUEST = {"method": "POST", "url": "http://127.0.0.1:18999/hook", "headers": {
    "content-type": "application/json", "user-agent": "terra-destination-hub", "webhook-id": "0" * 36,
    "webhook-timestamp": "1772000000", "webhook-signature": "v1,…"}}  # fmt: skip
RESPONSE = {"status": 200, "headers": {"content-type": "text/plain", "content-length": "0"}, "body": ""}


def main() -> None:
    """Set a hub up, fill it, and print what an event took."""
    django.setup()
    from uuid import UUID

    from webhooks.models import Source

    made = set_up({"secret": "growing-secret-0123456789", "destinations": [HOOK]})
    print(json.dumps(grown(Source.objects.get().pk, UUID(made["destinations"][0]))))


def grown(source_id: "UUID", destination_id: "UUID") -> dict[str, float]:
    """Fill an empty hub; return the bytes of one event with its payload, delivery and attempt, indexes included."""
    before = used()
    for number in range(ROUNDS):
        write_events(source_id, EVENTS, BODY, EVENTS, first=number * EVENTS)
        deliver(destination_id)
        make_usable_again()
    check_settled()
    return {name: round((size - before[name]) / (ROUNDS * EVENTS), 1) for name, size in used().items()}


def deliver(destination_id: "UUID") -> None:
    """Claim and settle everything that is due, as a worker does."""
    from webhooks.delivering import outbox

    while rows := outbox.claim(destination_id, "bench:1", 64, 60):
        outbox.settle([_settlement(row, destination_id) for row in rows])


def _settlement(row: "Claimed", destination_id: "UUID") -> "Settlement":
    from webhooks.delivering.outbox import Settlement, now
    from webhooks.sql import as_json

    return Settlement(
        delivery_id=row.delivery_id, destination_id=destination_id, number=1, claimed_by="bench:1", outcome="delivered",
        started_at=now() - timedelta(milliseconds=20), duration_ms=20, status="delivered", wait_s=None, retry_count=0,
        trigger="schedule", status_code=200, request=as_json(REQUEST), response=as_json(RESPONSE),
    )  # fmt: skip


def used() -> Mapping[str, int]:
    """Return the bytes that the tables take, with their indexes: each on PostgreSQL, all together on SQLite."""
    from django.db import connection

    from webhooks.sql import on_postgres

    with connection.cursor() as cursor:
        if on_postgres():
            cursor.execute("SELECT t, pg_total_relation_size(t::regclass) FROM unnest(%s::text[]) t", [list(TABLES)])
            sizes = dict(cursor.fetchall())
            return {"bytes": sum(sizes.values()), **sizes}
        return {
            "bytes": (_pragma(cursor, "page_count") - _pragma(cursor, "freelist_count")) * _pragma(cursor, "page_size")
        }


def _pragma(cursor: Any, name: str) -> int:
    cursor.execute(f"PRAGMA {name}")
    return int(cursor.fetchone()[0])


def check_settled() -> None:
    """Raise where something was not delivered: it would take less room than it should."""
    from webhooks.models import Attempt, Delivery

    found = Delivery.objects.filter(status="delivered").count(), Attempt.objects.count()
    if found != (ROUNDS * EVENTS, ROUNDS * EVENTS):
        raise RuntimeError(f"Delivered and logged: {found}.")


def make_usable_again() -> None:
    """Free the space of row versions that nobody sees any more."""
    from django.db import connection

    from webhooks.sql import on_postgres

    if on_postgres():
        with connection.cursor() as cursor:
            cursor.execute(f"VACUUM {', '.join(TABLES)}")


if __name__ == "__main__":
    main()
