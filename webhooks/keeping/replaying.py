"""Carries replays on, in a worker: small steps, each in one transaction, so that a crash repeats nothing.

A step makes some deliveries due and moves the job's cursor in the same commit, and only while the job is
running and in this worker's hands. It keeps few deliveries of a job due at a time (``Pace``), so that new
events of a destination wait for few replayed ones, and pausing and cancelling mean something.
"""

from dataclasses import dataclass, field
from datetime import datetime
from time import monotonic
from typing import NamedTuple

import structlog
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from destinations.models import Destination
from webhooks.delivering.outbox import now
from webhooks.delivering.wakeup import notify
from webhooks.failpoints import failpoint
from webhooks.keeping import leases
from webhooks.keeping.looking import Ground, Held, Pair, belonging, held_of, look, piece_size
from webhooks.keeping.queueing import queue
from webhooks.keeping.replays import problem_of, put_back_some
from webhooks.keeping.selections import Selection, selection_in
from webhooks.models import Delivery, DeliveryStatus, Replay, ReplayStatus

log = structlog.get_logger(__name__)

IDLE_S = 1.0  # between looks for jobs, and at those that wait
BUSY_S = 0.1  # between steps of a job that has room again soon
FAILED_S = 5.0
KEYS = 500  # of a step, at most
# Due at a time: as many as are done in so many seconds, within bounds. A new event waits for no more.
DUE_SECONDS = 5.0
LEAST_DUE, MOST_DUE = 20, 1_000
# What is done is measured over so many seconds: answers come in bursts, and a moment says nothing. Less is enough
# where twice as many were done meanwhile as may be due.
WINDOW_S, SHORT_WINDOW_S = 3.0, 1.0
MOST_WAITING = 10_000  # with those that wait for a retry


class Due(NamedTuple):
    """Deliveries of a job that are not done: those that a worker could try now, and all."""

    now: int
    all: int


@dataclass(slots=True)
class Pace:
    """How many deliveries of a job may be due, from what was done lately. Kept by the worker: a guess may be lost."""

    most: int = LEAST_DUE
    since: float = field(default_factory=monotonic)  # when the present window began
    done: int = 0  # in it
    rate: float = 0.0  # done per second in the last one
    due: int = 0  # when last seen, with what was added then
    ready_at: float = 0.0  # a limited rate allows the next step from then on

    def heed(self, due: int) -> None:
        """Learn from how many are due now."""
        self.done += max(0, self.due - due)
        self.due = due
        seconds = monotonic() - self.since
        if seconds >= WINDOW_S or (seconds >= SHORT_WINDOW_S and self.done >= 2 * self.most):
            self._end_window(self.done / seconds)

    def _end_window(self, rate: float) -> None:
        """Go by this window and the one before it; twofold up or down at most."""
        wanted = round((rate + (self.rate or rate)) / 2 * DUE_SECONDS)
        self.most = min(MOST_DUE, max(LEAST_DUE, self.most // 2, min(wanted, 2 * self.most)))
        self.since, self.done, self.rate = monotonic(), 0, rate

    def note(self, queued: int, rate_per_s: int | None) -> None:
        """Remember what a step has added."""
        self.due += queued
        self.ready_at = monotonic() + queued / rate_per_s if rate_per_s else 0.0


class Replaying:
    """The chore: each call carries every job that is in this worker's hands on by a step."""

    __name__ = "replays"

    def __init__(self, worker: str) -> None:
        """Take jobs in the name of ``worker``."""
        self._worker = worker
        self._paces: dict[int, Pace] = {}

    def __call__(self) -> float:
        """Do a step of each; return the seconds until the next."""
        jobs = _unfinished()
        self._paces = {pk: pace for pk, pace in self._paces.items() if pk in jobs}
        return min([IDLE_S, *(self._carried_on_safely(pk) for pk in jobs)])

    def _carried_on_safely(self, pk: int) -> float:
        pace = self._paces.setdefault(pk, Pace())
        try:
            return self._carried_on(pk, pace)
        except Exception as error:  # one job's trouble is no other's
            log.error("replay_step_failed", replay=pk, error=type(error).__name__)
            connection.close()
            pace.ready_at = monotonic() + FAILED_S
            return IDLE_S

    def _carried_on(self, pk: int, pace: Pace) -> float:
        if monotonic() < pace.ready_at:
            return min(IDLE_S, pace.ready_at - monotonic())
        if not leases.take(Replay, pk, self._worker):
            return IDLE_S
        row = Replay.objects.get(pk=pk)
        if row.status == ReplayStatus.CANCELLED:
            return 0.0 if put_back_some(pk) else IDLE_S
        if stop_if_inactive(row, self._worker):
            return IDLE_S
        due = due_of(pk)
        if row.exhausted:
            return IDLE_S if due.all or not finish(row, self._worker) else 0.0
        pace.heed(due.now)
        room = _room(pace, due, row.rate_per_s)
        if room < _worth_a_step(pace, row.rate_per_s):
            return BUSY_S if due.all < MOST_WAITING else IDLE_S
        queued = step(row, self._worker, room)
        pace.note(queued, row.rate_per_s)
        return 0.0 if queued < room else BUSY_S

    def release(self) -> None:
        """Let other workers take this one's jobs at once."""
        leases.release(Replay, self._worker)


def _room(pace: Pace, due: Due, rate_per_s: int | None) -> int:
    room = min(pace.most - due.now, MOST_WAITING - due.all)
    return min(room, rate_per_s) if rate_per_s else room


def _worth_a_step(pace: Pace, rate_per_s: int | None) -> int:
    """Return how much room a step needs: a step reads the same for one delivery as for a hundred."""
    return max(1, min(pace.most // 4, rate_per_s or pace.most))


def _unfinished() -> list[int]:
    cancelled = Q(status=ReplayStatus.CANCELLED, finished_at=None)
    rows = Replay.objects.filter(Q(status=ReplayStatus.RUNNING) | cancelled).order_by("pk")
    return list(rows.values_list("pk", flat=True)[:100])


def due_of(pk: int) -> Due:
    """Return how many deliveries of a job are not done; the counts end at ``MOST_WAITING``."""
    moment = now()
    waiting = Delivery.objects.filter(replay_id=pk, status=DeliveryStatus.PENDING).order_by()
    rows = list(waiting.values_list("claimed_by", "next_attempt_at")[:MOST_WAITING])
    return Due(sum(bool(claim) or _is_due(due, moment) for claim, due in rows), len(rows))


def _is_due(due: datetime | None, moment: datetime) -> bool:
    return due is not None and due <= moment


# --- a step -------------------------------------------------------------------------------------------------------
class _Plan(NamedTuple):
    """What a step takes of the keys that it read."""

    pairs: list[Pair]
    held: dict[Pair, Held]
    cursor: str
    looked_at: int
    exhausted: bool


def step(row: Replay, worker: str, room: int) -> int:
    """Make up to about ``room`` deliveries of a job due and move on, or do nothing; return how many.

    An event's deliveries are never divided between steps, so there may be a few more.
    """
    selection = selection_in(row)
    with transaction.atomic():
        if not _stay_active(selection):
            return 0
        plan = _planned(selection, row.cursor, room)
        made = queue(row.pk, selection, plan.pairs, plan.held)
        failpoint("replay_queued")
        moved = _mine(row, worker).update(
            cursor=plan.cursor, exhausted=plan.exhausted, step_at=timezone.now(),
            looked_at=F("looked_at") + plan.looked_at, queued=F("queued") + made.queued,
            skipped=F("skipped") + made.skipped,
        )  # fmt: skip
        if not moved:  # paused or cancelled meanwhile, or another worker's by now
            transaction.set_rollback(True)
            return 0
        notify(made.destination_ids)
    failpoint("replay_stepped")
    return made.queued


def _mine(row: Replay, worker: str) -> QuerySet[Replay]:
    rows: QuerySet[Replay] = Replay.objects.filter(
        pk=row.pk, status=ReplayStatus.RUNNING, claimed_by=worker, cursor=row.cursor
    )
    return rows


def _planned(selection: Selection, cursor: str, room: int) -> _Plan:
    ground = Ground(selection)
    piece = look(selection, ground, cursor, piece_size(ground, KEYS))
    held = held_of(pair for key in piece.keys for pair in key.pairs)
    taken: list[Pair] = []
    for count, key in enumerate(piece.keys):
        more = belonging(selection, key.pairs, held)
        if taken and len(taken) + len(more) > room:
            return _Plan(taken, held, piece.keys[count - 1].cursor, count, False)
        taken += more
    last = piece.keys[-1].cursor if piece.keys else cursor
    return _Plan(taken, held, last, len(piece.keys), piece.last)


def stop_if_inactive(row: Replay, worker: str) -> bool:
    """Stop a job all of whose destinations take nothing any more; note it where some do not."""
    named = list(Destination.objects.filter(pk__in=row.destination_ids))
    problem = problem_of(named)
    stopped = bool(named) and not any(one.active for one in named)
    if stopped:
        _mine(row, worker).update(status=ReplayStatus.STOPPED, problem=problem)
        log.warning("replay_stopped", replay=row.pk)
    elif problem != row.problem:
        _mine(row, worker).update(problem=problem)
    return stopped


def _stay_active(selection: Selection) -> bool:
    """Tell whether one of the named destinations takes deliveries; none of them is disabled before the commit."""
    named = Destination.objects.select_for_update(no_key=True).filter(pk__in=selection.destinations).order_by("pk")
    return not selection.destinations or any(named.values_list("active", flat=True))


def finish(row: Replay, worker: str) -> bool:
    """Call a job done; tell whether it still was this worker's to do so."""
    done = _mine(row, worker).update(status=ReplayStatus.DONE, finished_at=timezone.now())
    if done:
        log.info("replay_done", replay=row.pk, queued=row.queued, skipped=row.skipped)
    return bool(done)
