"""What a pasted id is the id of: a few index probes, whatever was pasted."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from destinations.ids import parsed_uuid
from destinations.models import Destination
from webhooks.finding.byindex import by_index
from webhooks.finding.events import EventsWanted, events_scan
from webhooks.models import ID_LENGTH, Delivery, Event, QuarantinedRequest, Replay, Source

BIGGEST_NUMBER = 2**63 - 1
NAMES_SHOWN = 5
# Columns of an event that hold an id of Terra's or of the customer, and how a list is filtered by each.
_COLUMNS = ("user_id", "reference_id", "terra_reference")


class Found(NamedTuple):
    """Something that a term is the id of: a row, or (for a user and the like) a filter of the list of events."""

    kind: str  # event, delivery, destination, quarantine, replay, source, or a filter's name
    key: Any  # the row's key, or the filter's value
    name: str = ""  # what people call it


def find_anything(term: str) -> list[Found]:
    """Return what a whole id is known as, rows before filters; or else destinations and sources by name."""
    term = term.strip()
    if not 0 < len(term) <= ID_LENGTH or "\x00" in term:
        return []
    return [*_rows(term), *_filters(term)] or list(_names(term))


def _rows(term: str) -> Iterator[Found]:
    key = parsed_uuid(term)
    if key:
        yield from (Found("event", pk, name) for pk, name in _of(Event, key, "type"))
        yield from (Found("destination", pk, name) for pk, name in _of(Destination, key, "name"))
        yield from (Found("quarantine", pk, name) for pk, name in _of(QuarantinedRequest, key, "reason"))
    if term.isascii() and term.isdecimal() and int(term[:20]) <= BIGGEST_NUMBER:
        yield from (Found("delivery", pk, name) for pk, name in _of(Delivery, int(term), "destination__name"))
        yield from (Found("replay", pk, name) for pk, name in _of(Replay, int(term), "kind"))


def _of(model: Any, key: Any, name: str) -> Any:
    return model.objects.filter(pk=key).values_list("pk", name)


def _filters(term: str) -> Iterator[Found]:
    for column in _COLUMNS:
        rows = by_index(Event.objects.all(), {column: term}).order_by(column, "-pk")
        if rows.values_list("pk", flat=True)[:1]:
            yield Found(column, term)
    if events_scan(EventsWanted(trace_id=term)).fetch(None, False, 1).rows:
        yield Found("trace_id", term)


def _names(term: str) -> Iterator[Found]:
    rows = Destination.objects.present().filter(name__icontains=term).order_by("name").values_list("pk", "name")
    yield from (Found("destination", pk, name) for pk, name in rows[:NAMES_SHOWN])
    yield from (Found("source", pk, slug) for pk, slug in Source.objects.filter(slug=term).values_list("pk", "slug"))
