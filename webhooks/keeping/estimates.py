"""How much a selection is, in bounded time, and what sending it again would do.

It is counted as the replay would read it, up to a limit of keys: so few that the dialog opens at once.
Beyond that it is guessed from samples at evenly spaced places of its range: how dense keys are there,
and how many of them count.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, pairwise
from uuid import UUID

from django.utils import timezone

from destinations.models import Destination
from destinations.registry import adapter_class
from webhooks.event_ids import first_id_at
from webhooks.keeping.looking import (
    LEAST,
    PAIRS,
    Ground,
    Pair,
    Piece,
    Place,
    belonging,
    held_of,
    look,
    look_at,
    piece_size,
)
from webhooks.keeping.selections import Selection, event_range
from webhooks.models import DeliveryStatus, Event, Payload, ReplayKind

COUNTED = 10_000  # deliveries; above it somebody has to say that they mean it
READ_MOST = 2_400  # keys that are read to count it: what has no more is counted
PIECE = 800  # at once: of more, PostgreSQL's planner would sooner read a table that is not large yet
SAMPLES = 5
SAMPLE_KEYS = 150
GROWTH = 10  # of a piece, where the one before it made few pairs
SEEN = 500  # pairs that are looked at for what was delivered already, and for payloads


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a replay would send."""

    count: int  # deliveries
    exact: bool
    sample: int  # pairs that the next three were counted among
    delivered: int
    payload_gone: int
    on_their_way: int
    destinations: Sequence[Destination]
    sampled: Mapping[UUID, int]  # pairs of each destination among the sample

    @property
    def text(self) -> str:
        """Return the count for people."""
        return f"{self.count:,}" if self.exact else f"about {self.count:,}"

    def share_of(self, destination: Destination) -> int:
        """Return how many of the deliveries are a destination's: about, where the sample is not all of them."""
        return round(self.count * self.sampled.get(destination.pk, 0) / max(self.sample, 1))


def estimate(selection: Selection) -> Estimate:
    """Return how many deliveries a selection makes: exactly where it has few keys, else about."""
    ground = Ground(selection)
    pairs, read, piece, cursor = 0, 0, Piece((), False), ""
    first: list[Pair] = []
    size = piece_size(ground, min(PIECE, READ_MOST))
    while not piece.last and read < READ_MOST and pairs <= PAIRS:
        piece = look(selection, ground, cursor, size)
        (found,) = counted(selection, [piece])
        pairs, read = pairs + len(found), read + len(piece.keys)
        cursor = piece.keys[-1].cursor if piece.keys else cursor
        first += found[: max(0, SEEN - len(first))]
        size = min(READ_MOST - read, PIECE, GROWTH * size, _affordable(read, pairs, PAIRS))
    more = 0.0 if piece.last else _beyond(selection, ground, cursor, _affordable(read, pairs, PAIRS // SAMPLES))
    return _described(selection, pairs + round(more), piece.last, first)


def _affordable(read: int, pairs: int, room: int) -> int:
    """Return how many keys make about so many pairs, if they are like those that were read."""
    return max(LEAST, room * read // max(pairs, 1))


def counted(selection: Selection, pieces: Sequence[Piece]) -> list[list[Pair]]:
    """Return the pairs of each piece that belong to a selection."""
    pairs = [[pair for key in piece.keys for pair in key.pairs] for piece in pieces]
    if not selection.looks_at_statuses or not selection.destinations:
        return pairs  # by an outcome anywhere, an event's destinations were found by it
    held = held_of(chain.from_iterable(pairs))
    return [belonging(selection, some, held) for some in pairs]


def _described(selection: Selection, count: int, exact: bool, first: Sequence[Pair]) -> Estimate:
    held = held_of(first)
    statuses = [one.status for one in held.values()]
    events = {event for event, _ in first}
    kept = set(Payload.objects.filter(pk__in=events).values_list("pk", flat=True))
    named = {to for _, to in first} | set(selection.destinations)
    rows = Destination.objects.filter(pk__in=named).order_by("name")
    return Estimate(
        count,
        exact,
        len(first),
        delivered=statuses.count(DeliveryStatus.DELIVERED),
        payload_gone=sum(event not in kept for event, _ in first),
        on_their_way=statuses.count(DeliveryStatus.PENDING) if selection.kind != ReplayKind.FAILED else 0,
        destinations=list(rows),
        sampled=Counter(to for _, to in first),
    )


def warnings(found: Iterable[Destination]) -> dict[str, str]:
    """Return what sending again does, by the label of each type of these destinations."""
    kinds = dict.fromkeys(one.type for one in found)
    return {adapter_class(name).label: adapter_class(name).on_repeat for name in kinds}


# --- beyond what was read ----------------------------------------------------------------------------------------
def _beyond(selection: Selection, ground: Ground, cursor: str, affordable: int) -> float:
    """Guess how many pairs follow ``cursor``, from samples at evenly spaced places up to the end."""
    low, high = _position(selection, cursor), _end(selection)
    width = (high - low) / SAMPLES
    if width < 1:
        return 0.0
    edges = [low + round(width * number) for number in range(SAMPLES)] + [high]
    places = [Place(_cursor(selection, one), _cursor(selection, next_)) for one, next_ in pairwise(edges)]
    pieces = look_at(selection, ground, places, min(SAMPLE_KEYS, affordable))
    found = map(len, counted(selection, pieces))
    return sum(map(partial(_between, selection), found, pieces, edges, edges[1:]))


def _between(selection: Selection, found: int, piece: Piece, low: int, high: int) -> float:
    """Guess the pairs from ``low`` to ``high``: those of the first keys, as many times as these fit in."""
    if piece.last or not found:
        return float(found)
    covered = _position(selection, piece.keys[-1].cursor) - low
    return found * (high - low) / max(covered, 1)


# A place in the range as a number: of a delivery's id, or of the milliseconds that an event's id begins with.
def _by_id(selection: Selection) -> bool:
    return selection.kind == ReplayKind.FAILED


def _position(selection: Selection, cursor: str) -> int:
    return int(cursor or 0) if _by_id(selection) else UUID(cursor or "0" * 32).int >> 80


def _cursor(selection: Selection, position: int) -> str:
    return str(position) if _by_id(selection) else str(UUID(int=position << 80))


def _end(selection: Selection) -> int:
    if _by_id(selection):
        return selection.last_delivery
    newest = Event.objects.order_by("-pk").values_list("pk", flat=True).first() or first_id_at(timezone.now())
    return (min(newest, event_range(selection)[1]).int >> 80) + 1
