"""A report over a span of time: what came in and how tries ended, by bucket, split or not, from the tallies.

What is received is tallied per source, what is tried per destination (decisions/0009); both are tallied per source
and type, and per source and provider. So a destination has no split by type, and no count of what was received.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any
from uuid import UUID

from django.db.models import F, Sum
from django.db.models.functions import TruncDay
from django.utils import timezone

from destinations.services import Refused
from webhooks.models import HOUR_S, MINUTE_S, DeliveredTally, ReceivedTally, SplitTally
from webhooks.stats.percentiles import percentiles
from webhooks.tallying import DURATIONS, KEPT, OUTCOMES, PROVIDER, TYPE, start_of

MOST_BUCKETS = 1500
MOST_ROWS = 10_000  # of a report that is split
DEFAULT_SPAN = timedelta(hours=24)
DESTINATION, SOURCE = "destination", "source"
SPLITS = (DESTINATION, SOURCE, TYPE, PROVIDER)
_RECEIVED = ("events", "bytes")
_TRIED = (*OUTCOMES, *DURATIONS)
_DAY_S = 24 * HOUR_S


class Bucket(Enum):
    """How long a bucket is: its name, the tallies that it is read from, and its seconds."""

    MINUTE = ("minute", MINUTE_S, MINUTE_S)
    HOUR = ("hour", HOUR_S, HOUR_S)
    DAY = ("day", HOUR_S, _DAY_S)

    def __init__(self, label: str, period_s: int, step_s: int) -> None:
        """Name what the value says."""
        self.label, self.period_s, self.step_s = label, period_s, step_s


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked: from a bucket's start up to another one's, which is not in it."""

    since: datetime
    until: datetime
    bucket: Bucket
    split_by: str = ""
    destination_id: UUID | None = None
    source_id: UUID | None = None

    @property
    def knows_received(self) -> bool:
        """Tell whether what came in is counted for it: it belongs to sources."""
        return not self.destination_id and self.split_by != DESTINATION


@dataclass(frozen=True, slots=True)
class Counts:
    """What happened in one bucket, or in all of them; ``None``: that is not counted for it."""

    received: int | None  # new events
    bytes: int | None  # of their bodies
    delivered: int  # tries that ended so; the next two as well
    failed: int  # may succeed later
    rejected: int  # for good
    p50_ms: int | None  # of the tries; webhooks.stats.percentiles says how exact
    p95_ms: int | None
    p99_ms: int | None

    @property
    def attempts(self) -> int:
        """Return all tries."""
        return self.delivered + self.failed + self.rejected

    @property
    def success_rate(self) -> float | None:
        """Return the share of the tries that delivered, 0 to 1; ``None`` where there was none."""
        return self.delivered / self.attempts if self.attempts else None


@dataclass(frozen=True, slots=True)
class Report:
    """Counts by bucket (with a key, where it is split), by key, and in all."""

    wanted: Wanted
    rows: list[tuple[datetime, Any, Counts]]
    groups: list[tuple[Any, Counts]]
    totals: Counts


# --- what is asked -----------------------------------------------------------------------------------
def wanted(
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    bucket: str = "",
    now: datetime | None = None,
    **about: Any,
) -> Wanted:
    """Return what is asked, with what was left open; raise ``Refused`` with what to change.

    ``until`` is now, unless said, ``since`` a day before it, and a bucket such that there are a few hundred at most.
    ``about`` is what else ``Wanted`` has.
    """
    now = now or timezone.now()
    until = min(until or now, now + timedelta(seconds=1))
    if since is None:
        since = max(until, now - KEPT[HOUR_S] + DEFAULT_SPAN) - DEFAULT_SPAN
    if since >= until:
        raise Refused({"since": ["Must lie before until, and in the past."]})
    size = _bucket(bucket, since, until, now)
    first = start_of(since, size.step_s)
    _refuse_too_old(size, first, now)
    asked = Wanted(first, _end(until, size.step_s), size, **about)
    _refuse_too_many(asked)
    _refuse_uncounted(asked)
    return asked


def _bucket(label: str, since: datetime, until: datetime, now: datetime) -> Bucket:
    if label:
        return next(size for size in Bucket if size.label == label)
    span = until - since
    if span <= timedelta(hours=3) and since > now - KEPT[MINUTE_S]:
        return Bucket.MINUTE
    return Bucket.HOUR if span <= timedelta(days=14) else Bucket.DAY


def _end(until: datetime, step_s: int) -> datetime:
    start = start_of(until, step_s)
    return start if start == until else start + timedelta(seconds=step_s)


def _refuse_too_old(size: Bucket, first: datetime, now: datetime) -> None:
    kept = KEPT[size.period_s]
    if first < start_of(now - kept, size.step_s):
        other = "Ask for hours or days, or b" if size is Bucket.MINUTE else "B"
        oldest = (now - kept).isoformat(timespec="seconds")
        raise Refused({"since": [f"{size.label.capitalize()}s go back {kept.days} days. {other}egin after {oldest}."]})


def _refuse_too_many(asked: Wanted) -> None:
    count = (asked.until - asked.since) // timedelta(seconds=asked.bucket.step_s)
    if count > MOST_BUCKETS:
        text = f"That is {count:,} buckets, and at most {MOST_BUCKETS:,} are counted."
        raise Refused({"bucket": [text]}, hint="Ask for longer buckets or for a shorter span.")


def _refuse_uncounted(asked: Wanted) -> None:
    if asked.destination_id and (asked.source_id or asked.split_by not in ("", DESTINATION)):
        text = "Of one destination, sources, types and providers are not counted apart."
        raise Refused({"split_by" if asked.split_by else SOURCE: [text]}, hint="Leave the destination out.")
    if asked.source_id and asked.split_by == DESTINATION:
        raise Refused({"split_by": ["Of one source, destinations are not counted apart."]}, hint="Leave source out.")


# --- counting ----------------------------------------------------------------------------------------
_Cell = list[int]  # in the order of _RECEIVED and _TRIED


def report(asked: Wanted) -> Report:
    """Count; raise ``Refused`` where a split has more rows than ``MOST_ROWS``."""
    cells: dict[tuple[datetime, Any], _Cell] = {}
    for rows, columns, key in _parts(asked):
        for start, name, *counts in _summed(rows, columns, key, asked.bucket):
            cell = cells.setdefault((start, name), [0] * len((*_RECEIVED, *_TRIED)))
            place = 0 if columns[0] == _RECEIVED[0] else len(_RECEIVED)
            cell[place : place + len(counts)] = counts
    if asked.split_by:
        _refuse_many_rows(cells)
    else:
        cells = {(start, None): cells.get((start, None), [0] * len((*_RECEIVED, *_TRIED))) for start in _starts(asked)}
    shown = [(start, name, _counts(asked, cell)) for (start, name), cell in cells.items()]
    shown.sort(key=lambda row: (row[0], str(row[1])))
    return Report(asked, shown, _groups(asked, cells), _counts(asked, *cells.values()))


def _groups(asked: Wanted, cells: dict[tuple[datetime, Any], _Cell]) -> list[tuple[Any, Counts]]:
    if not asked.split_by:
        return []
    of_each: dict[Any, list[_Cell]] = {}
    for (_, name), cell in cells.items():
        of_each.setdefault(name, []).append(cell)
    return [(name, _counts(asked, *of_each[name])) for name in sorted(of_each, key=str)]


def _counts(asked: Wanted, *cells: _Cell) -> Counts:
    sums = [sum(column) for column in zip(*cells, strict=True)] or [0] * len((*_RECEIVED, *_TRIED))
    received, size, delivered, failed, rejected, *durations = sums
    known = asked.knows_received
    return Counts(
        received if known else None, size if known else None, delivered, failed, rejected, *percentiles(durations)
    )


def _parts(asked: Wanted) -> Iterator[tuple[Any, Sequence[str], str]]:
    """Yield tallies, which of their columns count, and the column that splits them."""
    if asked.split_by in (TYPE, PROVIDER):
        yield _of_source(asked, SplitTally.objects.filter(kind=asked.split_by)), (*_RECEIVED, *_TRIED), "name"
        return
    if not asked.knows_received:
        rows = DeliveredTally.objects.all()
        one = rows.filter(destination_id=asked.destination_id) if asked.destination_id else rows
        yield _within(asked, one), _TRIED, "destination_id" if asked.split_by else ""
        return
    key = "source_id" if asked.split_by else ""
    yield _of_source(asked, ReceivedTally.objects.all()), _RECEIVED, key
    if key or asked.source_id:  # of a source, what is tried is counted by type; every event has one
        yield _of_source(asked, SplitTally.objects.filter(kind=TYPE)), _TRIED, key
    else:
        yield _within(asked, DeliveredTally.objects.all()), _TRIED, ""


def _of_source(asked: Wanted, rows: Any) -> Any:
    return _within(asked, rows.filter(source_id=asked.source_id) if asked.source_id else rows)


def _within(asked: Wanted, rows: Any) -> Any:
    """Keep the tallies of the span, asked for by each of their times: see ``series.each_start``."""
    period_s = asked.bucket.period_s
    count = (asked.until - asked.since) // timedelta(seconds=period_s)
    starts = [asked.since + timedelta(seconds=period_s * number) for number in range(count)]
    return rows.filter(period_s=period_s, starts_at__in=starts)


def _summed(rows: Any, columns: Sequence[str], key: str, size: Bucket) -> Any:
    """Add up all writers' rows of each bucket and key; a day is added up by the database."""
    start = TruncDay("starts_at", tzinfo=UTC) if size is Bucket.DAY else F("starts_at")
    names = ("start", key) if key else ("start",)
    sums = rows.annotate(start=start).order_by().values(*names).annotate(**{f"sum_{one}": Sum(one) for one in columns})
    found = sums.values_list(*names, *(f"sum_{one}" for one in columns))[: MOST_ROWS + 1]
    return found if key else ((row[0], None, *row[1:]) for row in found)


def _refuse_many_rows(cells: dict[tuple[datetime, Any], _Cell]) -> None:
    if len(cells) > MOST_ROWS:
        text = f"Split so, it has more than {MOST_ROWS:,} rows."
        raise Refused({"split_by": [text]}, hint="Ask for longer buckets or for a shorter span.")


def _starts(asked: Wanted) -> list[datetime]:
    step = timedelta(seconds=asked.bucket.step_s)
    return [asked.since + step * number for number in range((asked.until - asked.since) // step)]
