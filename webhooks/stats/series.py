"""What was received and delivered over time, from the tallies.

A point's time is when it starts, in UTC. The last point is the running one: it is not over yet.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

from django.db.models import Sum
from django.utils import timezone

from webhooks.models import HOUR_S, MINUTE_S, DeliveredTally, ReceivedTally
from webhooks.stats.percentiles import percentiles
from webhooks.tallying import DURATIONS, OUTCOMES, start_of


class Span(Enum):
    """A stretch of time up to now: its name, the tallies that it is read from, seconds of a point, and points."""

    HOUR = ("hour", MINUTE_S, 60, 60)
    DAY = ("day", HOUR_S, 3600, 24)
    WEEK = ("week", HOUR_S, 6 * 3600, 28)

    def __init__(self, label: str, period_s: int, step_s: int, points: int) -> None:
        """Name what the value says."""
        self.label, self.period_s, self.step_s, self.points = label, period_s, step_s, points

    @classmethod
    def named(cls, label: str) -> "Span":
        """Return the span of a name in a URL: the day where it is none."""
        return next((span for span in cls if span.label == label), cls.DAY)

    def starts(self, now: datetime | None = None) -> list[datetime]:
        """Return when each point starts, oldest first; the last one holds ``now``."""
        last = start_of(now or timezone.now(), self.step_s)
        return [last - timedelta(seconds=self.step_s * back) for back in reversed(range(self.points))]


@dataclass(frozen=True, slots=True)
class ReceivedPoint:
    """New events of one step, and the bytes of their bodies."""

    starts_at: datetime
    events: int
    bytes: int


@dataclass(frozen=True, slots=True)
class DeliveredPoint:
    """Attempts that ended within one step, by outcome."""

    starts_at: datetime
    delivered: int
    failed: int  # may succeed later
    rejected: int  # for good

    @property
    def attempts(self) -> int:
        """Return all of them."""
        return self.delivered + self.failed + self.rejected


@dataclass(frozen=True, slots=True)
class DurationPoint:
    """How long the attempts of one step took, in milliseconds; ``None`` where there was none."""

    starts_at: datetime
    p50: int | None
    p95: int | None
    p99: int | None


def received_series(span: Span, now: datetime | None = None) -> list[ReceivedPoint]:
    """Return what all sources together brought in, a point for each step."""
    starts = span.starts(now)
    sums = _summed(_within(ReceivedTally, span, starts), ("events", "bytes"), span, starts)
    return [ReceivedPoint(start, *counts) for start, counts in sums]


def delivered_series(
    span: Span, destination_id: UUID | None = None, now: datetime | None = None
) -> list[DeliveredPoint]:
    """Return how attempts ended, at one destination or at all of them, a point for each step."""
    starts = span.starts(now)
    sums = _summed(_of(destination_id, _within(DeliveredTally, span, starts)), OUTCOMES, span, starts)
    return [DeliveredPoint(start, *counts) for start, counts in sums]


def duration_series(destination_id: UUID, span: Span, now: datetime | None = None) -> list[DurationPoint]:
    """Return how long attempts took at a destination, a point for each step. ``percentile`` says how exact it is."""
    starts = span.starts(now)
    sums = _summed(_of(destination_id, _within(DeliveredTally, span, starts)), DURATIONS, span, starts)
    return [DurationPoint(start, *percentiles(counts)) for start, counts in sums]


def _within(model: Any, span: Span, starts: Sequence[datetime]) -> Any:
    """Return the tallies of a span, asked for by each of their times: see ``each_start``."""
    return model.objects.filter(period_s=span.period_s, starts_at__in=each_start(span, starts))


def each_start(span: Span, starts: Sequence[datetime]) -> list[datetime]:
    """Return when each tally of a span starts.

    Not a range: PostgreSQL would take the many minutes of these days for hours, and read the whole table.
    """
    inside = range(0, span.step_s, span.period_s)
    return [start + timedelta(seconds=seconds) for start in starts for seconds in inside]


def _of(destination_id: UUID | None, rows: Any) -> Any:
    return rows if destination_id is None else rows.filter(destination_id=destination_id)


def _summed(
    rows: Any, columns: Sequence[str], span: Span, starts: Iterable[datetime]
) -> Iterable[tuple[datetime, list[int]]]:
    """Add up all writers' rows of each step; a step without a row is zero."""
    totals = {start: [0] * len(columns) for start in starts}
    sums = rows.values("starts_at").annotate(**{f"sum_{name}": Sum(name) for name in columns})
    for found in sums.values_list("starts_at", *(f"sum_{name}" for name in columns)):
        total = totals[start_of(found[0], span.step_s)]
        total[:] = [before + more for before, more in zip(total, found[1:], strict=True)]
    return totals.items()
