"""Requests that were refused and kept: verified again, admitted."""

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from destinations.services import Refused
from webhooks.keeping.payloads import discard_body
from webhooks.models import Event, QuarantinedRequest
from webhooks.receiving.groupcommit import StoreUnavailable
from webhooks.receiving.intake import Incoming, Rejected, judge, store_large_body
from webhooks.receiving.routing import RoutingTable
from webhooks.receiving.sources import as_live
from webhooks.receiving.verification import parse_address
from webhooks.receiving.writing import Entry, Written, write_entries

log = structlog.get_logger(__name__)

_BEFORE = "It was admitted before."


def verify_again(item: QuarantinedRequest) -> str:
    """Return why the request would be refused by its source as it is now; empty: it would pass.

    Its signature's age is judged at the time at which it came.
    """
    try:
        _judge(item)
    except Rejected as rejected:
        return f"{rejected.refusal.code}: {rejected.refusal.detail}"
    return ""


def admit(item: QuarantinedRequest, by: Any = None) -> Event:
    """Make an event of a kept request that now passes; raise ``Refused`` with the reason."""
    with told_as_refused():
        entry = _judge(item)
        store_large_body(entry)
    with transaction.atomic():
        written = write_entries([entry], RoutingTable())[0]
        if not written.erased:
            item.event_id, item.admitted_at = written.event_id, timezone.now()
            item.save(update_fields=["event", "admitted_at"])
    refuse_erased(entry, written)
    if written.event_id != entry.id and entry.store_name:
        discard_body(entry.store_name)
    log.info("quarantine_admitted", request=str(item.pk), event_id=str(written.event_id), by=str(by or ""))
    event: Event = Event.objects.get(pk=written.event_id)
    return event


def refuse_erased(entry: Entry, written: Written) -> None:
    """Refuse, in words, what was not written because its person was erased."""
    if not written.erased:
        return
    if entry.store_name:
        discard_body(entry.store_name)
    told = "This person was erased from the hub, so nothing of them is taken in again."
    raise Refused({"": [told]}, code="erased", hint="Lift the erasure, if the person has come back.")


@contextmanager
def told_as_refused() -> Iterator[None]:
    """Raise ``Refused``, with the reason, for what receiving would answer a sender."""
    try:
        yield
    except Rejected as rejected:
        told = f"{rejected.refusal.code}: {rejected.refusal.detail}"
        raise Refused({"": [told]}, code="rejected_by_source") from rejected
    except StoreUnavailable as error:
        raise Refused({"": [str(error)]}, code="payload_unavailable", hint="Try again.") from error


@dataclass(frozen=True, slots=True)
class Tried:
    """What became of one of many requests that were to be admitted."""

    item: QuarantinedRequest
    event: Event | None  # that it became
    reason: str = ""  # why it was not admitted, or would not be


def admit_each(items: Iterable[QuarantinedRequest], by: Any = None) -> list[Tried]:
    """Admit each request that passes now; return what became of each, in their order."""
    return [_tried(item, by) for item in items]


def verify_each(items: Iterable[QuarantinedRequest]) -> list[Tried]:
    """Return what would become of each request now."""
    return [Tried(item, item.event, _BEFORE if item.admitted_at else verify_again(item)) for item in items]


def _tried(item: QuarantinedRequest, by: Any) -> Tried:
    if item.admitted_at:
        return Tried(item, item.event, _BEFORE)
    try:
        return Tried(item, admit(item, by))
    except Refused as refused:
        return Tried(item, None, str(refused))


def admit_all(items: Iterable[QuarantinedRequest], by: Any = None) -> tuple[list[QuarantinedRequest], Counter[str]]:
    """Admit each request that passes now; return those, and how often each reason stands against the others."""
    tried = admit_each(items, by)
    return [one.item for one in tried if not one.reason], Counter(one.reason for one in tried if one.reason)


def _judge(item: QuarantinedRequest) -> Entry:
    if item.body is None:
        raise Rejected(400, "body_not_kept", "Its body was not kept, so it cannot be verified: have it sent again.")
    if item.reason == "idempotency_conflict":
        raise Rejected(400, "idempotency_conflict", "An event with its key is here already; the first one counts.")
    incoming = Incoming(item.headers, bytes(item.body), parse_address(item.remote_address))
    return judge(as_live(item.source), incoming, item.received_at)
