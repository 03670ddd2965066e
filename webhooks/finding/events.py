"""Which index serves a filter of the list of events, and what is tested of its rows."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from webhooks.event_ids import first_id_at
from webhooks.finding.byindex import by_index
from webhooks.finding.scans import Scan
from webhooks.models import Delivery, Event, Source
from webhooks.receiving.intake import trace_key

# Columns that an index begins with, followed by the id: the one that is likely to hold fewest rows first.
_INDEXED = ("user_id", "terra_reference", "reference_id", "type")


@dataclass(frozen=True, slots=True)
class EventsWanted:
    """A filter of events; what is empty is not asked."""

    type: str = ""
    provider: str = ""  # as Terra names it
    user_id: str = ""
    reference_id: str = ""
    terra_reference: str = ""
    trace_id: str = ""
    source_id: UUID | None = None
    sources: Collection[UUID] | None = None  # ids: of others nothing is found; None: of every source
    event_id: UUID | None = None
    destination_id: UUID | None = None
    outcome: str = ""  # of a delivery, the destination's where one is named
    since: datetime | None = None
    until: datetime | None = None


def events_scan(wanted: EventsWanted) -> Scan:
    """Return how the events that are wanted are found: newest first, by one index and the time.

    An index serves event_id, trace_id (with the source), user_id, terra_reference, reference_id, type and, with each of
    them or alone, the time: a range of the primary key. The others, and the provider, are tested.
    """
    rows = within(Event.objects.all(), wanted.since, wanted.until)
    found = wanted.event_id or wanted.trace_id
    driver = "" if found else next((name for name in _INDEXED if getattr(wanted, name)), "")
    tested = dict(_tested(wanted, driver))
    if wanted.event_id:
        rows = rows.filter(pk=wanted.event_id)
    if wanted.trace_id:
        rows = rows.filter(pk__in=of_trace(wanted.trace_id))
    elif driver:
        rows = by_index(rows, {driver: getattr(wanted, driver)})
    if wanted.destination_id or wanted.outcome:
        rows = rows.annotate(delivery_there=_delivery_there(wanted))
    return Scan((rows,), (driver,) if driver else (), columns=tuple(tested), tests=tuple(tested.values()))


def within(rows: QuerySet[Any], since: datetime | None, until: datetime | None) -> QuerySet[Any]:
    """Keep rows whose id, a UUID version 7, was made in a span of time."""
    if since:
        rows = rows.filter(pk__gte=first_id_at(since))
    return rows.filter(pk__lt=first_id_at(until)) if until else rows


def _tested(wanted: EventsWanted, driver: str) -> Iterator[tuple[str, Any]]:
    for name in _INDEXED:
        value = getattr(wanted, name)
        if value and name != driver:
            yield name, equals(name, value)
    among = sources_among(wanted.source_id, wanted.sources)
    if among is not None:
        yield "source_id", lambda row: row["source_id"] in among
    if wanted.provider:
        yield "provider", lambda row: row["provider"].upper() == wanted.provider.upper()
    if wanted.destination_id or wanted.outcome:
        yield "delivery_there", lambda row: row["delivery_there"] is not None


def sources_among(one: UUID | None, known: Collection[UUID] | None) -> Collection[UUID] | None:
    """Return the sources that are wanted: the one that is named, if it is among those that are known at all."""
    if one is None:
        return known
    return (one,) if known is None or one in known else ()


def equals(name: str, value: Any) -> Any:
    """Return the test that a column has a value."""
    return lambda row: row[name] == value


def of_trace(trace: str) -> list[UUID]:
    """Return the events with a trace id: one for each source at most, by the unique index on both."""
    sources = list(Source.objects.order_by().values_list("pk", flat=True)[:1000])
    rows = Event.objects.filter(source_id__in=sources, idempotency_key=trace_key(trace))
    return list(rows.order_by().values_list("pk", flat=True))


def _delivery_there(wanted: EventsWanted) -> Subquery:
    """Return one delivery of each event that is wanted: an index probe for each row that is looked at.

    Not ``Exists``, which PostgreSQL may answer by reading every delivery once.
    """
    named = {"destination_id": wanted.destination_id, "status": wanted.outcome}
    rows = Delivery.objects.filter(event_id=OuterRef("pk"), **{name: value for name, value in named.items() if value})
    return Subquery(rows.order_by().values("pk")[:1])
