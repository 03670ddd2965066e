"""Reads a selection piece by piece, in the order of an index: a piece costs the same however large it is.

A piece is a bounded number of keys after the last one; what else the selection asks for is judged
among those, so a filter that few keys pass makes no piece slower.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import chain, islice
from typing import Any, NamedTuple
from uuid import UUID

from django.db import connection

from destinations.models import Destination
from webhooks.keeping.selections import Selection, event_range
from webhooks.models import Attempt, Delivery, ReplayKind, Source
from webhooks.receiving.intake import trace_key
from webhooks.receiving.routing import Route, destinations_for, load_routes
from webhooks.sql import as_uuid, bind, fast_cursor, marks, on_postgres

Pair = tuple[UUID, UUID]  # event, destination

# Pairs that a piece may be about, where events go to many destinations.
PAIRS = 5_000
LEAST = 10  # keys of a piece


class Key(NamedTuple):
    """One key of a selection's index, and where its event is to go; nowhere, where a filter leaves it out."""

    cursor: str
    event_id: UUID
    destination_ids: Sequence[UUID]

    @property
    def pairs(self) -> list[Pair]:
        """Return the event with each of its destinations."""
        return [(self.event_id, one) for one in self.destination_ids]


@dataclass(frozen=True, slots=True)
class Piece:
    """Some keys in order, and whether they are the last."""

    keys: Sequence[Key]
    last: bool


class Ground:
    """Where events come from and go to now: each table is read once, when a look first needs it."""

    def __init__(self, selection: Selection) -> None:
        """Take what is to be looked at."""
        self._named = selection.destinations

    @cached_property
    def slugs(self) -> Mapping[UUID, str]:
        """Return the slug of each source."""
        return dict(Source.objects.order_by().values_list("pk", "slug"))

    @cached_property
    def routes(self) -> Sequence[Route]:
        """Return what the named destinations take; where none is named, what all take that take new events."""
        if not self._named:
            return list(load_routes())
        rows = Destination.objects.filter(pk__in=self._named).values_list("pk", "event_types", "sources")
        return [Route(pk, frozenset(types), frozenset(sources)) for pk, types, sources in rows]

    @cached_property
    def receiving(self) -> frozenset[UUID]:
        """Return the destinations that take new events."""
        if not self._named:
            return frozenset(route.destination_id for route in self.routes)
        return frozenset(Destination.objects.receiving().values_list("pk", flat=True))

    @property
    def fan_out(self) -> int:
        """Return to how many destinations an event may go."""
        return len(self._named or self.receiving)

    def sources(self, slug: str) -> list[UUID]:
        """Return the source with that slug, all where it is empty; what no event has where there is none."""
        return [pk for pk, one in self.slugs.items() if slug in ("", one)] or [UUID(int=0)]


class Place(NamedTuple):
    """Where a piece begins, after a cursor, and where it ends at the latest; empty: at the ends of the selection."""

    cursor: str = ""
    end: str = ""


def piece_size(ground: Ground, most: int) -> int:
    """Return how many keys a piece may have, so that it costs the same for one destination and for hundreds."""
    return max(LEAST, min(most, PAIRS // max(1, ground.fan_out)))


def look(selection: Selection, ground: Ground, cursor: str, most: int) -> Piece:
    """Return up to ``most`` keys after ``cursor``; the first ones where it is empty."""
    if selection.deliveries:
        return _chosen_deliveries(selection, cursor, most)
    if selection.events:
        return _chosen_events(selection, ground, cursor, most)
    return look_at(selection, ground, [Place(cursor)], most)[0]


def look_at(selection: Selection, ground: Ground, places: Sequence[Place], most: int) -> list[Piece]:
    """Return up to ``most`` keys of each place of a selection by a filter."""
    found: list[list[Any]]
    if selection.kind == ReplayKind.FAILED:
        found = [_failed(selection, place, most) for place in places]
        keys = iter(_failed_keys(selection, list(chain.from_iterable(found))))
    else:
        found = [_events(selection, ground, place, most) for place in places]
        keys = iter(_keys(selection, ground, list(chain.from_iterable(found))))
    return [Piece(list(islice(keys, len(rows))), len(rows) < most) for rows in found]


# --- deliveries ---------------------------------------------------------------------------------------------
def _chosen_deliveries(selection: Selection, cursor: str, most: int) -> Piece:
    left = [pk for pk in selection.deliveries if pk > int(cursor or 0)]
    rows = Delivery.objects.filter(pk__in=left[:most]).order_by("pk")
    found = rows.values_list("pk", "event_id", "destination_id")
    return Piece([Key(str(pk), event, (destination,)) for pk, event, destination in found], len(left) <= most)


# The conditions are those of the index delivery_failed, word by word: SQLite uses it for no others.
_FAILED = (
    "SELECT id, event_id, last_error_code, attempt_count FROM webhooks_delivery WHERE destination_id = %s "
    "AND status IN ('pending', 'dead') AND NOT (last_error_code = '') AND id > %s AND id <= %s ORDER BY id LIMIT %s"
)


def _failed(selection: Selection, place: Place, most: int) -> list[Any]:
    (destination,) = selection.destinations
    last = int(place.end or selection.last_delivery)
    with fast_cursor() as rows:
        rows.execute(_FAILED, [bind(destination), int(place.cursor or 0), last, most])
        return list(rows.fetchall())


def _failed_keys(selection: Selection, found: Sequence[Any]) -> list[Key]:
    in_range = _failed_in_range(selection, found)
    keys = []
    for pk, event_id, code, _ in found:
        fits = pk in in_range and selection.error_code in ("", code)
        keys.append(Key(str(pk), as_uuid(event_id), selection.destinations if fits else ()))
    return keys


def _failed_in_range(selection: Selection, found: Sequence[Any]) -> set[int]:
    """Return the ids of those whose last attempt began in the range."""
    if selection.since is None and selection.until is None:
        return {row[0] for row in found}
    numbers = {pk: number for pk, _, code, number in found if selection.error_code in ("", code)}
    return {pk for pk, number, at in _tries(numbers) if number == numbers[pk] and _within(selection, at)}


# An index probe for each attempt, as below for deliveries.
_TRIES = (
    "SELECT a.delivery_id, a.number, a.started_at FROM unnest(%s::bigint[], %s::int[]) AS d(id, number) "
    "CROSS JOIN LATERAL (SELECT * FROM webhooks_attempt WHERE delivery_id = d.id AND number = d.number OFFSET 0) a"
)


def _tries(numbers: Mapping[int, int]) -> list[tuple[int, int, datetime]]:
    """Return delivery, number and beginning of these attempts; on SQLite of all attempts of these deliveries."""
    if on_postgres():
        with fast_cursor() as cursor:
            cursor.execute(_TRIES, [list(numbers), list(numbers.values())])
            return list(cursor.fetchall())
    rows = Attempt.objects.filter(delivery_id__in=numbers).order_by()
    return list(rows.values_list("delivery_id", "number", "started_at"))


def _within(selection: Selection, at: datetime) -> bool:
    return (selection.since is None or at >= selection.since) and (selection.until is None or at < selection.until)


# --- events -------------------------------------------------------------------------------------------------
class _Row(NamedTuple):
    id: UUID
    type: str
    source_id: UUID
    user_id: str
    reference_id: str
    terra_reference: str
    idempotency_key: str


_ALWAYS = ("id", "type", "source_id")


def _columns(selection: Selection) -> str:
    """Return the columns to read: those that it does not ask about stay where they are, which halves the time."""
    asked = {"idempotency_key": selection.trace_id}
    names = (n if n in _ALWAYS or asked.get(n) or getattr(selection, n, "") else "" for n in _Row._fields)
    return ", ".join(f"e.{name}" if name else "''" for name in names)


def _chosen_events(selection: Selection, ground: Ground, cursor: str, most: int) -> Piece:
    left = [pk for pk in selection.events if pk > UUID(cursor or "0" * 32)]
    rows = _rows(selection, f"e.id IN ({marks(left[:most])})", [bind(pk) for pk in left[:most]], most) if left else []
    return Piece(_keys(selection, ground, rows), len(left) <= most)


def _events(selection: Selection, ground: Ground, place: Place, most: int) -> list[_Row]:
    first, beyond = event_range(selection)
    where, values = _indexed(selection, ground)
    start = "e.id > %s" if place.cursor else "e.id >= %s"
    low, high = UUID(place.cursor) if place.cursor else first, min(UUID(place.end), beyond) if place.end else beyond
    return _rows(selection, f"{where}{start} AND e.id < %s", [*values, bind(low), bind(high)], most)


def _indexed(selection: Selection, ground: Ground) -> tuple[str, list[Any]]:
    """Return the condition whose index ends with the id, so that it gives the keys in order."""
    for name in ("user_id", "reference_id", "terra_reference"):
        value = getattr(selection, name)
        if value:  # the second half is the index's own condition, which SQLite wants to read word by word
            return f"e.{name} = %s AND NOT (e.{name} = '') AND ", [value]
    if selection.trace_id:
        sources = [bind(pk) for pk in ground.sources(selection.source)]
        return f"e.source_id IN ({marks(sources)}) AND e.idempotency_key = %s AND ", [
            *sources,
            trace_key(selection.trace_id),
        ]
    return ("e.type = %s AND ", [selection.type]) if selection.type else ("", [])


def _rows(selection: Selection, where: str, values: list[Any], most: int) -> list[_Row]:
    sql = f"SELECT {_columns(selection)} FROM webhooks_event e WHERE {where} ORDER BY e.id LIMIT %s"  # noqa: S608
    with connection.cursor() as cursor:  # with the values in the statement: which index is best hangs on them
        cursor.execute(sql, [*values, most])
        return [_Row(as_uuid(row[0]), row[1], as_uuid(row[2]), *row[3:]) for row in cursor.fetchall()]


# --- where events go ------------------------------------------------------------------------------------------
def _keys(selection: Selection, ground: Ground, rows: Sequence[_Row]) -> list[Key]:
    wanted = _wanted(selection, ground)
    fitting = [row for row in rows if all(getattr(row, name) == value for name, value in wanted)]
    targets = _targets(selection, ground, fitting)
    return [Key(str(row.id), row.id, targets.get(row.id, ())) for row in rows]


def _wanted(selection: Selection, ground: Ground) -> list[tuple[str, Any]]:
    """Return the columns that a selection narrows, each with its value."""
    named = [(name, getattr(selection, name)) for name in ("type", "user_id", "reference_id", "terra_reference")]
    named.append(("source_id", ground.sources(selection.source)[0] if selection.source else None))
    named.append(("idempotency_key", trace_key(selection.trace_id) if selection.trace_id else None))
    return [(name, value) for name, value in named if value]


def _targets(selection: Selection, ground: Ground, rows: Sequence[_Row]) -> dict[UUID, Sequence[UUID]]:
    if selection.destinations and selection.kind != ReplayKind.MISSING:
        return dict.fromkeys((row.id for row in rows), selection.destinations)
    if selection.outcome:
        return _with_outcome(selection, ground, rows)
    ways: dict[tuple[str, UUID], Sequence[UUID]] = {}  # of many events few differ in what they are routed by
    for row in rows:
        if (row.type, row.source_id) not in ways:
            slug = ground.slugs.get(row.source_id, "")
            ways[row.type, row.source_id] = destinations_for(ground.routes, row.type, slug)
    return {row.id: ways[row.type, row.source_id] for row in rows}


def _with_outcome(selection: Selection, ground: Ground, rows: Sequence[_Row]) -> dict[UUID, Sequence[UUID]]:
    """Return where these events have a delivery with the wanted status, at a destination that still receives."""
    found: dict[UUID, list[UUID]] = {}
    for event_id, destination_id, _, _ in _deliveries([row.id for row in rows], status=selection.outcome):
        if destination_id in ground.receiving:
            found.setdefault(event_id, []).append(destination_id)
    return dict(found)


class Held(NamedTuple):
    """A delivery that there is already for a pair."""

    id: int
    status: str


def held_of(pairs: Iterable[Pair]) -> dict[Pair, Held]:
    """Return the deliveries that there are of these pairs: one index probe for each event."""
    wanted = set(pairs)
    rows = _deliveries(sorted({event for event, _ in wanted}), sorted({destination for _, destination in wanted}))
    return {(event, to): Held(pk, status) for event, to, pk, status in rows if (event, to) in wanted}


def belonging(selection: Selection, pairs: Iterable[Pair], held: Mapping[Pair, Held]) -> list[Pair]:
    """Return the pairs that a selection takes, given the deliveries that there are of them."""
    with_held = ((pair, held.get(pair)) for pair in pairs)
    return [pair for pair, one in with_held if selection.takes(one.status if one else None)]


# An index probe for each event, in one statement: OFFSET 0 keeps the planner from reading the table instead.
_PROBED = (
    "SELECT d.event_id, d.destination_id, d.id, d.status FROM unnest(%s::uuid[]) AS e(id) CROSS JOIN LATERAL "
    "(SELECT * FROM webhooks_delivery WHERE event_id = e.id{} OFFSET 0) d"
)


def _deliveries(events: Sequence[UUID], to: Sequence[UUID] = (), status: str = "") -> list[tuple[UUID, UUID, int, str]]:
    """Return event, destination, id and status of the deliveries of these events, to some destinations or to all."""
    narrowed: dict[str, tuple[str, Any]] = {}
    if to:
        narrowed["destination_id__in"] = " AND destination_id = ANY(%s::uuid[])", list(to)
    if status:
        narrowed["status"] = " AND status = %s", status
    if on_postgres():
        with fast_cursor() as cursor:
            sql = _PROBED.format("".join(condition for condition, _ in narrowed.values()))
            cursor.execute(sql, [list(events), *(value for _, value in narrowed.values())])
            return list(cursor.fetchall())
    rows = Delivery.objects.filter(event_id__in=events, **{name: value for name, (_, value) in narrowed.items()})
    return list(rows.order_by().values_list("event_id", "destination_id", "pk", "status"))
