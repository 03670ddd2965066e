"""Deliveries and attempts in words: what a person wants to know first."""

from collections.abc import Mapping
from datetime import datetime

from django.utils import timezone

from destinations.models import Destination
from destinations.shown import Chip, Tone, exact, relative
from destinations.states import HELD, State
from webhooks.models import Attempt, AttemptOutcome, Delivery, DeliveryStatus

STATUS_CHIPS: Mapping[str, Chip] = {
    DeliveryStatus.PENDING: Chip("Pending", "schedule", Tone.INFO),
    DeliveryStatus.DELIVERED: Chip("Delivered", "check_circle", Tone.GOOD),
    DeliveryStatus.DEAD: Chip("Dead letter", "error", Tone.BAD),
    DeliveryStatus.CANCELLED: Chip("Cancelled", "cancel", Tone.QUIET),
}
BEING_TRIED = Chip("Being tried", "sync", Tone.INFO)
OUTCOME_CHIPS: Mapping[str, Chip] = {
    AttemptOutcome.DELIVERED: Chip("Delivered", "check_circle", Tone.GOOD),
    AttemptOutcome.FAILED: Chip("Failed, may succeed later", "refresh", Tone.WARN),
    AttemptOutcome.REJECTED: Chip("Rejected for good", "error", Tone.BAD),
    AttemptOutcome.UNKNOWN: Chip("Outcome unknown", "help", Tone.QUIET),
}
CANCELLED_WHY = {
    "destination_deleted": "its destination was deleted",
    "replay_cancelled": "the replay that had made it was cancelled",
    "cancelled_by_hand": "somebody cancelled it",
}


def delivery_state(delivery: Delivery, now: datetime | None = None) -> State:
    """Return where a delivery stands: a chip, and one sentence that says what happens next."""
    now = now or timezone.now()
    sentences = {
        DeliveryStatus.DELIVERED: _delivered,
        DeliveryStatus.DEAD: _dead,
        DeliveryStatus.CANCELLED: _cancelled,
    }
    say = sentences.get(DeliveryStatus(delivery.status))
    return State(STATUS_CHIPS[delivery.status], say(delivery) if say else _pending(delivery, now))


def _delivered(delivery: Delivery) -> str:
    return f"Delivered with attempt {delivery.attempt_count}, {_moment(delivery.settled_at)}."


def _dead(delivery: Delivery) -> str:
    code = f" ({delivery.last_error_code})" if delivery.last_error_code else ""
    return (
        f"Given up after {_attempts(delivery)}, {_moment(delivery.settled_at)}{code}. "
        "It is kept: mend the cause, then resend it."
    )


def _cancelled(delivery: Delivery) -> str:
    why = CANCELLED_WHY.get(delivery.last_error_code, delivery.last_error_code or "no reason was noted")
    return f"Cancelled {_moment(delivery.settled_at)}: {why}."


def _pending(delivery: Delivery, now: datetime) -> str:
    leased = delivery.lease_until(now)
    if leased:
        return (
            f"Attempt {delivery.attempt_count + 1} is under way: worker {delivery.claimed_by} has claimed it until "
            f"{exact(leased)} ({relative(leased, now)}), and goes on claiming it for as long as the try takes."
        )
    held = _held(delivery.destination, now)
    if held:
        return f"Waits with {_attempts(delivery)} behind it: {held}."
    return _next_try(delivery, delivery.next_attempt_at, now)


def _held(row: Destination, now: datetime) -> str:
    if not row.active:
        return "its destination is disabled"
    if row.paused:
        return "its destination is paused"
    if row.paused_until and row.paused_until > now:
        why = HELD.get(row.pause_reason, row.pause_reason)
        return f"its destination is held back until {exact(row.paused_until)} ({why})"
    return ""


def _next_try(delivery: Delivery, due: datetime | None, now: datetime) -> str:
    number = delivery.attempt_count + 1
    if due is None:
        return f"Waits for attempt {number}; no time is set for it."
    if due <= now:
        return f"Due since {exact(due)} ({relative(due, now)}): attempt {number} goes out as soon as a worker takes it."
    used, most = delivery.retry_count, len(delivery.destination.retry_waits)
    after = f" after {delivery.last_error_code}" if delivery.last_error_code else ""
    return f"Attempt {number} at {exact(due)} ({relative(due, now)}){after}; retry {used} of {most}."


def _attempts(delivery: Delivery) -> str:
    count = delivery.attempt_count
    return f"{count or 'no'} attempt{'' if count == 1 else 's'}"


def _moment(moment: datetime | None) -> str:
    return f"{exact(moment)} ({relative(moment)})" if moment else "at a time that was not noted"


def attempt_chip(attempt: Attempt) -> Chip:
    """Return how an attempt ended."""
    return OUTCOME_CHIPS[attempt.outcome]
