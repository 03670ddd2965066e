"""Makes a replay's deliveries due, and puts them back. The caller holds the transaction.

Rows are locked in the order destinations, payloads, deliveries, replay, each by key; a delivery whose row another
transaction holds is under way, and is left alone.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import F, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce

from destinations.models import Destination
from webhooks.delivering.outbox import now
from webhooks.keeping.holding import hold_payloads
from webhooks.keeping.looking import Held, Pair
from webhooks.keeping.selections import Selection
from webhooks.models import Attempt, Delivery, DeliveryStatus, Trigger
from webhooks.sql import fast_cursor, insert_rows

CANCELLED = "replay_cancelled"  # why a delivery that a replay had made was cancelled
_COLUMNS = (
    ("event_id", "uuid"), ("destination_id", "uuid"), ("trigger", "text"), ("next_attempt_at", "timestamptz"),
    ("created_at", "timestamptz"), ("replay_id", "bigint"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Queued:
    """What became of some pairs of event and destination."""

    queued: int
    skipped: int  # on their way already, or the payload is gone, or the destination takes nothing
    destination_ids: Collection[UUID]


def queue(replay_id: int, selection: Selection, pairs: Sequence[Pair], held: Mapping[Pair, Held]) -> Queued:
    """Make the deliveries of these pairs due now, which belong to the selection; those that are not there are made."""
    sendable = _with_payload(_active(pairs))
    queued = _make_due(replay_id, selection, [held[pair].id for pair in sendable if pair in held])
    queued += _add(replay_id, [pair for pair in sendable if pair not in held])
    return Queued(queued, len(pairs) - queued, {destination for _, destination in sendable})


def _active(pairs: Sequence[Pair]) -> list[Pair]:
    """Return those whose destination takes deliveries; it stays so until the commit."""
    ids = {destination for _, destination in pairs}
    rows = Destination.objects.select_for_update(no_key=True).receiving().filter(pk__in=ids).order_by("pk")
    active = set(rows.values_list("pk", flat=True))
    return [pair for pair in pairs if pair[1] in active]


def _with_payload(pairs: Sequence[Pair]) -> list[Pair]:
    kept = hold_payloads({event for event, _ in pairs})
    return [pair for pair in pairs if pair[0] in kept]


def _make_due(replay_id: int, selection: Selection, ids: Sequence[int]) -> int:
    """Make those due that are not: one that waits for its turn keeps its place, one that is being tried its claim."""
    moment = now()
    rows = Delivery.objects.select_for_update(skip_locked=True).filter(pk__in=ids).order_by("pk")
    free = [
        pk
        for pk, status, due, claim in rows.values_list("pk", "status", "next_attempt_at", "claimed_by")
        if selection.takes(status) and not _on_its_way(status, due, claim, moment)
    ]
    made_due: int = (
        Delivery.objects.filter(pk__in=free)
        .order_by()
        .update(
            status_before_replay=F("status"),
            status=DeliveryStatus.PENDING,
            next_attempt_at=moment,
            retry_count=0,
            trigger=Trigger.REPLAY,
            replay_id=replay_id,
            settled_at=None,
        )
    )
    return made_due


def _on_its_way(status: str, due: datetime | None, claim: str, moment: datetime) -> bool:
    return status == DeliveryStatus.PENDING and (bool(claim) or (due is not None and due <= moment))


def _add(replay_id: int, pairs: Sequence[Pair]) -> int:
    """Make deliveries that there are none of; one that came meanwhile stays as it is."""
    moment = now()
    rows = [(event, to, Trigger.REPLAY.value, moment, moment, replay_id) for event, to in sorted(pairs)]
    with fast_cursor() as cursor:
        made = insert_rows(
            cursor, "webhooks_delivery", _COLUMNS, rows, unless="event_id, destination_id", returning="id"
        )
    return len(made)


# --- back again -------------------------------------------------------------------------------------------------
def put_back(replay_id: int, most: int) -> int:
    """Put up to ``most`` deliveries that wait because of a cancelled replay back; return how many.

    One that a worker has claimed is left alone, and goes on.
    """
    waiting = Delivery.objects.filter(replay_id=replay_id, status=DeliveryStatus.PENDING, claimed_by="")
    rows = waiting.select_for_update(skip_locked=True).order_by("pk")
    groups: dict[tuple[str | None, bool], list[int]] = {}
    for pk, before, attempts in rows.values_list("pk", "status_before_replay", "attempt_count")[:most]:
        groups.setdefault((before, attempts > 0), []).append(pk)
    for (before, tried), ids in groups.items():
        Delivery.objects.filter(pk__in=ids).order_by().update(**_as_before(before, tried))
    return sum(len(ids) for ids in groups.values())


def _as_before(before: str | None, tried: bool) -> dict[str, Any]:
    """Return what to write: as little as says that the replay does nothing more for it."""
    if before == DeliveryStatus.PENDING:  # it waited for a retry: it goes on, and nothing is lost
        return {"replay": None, "trigger": Trigger.SCHEDULE}
    ended = {"trigger": Trigger.SCHEDULE, "next_attempt_at": None, "settled_at": _last_try_or_now()}
    if before is None:  # made by this replay, and stays with it
        new = {"status": DeliveryStatus.CANCELLED, "last_error_code": CANCELLED}
        return ended | ({"status": DeliveryStatus.DEAD} if tried else new)
    cleared = {"last_error_code": ""} if before == DeliveryStatus.DELIVERED else {}
    return ended | cleared | {"status": before, "replay": None}


def _last_try_or_now() -> Coalesce:
    last = Attempt.objects.filter(delivery=OuterRef("pk"), number=OuterRef("attempt_count"))
    return Coalesce(Subquery(last.values("started_at")[:1]), Value(now()))
