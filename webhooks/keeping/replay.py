"""Resend: a person has deliveries, or an event, tried again."""

from collections.abc import Collection, Sequence
from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models import Q, QuerySet

from destinations.models import Destination
from destinations.services import Refused
from webhooks.delivering.outbox import now
from webhooks.delivering.wakeup import notify
from webhooks.models import Delivery, DeliveryStatus, Event, Payload, Trigger
from webhooks.receiving.routing import destinations_for, load_routes

MOST = 1000
_SHOWN = 20  # of the ids that a refusal names


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
        _refuse_missing("ids", "deliveries", set(ids) - {pk for pk, _, _ in found})
        _refuse_without_payload({event_id for _, event_id, _ in found})
        destination_ids = {destination_id for _, _, destination_id in found}
        _refuse_inactive(destination_ids)
        notify(destination_ids)
        return _make_due(rows)


def resend_event(event_id: UUID, destination_ids: Sequence[UUID] | None = None) -> int:
    """Make an event due now for some destinations; return how many deliveries that gives.

    Without ``destination_ids`` it goes where it would go if it came now. A destination that never
    had a delivery of it gets one; a delivery that is under way is left alone and not counted.
    """
    with transaction.atomic():
        event = Event.objects.select_related("source").filter(pk=event_id).first()
        _refuse_missing("event", "events", set() if event else {event_id})
        _refuse_without_payload({event_id})
        chosen = set(_takers(event) if destination_ids is None else destination_ids)
        if not chosen:
            raise Refused({"": ["No active destination takes this event. Name the destinations."]}, "no_destination")
        _refuse_inactive(chosen)
        notify(chosen)
        return _make_due(Delivery.objects.filter(event_id=event_id, destination_id__in=chosen)) + _add(event_id, chosen)


def _takers(event: Event) -> list[UUID]:
    return destinations_for(load_routes(), event.type, event.source.slug)


def _make_due(deliveries: QuerySet[Delivery]) -> int:
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
            trigger=Trigger.RESEND,
            settled_at=None,
        )
    )


def _add(event_id: UUID, destination_ids: Collection[UUID]) -> int:
    """Add a delivery for each destination that has none of the event; the caller holds their rows."""
    held = Delivery.objects.filter(event_id=event_id).values_list("destination_id", flat=True)
    missing = sorted(set(destination_ids) - set(held))
    moment = now()
    new = {"event_id": event_id, "trigger": Trigger.RESEND, "next_attempt_at": moment, "created_at": moment}
    return len(Delivery.objects.bulk_create([Delivery(destination_id=pk, **new) for pk in missing]))


# --- refusals -----------------------------------------------------------------------------------
def _refuse_missing(field: str, what: str, ids: Collection[Any]) -> None:
    if ids:
        raise Refused({field: [f"No such {what}: {_names(ids)}."]}, code="not_found")


def _refuse_inactive(destination_ids: Collection[UUID]) -> None:
    """Refuse destinations that are deleted or disabled; those that are not stay so until the commit."""
    rows = Destination.objects.select_for_update(no_key=True).filter(pk__in=destination_ids).order_by("pk")
    found = {
        pk: (name, active, deleted)
        for pk, name, active, deleted in rows.values_list("pk", "name", "active", "deleted_at")
    }
    _refuse_missing("destinations", "destinations", set(destination_ids) - set(found))
    deleted = [name for name, _, deleted in found.values() if deleted]
    if deleted:
        raise Refused({"": [f"The destination was deleted: {_names(deleted)}."]}, code="destination_deleted")
    disabled = [name for name, active, _ in found.values() if not active]
    if disabled:
        raise Refused(
            {"": [f"The destination is disabled: {_names(disabled)}."]},
            code="destination_disabled",
            hint="Enable it first.",
        )


def _refuse_without_payload(event_ids: Collection[UUID]) -> None:
    gone = set(event_ids) - set(Payload.objects.filter(pk__in=event_ids).values_list("pk", flat=True))
    if gone:
        raise Refused(
            {"": [f"The payload is no longer kept, so nothing can be sent: event {_names(gone)}."]}, code="payload_gone"
        )


def _names(items: Collection[Any]) -> str:
    shown = ", ".join(sorted(map(str, items))[:_SHOWN])
    return shown if len(items) <= _SHOWN else f"{shown} and {len(items) - _SHOWN} more"
