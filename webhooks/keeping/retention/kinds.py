"""Everything that is removed when its life is over, in the order in which a worker turns to it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings

from destinations.access.answers import KEPT
from webhooks.keeping.retention import attempts, events, lives, orphans, payloads, small
from webhooks.keeping.retention.rows import Page, Removed


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of what is removed."""

    name: str  # of its mark
    life: Callable[[], timedelta | None]  # None: for ever
    look: Callable[[str, datetime, int], Page]  # reads without a lock what is old enough and free, after a cursor
    remove: Callable[[Sequence[Any]], Removed]  # in the caller's transaction, what still is
    every: timedelta = timedelta(0)  # begun anew no sooner


def _swept() -> timedelta | None:
    return None if settings.RETENTION_SWEEP == "off" else lives.ORPHANS


def _of(setting: str) -> Callable[[], timedelta | None]:
    return partial(lives.life, setting)


KINDS: Sequence[Kind] = (
    Kind("payloads", _of("RETENTION_PAYLOAD_DAYS"), payloads.look, payloads.remove),
    Kind("snapshots", _of("RETENTION_SNAPSHOT_DAYS"), attempts.look_at_snapshots, attempts.empty),
    Kind("attempts", _of("RETENTION_ATTEMPT_DAYS"), attempts.look, attempts.remove),
    Kind("events", _of("RETENTION_EVENT_DAYS"), events.look, events.remove),
    Kind("quarantine", _of("RETENTION_QUARANTINE_DAYS"), small.look_at_quarantine, small.remove_quarantined),
    Kind("notices", _of("RETENTION_EVENT_DAYS"), small.NOTICES.look, small.NOTICES.remove),
    Kind("answers", lambda: KEPT, small.ANSWERS.look, small.remove_answers),
    Kind("sessions", lambda: timedelta(0), small.SESSIONS.look, small.SESSIONS.remove),
    Kind("views", lambda: lives.VIEWS, small.VIEWS.look, small.VIEWS.remove),
    Kind("orphans", _swept, orphans.look, orphans.remove, every=timedelta(days=1)),
)
