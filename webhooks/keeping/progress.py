"""How far a replay has come: from its row and from counts that end at a limit."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from webhooks.keeping.queueing import CANCELLED
from webhooks.models import Delivery, DeliveryStatus, Replay, ReplayStatus

COUNTED = 10_000  # rows of one status that are counted


@dataclass(frozen=True, slots=True)
class Progress:
    """A replay's state in numbers."""

    expected: int  # deliveries in all: what was estimated, or more where more were found
    looked_at: int
    queued: int
    delivered: int
    dead: int
    waiting: int  # made due and not done
    cancelled: int  # not by cancelling the replay: those were put back
    skipped: int
    restored: int
    capped: bool  # there are more dead ones than are counted: so many more, and so many fewer delivered
    percent: int
    left: timedelta | None  # until it is done, by the speed of late; None: not known


def progress_of(row: Replay, now: datetime) -> Progress:
    """Return how far a replay is."""
    waiting = _counted(row, DeliveryStatus.PENDING)
    dead = _counted(row, DeliveryStatus.DEAD)
    cancelled = _counted(row, DeliveryStatus.CANCELLED, but=CANCELLED)
    done = max(0, row.queued - waiting - row.restored)
    # Few enough are counted. Of more, all that did not end otherwise were delivered, but those that a
    # resend or another replay has taken over meanwhile.
    few = row.queued <= COUNTED
    delivered = _counted(row, DeliveryStatus.DELIVERED) if few else max(0, done - dead - cancelled)
    expected = row.queued + row.skipped if row.exhausted else max(row.estimate, row.queued + row.skipped)
    return Progress(
        expected=expected,
        looked_at=row.looked_at,
        queued=row.queued,
        delivered=delivered,
        dead=dead,
        waiting=waiting,
        cancelled=cancelled,
        skipped=row.skipped,
        restored=row.restored,
        capped=max(dead, waiting, cancelled) > COUNTED,
        percent=_percent(row, done, expected),
        left=_left(row, done, expected, now),
    )


def _counted(row: Replay, status: str, but: str = "") -> int:
    rows = Delivery.objects.filter(replay_id=row.pk, status=status).order_by()
    rows = rows.exclude(last_error_code=but) if but else rows
    return int(rows.values("pk")[: COUNTED + 1].count())


def _percent(row: Replay, done: int, expected: int) -> int:
    """Return the share that is done; what was put back is not. All of it only once nothing more can come."""
    if row.status == ReplayStatus.DONE:
        return 100
    most = 100 if row.status == ReplayStatus.CANCELLED and row.finished_at else 99
    return min(most, 100 * (done + row.skipped) // expected) if expected else 0


def _left(row: Replay, done: int, expected: int, now: datetime) -> timedelta | None:
    """Return what is left by the speed since it was started or last resumed."""
    seconds = (now - row.measured_from).total_seconds() if row.measured_from else 0
    lately = done - row.measured_queued
    if row.status != ReplayStatus.RUNNING or seconds <= 0 or lately <= 0:
        return None
    return timedelta(seconds=max(0, expected - done - row.skipped) * seconds / lately)
