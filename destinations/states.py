"""How a destination is, in one word and in one sentence."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.utils import timezone

from destinations.models import Destination
from destinations.shown import Chip, Tone, exact, relative

# Why the hub itself holds deliveries back for a while: destinations.models.Destination.pause_reason.
HELD = {
    "breaker": "after many failures in a row, only one try at a time goes out",
    "retry_after": "the other side asked to be left alone",
}
STEP_CHIPS: Mapping[str, Chip] = {
    "passed": Chip("Passed", "check_circle", Tone.GOOD),
    "failed": Chip("Failed", "error", Tone.BAD),
    "warning": Chip("Warning", "warning", Tone.WARN),
    "skipped": Chip("Skipped", "do_not_disturb_on", Tone.QUIET),
}


class State(NamedTuple):
    """A chip, and the sentence that it stands for."""

    chip: Chip
    sentence: str


def state_of(row: Destination, now: datetime | None = None) -> State:
    """Return how a destination is. It is called healthy only after a check that passed."""
    now = now or timezone.now()
    if not row.active:
        return _disabled(row)
    if row.paused:
        return State(
            Chip("Paused", "pause_circle", Tone.WARN), "Paused: deliveries collect, and none is sent until you resume."
        )
    if row.paused_until and row.paused_until > now:
        return _held(row)
    if row.failing_since:
        return _failing(row)
    return _untroubled(row)


def _disabled(row: Destination) -> State:
    why = f" {row.disabled_reason}" if row.disabled_reason else ""
    return State(
        Chip("Disabled", "block", Tone.QUIET),
        f"Disabled: new events get no delivery here, and what waits is kept.{why}",
    )


def _held(row: Destination) -> State:
    why = HELD.get(row.pause_reason, row.pause_reason or "no reason was noted")
    until = row.paused_until
    assert until is not None  # noqa: S101  # the caller has looked
    return State(
        Chip("Held back", "hourglass_top", Tone.BAD if row.failing_since else Tone.WARN),
        f"Held back until {exact(until)} ({relative(until)}): {why}.",
    )


def _failing(row: Destination) -> State:
    since = row.failing_since
    assert since is not None  # noqa: S101  # the caller has looked
    return State(
        Chip("Failing", "error", Tone.BAD),
        f"Failing since {exact(since)} ({relative(since)}); failures in a row: {row.consecutive_failures}.",
    )


def _untroubled(row: Destination) -> State:
    if row.check_passed is None:
        return State(
            Chip("Not checked", "help", Tone.INFO),
            "Never checked as it is set up now. Press Check to try it step by step.",
        )
    moment = f"{exact(row.checked_at)} ({relative(row.checked_at)})" if row.checked_at else ""
    if row.check_passed:
        return State(Chip("Healthy", "check_circle", Tone.GOOD), f"No failures. Its last check passed at {moment}.")
    return State(
        Chip("Check failed", "error", Tone.BAD), f"Its last check failed at {moment}: the steps below say where."
    )


def step_rows(steps: Any) -> list[dict[str, Any]]:
    """Return stored steps of a check with the chip of each."""
    return [{**step, "chip": STEP_CHIPS.get(step["status"], STEP_CHIPS["skipped"])} for step in steps]
