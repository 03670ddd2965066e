"""Cancel: a person has deliveries that wait sent no more."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import transaction
from django.db.models import Q

from destinations.services import Refused
from webhooks.delivering.outbox import now
from webhooks.keeping.refusing import refuse_missing
from webhooks.models import Delivery, DeliveryStatus

log = structlog.get_logger(__name__)

MOST = 1000
BY_HAND = "cancelled_by_hand"  # why a delivery was cancelled


@dataclass(frozen=True, slots=True)
class Cancelled:
    """What became of the deliveries that were to be cancelled."""

    cancelled: int
    in_hand: int  # of these, being tried at that moment: the try may still arrive, and nothing follows it
    settled: int  # left alone: delivered, given up or cancelled before


def cancel(delivery_ids: Sequence[int], by: Any = None) -> Cancelled:
    """Cancel those of these deliveries that wait for a try or a retry; raise ``Refused`` for ids that nothing has.

    One that a worker has in hand is cancelled too. What its try gives is logged, and changes nothing:
    ``outbox.settle`` writes only where the claim is still the worker's own.
    """
    ids = sorted(set(delivery_ids))
    if not 0 < len(ids) <= MOST:
        raise Refused({"ids": [f"Give from 1 to {MOST} ids of deliveries."]})
    with transaction.atomic():
        rows = Delivery.objects.select_for_update().filter(pk__in=ids).order_by("pk")
        found = dict(rows.values_list("pk", "status"))
        refuse_missing("ids", "deliveries", set(ids) - set(found))
        waiting = [pk for pk, status in found.items() if status == DeliveryStatus.PENDING]
        in_hand = _cancel(waiting)
    log.info("deliveries_cancelled", count=len(waiting), in_hand=in_hand, by=str(by or ""))
    return Cancelled(len(waiting), in_hand, len(ids) - len(waiting))


def _cancel(ids: Sequence[int]) -> int:
    """Cancel these, whose rows the caller holds; return how many of them were in a worker's hands."""
    moment, rows = now(), Delivery.objects.filter(pk__in=ids).order_by()
    in_hand: int = rows.filter(~Q(claimed_by=""), next_attempt_at__gt=moment).count()
    rows.update(
        status=DeliveryStatus.CANCELLED,
        claimed_by="",
        next_attempt_at=None,
        last_error_code=BY_HAND,
        settled_at=moment,
    )
    return in_hand
