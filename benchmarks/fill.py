"""Sets a hub up, in its environment: ``python -m benchmarks.fill``, with a plan as JSON on standard input.

{"secret": …, "destinations": [arguments of create_destination, …], "events": how many, "size": bytes,
"different": how many bodies}
"""

import json
import sys
from typing import TYPE_CHECKING, Any

import django

from benchmarks.hub import SLUG
from benchmarks.load import body_of

if TYPE_CHECKING:
    from uuid import UUID

    from webhooks.receiving.writing import Entry

GROUP = 256  # entries of one transaction, as the web server writes them
DIFFERENT = 1000  # bodies


def main() -> None:
    """Migrate, make source and destinations, and write events as if they had been received."""
    django.setup()
    print(json.dumps(set_up(json.load(sys.stdin))))


def set_up(plan: dict[str, Any]) -> dict[str, Any]:
    """Do what the plan says; return the destinations' ids."""
    from django.core.management import call_command

    from destinations.services import create_destination
    from webhooks.receiving.sources import create_source

    call_command("migrate", verbosity=0)
    source = create_source(slug=SLUG, secret=plan["secret"])
    made = [create_destination(**values).destination.pk for values in plan["destinations"]]
    write_events(source.pk, plan.get("events", 0), plan.get("size", 2048), plan.get("different", DIFFERENT))
    return {"destinations": [str(pk) for pk in made]}


def write_events(source_id: "UUID", count: int, size: int, different: int, first: int = 0) -> None:
    """Write events with payloads and deliveries, numbered from ``first``, through the hub's own code."""
    from django.db import transaction

    from webhooks.receiving.routing import RoutingTable
    from webhooks.receiving.writing import write_entries

    bodies = [body_of(size, number) for number in range(min(different, count))]
    routing = RoutingTable()
    for start in range(first, first + count, GROUP):
        numbers = range(start, min(start + GROUP, first + count))
        entries = [entry_of(source_id, number, bodies[number % len(bodies)]) for number in numbers]
        with transaction.atomic():
            write_entries(entries, routing)


def entry_of(source_id: "UUID", number: int, body: bytes) -> "Entry":
    """Return the entry that a request with ``body`` becomes."""
    from django.utils import timezone

    from destinations.digests import sha256
    from destinations.ids import uuid7
    from destinations.terra import summarize
    from webhooks.receiving.writing import Entry

    said = summarize(body)
    headers = {"content-type": "application/json", "terra-reference": "bench", "x-terra-trace-id": f"bench-{number}"}
    return Entry(
        id=uuid7(), source_id=source_id, source_slug=SLUG, key=f"trace:bench-{number}", type=said.type,
        user_id=said.user_id, reference_id=said.reference_id, provider=said.provider, terra_reference="bench",
        ordering_timestamp=number, headers=headers, size=len(body), sha256=sha256(body), received_at=timezone.now(),
        body=body,
    )  # fmt: skip


if __name__ == "__main__":
    main()
