"""Why requests are refused, and how a refused one is kept."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError, transaction
from django.utils import timezone

from webhooks.models import QuarantinedRequest
from webhooks.receiving.verification import Address

log = structlog.get_logger(__name__)

COUNT_SECONDS = 5.0

REASONS = {
    "signature_missing": "The request carried no signature.",
    "signature_malformed": "The signature header could not be read.",
    "signature_mismatch": "The signature does not fit the body: wrong secret, or a changed body.",
    "signature_no_secret": "The source has no signing secret yet.",
    "signature_too_old": "The signature is older than the source accepts.",
    "signature_from_future": "The signature's time lies ahead of this hub's clock.",
    "ip_not_allowed": "The sender's address is not on the source's allowlist.",
    "invalid_payload": "The body is no JSON object with a text in 'type'.",
    "body_too_large": "The body is larger than this hub accepts.",
    "content_encoding": "The body was compressed, which Terra's signature does not cover.",
    "idempotency_conflict": "Another event with the same key and another body came first.",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request was refused."""

    code: str
    detail: str
    signed: bool = False  # the signature passed, so the body is kept whole


_counts: dict[UUID, tuple[float, int]] = {}


def keep(
    source_id: UUID,
    refusal: Refusal,
    headers: Mapping[str, str],
    body: bytes | None,
    *,
    remote_address: Address | None = None,
    size: int = 0,
    event_id: UUID | None = None,
) -> None:
    """Keep a refused request, within the source's cap; a failure to keep it is only logged."""
    if _full(source_id):
        log.warning("quarantine_full", source=str(source_id), reason=refusal.code)
        return
    kept = body is not None and (refusal.signed or len(body) <= settings.QUARANTINE_BODY_BYTES)
    try:
        with transaction.atomic():
            QuarantinedRequest.objects.create(
                source_id=source_id, reason=refusal.code, detail=refusal.detail[:2000], headers=dict(headers),
                body=body if kept else None, size=size or len(body or b""),
                sha256=hashlib.sha256(body).hexdigest() if body else "",
                remote_address=str(remote_address or ""), event_id=event_id, received_at=timezone.now(),
            )  # fmt: skip
    except DatabaseError as error:
        log.error("quarantine_failed", source=str(source_id), reason=refusal.code, error=type(error).__name__)


def _full(source_id: UUID) -> bool:
    """Tell whether the source's cap is reached; counted every few seconds, up to the cap."""
    counted_at, count = _counts.get(source_id, (0.0, 0))
    if time.monotonic() - counted_at > COUNT_SECONDS:
        count = _count(source_id)
        counted_at = time.monotonic()
    _counts[source_id] = (counted_at, count + 1)
    return count >= settings.QUARANTINE_ROWS_PER_SOURCE


def _count(source_id: UUID) -> int:
    held = QuarantinedRequest.objects.filter(source_id=source_id)
    try:
        with transaction.atomic():
            return int(held[: settings.QUARANTINE_ROWS_PER_SOURCE].count())
    except DatabaseError:
        return 0
