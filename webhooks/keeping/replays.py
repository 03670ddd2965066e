"""The use cases of replays: start, pause, resume, cancel. A worker carries them on: ``keeping.replaying``."""

from typing import Any

import structlog
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from destinations.models import Destination
from destinations.services import Refused
from webhooks.delivering.outbox import now
from webhooks.keeping.estimates import COUNTED, Estimate, estimate
from webhooks.keeping.queueing import put_back
from webhooks.keeping.refusing import names, refuse_missing
from webhooks.keeping.selections import Selection, bounded, selection_in, stored
from webhooks.models import Delivery, DeliveryStatus, Replay, ReplayKind, ReplayStatus

log = structlog.get_logger(__name__)

MOST_PER_S = 100_000
DRIFT = 0.1  # of the count: so far it may have moved since it was shown and typed
PUT_BACK_AT_ONCE = 500
_BATCHES_AT_ONCE = 30  # put back before ``cancel`` returns; a worker does the rest


def judged(selection: Selection, rate_per_s: int | None = None) -> tuple[Selection, Estimate]:
    """Return a selection with its end, and how much it is; raise ``Refused`` where it cannot be started.

    It only reads.
    """
    selection = bounded(selection, now())
    _refuse_rate(rate_per_s)
    refuse_destinations(selection)
    found = estimate(selection)
    refuse_selection(selection, found)
    return selection, found


def start(
    selection: Selection, by: str = "", rate_per_s: int | None = None, confirmed: int | None = None
) -> Replay:  # fmt: skip
    """Start a replay and return its job; raise ``Refused`` with what to change, per name.

    ``confirmed`` is the count that the one who starts it has seen; above 10,000 it has to be given.
    """
    return begin(*judged(selection, rate_per_s), by, rate_per_s, confirmed)


def begin(
    selection: Selection, found: Estimate, by: str = "", rate_per_s: int | None = None, confirmed: int | None = None
) -> Replay:
    """Start a replay of what was ``judged``: quickly, so that it may be done inside a transaction."""
    _refuse_unconfirmed(found, confirmed)
    moment = timezone.now()
    row: Replay = Replay.objects.create(
        kind=selection.kind, selection=stored(selection), estimate=found.count, rate_per_s=rate_per_s,
        destination_ids=[str(pk) for pk in selection.destinations], created_by=by[:150], created_at=moment,
        measured_from=moment,
    )  # fmt: skip
    log.info("replay_started", replay=row.pk, kind=row.kind, estimate=row.estimate)
    return row


def pause(replay: Replay) -> Replay:
    """Make nothing more due until ``resume``. What is due already is still delivered."""
    return _turned(replay, {ReplayStatus.RUNNING}, "Only a running replay can be paused.", status=ReplayStatus.PAUSED)


def resume(replay: Replay) -> Replay:
    """Go on where it was paused, or where a problem that is mended stopped it."""
    refuse_destinations(selection_in(replay))
    return _turned(
        replay, {ReplayStatus.PAUSED, ReplayStatus.STOPPED}, "Only a paused or stopped replay can be resumed.",
        status=ReplayStatus.RUNNING, problem="", measured_from=timezone.now(), measured_queued=F("queued"),
        finished_at=None, claimed_by="", lease_until=None,
    )  # fmt: skip


def cancel(replay: Replay) -> Replay:
    """End it: nothing more is made due, and what waits goes back to what it was.

    What a worker has claimed already is tried once more: see ``in_hand``. Only then it is finished.
    """
    open_ones = {ReplayStatus.RUNNING, ReplayStatus.PAUSED, ReplayStatus.STOPPED}
    row = _turned(replay, open_ones, "It has ended already.", status=ReplayStatus.CANCELLED, finished_at=None)
    for _ in range(_BATCHES_AT_ONCE):
        if not put_back_some(row.pk):
            break
    row.refresh_from_db()
    return row


def put_back_some(replay_id: int) -> bool:
    """Put a batch of a cancelled replay's deliveries back; tell whether there may be more to put back at once.

    It is finished when none of its deliveries waits. One that a worker has in hand ends there, or comes back
    untried or for a retry, and is put back then.
    """
    with transaction.atomic():
        count = put_back(replay_id, PUT_BACK_AT_ONCE)
        ended = {} if _pending(replay_id).exists() else {"finished_at": timezone.now()}
        Replay.objects.filter(pk=replay_id).update(restored=F("restored") + count, **ended)
    return count == PUT_BACK_AT_ONCE


def in_hand(replay_id: int) -> int:
    """Return how many of its deliveries workers have claimed: they are tried, whatever becomes of the replay."""
    claimed = _pending(replay_id).exclude(claimed_by="").values("pk")[: COUNTED + 1]
    return int(claimed.count())


def _pending(replay_id: int) -> Any:
    return Delivery.objects.filter(replay_id=replay_id, status=DeliveryStatus.PENDING).order_by()


def _turned(replay: Replay, allowed: set[ReplayStatus], why_not: str, **values: Any) -> Replay:
    """Write a new status, where the present one allows it; a step that is under way then comes to nothing."""
    if not Replay.objects.filter(pk=replay.pk, status__in=allowed).update(**values):
        raise Refused({"": [why_not]}, code="conflict")
    row: Replay = Replay.objects.get(pk=replay.pk)
    log.info("replay_turned", replay=row.pk, status=row.status)
    return row


# --- refusals -------------------------------------------------------------------------------------------------
def refuse_destinations(selection: Selection) -> None:
    """Refuse destinations that take nothing: deleted, disabled, or not there."""
    ids = set(selection.destinations)
    if selection.deliveries:
        rows = Delivery.objects.filter(pk__in=selection.deliveries).order_by()
        found = list(rows.values_list("pk", "destination_id"))
        refuse_missing("deliveries", "deliveries", set(selection.deliveries) - {pk for pk, _ in found})
        ids |= {destination for _, destination in found}
    problem = problem_of(list(Destination.objects.filter(pk__in=ids)))
    refuse_missing("destinations", "destinations", ids - set(Destination.objects.values_list("pk", flat=True)))
    if problem:
        raise Refused({"destinations": [problem]}, code="destination_inactive")


def problem_of(destinations: list[Destination]) -> str:
    """Return in words why some of these take nothing; nothing where all do."""
    deleted = [one.name for one in destinations if one.deleted_at]
    disabled = [one.name for one in destinations if not one.active and not one.deleted_at]
    said = [f"It was deleted: {names(deleted)}." if deleted else ""]
    said.append(f"It is disabled: {names(disabled)}. Enable it first." if disabled else "")
    return " ".join(filter(None, said))


def refuse_selection(selection: Selection, found: Estimate) -> None:
    """Refuse what would send nothing."""
    if found.sample and found.payload_gone == found.sample and found.sample == found.count:
        raise Refused({"": ["The payloads are no longer kept, so nothing can be sent."]}, code="payload_gone")
    if not found.count and found.exact:
        raise Refused({"": [_nothing(selection)]}, code="nothing_selected")


def _nothing(selection: Selection) -> str:
    return {
        ReplayKind.MISSING: "Nothing is missing: every event that this destination takes has a delivery for it.",
        ReplayKind.FAILED: "Nothing has failed there that fits.",
        ReplayKind.MATCHING: "No event fits for which there is a destination.",
        ReplayKind.CHOSEN: "No active destination takes these events. Name the destinations.",
    }[ReplayKind(selection.kind)]


def _refuse_rate(rate_per_s: int | None) -> None:
    if rate_per_s is not None and not 1 <= rate_per_s <= MOST_PER_S:
        raise Refused({"rate_per_s": [f"Must be a whole number from 1 to {MOST_PER_S:,}, or empty."]})


def _refuse_unconfirmed(found: Estimate, confirmed: int | None) -> None:
    if confirmed is None and found.count <= COUNTED:
        return
    if confirmed is not None and abs(confirmed - found.count) <= DRIFT * found.count:
        return
    told = f"These are {found.text} deliveries. Say {found.count} if that is what you mean."
    raise Refused({"confirmed": [told]}, code="count_not_confirmed")
