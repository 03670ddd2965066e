"""What an erasure has removed so far, and what each destination had got of the person."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.db.models import Count

from webhooks.models import Delivery, DeliveryStatus, Erasure

NOT_ASKED = "not_asked"  # in ``destination_results``: it had got something, and was not named
REMOVED = ("events", "payloads", "deliveries", "attempts", "quarantine")

Said = dict[str, Any]


def removed(erasure: Erasure) -> int:
    """Return how many rows and objects are gone, here and elsewhere; marks that were made are none."""
    here: int = sum(erasure.counts.get(name, 0) for name in REMOVED)
    elsewhere: int = sum(said.get("erased", 0) for said in erasure.destination_results.values())
    return here + elsewhere


def places_of(erasure: Erasure) -> dict[str, Said]:
    """Return what became of each destination, by its id: those that were named, then those that only got something."""
    results: dict[str, Said] = erasure.destination_results
    return {key: results.get(key, {}) for key in erasure.destination_ids} | results


def delivered_of(keys: Sequence[UUID]) -> dict[str, int]:
    """Return to how many of these events' deliveries each destination said yes, by its id."""
    rows = Delivery.objects.filter(event_id__in=keys, status=DeliveryStatus.DELIVERED).order_by()
    groups = rows.values_list("destination_id").annotate(Count("pk"))
    return {str(destination): count for destination, count in groups}


def with_delivered(results: Mapping[str, Said], counts: Mapping[str, int]) -> dict[str, Said]:
    """Return ``destination_results`` with what is about to be forgotten added to ``delivered``."""
    noted = dict(results)
    for key, count in counts.items():
        said = noted.get(key, {"status": NOT_ASKED})
        noted[key] = {**said, "delivered": said.get("delivered", 0) + count}
    return noted
