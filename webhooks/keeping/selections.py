"""What a replay selects: read and judged here, whether it comes from a form, a link or the API."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone
from django.utils.dateparse import parse_datetime

from destinations.services import Refused
from webhooks.event_ids import first_id_at
from webhooks.models import ID_LENGTH, TYPE_LENGTH, Delivery, DeliveryStatus, Replay, ReplayKind, Source

MOST_CHOSEN = 1000
MOST_DESTINATIONS = 200
MOST_HOURS = 24 * 366 * 20
_BIGGEST_ID = 2**63 - 1
_RANGE = frozenset({"since", "until", "hours"})
_ABOUT_EVENTS = frozenset({"type", "user_id", "reference_id", "terra_reference", "trace_id", "source", "outcome"})
# Which names each kind reads. Another one is refused: left out, it would make the selection larger than was asked.
READS: Mapping[str, frozenset[str]] = {
    ReplayKind.CHOSEN: frozenset({"deliveries", "events", "destinations"}),
    ReplayKind.MATCHING: _RANGE | _ABOUT_EVENTS | {"destinations"},
    ReplayKind.FAILED: _RANGE | {"destinations", "error_code"},
    ReplayKind.MISSING: _RANGE | {"destinations"},
}


@dataclass(frozen=True, slots=True)
class Selection:
    """Which events go to which destinations; empty fields narrow nothing."""

    kind: str
    destinations: tuple[UUID, ...] = ()  # none: where each event would go if it came now
    since: datetime | None = None
    until: datetime | None = None
    type: str = ""
    user_id: str = ""
    reference_id: str = ""
    terra_reference: str = ""
    trace_id: str = ""
    source: str = ""
    outcome: str = ""  # the status that the delivery of an event there has
    error_code: str = ""
    deliveries: tuple[int, ...] = ()
    events: tuple[UUID, ...] = ()
    last_delivery: int = 0  # of what failed: the newest delivery that belongs to it

    def takes(self, status: str | None) -> bool:
        """Tell whether it takes a pair of event and destination whose delivery has this status; None: there is none."""
        if self.kind == ReplayKind.MISSING:
            return status is None
        if self.kind == ReplayKind.FAILED:
            return status in (DeliveryStatus.PENDING, DeliveryStatus.DEAD)
        if self.deliveries:
            return status is not None
        return not self.outcome or status == self.outcome

    @property
    def looks_at_statuses(self) -> bool:
        """Tell whether ``takes`` hangs on the status: else every pair belongs to it."""
        return bool(self.outcome) or self.kind == ReplayKind.MISSING


# --- reading ----------------------------------------------------------------------------------------------
def selection_of(kind: str, values: Mapping[str, Any]) -> Selection:
    """Return what is selected by values as people and programs write them; raise ``Refused`` with texts per name.

    ``hours`` is a short form of ``since``. Lists may come as lists, or as texts with commas.
    """
    if kind not in READS:
        raise Refused({"kind": [f"Must be one of: {', '.join(READS)}."]})
    given = {name: value for name, value in values.items() if value not in (None, "", [], ())}
    errors: dict[str, list[str]] = {
        name: [f"Is no filter of this kind of replay. It takes: {', '.join(sorted(READS[kind]))}."]
        for name in sorted(set(given) - READS[kind])
    }
    read = {}
    for name in sorted(set(given) & READS[kind]):
        try:
            read[name] = _READERS[name](given[name])
        except ValueError as error:
            errors[name] = [str(error)]
    hours = read.pop("hours", None)
    if hours is not None and "since" not in read:
        read["since"] = timezone.now() - timedelta(hours=hours)
    selection = Selection(kind, **read)
    errors = {**_problems(selection), **errors}
    if errors:
        raise Refused(errors)
    return selection


def _problems(one: Selection) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    if one.since and one.until and one.since >= one.until:
        found["until"] = ["Must be later than the beginning of the range."]
    if one.kind in (ReplayKind.FAILED, ReplayKind.MISSING) and len(one.destinations) != 1:
        found["destinations"] = ["Name one destination."]
    if one.kind == ReplayKind.CHOSEN:
        if bool(one.deliveries) == bool(one.events):
            found["deliveries"] = ["Give ids of deliveries, or of events."]
        elif one.deliveries and one.destinations:
            found["destinations"] = ["A delivery has its destination. Name others with ids of events."]
    return found


def _text(length: int) -> Callable[[Any], str]:
    def read(value: Any) -> str:
        if not isinstance(value, str) or not 0 < len(value) <= length or "\x00" in value:
            raise ValueError(f"Must be a text of 1 to {length} characters.")
        return value

    return read


def moment_in(value: Any) -> datetime:
    """Return the time that somebody wrote; raise ``ValueError`` with what to write."""
    try:
        # A plus sign in an address that nobody encoded arrives as a space.
        found = value if isinstance(value, datetime) else parse_datetime(str(value).strip().replace(" 00:00", "+00:00"))
    except ValueError:
        found = None
    if found is None:
        raise ValueError("Write a time like 2026-03-12T06:00:00Z.")
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _hours(value: Any) -> int:
    text = str(value)
    if not (text.isascii() and text.isdecimal() and len(text) < 8 and 1 <= int(text) <= MOST_HOURS):
        raise ValueError("Must be a whole number of hours.")
    return int(text)


def _items(value: Any) -> list[Any]:
    if isinstance(value, str):
        return value.replace(",", " ").split()
    return list(value) if isinstance(value, list | tuple | set) else [value]


def _uuids(most: int) -> Callable[[Any], tuple[UUID, ...]]:
    def read(value: Any) -> tuple[UUID, ...]:
        try:
            found = sorted({one if isinstance(one, UUID) else UUID(str(one)) for one in _items(value)})
        except (ValueError, TypeError) as error:
            raise ValueError("Must be ids (UUIDs).") from error
        if len(found) > most:
            raise ValueError(f"At most {most:,} at once.")
        return tuple(found)

    return read


def _numbers(value: Any) -> tuple[int, ...]:
    texts = [str(one) for one in _items(value)]
    if not all(one.isascii() and one.isdecimal() and len(one) < 20 and int(one) <= _BIGGEST_ID for one in texts):
        raise ValueError("Must be ids of deliveries: whole numbers.")
    if len(texts) > MOST_CHOSEN:
        raise ValueError(f"At most {MOST_CHOSEN:,} at once. Choose more by a filter.")
    return tuple(sorted({int(one) for one in texts}))


def _status(value: Any) -> str:
    if value not in DeliveryStatus.values:
        raise ValueError(f"Must be one of: {', '.join(DeliveryStatus.values)}.")
    return str(value)


def _source(value: Any) -> str:
    slug = _text(64)(value)
    if not Source.objects.filter(slug=slug).exists():
        raise ValueError("No source has that slug.")
    return slug


_READERS: Mapping[str, Callable[[Any], Any]] = {
    "destinations": _uuids(MOST_DESTINATIONS), "since": moment_in, "until": moment_in, "hours": _hours,
    "type": _text(TYPE_LENGTH), "user_id": _text(ID_LENGTH), "reference_id": _text(ID_LENGTH),
    "terra_reference": _text(ID_LENGTH), "trace_id": _text(1000), "source": _source, "outcome": _status,
    "error_code": _text(64), "deliveries": _numbers, "events": _uuids(MOST_CHOSEN),
}  # fmt: skip


# --- bounds, and how it is kept ---------------------------------------------------------------------------
def bounded(selection: Selection, now: datetime) -> Selection:
    """Return it with an end: what is received, or made, after ``now`` is no part of it."""
    values = {one.name: getattr(selection, one.name) for one in fields(selection)}
    if selection.kind == ReplayKind.FAILED:
        newest = Delivery.objects.order_by("-pk").values_list("pk", flat=True).first()
        return Selection(**{**values, "last_delivery": newest or 0})
    if selection.kind == ReplayKind.CHOSEN:
        return selection
    return Selection(**{**values, "until": min(selection.until or now, now)})


def stored(selection: Selection) -> dict[str, Any]:
    """Return it as JSON, for ``Replay.selection``."""
    kept = {name: value for name, value in asdict(selection).items() if value and name not in ("kind", "destinations")}
    return {name: _plain(value) for name, value in kept.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [one if isinstance(one, int) else str(one) for one in value]
    return value.isoformat() if isinstance(value, datetime) else value


def selection_in(row: Replay) -> Selection:
    """Return what a job selects."""
    kept = dict(row.selection)
    for name in ("since", "until"):
        if name in kept:
            kept[name] = datetime.fromisoformat(kept[name])
    kept["deliveries"] = tuple(kept.get("deliveries", ()))
    kept["events"] = tuple(UUID(one) for one in kept.get("events", ()))
    return Selection(row.kind, tuple(UUID(one) for one in row.destination_ids), **kept)


def event_range(selection: Selection) -> tuple[UUID, UUID]:
    """Return the lowest id of an event that may belong to it, and the lowest beyond: times are ranges of the key."""
    first = first_id_at(selection.since) if selection.since else UUID(int=0)
    return first, first_id_at(selection.until) if selection.until else UUID(int=2**128 - 1)
