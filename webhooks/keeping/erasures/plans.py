"""What an erasure would take away, counted; nothing is changed."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import Count, QuerySet

from destinations.models import Destination
from destinations.registry import UnknownType, adapter_class
from webhooks.keeping.erasures.matching import Ids
from webhooks.keeping.erasures.people import Person, asked, find, users_beside
from webhooks.keeping.erasures.wanted import destinations_of
from webhooks.models import Attempt, Delivery, DeliveryStatus, Event, Payload, QuarantinedRequest

LOOKED_AT = 2_000  # requests in the quarantine, newest first: their bodies have no index


@dataclass(frozen=True, slots=True)
class Reached:
    """A destination to which something of the person was delivered, or where it is to be erased."""

    destination: Destination
    delivered: int  # of the person's events, those that the hub still has
    erases: bool  # whether the hub can erase there
    chosen: bool


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be erased."""

    person: Person  # with all that was found
    counts: dict[str, int]  # events, payloads, files, deliveries, pending, attempts, quarantine
    quarantine_complete: bool  # else older requests were not looked at
    destinations: Sequence[Reached]
    users_beside: int  # other user ids with the same reference ids, which are not erased

    @property
    def empty(self) -> bool:
        """Tell whether the hub has nothing of them."""
        return not any(self.counts.values())


def plan(*, user_ids: Iterable[str] = (), reference_ids: Iterable[str] = (), destinations: Iterable[Any] = ()) -> Plan:
    """Return what an erasure of this person would take away now; raise ``Refused`` as ``jobs.start`` does."""
    chosen = destinations_of(destinations)
    person = find(asked(user_ids, reference_ids))
    counts, delivered = _counted(person)
    counts["quarantine"], complete = _refused_of(person.ids)
    return Plan(
        person, dict(counts), complete, _reached(chosen, delivered), users_beside(person) if person.user_ids else 0
    )


def _counted(person: Person) -> tuple[Counter[str], Counter[UUID]]:
    """Return how many rows of each kind there are, and how many deliveries were made to each destination."""
    counts, delivered = Counter[str](), Counter[UUID]()
    for rows in _distinct(person):
        keys = rows.order_by().values("pk")
        counts["events"] += rows.count()
        counts["payloads"] += Payload.objects.filter(event_id__in=keys).count()
        counts["files"] += Payload.objects.filter(event_id__in=keys).exclude(store_name="").count()
        counts["attempts"] += Attempt.objects.filter(delivery__event_id__in=keys).count()
        groups = Delivery.objects.filter(event_id__in=keys).order_by().values_list("destination_id", "status")
        for destination, status, count in groups.annotate(Count("pk")):
            counts["deliveries"] += count
            counts["pending"] += count if status == DeliveryStatus.PENDING else 0
            delivered[destination] += count if status == DeliveryStatus.DELIVERED else 0
    return counts, delivered


def _distinct(person: Person) -> Iterator[QuerySet[Event]]:
    """Yield the person's events, none twice: those by a reference id without those by a user id."""
    for number, rows in enumerate(person.events()):
        by_user = number < len(person.user_ids)
        yield rows if by_user else rows.exclude(user_id__in=person.user_ids)


def _refused_of(ids: Ids) -> tuple[int, bool]:
    """Return how many of the newest requests in the quarantine name the person, and whether these are all."""
    rows = QuarantinedRequest.objects.order_by("-pk").values_list("headers", "body")[: LOOKED_AT + 1]
    found = looked_at = 0
    for headers, body in rows.iterator(chunk_size=4):  # a body may be large
        looked_at += 1
        if looked_at <= LOOKED_AT:
            found += ids.in_request(headers, None if body is None else bytes(body))
    return found, looked_at <= LOOKED_AT


def _reached(chosen: Sequence[Destination], delivered: Counter[UUID]) -> list[Reached]:
    ids = {one.pk for one in chosen}
    others = Destination.objects.filter(pk__in=[pk for pk, count in delivered.items() if count and pk not in ids])
    rows = sorted([*chosen, *others], key=lambda one: one.name)
    return [Reached(one, delivered[one.pk], can_erase(one), one.pk in ids) for one in rows]


def can_erase(destination: Destination) -> bool:
    """Tell whether the hub can erase what it delivered there."""
    try:
        return destination.deleted_at is None and adapter_class(destination.type).erases
    except UnknownType:
        return False
