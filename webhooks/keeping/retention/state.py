"""How pruning stands, in words: what is kept how long, what was removed, what is behind or stopped."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from destinations.shown import relative, size
from webhooks.keeping.retention.chore import is_behind
from webhooks.keeping.retention.kinds import KINDS
from webhooks.models import RetentionMark

# In words for people; what is not here is told only when it is in trouble.
_TOLD = {
    "payloads": "payloads", "snapshots": "snapshots of requests and answers", "attempts": "attempts",
    "events": "events with their deliveries", "quarantine": "refused requests",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class State:
    """Where all of it stands."""

    kept: str  # what is kept for how long, in one sentence
    done: str  # what was removed, and when last; empty: nothing was looked at yet
    behind: list[str]  # names of kinds that have not caught up for a day
    problems: list[str]  # each "kind, kind: what is wrong"


def state(now: datetime | None = None) -> State:
    """Return how pruning stands."""
    now = now or timezone.now()
    kinds = {kind.name: kind for kind in KINDS if kind.life() is not None}
    marks = [row for row in RetentionMark.objects.order_by("name") if row.name in kinds]
    return State(
        _kept(), _done(marks, now), [row.name for row in marks if is_behind(kinds[row.name], row, now)],
        _problems(marks),
    )  # fmt: skip


def _problems(marks: list[RetentionMark]) -> list[str]:
    """Return what is wrong, that of several kinds once."""
    found: dict[str, list[str]] = {}
    for row in marks:
        if row.problem:
            found.setdefault(row.problem, []).append(row.name)
    return [f"{', '.join(names)}: {problem}" for problem, names in found.items()]


def _kept() -> str:
    lives = {kind.name: kind.life() for kind in KINDS}
    return "Kept are " + ", ".join(f"{what} {_days(lives[name])}" for name, what in _TOLD.items())


def _days(life: timedelta | None) -> str:
    return "for ever" if life is None else f"{life.days} day{'' if life.days == 1 else 's'}"


def _done(marks: list[RetentionMark], now: datetime) -> str:
    steps = [row.step_at for row in marks if row.step_at]
    if not steps:
        return ""
    removed = ", ".join(_removed(marks)) or "nothing so far"
    return f"Looked at {relative(max(steps), now, depth=1)}; removed in all: {removed}"


def _removed(marks: list[RetentionMark]) -> Iterator[str]:
    for row in marks:
        if row.removed:
            yield f"{row.removed:,} {row.name}" + (f" ({size(row.removed_bytes)})" if row.removed_bytes else "")
