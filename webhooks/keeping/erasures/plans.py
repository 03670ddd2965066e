"""What an erasure would take away, counted; nothing is changed."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from destinations.models import Destination
from destinations.registry import UnknownType, adapter_class
from webhooks.keeping.erasures.matching import Ids
from webhooks.keeping.erasures.people import Person, asked, find, users_beside
from webhooks.keeping.erasures.tallies import got_by
from webhooks.keeping.erasures.wanted import destinations_of
from webhooks.models import Attempt, Delivery, DeliveryStatus, Event, Payload, QuarantinedRequest

LOOKED_AT = 2_000  # requests in the quarantine, newest first: their bodies have no index


@dataclass(frozen=True, slots=True)
class Reached:
    """A destination to which something of the person was sent, or where it is to be erased."""

    destination: Destination
    delivered: int  # of the person's events, those that the hub still has
    unconfirmed: int  # sent without a yes
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
    counts, got = _counted(person)
    counts["quarantine"], complete = _refused_of(person.ids)
    return Plan(person, dict(counts), complete, _reached(chosen, got), users_beside(person) if person.user_ids else 0)


def _counted(person: Person) -> tuple[Counter[str], Mapping[UUID, Counter[str]]]:
    """Return how many rows of each kind there are, and what each destination got."""
    counts, got = Counter[str](), defaultdict[UUID, Counter[str]](Counter)
    for rows in _distinct(person):
        keys = rows.order_by().values("pk")
        counts["events"] += rows.count()
        counts["payloads"] += Payload.objects.filter(event_id__in=keys).count()
        counts["files"] += Payload.objects.filter(event_id__in=keys).exclude(store_name="").count()
        counts["attempts"] += Attempt.objects.filter(delivery__event_id__in=keys).count()
        deliveries = Delivery.objects.filter(event_id__in=keys)
        counts["deliveries"] += deliveries.count()
        counts["pending"] += deliveries.filter(status=DeliveryStatus.PENDING).count()
        for destination, of_it in got_by(deliveries).items():
            got[destination] += of_it
    return counts, got


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


def _reached(chosen: Sequence[Destination], got: Mapping[UUID, Counter[str]]) -> list[Reached]:
    ids = {one.pk for one in chosen}
    others = Destination.objects.filter(pk__in=got.keys() - ids)
    rows = sorted([*chosen, *others], key=lambda one: one.name)
    return [_reached_one(one, got.get(one.pk, Counter()), one.pk in ids) for one in rows]


def _reached_one(destination: Destination, got: Counter[str], chosen: bool) -> Reached:
    return Reached(destination, got["delivered"], got["unconfirmed"], can_erase(destination), chosen)


def can_erase(destination: Destination) -> bool:
    """Tell whether the hub can erase what it delivered there."""
    try:
        return destination.deleted_at is None and adapter_class(destination.type).erases
    except UnknownType:
        return False
