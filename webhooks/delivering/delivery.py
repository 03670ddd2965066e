"""From a claimed row to a message, and from an adapter's result to what is settled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings

from destinations.adapters.base import Adapter, Message, Outcome, Result
from destinations.models import Destination
from webhooks.delivering.backoff import next_wait
from webhooks.delivering.outbox import Claimed, Settlement
from webhooks.keeping.links import expiry_after, link_key, payload_url
from webhooks.keeping.payloads import body_of
from webhooks.models import AttemptOutcome, DeliveryStatus
from webhooks.sql import as_json

HANDED_ON = ("terra-reference", "x-terra-trace-id", "x-terra-ordering-timestamp", "dev-id")

_OUTCOMES = {
    Outcome.DELIVERED: (AttemptOutcome.DELIVERED.value, DeliveryStatus.DELIVERED.value),
    Outcome.RETRY: (AttemptOutcome.FAILED.value, DeliveryStatus.PENDING.value),
    Outcome.REJECTED: (AttemptOutcome.REJECTED.value, DeliveryStatus.DEAD.value),
}


@dataclass(frozen=True, slots=True)
class Target:
    """A destination that is being delivered to: its adapter and what its row says."""

    destination_id: UUID
    version: int
    adapter: Adapter[Any, Any]
    waits: Sequence[float]
    link_key: bytes


def target_of(destination: Destination, adapter: Adapter[Any, Any]) -> Target:
    """Put together what a lane needs of a destination; raise ``SealError``."""
    return Target(destination.pk, destination.version, adapter, destination.retry_waits, link_key(destination))


def message_of(row: Claimed, target: Target) -> Message:
    """Build the message of a claimed delivery; raise ``PayloadMissing`` or ``PayloadStoreDown``."""
    return Message(
        event_id=str(row.event_id),
        type=row.type,
        body=body_of(row.body, row.store_name),
        received_at=row.received_at,
        user_id=row.user_id or None,
        reference_id=row.reference_id or None,
        provider=row.provider or None,
        headers=handed_on(row.headers),
        payload_url=_link(row, target) if target.adapter.wants_payload_url() else "",
        delivery_id=row.delivery_id,
    )


def _link(row: Claimed, target: Target) -> str:
    lifetime = target.adapter.link_lifetime_s()
    return payload_url(row.event_id, target.destination_id, target.link_key, expiry_after(lifetime))


def handed_on(headers: Any) -> Mapping[str, str]:
    """Return the received headers that travel on, of JSON text or of what it says."""
    held = orjson.loads(headers) if isinstance(headers, str) else headers
    return {name: held[name] for name in HANDED_ON if name in held}


def settlement_of(row: Claimed, result: Result, target: Target, claim: str, started_at: datetime) -> Settlement:
    """Say what a result means for its delivery: delivered, another try at some time, or dead."""
    outcome, status = _OUTCOMES[result.outcome]
    wait = None
    if result.outcome is Outcome.RETRY:
        wait = next_wait(target.waits, row.retry_count, result.retry_after, settings.RETRY_TIME_SCALE)
        status = DeliveryStatus.DEAD.value if wait is None else status
    return Settlement(
        delivery_id=row.delivery_id,
        destination_id=target.destination_id,
        number=row.attempt_count + 1,
        claimed_by=claim,
        started_at=started_at,
        duration_ms=result.duration_ms,
        outcome=outcome,
        status=status,
        wait_s=wait,
        retry_count=row.retry_count + (wait is not None),
        trigger=row.trigger,
        replay_id=row.replay_id,
        source_id=row.source_id,
        type=row.type,
        provider=row.provider,
        status_code=result.status_code,
        error_code=clean(result.code, 64),
        error_detail=clean(result.detail, 4000),
        hint=clean(result.hint, 2000),
        request=as_json(result.request) if result.request else "{}",
        response=as_json(result.response) if result.response else "{}",
    )


def clean(text: str, length: int) -> str:
    """Return text that both databases take."""
    if not text or (text.isascii() and "\x00" not in text):
        return text[:length]
    return text.replace("\x00", "\ufffd").encode(errors="replace").decode()[:length]
