"""How many of the latest events a destination's filter lets through, at a cost that does not grow with the table."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from webhooks.models import Event, Source

LATEST = 10_000
SAMPLES = 3


@dataclass(frozen=True, slots=True)
class Sample:
    """An event that matches."""

    id: UUID
    type: str
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Matching:
    """How many of how many events match, and the newest that do."""

    count: int
    of: int
    samples: list[Sample]

    @property
    def sentence(self) -> str:
        """Return it in words."""
        if not self.of:
            return "No event has come in yet."
        among = f"the last {self.of:,} events" if self.of > 1 else "the one event that has come in"
        return f"Matches {self.count:,} of {among}."


def matching(event_types: Collection[str], sources: Collection[str]) -> Matching:
    """Return what a filter lets through of the latest events; an empty collection lets everything through.

    Only a range of the primary key is read, of ``LATEST`` events.
    """
    latest = _latest()
    wanted = _narrowed(latest, event_types, sources)
    rows = wanted.order_by("-pk").values_list("pk", "type", "received_at")[:SAMPLES]
    samples = [Sample(*row) for row in rows]
    return Matching(wanted.count() if samples else 0, latest.count(), samples)


def _latest() -> Any:
    newest_first = Event.objects.order_by("-pk").values_list("pk", flat=True)
    oldest = newest_first[LATEST - 1 : LATEST].first()
    return Event.objects.filter(pk__gte=oldest) if oldest else Event.objects.all()


def _narrowed(events: Any, event_types: Collection[str], sources: Collection[str]) -> Any:
    if event_types:
        events = events.filter(type__in=event_types)
    if sources:
        known = list(Source.objects.filter(slug__in=sources).values_list("pk", flat=True))
        events = events.filter(source_id__in=known)
    return events
