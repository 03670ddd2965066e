"""What the live tail shows: events and attempts that are new, read by primary key, as rows of plain values.

Ids are given out in order and committed out of order: an event's id is made before its commit, and two
commits overtake each other. So a reader looks again at the last seconds each time, and leaves out what it
has seen.
"""

from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from uuid import UUID

from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone

from destinations.shown import Chip, duration
from destinations.texts import visible
from webhooks.event_ids import first_id_at
from webhooks.models import Attempt, Delivery, Event
from webhooks.wording import OUTCOME_CHIPS, STATUS_CHIPS

OVERLAP = timedelta(seconds=15)  # longer than a commit may take (COMMIT_TIMEOUT_SECONDS)
MOST_KEYS = 1000  # of each kind that one look reads
MOST_ROWS = 100  # of each kind that one look shows; the others are only counted
MOST_STATES = 10  # of an event's deliveries that its row shows
_SEEN = 5 * MOST_KEYS
_LONGEST = 64  # characters of what a sender wrote
_EVENT_COLUMNS = ("id", "type", "provider", "user_id", "received_at", "source__slug")
_ATTEMPT_COLUMNS = (
    "number", "started_at", "duration_ms", "outcome", "status_code", "error_code", "delivery__id",
    "delivery__destination__name", "delivery__event__type", "delivery__event__provider", "delivery__event__user_id",
    "delivery__event__source__slug",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in both logs: a time, and the last attempt's id."""

    milliseconds: int
    attempt_id: int

    def __str__(self) -> str:
        return f"{self.milliseconds}-{self.attempt_id}"

    @classmethod
    def parse(cls, text: str) -> Self | None:
        """Return the place that a browser names, or ``None``."""
        one, _, two = text.partition("-")
        fits = all(part.isascii() and part.isdecimal() and len(part) < 16 for part in (one, two))
        return cls(int(one), int(two)) if fits else None

    @property
    def moment(self) -> datetime:
        """Return its time."""
        return datetime.fromtimestamp(self.milliseconds / 1000, UTC)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the tail, and what filters and permissions look at."""

    key: str
    at: datetime
    type: str
    user_id: str
    source: str
    destinations: frozenset[UUID]
    of_delivery: bool  # shows what became of a delivery
    shown: Mapping[str, Any]

    def as_json(self, deliveries: bool) -> dict[str, Any]:
        """Return what the browser gets; the states of deliveries only for those who may see them."""
        return {"key": self.key, "at": self.at.isoformat(), **self.shown} | ({} if deliveries else {"states": []})


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a reader wants to see; empty: everything."""

    type: str = ""
    user_id: str = ""
    source: str = ""
    destination: str = ""

    @classmethod
    def of(cls, query: str) -> Self:
        """Return what a page's address asks for."""
        given = QueryDict(query)
        return cls(**{name: given.get(name, "").strip() for name in ("type", "user_id", "source", "destination")})

    def takes(self, row: Row) -> bool:
        """Tell whether a row is to be shown."""
        return (
            self.type in ("", row.type)
            and self.user_id in ("", row.user_id)
            and self.source in ("", row.source)
            and (not self.destination or self.destination in map(str, row.destinations))
        )


@dataclass(slots=True)
class Look:
    """What one look found: rows in the order of their times, and how many more there were."""

    rows: list[Row]
    left_out: int
    cursor: Cursor


def here() -> Cursor:
    """Return the place at which the tail is now."""
    newest = Attempt.objects.order_by("-pk").values_list("pk", flat=True).first()
    return Cursor(int(timezone.now().timestamp() * 1000), newest or 0)


def look(since: Cursor | None, seen: Collection[Any] = ()) -> Look:
    """Read what is new since a place, without what was seen; from no place: the newest rows."""
    cursor = here()
    keys = Event.objects.order_by("-pk").values_list("pk", flat=True)
    numbers = Attempt.objects.order_by("-pk").values_list("pk", flat=True)
    most = MOST_KEYS if since else MOST_ROWS // 2
    if since:
        keys, numbers = keys.filter(pk__gte=first_id_at(since.moment)), numbers.filter(pk__gt=since.attempt_id)
    new_keys = [key for key in keys[:most] if key not in seen]
    new_numbers = [number for number in numbers[:most] if number not in seen]
    rows = [*_events(new_keys[:MOST_ROWS]), *_attempts(new_numbers[:MOST_ROWS])]
    left_out = max(0, len(new_keys) - MOST_ROWS) + max(0, len(new_numbers) - MOST_ROWS)
    return Look(sorted(rows, key=lambda row: row.at), left_out, cursor)


@dataclass(slots=True)
class Window:
    """Looks again and again: from where the tail was a while ago, without what it has seen."""

    places: deque[Cursor] = field(default_factory=deque)
    seen: dict[Any, None] = field(default_factory=dict)

    @property
    def floor(self) -> Cursor | None:
        """Return the place that a look goes back to."""
        return self.places[0] if self.places else None

    def look(self) -> Look:
        """Return what is new; the first look remembers only where the tail is."""
        if not self.places:  # what was on its way to its commit before that, is still to come
            place = here()
            self.places.append(Cursor(place.milliseconds - int(OVERLAP.total_seconds() * 1000), place.attempt_id))
        found = look(self.floor, self.seen)
        self.places.append(found.cursor)
        while len(self.places) > 1 and found.cursor.moment - self.places[1].moment >= OVERLAP:
            self.places.popleft()
        self.seen |= dict.fromkeys(_id_of(row.key) for row in found.rows)
        for key in list(self.seen)[: max(0, len(self.seen) - _SEEN)]:
            del self.seen[key]
        return found


def _id_of(key: str) -> UUID | int:
    kind, _, rest = key.partition(":")
    return UUID(rest) if kind == "e" else int(rest)


def _events(keys: Collection[UUID]) -> Iterable[Row]:
    if not keys:
        return []
    rows = Event.objects.filter(pk__in=keys).select_related("source").only(*_EVENT_COLUMNS)
    deliveries = Delivery.objects.filter(event_id__in=keys).select_related("destination").order_by("event_id", "pk")
    columns = ("status", "event_id", "destination_id", "destination__name")
    of_event: dict[UUID, list[Delivery]] = {}
    for one in deliveries.only(*columns)[: MOST_STATES * MOST_ROWS]:
        of_event.setdefault(one.event_id, []).append(one)
    return [_event_row(event, of_event.get(event.pk, [])) for event in rows]


def _event_row(event: Event, deliveries: Collection[Delivery]) -> Row:
    states = [
        {"delivery": one.pk, "name": _short(one.destination.name), **_chip(STATUS_CHIPS[one.status])}
        for one in list(deliveries)[:MOST_STATES]
    ]
    shown = {
        "kind": "event", "url": reverse("admin:webhooks_event_change", args=[event.pk]), "states": states,
        "more": max(0, len(deliveries) - MOST_STATES), **_about(event),
    }  # fmt: skip
    goes_to = frozenset(one.destination_id for one in deliveries)
    return Row(
        f"e:{event.pk}", event.received_at, event.type, event.user_id, event.source.slug, goes_to, False, shown
    )  # fmt: skip


def _attempts(numbers: Collection[int]) -> Iterable[Row]:
    if not numbers:
        return []
    rows = Attempt.objects.filter(pk__in=numbers).order_by("-pk")
    rows = rows.select_related("delivery__event__source", "delivery__destination").only(*_ATTEMPT_COLUMNS)
    return [_attempt_row(attempt) for attempt in rows]


def _attempt_row(attempt: Attempt) -> Row:
    delivery = attempt.delivery
    event = delivery.event
    state = {
        "delivery": delivery.pk,
        "name": _short(delivery.destination.name),
        **_chip(OUTCOME_CHIPS[attempt.outcome]),
    }
    shown = {
        "kind": "attempt", "url": reverse("admin:webhooks_delivery_change", args=[delivery.pk]), "states": [state],
        "says": _says(attempt), "more": 0, **_about(event),
    }  # fmt: skip
    ended = attempt.started_at + timedelta(milliseconds=attempt.duration_ms or 0)
    goes_to = frozenset([delivery.destination_id])
    return Row(f"a:{attempt.pk}", ended, event.type, event.user_id, event.source.slug, goes_to, True, shown)


def _says(attempt: Attempt) -> str:
    code = f"HTTP {attempt.status_code}" if attempt.status_code else ""
    parts = (f"attempt {attempt.number}", code, visible(attempt.error_code), duration(attempt.duration_ms))
    return " · ".join(filter(None, parts))


def _about(event: Event) -> dict[str, str]:
    user = event.user_id
    return {
        "type": _short(event.type), "provider": _short(event.provider), "source": event.source.slug,
        "user": _short(user if len(user) <= 12 else f"{user[:8]}…"),
    }  # fmt: skip


def _short(text: str) -> str:
    return visible(text[:_LONGEST])


def _chip(chip: Chip) -> dict[str, str]:
    return {"label": chip.label, "icon": chip.icon, "tone": chip.tone.value}
