"""Replays in words: what one selects, where it stands, and what is left."""

from collections.abc import Mapping
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from destinations.models import Destination
from destinations.shown import Chip, Tone, exact, relative, span
from destinations.states import State, state_of
from destinations.texts import visible
from webhooks.keeping.forecast import Forecast
from webhooks.keeping.progress import Progress
from webhooks.keeping.selections import Selection, selection_in
from webhooks.models import Delivery, DeliveryStatus, Replay, ReplayKind, ReplayStatus

CHIPS: Mapping[str, Chip] = {
    ReplayStatus.RUNNING: Chip("Running", "sync", Tone.INFO),
    ReplayStatus.PAUSED: Chip("Paused", "pause_circle", Tone.WARN),
    ReplayStatus.CANCELLED: Chip("Cancelled", "cancel", Tone.QUIET),
    ReplayStatus.DONE: Chip("Done", "check_circle", Tone.GOOD),
    ReplayStatus.STOPPED: Chip("Stopped", "error", Tone.BAD),
}
_FILTERS = {
    "type": "type", "user_id": "user", "reference_id": "reference", "terra_reference": "Terra reference",
    "trace_id": "trace id", "source": "source",
}  # fmt: skip
_NAMES_SHOWN = 3
_FEW_SECONDS = 10
_WAITING_LOOKED_AT = 200


def names_of(replays: list[Replay]) -> dict[UUID, str]:
    """Return the names of all destinations of these jobs, read at once."""
    ids = {one for row in replays for one in row.destination_ids[:_NAMES_SHOWN]}
    return dict(Destination.objects.filter(pk__in=ids).values_list("pk", "name"))


def what_of(row: Replay, names: Mapping[UUID, str]) -> str:
    """Return what a job selects."""
    return describe(selection_in(row), names)


def describe(one: Selection, names: Mapping[UUID, str]) -> str:
    """Return a selection in one line; texts of senders in it show what is hidden in them."""
    to = _destinations(one, names)
    if one.kind == ReplayKind.CHOSEN:
        count = len(one.deliveries or one.events)
        noun = "deliveries" if one.deliveries else "events"
        return (
            f"{count:,} chosen {noun if count > 1 else noun.replace('ies', 'y').removesuffix('s')}{to and f', to {to}'}"
        )
    range_ = _range(one)
    if one.kind == ReplayKind.FAILED:
        code = f" with {visible(one.error_code)}" if one.error_code else ""
        return f"What failed at {to or 'a destination'}{code}{range_}"
    if one.kind == ReplayKind.MISSING:
        return f"What {to or 'a destination'} never got{range_ and f', received{range_}'}"
    filters = [f"{label} {visible(getattr(one, name))}" for name, label in _FILTERS.items() if getattr(one, name)]
    outcome = f", where their delivery is {one.outcome}" if one.outcome else ""
    return f"{'Events with ' + ', '.join(filters) if filters else 'All events'}{range_}{outcome}{to and f', to {to}'}"


def _destinations(one: Selection, names: Mapping[UUID, str]) -> str:
    shown = [visible(names.get(pk, "a destination that is gone")) for pk in one.destinations[:_NAMES_SHOWN]]
    more = len(one.destinations) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def _range(one: Selection) -> str:
    since = f" since {exact(one.since)}" if one.since else ""
    return since + (f" until {exact(one.until)}" if one.until else "")


# --- how long it will take ------------------------------------------------------------------------------------------
def forecast_of(one: Forecast) -> str:
    """Return how long a replay will take, and what that goes by."""
    names = ", ".join(visible(to.name) for to in one.unknown[:_NAMES_SHOWN])
    unknown = f"nothing was delivered to {names or 'its destinations'} in the last 24 hours."
    if one.seconds is None or one.per_s is None:
        return f"How long it takes is not known: {unknown}"
    quick = one.seconds < _FEW_SECONDS
    length = "a few seconds" if quick else span(round(one.seconds))
    about = "" if quick else "about "
    pace = f"{one.per_s:,.0f} a second" if one.per_s >= 1 else f"{one.per_s * 60:,.1f} a minute"
    if one.slowest:
        return f"It takes {about}{length}, at about {pace}: by what {visible(one.slowest.name)} took lately."
    if one.unknown:
        return f"At that rate, {pace}, it takes {length} at least. Whether it can go so fast is not known: {unknown}"
    return f"It takes {about}{length}, at the rate of {pace}."


# --- where it stands ---------------------------------------------------------------------------------------------
def replay_state(row: Replay, done: Progress, now: datetime | None = None) -> State:
    """Return where a job stands: a chip, and one sentence that says what happens next."""
    say = {
        ReplayStatus.RUNNING: _running, ReplayStatus.PAUSED: _paused, ReplayStatus.CANCELLED: _cancelled,
        ReplayStatus.DONE: _done, ReplayStatus.STOPPED: _stopped,
    }[ReplayStatus(row.status)]  # fmt: skip
    return State(CHIPS[row.status], say(row, done, now or timezone.now()))


def _running(row: Replay, done: Progress, now: datetime) -> str:
    if row.step_at is None:
        return "Starts as soon as a worker takes it."
    if row.exhausted:
        return f"Everything is on its way: {done.waiting:,} of {done.queued:,} wait for a try or a retry."
    ended = done.queued - done.waiting
    left = f"; at this speed it ends {relative(now + done.left, now, depth=1)}" if done.left else ""
    return f"{ended:,} of about {done.expected:,} are done{left}."


def _paused(row: Replay, done: Progress, now: datetime) -> str:
    return f"Nothing more is made due until you resume. What is due already ({done.waiting:,}) is still delivered."


def _cancelled(row: Replay, done: Progress, now: datetime) -> str:
    if row.finished_at is None:
        hand = f" {done.waiting:,} are in a worker's hands and are tried once more." if done.waiting else ""
        return f"Is being cancelled: what waits goes back to what it was.{hand}"
    about = "" if row.exhausted else "about "
    dead = f", {done.dead:,}{'+' if done.capped else ''} are dead letters" if done.dead else ""
    return (
        f"Cancelled, ended {exact(row.finished_at)}: {done.restored:,} that waited went back to what they were; "
        f"{done.delivered:,} of {about}{done.expected:,} had been delivered{dead}."
    )


def _done(row: Replay, done: Progress, now: datetime) -> str:
    dead = f"{done.dead:,}{'+' if done.capped else ''} became dead letters" if done.dead else "none failed"
    left_out = f", {done.skipped:,} were left out" if done.skipped else ""
    return f"Done {exact(row.finished_at or now)}: {done.delivered:,} delivered, {dead}{left_out}."


def _stopped(row: Replay, done: Progress, now: datetime) -> str:
    return f"{row.problem or 'A problem stopped it.'} Then resume it: it goes on where it stopped."


def held_up_by(row: Replay) -> list[str]:
    """Return which destinations its deliveries wait for that take nothing now, or fail, and why."""
    if row.status != ReplayStatus.RUNNING:
        return []
    waiting = Delivery.objects.filter(replay=row, status=DeliveryStatus.PENDING).order_by()
    ids = set(waiting.values_list("destination_id", flat=True)[:_WAITING_LOOKED_AT])
    rows = Destination.objects.filter(pk__in=ids).order_by("name")[:_NAMES_SHOWN]
    states = [(one, state_of(one)) for one in rows]
    troubled = [(one, state) for one, state in states if _is_troubled(one)]
    return [f"{visible(one.name)}: {state.sentence}" for one, state in troubled]


def _is_troubled(one: Destination) -> bool:
    return not one.active or one.paused or bool(one.paused_until or one.failing_since)
