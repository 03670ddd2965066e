"""What an erasure has removed so far, and what each destination had got of the person."""

from collections import Counter
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import Count, Q, QuerySet

from webhooks.models import Delivery, DeliveryStatus, Erasure

NOT_ASKED = "not_asked"  # in ``destination_results``: it had got something, and was not named
# Events that a destination said yes to, and those that it was sent without a yes: it may have kept them all the same.
GOT = ("delivered", "unconfirmed")
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


def got_by(deliveries: QuerySet[Delivery]) -> dict[UUID, Counter[str]]:
    """Return what each destination got of these deliveries, by the names of ``GOT``; without those that got nothing."""
    yes = Q(status=DeliveryStatus.DELIVERED)
    counted = {"delivered": Count("pk", filter=yes), "unconfirmed": Count("pk", filter=~yes & Q(attempt_count__gt=0))}
    groups = deliveries.order_by().values_list("destination_id").annotate(**counted)
    return {key: Counter(dict(zip(GOT, counts, strict=True))) for key, *counts in groups if any(counts)}


def with_got(results: Mapping[str, Said], got: Mapping[UUID, Counter[str]]) -> dict[str, Said]:
    """Return ``destination_results`` with what is about to be forgotten added."""
    noted = dict(results)
    for key, counts in got.items():
        said = noted.get(str(key), {"status": NOT_ASKED})
        noted[str(key)] = said | {name: said.get(name, 0) + counts[name] for name in GOT}
    return noted
