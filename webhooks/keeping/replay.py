"""Resend: a person has deliveries, or an event, tried again."""

from collections.abc import Collection, Sequence
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from destinations.services import Refused
from webhooks.delivering.outbox import now
from webhooks.delivering.wakeup import notify
from webhooks.keeping.refusing import refuse_inactive, refuse_missing, refuse_without_payload
from webhooks.models import Delivery, DeliveryStatus, Event, Trigger
from webhooks.receiving.routing import destinations_for, load_routes

MOST = 1000


def resend(delivery_ids: Sequence[int]) -> int:
    """Make deliveries due now, whatever became of them; return how many.

    One that is under way at this moment is left alone and not counted. Where one of them cannot
    be sent, none is: ``Refused`` says why.
    """
    ids = sorted(set(delivery_ids))
    if not 0 < len(ids) <= MOST:
        raise Refused({"ids": [f"Give from 1 to {MOST} ids of deliveries."]})
    with transaction.atomic():
        rows = Delivery.objects.filter(pk__in=ids)
        found = list(rows.values_list("pk", "event_id", "destination_id"))
        refuse_missing("ids", "deliveries", set(ids) - {pk for pk, _, _ in found})
        refuse_without_payload({event_id for _, event_id, _ in found})
        destination_ids = {destination_id for _, _, destination_id in found}
        refuse_inactive(destination_ids)
        notify(destination_ids)
        return _make_due(rows)


def resend_event(
    event_id: UUID, destination_ids: Sequence[UUID] | None = None, trigger: Trigger = Trigger.RESEND
) -> int:
    """Make an event due now for some destinations; return how many deliveries that gives.

    Without ``destination_ids`` it goes where it would go if it came now. A destination that never
    had a delivery of it gets one; a delivery that is under way is left alone and not counted.
    """
    with transaction.atomic():
        event = Event.objects.select_related("source").filter(pk=event_id).first()
        refuse_missing("event", "events", set() if event else {event_id})
        refuse_without_payload({event_id})
        chosen = set(_takers(event) if destination_ids is None else destination_ids)
        if not chosen:
            raise Refused({"": ["No active destination takes this event. Name the destinations."]}, "no_destination")
        refuse_inactive(chosen)
        notify(chosen)
        held = Delivery.objects.filter(event_id=event_id, destination_id__in=chosen)
        return _make_due(held, trigger) + _add(event_id, chosen, trigger)


def _takers(event: Event) -> list[UUID]:
    return destinations_for(load_routes(), event.type, event.source.slug)


def _make_due(deliveries: QuerySet[Delivery], trigger: Trigger = Trigger.RESEND) -> int:
    """Make those due that no worker holds. A claim that was lost stays: the next one logs it."""
    moment = now()
    not_leased = ~Q(status=DeliveryStatus.PENDING) | Q(claimed_by="") | Q(next_attempt_at__lte=moment)
    return (
        deliveries.order_by()
        .filter(not_leased)
        .update(
            status=DeliveryStatus.PENDING,
            next_attempt_at=moment,
            retry_count=0,
            trigger=trigger,
            replay=None,  # what becomes of it is no replay's any more, and none puts it back
            settled_at=None,
        )
    )


def _add(event_id: UUID, destination_ids: Collection[UUID], trigger: Trigger) -> int:
    """Add a delivery for each destination that has none of the event; the caller holds their rows."""
    held = Delivery.objects.filter(event_id=event_id).values_list("destination_id", flat=True)
    missing = sorted(set(destination_ids) - set(held))
    moment = now()
    new = {"event_id": event_id, "trigger": trigger, "next_attempt_at": moment, "created_at": moment}
    return len(Delivery.objects.bulk_create([Delivery(destination_id=pk, **new) for pk in missing]))
