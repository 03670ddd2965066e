"""Carries erasures on, in a worker: small steps, so that a crash repeats nothing that is counted."""

from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any
from uuid import UUID

import structlog
from django.db import OperationalError, connection
from django.db.models import Q
from django.utils import timezone

from destinations.rules import Refused
from webhooks.delivering.outbox import now
from webhooks.event_ids import first_id_at
from webhooks.keeping import leases
from webhooks.keeping.erasures.elsewhere import elsewhere
from webhooks.keeping.erasures.people import person_in
from webhooks.keeping.erasures.receipts import receipt_for, sha256_of
from webhooks.keeping.erasures.stages import IDLE_S, STAGES, NotHeld, Stage, Stuck, held
from webhooks.keeping.payloads import PayloadStoreDown
from webhooks.models import Erasure, ErasureStatus, UserLink

log = structlog.get_logger(__name__)

WAITS_S = (1.0, 5.0, 15.0, 60.0, 120.0, 300.0, 600.0)  # after failures of the database or the payload store
_JOBS = 20


@dataclass(slots=True)
class Trouble:
    """Failures of a job in a row. Kept by the worker: a guess may be lost."""

    tries: int = 0
    ready_at: float = 0.0


class Erasing:
    """The chore: each call carries every erasure that is in this worker's hands on by a step."""

    __name__ = "erasures"

    def __init__(self, worker: str) -> None:
        """Take jobs in the name of ``worker``."""
        self._worker = worker
        self._troubles: dict[UUID, Trouble] = {}

    def __call__(self) -> float:
        """Do a step of each; return the seconds until the next."""
        jobs = _unfinished()
        self._troubles = {pk: one for pk, one in self._troubles.items() if pk in jobs}
        return min([IDLE_S, *map(self._carried_on, jobs)])

    def release(self) -> None:
        """Let other workers take this one's jobs at once."""
        leases.release(Erasure, self._worker)

    def _carried_on(self, pk: UUID) -> float:
        trouble = self._troubles.setdefault(pk, Trouble())
        if monotonic() < trouble.ready_at:
            return IDLE_S
        try:
            wait = self._step(pk)
        except NotHeld:
            return IDLE_S
        except (Stuck, Refused) as problem:
            _stop(pk, self._worker, str(problem))
            return IDLE_S
        except Exception as error:  # one job's trouble is no other's
            return self._failed(pk, trouble, error)
        trouble.tries = 0
        return wait

    def _step(self, pk: UUID) -> float:
        if not leases.take(Erasure, pk, self._worker):
            return IDLE_S
        row = Erasure.objects.get(pk=pk)
        if row.status == ErasureStatus.WAITING:
            return _begin(row, self._worker)
        return _ALL[row.stage](row, self._worker)

    def _failed(self, pk: UUID, trouble: Trouble, error: Exception) -> float:
        log.error("erasure_step_failed", erasure=str(pk), error=type(error).__name__)
        connection.close()
        trouble.tries += 1
        if trouble.tries > len(WAITS_S):
            _stop(pk, self._worker, _words(error))
        else:
            trouble.ready_at = monotonic() + WAITS_S[trouble.tries - 1]
        return IDLE_S


def _words(error: Exception) -> str:
    """Return why a job was stopped; what other errors say may hold anything."""
    told = isinstance(error, PayloadStoreDown)
    return str(error) if told else f"The hub failed again and again ({type(error).__name__}); its log says when."


def _unfinished() -> list[UUID]:
    due = Q(status=ErasureStatus.WAITING, starts_at__lte=now())
    rows = Erasure.objects.filter(Q(status=ErasureStatus.RUNNING) | due).order_by("pk")
    return list(rows.values_list("pk", flat=True)[:_JOBS])


def _stop(pk: UUID, worker: str, problem: str) -> None:
    mine = Erasure.objects.filter(pk=pk, claimed_by=worker, status__in=(ErasureStatus.RUNNING, ErasureStatus.WAITING))
    if mine.update(status=ErasureStatus.STOPPED, problem=problem):
        log.warning("erasure_stopped", erasure=str(pk))


# --- the beginning and the end ---------------------------------------------------------------------------------------
def _begin(row: Erasure, worker: str) -> float:
    """Begin one whose time has come, unless it was made by a deauth and the person has come back."""
    mine = Erasure.objects.filter(pk=row.pk, status=ErasureStatus.WAITING, claimed_by=worker)
    if row.trigger == "deauth" and _came_back(row):
        told = "The person connected again after the deauth, so nothing was erased."
        mine.update(status=ErasureStatus.CANCELLED, problem=told, subject="", finished_at=timezone.now())
        log.info("erasure_not_needed", erasure=str(row.pk))
        return IDLE_S
    mine.update(status=ErasureStatus.RUNNING)
    return 0.0


def _came_back(row: Erasure) -> bool:
    """Tell whether Terra has gone on with the user after the deauth: with a login, or under a new id."""
    person = person_in(row.subject)
    if UserLink.objects.filter(old_user_id__in=person.user_ids).exists():
        return True
    # From when they left on: the news may have been taken in later than what came after it.
    # By both clocks: after one was set back, ids run ahead, and an earlier login would look like a later one.
    since = person.begun_at or row.created_at
    logins = {"pk__gt": first_id_at(since), "received_at__gt": since, "type": "auth"}
    return any(rows.filter(**logins).exists() for rows in person.events())


def _finish(row: Erasure, worker: str) -> float:
    """Write the receipt, and forget who it was."""
    with held(row, worker) as job:
        moment = timezone.now()
        made = receipt_for(job.row, moment)
        about: dict[str, Any] = {"receipt": made, "receipt_sha256": sha256_of(made), "finished_at": moment}
        about |= {"status": ErasureStatus.DONE, "subject": "", "stage": "", "cursor": "", "problem": ""}
        Erasure.objects.filter(pk=row.pk).update(**about, claimed_by="", lease_until=None)
    log.info("erasure_done", erasure=str(row.pk), counts=row.counts)
    _clean_log()
    return 0.0


def _clean_log() -> None:
    """Empty SQLite's write-ahead log, which keeps what was removed until it is written over; as far as readers let."""
    if connection.vendor == "sqlite" and not connection.in_atomic_block:
        with suppress(OperationalError), connection.cursor() as cursor:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")


_ALL: dict[str, Stage] = {**STAGES, "elsewhere": elsewhere, "finishing": _finish}
