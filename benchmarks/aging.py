"""Fills a hub with events whose days are over: ``python -m benchmarks.aging``, in its environment, with a plan as JSON.

{"secret": …, "destinations": [arguments of create_destination, …], "events": how many, "size": bytes}. Each has a
delivery for each destination with one attempt; of every hundredth the delivery is still pending, due in a day.
"""

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import django

from benchmarks.fill import GROUP, entry_of, set_up
from benchmarks.growing import REQUEST, RESPONSE
from benchmarks.load import body_of

DAYS = 500
# Both databases: times are handed in.
SETTLE = (
    "UPDATE webhooks_delivery SET status = CASE WHEN id % 100 = 0 THEN 'pending' ELSE 'delivered' END, "
    "attempt_count = 1, next_attempt_at = CASE WHEN id % 100 = 0 THEN %s ELSE NULL END"
)
ATTEMPTS = (
    "INSERT INTO webhooks_attempt (delivery_id, number, started_at, duration_ms, outcome, status_code, error_code, "
    "error_detail, hint, request, response, trigger, worker, late) SELECT id, 1, %s, 20, 'delivered', 200, '', '', '', "
    "%s, %s, 'schedule', 'bench:1', %s FROM webhooks_delivery ORDER BY id"
)


def main() -> None:
    """Migrate, make source and destinations, and write old events."""
    django.setup()
    plan = json.load(sys.stdin)
    set_up(plan | {"events": 0})
    print(json.dumps({"pending": write_old(plan["events"], plan["size"])}))


def write_old(count: int, size: int) -> int:
    """Write events that came long ago, one a second; return how many deliveries are pending."""
    from django.db import connection
    from django.utils import timezone

    from webhooks.models import Delivery, Source

    first = timezone.now() - timedelta(days=DAYS)
    source_id = Source.objects.get().pk
    bodies = [body_of(size, number) for number in range(GROUP)]
    for start in range(0, count, GROUP):
        _write(source_id, range(start, min(start + GROUP, count)), bodies, first)
    with connection.cursor() as cursor:
        cursor.execute(SETTLE.replace("id % 100", "id %% 100"), [timezone.now() + timedelta(days=1)])
        cursor.execute(ATTEMPTS, [first, json.dumps(REQUEST), json.dumps(RESPONSE), False])
    return int(Delivery.objects.filter(status="pending").count())


def _write(source_id: UUID, numbers: Sequence[int], bodies: Sequence[bytes], first: datetime) -> None:
    from django.db import transaction

    from webhooks.event_ids import first_id_at
    from webhooks.receiving.routing import RoutingTable
    from webhooks.receiving.writing import write_entries

    entries = []
    for number in numbers:
        moment = first + timedelta(seconds=number)
        entry: Any = entry_of(source_id, number, bodies[number % len(bodies)])
        key = UUID(int=first_id_at(moment).int | entry.id.int & ((1 << 80) - 1))
        entries.append(replace(entry, id=key, key=f"trace:old-{number}", received_at=moment))
    with transaction.atomic():
        write_entries(entries, RoutingTable())


if __name__ == "__main__":
    main()
