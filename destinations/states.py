"""How a destination is, in one word and in one sentence."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

from django.utils import timezone

from destinations.models import Destination
from destinations.shown import Chip, Tone, exact, relative
from destinations.troubles import check_was_refused

# Why the hub itself holds deliveries back for a while: destinations.models.Destination.pause_reason.
HELD = {
    "breaker": "after many failures in a row, only one try at a time goes out",
    "retry_after": "the other side asked to be left alone",
}
# What lists can be filtered by: states that can be told from the row by the database.
IN_STATE: Mapping[str, dict[str, Any]] = {
    "failing": {"failing_since__isnull": False, "active": True},
    "paused": {"paused": True, "active": True},
    "disabled": {"active": False},
}
HEALTHY = Chip("Healthy", "check_circle", Tone.GOOD)
FAILING = Chip("Failing", "error", Tone.BAD)
CREDENTIALS_REJECTED = Chip("Credentials rejected", "key_off", Tone.BAD)
CHECK_FAILED = Chip("Check failed", "error", Tone.BAD)
UNTESTED = Chip("Untested", "help", Tone.INFO)
PAUSED = Chip("Paused", "pause_circle", Tone.WARN)
DISABLED = Chip("Disabled", "block", Tone.QUIET)
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
    """Return how a destination is. It is called healthy only after a check that passed, or a delivery."""
    now = now or timezone.now()
    if not row.active:
        return _disabled(row)
    if row.paused:
        return State(PAUSED, "Paused: deliveries collect, and none is sent until you resume.")
    if row.paused_until and row.paused_until > now:
        return _held(row)
    if row.failing_since:
        return _failing(row)
    return _untroubled(row)


def _disabled(row: Destination) -> State:
    why = f" {row.disabled_reason}" if row.disabled_reason else ""
    return State(
        DISABLED,
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
    # Refusals of single events, such as an answer of 422, are no failures of the destination, and not counted.
    count = f"; failures in a row: {row.consecutive_failures}" if row.consecutive_failures else ""
    return State(FAILING, f"Failing since {exact(since)} ({relative(since)}){count}.")


def _untroubled(row: Destination) -> State:
    if row.check_passed is None:
        return _unchecked(row)
    moment = f"{exact(row.checked_at)} ({relative(row.checked_at)})" if row.checked_at else ""
    if row.check_passed:
        return State(HEALTHY, f"No failures. Its last check passed at {moment}.")
    refused = check_was_refused(row.type, row.check_steps)
    return State(
        CREDENTIALS_REJECTED if refused else CHECK_FAILED,
        f"Its last check failed at {moment}: the steps below say where.",
    )


def _unchecked(row: Destination) -> State:
    if row.proven_at:
        moment = f"{exact(row.proven_at)} ({relative(row.proven_at)})"
        return State(HEALTHY, f"No failures. Deliveries arrive since {moment}.")
    return State(
        UNTESTED,
        "Untested: as it is set up now, no check has passed and nothing was delivered. Press Check to try it.",
    )


def step_rows(steps: Any) -> list[dict[str, Any]]:
    """Return stored steps of a check with the chip of each."""
    return [{**step, "chip": STEP_CHIPS.get(step["status"], STEP_CHIPS["skipped"])} for step in steps]
