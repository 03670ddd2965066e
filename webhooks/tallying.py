"""Tallies: written in the transaction that they count, one statement for each, and pruned when they are old.

They come last in it, in one order of rows, and each process has rows of its own: nobody waits for
them but another thread of the same process, and nothing deadlocks over them.
"""

import os
import secrets
import socket
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from time import monotonic
from typing import Any, NamedTuple, Protocol
from uuid import UUID

import psycopg
import structlog
from django.db import DatabaseError, InterfaceError, transaction
from django.utils import timezone

from webhooks.models import (
    DURATION_BOUNDS_MS,
    HOUR_S,
    MINUTE_S,
    AttemptOutcome,
    DeliveredTally,
    ReceivedTally,
    SplitTally,
)
from webhooks.sql import insert_rows, on_postgres

log = structlog.get_logger(__name__)

PERIODS_S = (MINUTE_S, HOUR_S)
KEPT = {MINUTE_S: timedelta(days=2), HOUR_S: timedelta(days=400)}
PRUNE_ROWS = 1000  # in one transaction
PRUNE_MOST = 10  # transactions of one table in one call
# A tally that the database refuses is left out for so long: time for the commit to be tried again without it.
LEFT_OUT_S = 10.0

OUTCOMES = (AttemptOutcome.DELIVERED.value, AttemptOutcome.FAILED.value, AttemptOutcome.REJECTED.value)
DURATIONS = (*(f"ms_{bound}" for bound in DURATION_BOUNDS_MS), "ms_more")
_PLACE = {outcome: place for place, outcome in enumerate(OUTCOMES)}

TYPE, PROVIDER = "type", "provider"  # kinds of a split tally
OTHER = "(other)"
MOST_NAMES = 200  # of each kind that one process tells apart: what a body says of itself must not make rows without end

_Columns = tuple[tuple[str, str], ...]
_Key = tuple[Any, ...]


class _Table(NamedTuple):
    """A table of tallies: the columns that say what one is of, beside when and by whom; all others are counts."""

    name: str
    keys: _Columns
    counts: _Columns


_ATTEMPTS: _Columns = tuple((name, "int") for name in (*OUTCOMES, *DURATIONS))
_EVENTS: _Columns = (("events", "int"), ("bytes", "bigint"))
_WHEN: _Columns = (("period_s", "smallint"), ("starts_at", "timestamptz"), ("writer", "text"))
_RECEIVED = _Table("webhooks_receivedtally", (("source_id", "uuid"),), _EVENTS)
_DELIVERED = _Table("webhooks_deliveredtally", (("destination_id", "uuid"),), _ATTEMPTS)
_SPLIT = _Table(
    "webhooks_splittally", (("kind", "text"), ("source_id", "uuid"), ("name", "text")), (*_EVENTS, *_ATTEMPTS)
)


class Received(Protocol):
    """What counts of an event that was taken in."""

    source_id: UUID
    type: str
    provider: str
    size: int


class Tried(Protocol):
    """What counts of an attempt that ended."""

    destination_id: UUID
    source_id: UUID | None  # of its event; None: not known any more
    type: str
    provider: str
    outcome: str
    duration_ms: int


def count_events(cursor: Any, events: Iterable[Received], moment: datetime) -> None:
    """Add events that are new to the tallies of their sources, types and providers, in the current transaction."""
    totals, split = _Totals(_RECEIVED), _Totals(_SPLIT)
    for event in events:
        for total in (totals.of(event.source_id), *_split(split, event.source_id, event.type, event.provider)):
            total[0] += 1
            total[1] += event.size
    _add(cursor, totals, moment)
    _add(cursor, split, moment)


def count_attempts(cursor: Any, attempts: Iterable[Tried]) -> None:
    """Add attempts that ended to the tallies of their destinations, types and providers, in this transaction."""
    totals, split, now = _Totals(_DELIVERED), _Totals(_SPLIT), timezone.now()
    for one, count in Counter(map(_counted, attempts)).items():
        total = totals.of(one.destination_id)
        total[one.outcome] += count
        total[one.duration] += count
        for total in _split(split, one.source_id, one.type, one.provider):
            total[len(_EVENTS) + one.outcome] += count
            total[len(_EVENTS) + one.duration] += count
    _add(cursor, totals, now)
    _add(cursor, split, now)


class _Counted(NamedTuple):
    """What is the same of most attempts in a transaction: the places of outcome and duration in a tally, too."""

    destination_id: UUID
    source_id: UUID | None
    type: str
    provider: str
    outcome: int
    duration: int


def _counted(one: Tried) -> _Counted:
    duration = len(OUTCOMES) + bisect_left(DURATION_BOUNDS_MS, one.duration_ms)
    return _Counted(one.destination_id, one.source_id, one.type, one.provider, _PLACE[one.outcome], duration)


class _Totals(dict[_Key, list[int]]):
    """The counts of one transaction for one table, by its keys."""

    def __init__(self, table: _Table) -> None:
        super().__init__()
        self.table = table

    def of(self, *key: Any) -> list[int]:
        """Return the counts of a key, zero at first."""
        found = self.get(key)
        if found is None:
            found = self[key] = [0] * len(self.table.counts)
        return found


def _split(totals: _Totals, source_id: UUID | None, type_: str, provider: str) -> Sequence[list[int]]:
    """Return the counts of a type and of a provider."""
    if source_id is None:
        return ()
    return (
        totals.of(TYPE, source_id, _name(TYPE, type_)),
        totals.of(PROVIDER, source_id, _name(PROVIDER, provider)),
    )


_names: dict[str, set[str]] = {TYPE: set(), PROVIDER: set()}


def _name(kind: str, name: str) -> str:
    """Return the name under which one is counted: its own, unless this process has met too many of them."""
    known = _names[kind]
    if name not in known:
        if len(known) >= MOST_NAMES:
            return OTHER
        known.add(name)
    return name


def start_of(moment: datetime, period_s: int) -> datetime:
    """Return when the period began that a moment lies in."""
    return datetime.fromtimestamp(moment.timestamp() // period_s * period_s, UTC)


def _add(cursor: Any, totals: _Totals, moment: datetime) -> None:
    if not totals or _failed.lately():
        return
    table, me = totals.table, _writer(os.getpid())
    # Most of a histogram is zero: what is left out costs neither the client nor the server.
    used = [place for place in range(len(table.counts)) if any(total[place] for total in totals.values())]
    counts = [table.counts[place] for place in used]
    starts = [(period_s, start_of(moment, period_s)) for period_s in PERIODS_S]
    rows = [(*key, *start, me, *(totals[key][place] for place in used)) for start in starts for key in sorted(totals)]
    with _failed.noted(table.name):
        insert_rows(
            cursor, table.name, [*table.keys, *_WHEN, *counts], rows,
            unless=",".join(name for name, _ in (*table.keys, *_WHEN)), adding=[name for name, _ in counts],
        )  # fmt: skip


@lru_cache(maxsize=1)
def _writer(process: int) -> str:
    """Return the name under which a process counts; a fork has its own."""
    return f"{socket.gethostname()[:24]}-{process}-{secrets.token_hex(4)}"


class _Failures:
    """Remembers that a tally was refused, so that the commit which it broke goes through when it is tried again."""

    def __init__(self) -> None:
        self._at = float("-inf")  # monotonic

    def lately(self) -> bool:
        """Tell whether tallies are left out for now."""
        return monotonic() - self._at < LEFT_OUT_S

    @contextmanager
    def noted(self, table: str) -> Iterator[None]:
        """Note a refusal and let it pass: whoever holds the transaction tries it again."""
        try:
            yield
        except Exception as error:
            # PostgreSQL's operational errors are lost connections and locks: nothing that the tally is to blame for.
            if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
                self._at = monotonic()
                log.error("tallies_left_out", table=table, error=type(error).__name__)
            raise


_failed = _Failures()


def prune(now: datetime | None = None) -> int:
    """Delete tallies that are older than they are kept, in small transactions; return how many.

    One call deletes a bounded number: the next one goes on.
    """
    now = now or timezone.now()
    return sum(
        _prune(model, period_s, now - kept)
        for model in (ReceivedTally, DeliveredTally, SplitTally)
        for period_s, kept in KEPT.items()
    )


def _prune(model: Any, period_s: int, before: datetime) -> int:
    total = 0
    for _ in range(PRUNE_MOST):
        with transaction.atomic():
            # Two workers may prune at once: neither waits for the other's rows.
            old = model.objects.select_for_update(skip_locked=on_postgres()).filter(
                period_s=period_s, starts_at__lt=before
            )
            keys = list(old.order_by("starts_at").values_list("pk", flat=True)[:PRUNE_ROWS])
            model.objects.filter(pk__in=keys).delete()
        total += len(keys)
        if len(keys) < PRUNE_ROWS:
            break
    return total


class Pruner:
    """Prunes at most once in a while, whoever asks how often; a failure waits for the next time."""

    def __init__(self, every_s: float = 600.0, do: Callable[[], int] = prune) -> None:
        """Prune at the first call of ``maybe``."""
        self._every_s, self._do = every_s, do
        self._at = float("-inf")

    def maybe(self) -> None:
        """Prune where it is time."""
        if monotonic() - self._at < self._every_s:
            return
        self._at = monotonic()
        try:
            self._do()
        except (DatabaseError, InterfaceError) as error:
            log.warning("tallies_not_pruned", error=type(error).__name__)
