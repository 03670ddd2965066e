"""The chore by which a worker removes what has outlived its life: a step of one kind, a rest, a step of the next."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic

import structlog
from django.db import connection
from django.utils import timezone

from webhooks.delivering import outbox
from webhooks.keeping import leases
from webhooks.keeping.payloads import PayloadStoreDown
from webhooks.keeping.retention import pace
from webhooks.keeping.retention.clock import Guard
from webhooks.keeping.retention.kinds import KINDS, Kind
from webhooks.keeping.retention.orphans import TooManyOrphans
from webhooks.keeping.retention.owner import AnothersStore
from webhooks.keeping.retention.steps import Step, note_problem, step, take
from webhooks.models import RetentionMark

log = structlog.get_logger(__name__)

IDLE_S = 60.0  # between looks at a kind of which nothing is old enough
OTHERS_S = 5.0  # between looks whether another worker still has a kind in hand
# What was held back (pending, or in somebody's hand) is looked at again by a round over all that is old.
ROUND_S = 3600.0
FAILED_S, MOST_FAILED_S = 30.0, 1800.0
BEHIND_AFTER = timedelta(days=1)


@dataclass(slots=True)
class Turn:
    """What a worker remembers of a kind; all of it may be lost."""

    most: int = pace.FIRST
    ready_at: float = 0.0  # monotonic
    failures: int = 0
    held: int = 0  # passed over in this round
    round_at: float = field(default_factory=monotonic)

    def begins_anew(self) -> bool:
        """Tell whether it is time for another round, and begin to count its rows where it is."""
        if not self.held or monotonic() - self.round_at < ROUND_S:
            return False
        self.round_at, self.held = monotonic(), 0
        return True


class Retention:
    """The chore: each call does one step of the kind whose turn it is."""

    __name__ = "retention"

    def __init__(self, worker: str) -> None:
        """Take kinds in the name of ``worker``."""
        self._worker = worker
        self._turns = {kind.name: Turn() for kind in KINDS}
        self._busy = pace.Busy()
        self._guard = Guard()

    def __call__(self) -> float:
        """Do a step; return the seconds until the next."""
        kind = min(KINDS, key=lambda one: self._turns[one.name].ready_at)
        turn = self._turns[kind.name]
        wait = turn.ready_at - monotonic()
        if wait > 0:
            return min(IDLE_S, wait)
        try:
            now = _certain_now()
            if self._guard.holds(now):
                return IDLE_S
            rested = self._step(kind, turn, now)
            turn.failures = 0
        except Exception as error:  # one kind's trouble is no other's
            rested = pace.LEAST_WAIT_S
            self._note_failure(kind, turn, error)
        return rested

    def _step(self, kind: Kind, turn: Turn, now: datetime) -> float:
        life = kind.life()
        mark = None if life is None else take(kind, self._worker)
        if life is None or mark is None or _is_fresh(kind, mark, now):
            turn.ready_at = monotonic() + (IDLE_S if life is None or mark else OTHERS_S)
            return 0.0
        anew = not kind.every and turn.begins_anew()
        done = step(kind, mark, now - life, turn.most, anew)
        turn.ready_at = monotonic() + (IDLE_S if done is None or (done.page.last and not anew) else 0.0)
        if done is None:
            return 0.0
        self._learn(turn, done)
        return pace.rest(done.seconds, self._busy(), is_behind(kind, mark, now))

    def _learn(self, turn: Turn, done: Step) -> None:
        turn.held += done.page.held + done.removed.held
        turn.most = pace.resized(turn.most, len(done.page.keys), done.locked_s)

    def _note_failure(self, kind: Kind, turn: Turn, error: Exception) -> None:
        turn.failures += 1
        turn.ready_at = monotonic() + min(MOST_FAILED_S, FAILED_S * 2 ** min(turn.failures - 1, 10))
        log.error("retention_step_failed", kind=kind.name, error=type(error).__name__, failures=turn.failures)
        connection.close()
        told = isinstance(error, PayloadStoreDown | TooManyOrphans | AnothersStore)
        note_problem(kind, str(error) if told else f"{type(error).__name__}: look at the worker's log.")

    def release(self) -> None:
        """Let other workers take this one's kinds at once."""
        leases.release(RetentionMark, self._worker)


def _certain_now() -> datetime:
    """Return the earlier one of this host's clock and the database's: one that is ahead would remove what is young."""
    return min(timezone.now(), outbox.now())


def _is_fresh(kind: Kind, mark: RetentionMark, now: datetime) -> bool:
    """Tell whether a kind that is gone through as a whole was, lately."""
    return bool(kind.every and not mark.cursor and mark.caught_up_at and now - mark.caught_up_at < kind.every)


def is_behind(kind: Kind, mark: RetentionMark, now: datetime) -> bool:
    """Tell whether a kind has not caught up for longer than it should."""
    return now - (mark.caught_up_at or mark.began_at) > BEHIND_AFTER + kind.every
