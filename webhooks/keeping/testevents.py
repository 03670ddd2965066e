"""Test events: one delivery for one destination, by the path of all deliveries, marked as a test."""

import secrets
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import structlog
from django.db import connection, transaction
from django.utils import timezone

from destinations.digests import sha256
from destinations.models import Destination
from destinations.services import Refused
from destinations.terra import EVENT_TYPES
from webhooks.delivering.outbox import now
from webhooks.delivering.wakeup import notify
from webhooks.keeping.refusing import refuse_inactive
from webhooks.keeping.replay import resend_event
from webhooks.models import Delivery, Event, Payload, Source, Trigger
from webhooks.receiving.intake import REFERENCE, TRACE_ID
from webhooks.receiving.samples import MARK, healthcheck

log = structlog.get_logger(__name__)

PREFIX = "test:"  # begins a test event's idempotency key
TYPE = "healthcheck"
LOOKED_AT = 200  # of a type's newest events
MOST_TYPES = 40
_SAYS = "Test event of the Terra destination hub."
_NOT_REAL = (PREFIX, f"trace:{MARK}")


def send_test(destination: Destination, by: Any = None) -> Delivery:
    """Make an event with the shape of Terra's healthcheck, due now for this destination only."""
    source = _source_of(destination)
    with transaction.atomic():
        refuse_inactive([destination.pk])
        event = _make_event(source)
        moment = now()
        delivery: Delivery = Delivery.objects.create(
            event=event, destination=destination, trigger=Trigger.TEST, next_attempt_at=moment, created_at=moment
        )
        notify([destination.pk])
    log.info("test_sent", destination=str(destination.pk), event_id=str(event.pk), by=str(by or ""))
    return delivery


def send_last(destination: Destination, event_type: str, by: Any = None) -> Delivery:
    """Make the last real event of a type that this destination takes due now for it alone."""
    if destination.event_types and event_type not in destination.event_types:
        raise Refused({"event_type": [f"The destination does not take events of the type {event_type!r}."]})
    event_id = _last_real(event_type, destination.sources)
    resend_event(event_id, [destination.pk], trigger=Trigger.TEST)
    log.info("test_sent", destination=str(destination.pk), event_id=str(event_id), by=str(by or ""))
    delivery: Delivery = Delivery.objects.get(event_id=event_id, destination=destination)
    return delivery


def received_of(destination: Destination) -> list[str]:
    """Return the types among those that it takes of which there is an event: one index probe for each."""
    types = list(destination.event_types or EVENT_TYPES)[:MOST_TYPES]
    # In the order of the index: with EXISTS, PostgreSQL would read the table from its beginning for a common type.
    newest = "(SELECT id FROM webhooks_event WHERE type = %s ORDER BY id DESC LIMIT 1)"
    probe = f"SELECT %s AS type, {newest} IS NOT NULL AS found"
    sql = " UNION ALL ".join([probe] * len(types))
    with connection.cursor() as cursor:
        cursor.execute(sql, [name for one in types for name in (one, one)])
        return [name for name, found in cursor.fetchall() if found]


def made_here(event: Event) -> bool:
    """Tell whether this hub made an event itself: a test event, or a sample."""
    return event.idempotency_key.startswith(_NOT_REAL)


def _last_real(event_type: str, slugs: Sequence[str]) -> UUID:
    rows = Event.objects.filter(type=event_type).order_by("-pk")
    for key, slug, idempotency_key in rows.values_list("pk", "source__slug", "idempotency_key")[:LOOKED_AT]:
        if not idempotency_key.startswith(_NOT_REAL) and (not slugs or slug in slugs):
            found: UUID = key
            return found
    whose = "from its sources" if slugs else "that Terra sent"
    raise Refused(
        {"event_type": [f"None of the newest {LOOKED_AT} {event_type} events is one {whose}."]},
        hint="Send the healthcheck, or wait for an event.",
    )


def _source_of(destination: Destination) -> Source:
    rows = Source.objects.defer("signing").order_by("-active", "pk")
    found: Source | None = (rows.filter(slug__in=destination.sources) if destination.sources else rows).first()
    if found is None:
        raise Refused({"": ["An event belongs to a source, and there is none yet."]}, hint="Add a source first.")
    return found


def _make_event(source: Source) -> Event:
    body, name = healthcheck(_SAYS), secrets.token_hex(8)
    headers = {"content-type": "application/json", TRACE_ID: f"hub-test-{name}", REFERENCE: f"hub-test-{name}"}
    event: Event = Event.objects.create(
        source=source, idempotency_key=PREFIX + name, type=TYPE, terra_reference=headers[REFERENCE], headers=headers,
        size=len(body), received_at=timezone.now(),
    )  # fmt: skip
    Payload.objects.create(event=event, body=body, sha256=sha256(body))
    return event
