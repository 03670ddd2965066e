"""What results say about a destination as a whole: breaker, pauses and disabling, on its row.

All workers share it. After ``THRESHOLD`` failures in a row only one probe is sent every
``COOLDOWN_S``; the first success opens the way again. Deliveries wait and lose no retry.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import F
from django.db.models.functions import Coalesce, Greatest
from django.utils import timezone

from destinations.adapters.base import Effect, Outcome, Result
from destinations.models import Destination
from destinations.notices import tell_recovered
from destinations.services import disable
from webhooks.delivering import outbox
from webhooks.sql import bind, fast_cursor

log = structlog.get_logger(__name__)

THRESHOLD = 10
COOLDOWN_S = 30.0
BREAKER = "breaker"
ASKED = "retry_after"


@dataclass(slots=True)
class Tally:
    """What a group of results of one destination adds up to, in the order in which they came."""

    succeeded: bool = False
    failures: int = 0  # since the last success, that say the destination is unwell
    unsuccessful: bool = False  # anything but a success came last
    pause_s: float = 0.0
    gone: str = ""
    proven_version: int = 0  # of the destination, that the latest success was delivered under

    def add(self, result: Result, version: int = 0) -> None:
        """Count one more result, of a try under this version of the destination."""
        if result.outcome is Outcome.DELIVERED:
            self.proven_version = max(self.proven_version, version)
            self.succeeded, self.failures, self.unsuccessful = True, 0, False
        elif result.outcome is Outcome.RETRY:
            self.unsuccessful = True
            self.failures += result.effect is Effect.FAILURE
        if result.effect is Effect.PAUSE:
            self.pause_s = max(self.pause_s, result.retry_after or 0.0)
        if result.effect is Effect.DISABLE:
            self.gone = result.detail or result.code


def tally(results: Sequence[Result]) -> Tally:
    """Add up the results of one destination."""
    total = Tally()
    for result in results:
        total.add(result)
    return total


def record(destination_id: UUID, total: Tally) -> None:
    """Write what results say onto the destination's row, which all workers read."""
    if total.succeeded:
        _reset(destination_id, total.proven_version)
    if not (total.unsuccessful or total.pause_s or total.gone):
        return
    row = Destination.objects.filter(pk=destination_id)
    now = outbox.now()
    with transaction.atomic():
        if total.unsuccessful:
            row.update(
                failing_since=Coalesce("failing_since", now),
                consecutive_failures=F("consecutive_failures") + total.failures,
            )
            row.filter(consecutive_failures__gte=THRESHOLD).update(
                paused_until=_later(now, COOLDOWN_S), pause_reason=BREAKER
            )
        if total.pause_s:
            row.update(paused_until=_later(now, total.pause_s), pause_reason=ASKED)
    _disable_if_due(destination_id, total, now)


def _later(now: datetime, seconds: float) -> Greatest:
    until = now + timedelta(seconds=seconds)
    return Greatest(Coalesce("paused_until", until), until)


def _reset(destination_id: UUID, version: int) -> None:
    """Forget failures, end the breaker's pause, and note a first success of the row as it is now.

    Plain SQL, and one look where there is nothing to write: it runs for every group of results.
    """
    there_is = "id = %s AND (failing_since IS NOT NULL OR pause_reason = %s OR proven_at IS NULL AND version <= %s)"
    which = [bind(destination_id), BREAKER, version]
    with fast_cursor() as cursor:
        cursor.execute(f"SELECT 1 FROM destinations_destination WHERE {there_is}", which)  # noqa: S608
        if cursor.fetchone() is None:
            return
    with transaction.atomic(), fast_cursor() as cursor:
        cursor.execute(
            "UPDATE destinations_destination SET failing_since = NULL, consecutive_failures = 0, "  # noqa: S608
            "paused_until = CASE WHEN pause_reason = %s THEN NULL ELSE paused_until END, "
            "pause_reason = CASE WHEN pause_reason = %s THEN '' ELSE pause_reason END, "
            "proven_at = CASE WHEN version <= %s THEN COALESCE(proven_at, %s) ELSE proven_at END "
            f"WHERE {there_is}",
            [BREAKER, BREAKER, version, bind(timezone.now()), *which],
        )
        if cursor.rowcount:
            _recovered(destination_id)


def _recovered(destination_id: UUID) -> None:
    """Tell those who were warned; a few failures that nobody was told of are nothing to tell."""
    if Destination.objects.filter(pk=destination_id, warned_percent__gt=0).update(warned_percent=0):
        tell_recovered(Destination.objects.get(pk=destination_id))


def _disable_if_due(destination_id: UUID, total: Tally, now: datetime) -> None:
    destination = Destination.objects.get(pk=destination_id)
    reason = _reason_to_disable(destination, total, now)
    if destination.active and reason:
        disable(destination, reason=reason)
        log.error("destination_disabled", destination=str(destination_id), name=destination.name, reason=reason)


def _reason_to_disable(destination: Destination, total: Tally, now: datetime) -> str:
    if total.gone:
        return f"It answered that it is gone for good: {total.gone}"[:200]
    hours = destination.disable_after_hours
    since = destination.failing_since
    if hours and since and now - since >= timedelta(hours=hours):
        return f"Nothing but failures since {since:%Y-%m-%d %H:%M} UTC, for {hours} hours."
    return ""
