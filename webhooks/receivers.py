"""What the data plane does for the control plane: it knows what was received, and cancels."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

import structlog

from destinations.models import Destination
from destinations.services import register_lookup
from destinations.signals import destination_deleted
from webhooks.delivering.outbox import cancel_pending
from webhooks.models import Delivery, DeliveryStatus, Event, Source

log = structlog.get_logger(__name__)

REASON = "destination_deleted"


def connect() -> None:
    """Subscribe to what the control plane says, and answer what it asks."""
    destination_deleted.connect(_cancel, dispatch_uid="webhooks.cancel")
    register_lookup("event_types", received_types)
    register_lookup("sources", known_sources)


def received_types(names: Collection[str]) -> set[str]:
    """Return those of ``names`` of which an event was ever received: one index probe each."""
    return {name for name in names if Event.objects.filter(type=name).exists()}


def known_sources(slugs: Collection[str]) -> set[str]:
    """Return those of ``slugs`` that a source has."""
    return set(Source.objects.filter(slug__in=slugs).values_list("slug", flat=True))


def _cancel(destination_id: UUID, **_: Any) -> None:
    cancelled = cancel_pending(destination_id, REASON)
    log.info("deliveries_cancelled", destination=str(destination_id), deliveries=cancelled)


def cancel_of_deleted() -> int:
    """Cancel what a crash between a deletion and its cancelling left pending; return how many."""
    pending = Delivery.objects.filter(status=DeliveryStatus.PENDING)
    deleted = Destination.objects.filter(deleted_at__isnull=False).values_list("pk", flat=True)
    left = [pk for pk in deleted if pending.filter(destination_id=pk).exists()]
    return sum(cancel_pending(pk, REASON) for pk in left)
