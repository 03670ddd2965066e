"""Erasing at destinations: each one that was named, by its adapter, again after a while where it failed."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.conf import settings

from destinations.adapters.base import Erased, Message, Outcome, Result
from destinations.adapters.base import Person as ToErase
from destinations.adapters_of import Unusable, build_adapter
from destinations.models import Destination
from webhooks.delivering.backoff import next_wait
from webhooks.delivering.delivery import handed_on
from webhooks.delivering.outbox import now
from webhooks.keeping.erasures.jobs import FAILED, is_spent
from webhooks.keeping.erasures.jobs import LEFT_OUT as LEFT_OUT
from webhooks.keeping.erasures.people import Person, person_in
from webhooks.keeping.erasures.plans import can_erase
from webhooks.keeping.erasures.stages import IDLE_S, Stuck, held
from webhooks.keeping.erasures.tallies import Said
from webhooks.keeping.leases import kept
from webhooks.models import Delivery, DeliveryStatus, Erasure

log = structlog.get_logger(__name__)

ERASED, CANNOT = "erased", "cannot"
ENDED = frozenset((ERASED, CANNOT, LEFT_OUT))
WAITS_S = (10.0, 30.0, 120.0, 600.0, 1800.0)  # between tries; then somebody has to look
_READ = 500


def elsewhere(row: Erasure, worker: str) -> float:
    """Erase at the next destination that is due; go on where all have ended; raise ``Stuck`` where some fail on."""
    results: dict[str, Said] = row.destination_results
    left = [key for key in row.destination_ids if results.get(key, {}).get("status") not in ENDED]
    if not left:
        with held(row, worker) as job:
            job.go("events")
        return 0.0
    due = next((key for key in left if _is_due(results.get(key, {}))), None)
    if due is None:
        _stop_where_spent(results)
        return IDLE_S
    with kept(Erasure, row.pk, worker):
        said = _erased_at(due, person_in(row.subject), results.get(due, {}))
    with held(row, worker) as job:
        now_said = job.row.destination_results
        job.row.destination_results = {**now_said, due: _unless_left_out(said, now_said.get(due, {}))}
        job.go("elsewhere")
    return 0.0


def _unless_left_out(said: Said, meanwhile: Said) -> Said:
    """Return what a try came to; one that failed is not tried again where somebody has left it out during the try."""
    left_out = said["status"] == FAILED and meanwhile.get("status") == LEFT_OUT
    return {**said, "status": LEFT_OUT} if left_out else said


def _is_due(said: Said) -> bool:
    at = said.get("next_try_at")
    return not is_spent(said) and (not at or datetime.fromisoformat(at) <= now())


def _stop_where_spent(results: dict[str, Said]) -> None:
    spent = {key: said for key, said in results.items() if is_spent(said)}
    names = dict(Destination.objects.filter(pk__in=spent).order_by("name").values_list("pk", "name"))
    told = [(name, spent[str(pk)]) for pk, name in names.items()]
    if told:
        raise Stuck(" ".join(f"{name}: {said['detail']} {said['hint']}".strip() for name, said in told))


def _erased_at(key: str, person: Person, before: Said) -> Said:
    erased = before.get("erased", 0)  # by tries that failed in the end
    destination = Destination.objects.filter(pk=key).first()
    if destination is None or destination.deleted_at:
        told = "It was deleted, and its credentials with it; its owner has to erase there."
        return _said(CANNOT, erased=erased, detail=told)
    if not can_erase(destination):
        told = f"{destination.type}: cannot be erased from here; its owner has to."
        return _said(CANNOT, erased=erased, detail=told)
    answer = _asked(destination, person)
    if answer.failed is None:
        return _said(ERASED, erased=erased + answer.count, detail=person.ids.masked(answer.detail))
    return _failed(answer, answer.failed, person, before)


def _asked(destination: Destination, person: Person) -> Erased:
    """Let the adapter erase; what it raises is a failure like any other, told without its text."""
    try:
        adapter = build_adapter(destination)
    except Unusable as error:
        return _failure(Outcome.REJECTED, "unusable", str(error))
    try:
        return adapter.erase(ToErase(person.user_ids, person.reference_ids), _messages(destination, person))
    except Exception as error:
        log.error("erasing_failed", destination=str(destination.pk), error=type(error).__name__)
        return _failure(
            Outcome.RETRY, "internal_error", f"The hub failed on this destination ({type(error).__name__})."
        )
    finally:
        adapter.close()


def _failure(outcome: Outcome, code: str, detail: str) -> Erased:
    return Erased(failed=Result(outcome, code, detail))


def _failed(answer: Erased, failed: Result, person: Person, before: Said) -> Said:
    """Say when it is tried again: never, where it is refused as it is; a try that removed something begins anew."""
    tries = 1 if answer.count else before.get("tries", 0) + 1
    wait = next_wait(WAITS_S, tries - 1, failed.retry_after, settings.RETRY_TIME_SCALE)
    again = wait is not None and failed.outcome != Outcome.REJECTED
    at = (now() + timedelta(seconds=wait or 0.0)).isoformat() if again else ""
    return _said(
        FAILED, erased=before.get("erased", 0) + answer.count, tries=tries, next_try_at=at, code=failed.code,
        detail=person.ids.masked(failed.detail), hint=person.ids.masked(failed.hint),
    )  # fmt: skip


def _said(status: str, **more: Any) -> Said:
    return {"status": status, "erased": 0, "detail": "", "hint": "", **more}


def _messages(destination: Destination, person: Person) -> Iterator[Message]:
    """Yield the person's events that were delivered there, or may have been, without their bodies."""
    for rows in person.events():
        delivered = Delivery.objects.filter(event_id__in=rows.order_by().values("pk"), destination=destination)
        maybe = (
            delivered.exclude(attempt_count=0, status=DeliveryStatus.CANCELLED).select_related("event").order_by("pk")
        )
        last = 0
        while found := list(maybe.filter(pk__gt=last)[:_READ]):
            yield from map(_message, found)
            last = found[-1].pk


def _message(row: Delivery) -> Message:
    event = row.event
    return Message(
        event_id=str(event.pk), type=event.type, body=b"", received_at=event.received_at,
        user_id=event.user_id or None, reference_id=event.reference_id or None, provider=event.provider or None,
        headers=handed_on(event.headers), delivery_id=row.pk,
    )  # fmt: skip
