"""The stages of an erasure, in the hub: each call is one step, in one short transaction, while the job is held.

A step's rows, its counts and the job's place are written in one commit, so that a crash repeats nothing that
is counted. Files go before the rows that name them: a crash between the two leaves a row without a file,
which the next step removes, and never a file that nothing names.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from webhooks.delivering.outbox import now
from webhooks.event_ids import first_id_at
from webhooks.failpoints import failpoint
from webhooks.keeping.erasures import traces
from webhooks.keeping.erasures.matching import Ids
from webhooks.keeping.erasures.people import Person, after_all_events, batch, find, person_in
from webhooks.keeping.erasures.removing import remove_events, remove_refused
from webhooks.keeping.erasures.tallies import got_by, with_got
from webhooks.keeping.erasures.tombstones import mark_events, mark_users
from webhooks.keeping.leases import kept
from webhooks.keeping.payloads import erase_body
from webhooks.models import Delivery, DeliveryStatus, Erasure, ErasureStatus, Event, Payload, QuarantinedRequest

ERASED = "erased"  # the error code of deliveries that were cancelled with their person
MARKED, REMOVED, LOOKED_AT = 500, 100, 200  # rows of a step
READ_BYTES = 32 * 1024 * 1024  # of refused bodies
LOOK_BACK = timedelta(minutes=5)  # the last look at the quarantine begins so long before the erasure was due
HOLD_S = 900.0  # for so long a worker may keep a delivery in hand
IDLE_S = 1.0


class NotHeld(Exception):
    """The job is no longer this worker's, or another step was made meanwhile."""


class Stuck(Exception):
    """The job cannot go on until somebody does what the message says."""


@dataclass(frozen=True, slots=True)
class Held:
    """A job within its step: its row, locked, and who it is about."""

    row: Erasure
    person: Person

    def count(self, **counts: int) -> None:
        """Add to what was erased."""
        self.row.counts = dict(Counter(self.row.counts) + Counter(counts))

    def note(self, got: Mapping[UUID, Counter[str]]) -> None:
        """Note, by destination, how much of what is removed it got: nothing else knows it afterwards."""
        self.row.destination_results = with_got(self.row.destination_results, got)

    def go(self, stage: str, cursor: str = "") -> None:
        """Go on at a place, and write all of the row."""
        self.row.stage, self.row.cursor = stage, cursor
        self.row.save(update_fields=["stage", "cursor", "counts", "subject", "destination_results"])


@contextmanager
def held(row: Erasure, worker: str) -> Iterator[Held]:
    """Hold a job for one step; raise ``NotHeld`` where it has gone on without this worker."""
    with transaction.atomic():
        rows = Erasure.objects.select_for_update().filter(
            pk=row.pk, status=ErasureStatus.RUNNING, claimed_by=worker, stage=row.stage, cursor=row.cursor
        )
        mine = rows.first()
        if mine is None:
            raise NotHeld
        yield Held(mine, person_in(mine.subject))
        failpoint("erasure_step")
    failpoint("erasure_stepped")


# --- who it is, and what keeps them away -----------------------------------------------------------------------------
def begin(row: Erasure, worker: str) -> float:
    """Find everything that belongs to the person, and keep their user ids away from now on."""
    asked = person_in(row.subject)
    found = find(asked, forward=row.trigger != "deauth")
    person = Person(found.user_ids, found.reference_ids, after_all_events())
    with held(row, worker) as job:
        job.row.subject = person.stored()
        job.count(tombstones=mark_users(job.row, person.user_ids))
        job.go("marking")
    return 0.0


def mark(row: Erasure, worker: str) -> float:
    """Keep the events that are there away: some of one id, older than the last ones."""
    person = person_in(row.subject)
    number, _, before = (row.cursor or "0:").partition(":")
    if int(number) >= len(person.events()):
        return _on(row, worker, "holding")
    events = batch(person, int(number), UUID(before) if before else None, MARKED)
    with held(row, worker) as job:
        job.count(tombstones=mark_events(job.row, _marks(events)))
        job.go("marking", f"{number}:{events[-1].pk.hex}" if len(events) == MARKED else f"{int(number) + 1}:")
    return 0.0


def _marks(events: Sequence[Event]) -> list[tuple[UUID, str, Any]]:
    digests = dict(Payload.objects.filter(pk__in=[one.pk for one in events]).values_list("pk", "sha256"))
    return [(one.source_id, one.idempotency_key, digests.get(one.pk)) for one in events]


def _on(row: Erasure, worker: str, stage: str, cursor: str = "") -> float:
    with held(row, worker) as job:
        job.go(stage, cursor)
    return 0.0


# --- what is on its way ----------------------------------------------------------------------------------------------
def hold(row: Erasure, worker: str) -> float:
    """Cancel what waits; wait, for a while, for what workers have in hand."""
    since = datetime.fromisoformat(row.cursor) if row.cursor else now()
    for rows in person_in(row.subject).events():
        keys = list(_pending(rows.values("pk")).filter(_free()).values_list("pk", flat=True)[:MARKED])
        if keys:
            with held(row, worker) as job:
                job.count(cancelled=_cancel(keys))
                job.go("holding", since.isoformat())
            return 0.0
    in_hand = sum(_pending(rows.values("pk")).count() for rows in person_in(row.subject).events())
    if not in_hand:
        return _on(row, worker, "elsewhere")
    if now() - since > timedelta(seconds=HOLD_S):
        minutes = f"{HOLD_S / 60:.0f} minutes"
        raise Stuck(f"A worker has had {in_hand} deliveries in hand for {minutes}. Restart the workers, and resume.")
    if not row.cursor:
        _on(row, worker, "holding", since.isoformat())
    return IDLE_S


def _pending(keys: Any) -> QuerySet[Delivery]:
    rows: QuerySet[Delivery] = Delivery.objects.filter(event_id__in=keys, status=DeliveryStatus.PENDING).order_by()
    return rows


def _free() -> Q:
    """Return what selects deliveries that no worker has in hand."""
    return Q(claimed_by="") | Q(next_attempt_at=None) | Q(next_attempt_at__lte=now())


def _cancel(keys: Sequence[int]) -> int:
    rows = Delivery.objects.filter(pk__in=keys, status=DeliveryStatus.PENDING).filter(_free())
    return int(
        rows.update(
            status=DeliveryStatus.CANCELLED, claimed_by="", next_attempt_at=None, last_error_code=ERASED,
            settled_at=timezone.now(),
        )
    )  # fmt: skip


# --- what is kept ----------------------------------------------------------------------------------------------------
def events(row: Erasure, worker: str) -> float:
    """Remove some events with all that belongs to them; first the files, then the rows."""
    person = person_in(row.subject)
    found: list[Event] = []
    for number in range(len(person.events())):
        found = found or batch(person, number, None, REMOVED)
    if not found:
        return _on(row, worker, "refused" if row.stage == "events" else "refused_again")
    keys = sorted(one.pk for one in found)
    if _pending(keys).exists():  # made due again meanwhile
        return _on(row, worker, "holding")
    names = list(Payload.objects.filter(pk__in=keys).exclude(store_name="").values_list("store_name", flat=True))
    for name in names:
        erase_body(name)
    failpoint("erasure_files")
    with held(row, worker) as job:
        if _made_due(keys):
            raise NotHeld  # in this very moment
        job.note(got_by(Delivery.objects.filter(event_id__in=keys)))
        job.count(tombstones=mark_events(job.row, _marks(found)), files=len(names), **remove_events(keys))
        job.go(row.stage, row.cursor)
    return 0.0


def _made_due(keys: Sequence[UUID]) -> bool:
    """Tell whether somebody has made one of these events' deliveries pending; from now on nobody does (holding)."""
    list(Payload.objects.select_for_update().filter(pk__in=keys).order_by("pk").values_list("pk", flat=True))
    return _pending(keys).exists()


def refused(row: Erasure, worker: str) -> float:
    """Look at some requests in the quarantine, and remove those that name the person."""
    person = person_in(row.subject)
    again = row.stage == "refused_again"
    looked_at, last = _some_refused(row.cursor, row.starts_at if again else None)
    named = _naming(person.ids, looked_at)
    with held(row, worker) as job:
        job.count(quarantine=remove_refused(named))
        if last:
            job.go("finishing" if again else "traces")
        else:
            job.go(row.stage, looked_at[-1].hex)
    return 0.0


def _some_refused(before: str, since: datetime | None) -> tuple[list[UUID], bool]:
    """Return some requests, newest first, with no more bytes than a step reads; and whether none is left."""
    rows = QuarantinedRequest.objects.order_by("-pk")
    rows = rows.filter(pk__lt=UUID(before)) if before else rows
    rows = rows.filter(pk__gte=first_id_at(since - LOOK_BACK)) if since else rows
    found = list(rows.values_list("pk", "size")[:LOOKED_AT])
    taken: list[UUID] = []
    size = 0
    for key, bytes_ in found:
        size += bytes_
        if taken and size > READ_BYTES:
            break
        taken.append(key)
    return taken, len(taken) == len(found) < LOOKED_AT


def _naming(ids: Ids, keys: Sequence[UUID]) -> list[UUID]:
    rows = QuarantinedRequest.objects.filter(pk__in=keys).values_list("pk", "headers", "body")
    return [key for key, headers, body in rows if ids.in_request(headers, None if body is None else bytes(body))]


def trace(row: Erasure, worker: str) -> float:
    """Remove what else names the person: links between their ids, replays' filters, texts."""
    with kept(Erasure, row.pk, worker):
        answers = traces.answers_naming(person_in(row.subject))
    with held(row, worker) as job:
        job.count(**traces.remove(job.person, answers))
        job.go("settling", now().isoformat())
    return 0.0


def settle(row: Erasure, worker: str) -> float:
    """Wait until what was being committed when the tombstones came is there, and look once more."""
    ends = datetime.fromisoformat(row.cursor) + timedelta(seconds=settings.COMMIT_TIMEOUT_SECONDS)
    left = (ends - now()).total_seconds()
    return min(IDLE_S, left) if left > 0 else _on(row, worker, "events_again")


Stage = Callable[[Erasure, str], float]  # returns the seconds until the next step
STAGES: dict[str, Stage] = {
    "": begin, "marking": mark, "holding": hold, "events": events, "refused": refused, "traces": trace,
    "settling": settle, "events_again": events, "refused_again": refused,
}  # fmt: skip
