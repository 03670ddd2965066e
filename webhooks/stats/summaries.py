"""How each of many destinations does: one summary each, in a handful of queries for all of them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection
from django.db.models import Sum
from django.utils import timezone

from webhooks.delivering import outbox
from webhooks.models import HOUR_S, DeliveredTally
from webhooks.sql import as_moment, as_uuid, bind, marks
from webhooks.stats.percentiles import percentiles
from webhooks.stats.series import Span
from webhooks.tallying import DURATIONS, OUTCOMES

CAP = 1000  # what waits is counted up to here
_MINUTES = 120  # tallies of minutes that are asked for the last success


@dataclass(frozen=True, slots=True)
class Queue:
    """What waits for a destination."""

    waiting: int = 0  # pending deliveries, those that are being tried too; at most CAP
    waiting_capped: bool = False  # there are more than CAP
    oldest_due: datetime | None = None  # since when the longest overdue one could have gone out
    # When the next one goes out: past where one is due now. None: nothing waits, or the destination is paused,
    # disabled or deleted, or all that waits is being tried.
    next_try_at: datetime | None = None
    # The start of the minute in which an attempt delivered last; of the hour, where it has failed for long since.
    last_success_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Summary:
    """A destination in numbers: the running hour and the 23 before it, and what waits now."""

    delivered: int = 0
    failed: int = 0
    rejected: int = 0
    success: float | None = None  # the share of attempts that delivered, 0 to 1; None: no attempt
    p50: int | None = None  # milliseconds; webhooks.stats.percentiles says how exact
    p95: int | None = None
    p99: int | None = None
    waiting: int = 0
    waiting_capped: bool = False
    oldest_due: datetime | None = None
    next_try_at: datetime | None = None
    last_success_at: datetime | None = None
    sparkline: list[int] = field(default_factory=lambda: [0] * Span.DAY.points)  # attempts that delivered, by hour
    failures_by_hour: list[int] = field(default_factory=lambda: [0] * Span.DAY.points)  # all others

    @property
    def attempts(self) -> int:
        """Return all attempts of the 24 hours."""
        return self.delivered + self.failed + self.rejected


def summary(destination_id: UUID, now: datetime | None = None) -> Summary:
    """Return one destination's summary."""
    return summaries([destination_id], now)[destination_id]


def summaries(destination_ids: Iterable[UUID], now: datetime | None = None) -> dict[UUID, Summary]:
    """Return a summary of each destination, in four queries; meant for up to 200 of them at a time."""
    ids = list(destination_ids)
    if not ids:
        return {}
    now = now or timezone.now()
    starts = Span.DAY.starts(now)
    totals, hours, waits = _totals(ids, starts), _hours(ids, starts), queues(ids)
    return {pk: _summary(totals.get(pk), hours.get(pk), waits.get(pk, Queue())) for pk in ids}


def _summary(total: Sequence[int] | None, hours: tuple[list[int], list[int]] | None, queue: Queue) -> Summary:
    waits = {name: getattr(queue, name) for name in Queue.__dataclass_fields__}
    if total is None or hours is None:
        return Summary(**waits)
    delivered, failed, rejected, *durations = total
    attempts = delivered + failed + rejected
    return Summary(
        delivered, failed, rejected, delivered / attempts if attempts else None, *percentiles(durations), **waits,
        sparkline=hours[0], failures_by_hour=hours[1],
    )  # fmt: skip


def _tallies(ids: Sequence[UUID], starts: Sequence[datetime]) -> Any:
    return DeliveredTally.objects.filter(destination_id__in=ids, period_s=HOUR_S, starts_at__in=starts)


def _totals(ids: Sequence[UUID], starts: Sequence[datetime]) -> dict[UUID, list[int]]:
    columns = (*OUTCOMES, *DURATIONS)
    rows = _tallies(ids, starts).values("destination_id").annotate(**{f"sum_{name}": Sum(name) for name in columns})
    return {row[0]: list(row[1:]) for row in rows.values_list("destination_id", *(f"sum_{name}" for name in columns))}


def _hours(ids: Sequence[UUID], starts: Sequence[datetime]) -> dict[UUID, tuple[list[int], list[int]]]:
    """Return for each destination how many attempts delivered, and how many did not, in each hour."""
    place = {start: number for number, start in enumerate(starts)}
    found: dict[UUID, tuple[list[int], list[int]]] = {}
    rows = _tallies(ids, starts).values("destination_id", "starts_at")
    for pk, start, *counts in rows.annotate(*map(Sum, OUTCOMES)).values_list(
        "destination_id", "starts_at", *(f"{name}__sum" for name in OUTCOMES)
    ):
        delivered, others = found.setdefault(pk, ([0] * len(starts), [0] * len(starts)))
        delivered[place[start]] += counts[0]
        others[place[start]] += counts[1] + counts[2]
    return found


# --- what waits -----------------------------------------------------------------------------------
# Each column is a look by an index that stops at its limit: a backlog of any size costs the same. The order is
# there to keep PostgreSQL to that index: without it, it may read the table, hoping to meet enough rows early.
_PENDING = "FROM webhooks_delivery w WHERE w.destination_id = d.id AND w.status = 'pending'"
_TALLY = "FROM webhooks_deliveredtally t WHERE t.destination_id = d.id"
_QUEUES = f"""
SELECT d.id, d.active AND NOT d.paused AND d.deleted_at IS NULL, d.paused_until,
    (SELECT COUNT(*) FROM (SELECT 1 {_PENDING} ORDER BY w.next_attempt_at LIMIT {CAP + 1}) q),
    (SELECT w.next_attempt_at {_PENDING} AND w.next_attempt_at <= %s ORDER BY w.next_attempt_at LIMIT 1),
    (SELECT w.next_attempt_at {_PENDING} AND w.next_attempt_at > %s AND w.claimed_by = ''
        ORDER BY w.next_attempt_at LIMIT 1),
    (SELECT q.starts_at FROM (SELECT t.starts_at, t.delivered {_TALLY} AND t.period_s = 60
        ORDER BY t.starts_at DESC LIMIT {_MINUTES}) q WHERE q.delivered > 0 ORDER BY q.starts_at DESC LIMIT 1),
    (SELECT t.starts_at {_TALLY} AND t.period_s = 3600 AND t.delivered > 0 ORDER BY t.starts_at DESC LIMIT 1)
FROM destinations_destination d WHERE d.id IN ({{ids}})
"""  # noqa: S608  # constants


def queues(destination_ids: Iterable[UUID]) -> dict[UUID, Queue]:
    """Return what waits for each destination, in one query (and one for the database's clock)."""
    ids = list(destination_ids)
    if not ids:
        return {}
    now = outbox.now()
    with connection.cursor() as cursor:
        cursor.execute(_QUEUES.format(ids=marks(ids)), [bind(now), bind(now), *map(bind, ids)])
        return {as_uuid(row[0]): _queue(row[1:]) for row in cursor.fetchall()}


def _queue(row: Sequence[Any]) -> Queue:
    takes, *moments = row[0], *map(as_moment, (row[1], *row[3:]))
    held_until, due, upcoming, *successes = moments
    first = due or upcoming
    return Queue(
        waiting=min(row[2], CAP),
        waiting_capped=row[2] > CAP,
        oldest_due=due,
        next_try_at=max(first, held_until or first) if takes and first else None,
        last_success_at=max((moment for moment in successes if moment), default=None),
    )


def waiting() -> int:
    """Return how many deliveries wait in all, at most ``CAP + 1``."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT 1 FROM webhooks_delivery WHERE status = 'pending' "  # noqa: S608  # a constant
            f"ORDER BY destination_id, next_attempt_at LIMIT {CAP + 1}"
        )
        return len(cursor.fetchall())
