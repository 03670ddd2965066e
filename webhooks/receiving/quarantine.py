"""Requests that were refused and kept: verified again, admitted."""

from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from destinations.services import Refused
from webhooks.keeping.payloads import discard_body
from webhooks.models import Event, QuarantinedRequest
from webhooks.receiving.intake import Incoming, Rejected, judge, store_large_body
from webhooks.receiving.routing import RoutingTable
from webhooks.receiving.sources import as_live
from webhooks.receiving.verification import parse_address
from webhooks.receiving.writing import Entry, write_entries

log = structlog.get_logger(__name__)


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
    try:
        entry = _judge(item)
    except Rejected as rejected:
        raise Refused({"": [f"{rejected.refusal.code}: {rejected.refusal.detail}"]}) from rejected
    store_large_body(entry)
    with transaction.atomic():
        written = write_entries([entry], RoutingTable())[0]
        item.event_id, item.admitted_at = written.event_id, timezone.now()
        item.save(update_fields=["event", "admitted_at"])
    if written.event_id != entry.id and entry.store_name:
        discard_body(entry.store_name)
    log.info("quarantine_admitted", request=str(item.pk), event_id=str(written.event_id), by=str(by or ""))
    event: Event = Event.objects.get(pk=written.event_id)
    return event


def _judge(item: QuarantinedRequest) -> Entry:
    if item.body is None:
        raise Rejected(400, "body_not_kept", "Its body was not kept, so it cannot be verified: have it sent again.")
    if item.reason == "idempotency_conflict":
        raise Rejected(400, "idempotency_conflict", "An event with its key is here already; the first one counts.")
    incoming = Incoming(item.headers, bytes(item.body), parse_address(item.remote_address))
    return judge(as_live(item.source), incoming, item.received_at)
