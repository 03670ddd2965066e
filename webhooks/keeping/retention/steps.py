"""A step: one kind, some rows, one short transaction that moves the mark too, so that a crash repeats nothing.

A worker has a kind in hand by a lease on its mark. Two that work on one at once would be safe as well: rows are
locked in the order of their keys, and nobody waits for one that another has.
"""

from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from webhooks.failpoints import failpoint
from webhooks.keeping import leases
from webhooks.keeping.payloads import discard_bodies
from webhooks.keeping.retention.kinds import Kind
from webhooks.keeping.retention.rows import Page, Removed
from webhooks.models import RetentionMark


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did."""

    page: Page
    removed: Removed
    locked_s: float  # of its transaction
    seconds: float  # that the database worked for it


def take(kind: Kind, worker: str) -> RetentionMark | None:
    """Take a kind, or keep it, for as long as a delivery is claimed; return its mark, or ``None``: another's."""
    RetentionMark.objects.get_or_create(name=kind.name)
    if not leases.take(RetentionMark, kind.name, worker):
        return None
    row: RetentionMark = RetentionMark.objects.get(pk=kind.name)
    return row


def step(kind: Kind, mark: RetentionMark, before: datetime, most: int, anew: bool = False) -> Step | None:
    """Remove up to ``most`` of a kind from before a moment, after the mark or from the beginning.

    Return ``None`` where another worker has moved the mark meanwhile: then nothing was done.
    """
    started = monotonic()
    page = kind.look("" if anew else mark.cursor, before, most)
    locking = monotonic()
    removed = _remove(kind, mark, page)
    ended = monotonic()
    if removed is None:
        return None
    failpoint("pruned")
    if removed.files:
        discard_bodies(removed.files)
    return Step(page, removed, ended - locking, ended - started)


def _remove(kind: Kind, mark: RetentionMark, page: Page) -> Removed | None:
    with transaction.atomic():
        removed = kind.remove(page.keys) if page.keys else Removed()
        failpoint("pruning")
        if not _moved(mark, page, removed):
            transaction.set_rollback(True)
            return None
    return removed


def _moved(mark: RetentionMark, page: Page, removed: Removed) -> bool:
    """Move the mark, last of all, so that nobody waits for it with rows in hand but for a commit."""
    moment = timezone.now()
    caught_up: dict[str, Any] = {"caught_up_at": moment} if page.last else {}
    rows = RetentionMark.objects.filter(pk=mark.pk, claimed_by=mark.claimed_by, cursor=mark.cursor)
    return bool(
        rows.update(
            cursor=page.cursor, removed=F("removed") + removed.rows, removed_bytes=F("removed_bytes") + removed.bytes,
            step_at=moment, problem="", **caught_up,
        )
    )  # fmt: skip


def note_problem(kind: Kind, problem: str) -> None:
    """Write down why a kind is not removed at this moment."""
    RetentionMark.objects.filter(pk=kind.name).update(problem=problem[:1000])
