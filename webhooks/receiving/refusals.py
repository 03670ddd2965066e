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

from destinations.crypto import SealError
from webhooks.keeping.erasures.tombstones import names_erased
from webhooks.models import QuarantinedRequest
from webhooks.receiving.verification import Address

log = structlog.get_logger(__name__)

COUNT_SECONDS = 5.0

# By the reason's code: what to change, so that such a request passes.
REMEDIES = {
    "signature_missing": "Whoever sent this does not sign. Terra does: nothing is to be changed for its requests.",
    "signature_malformed": "Terra's own header is always readable: look at what stands between Terra and the hub.",
    "signature_mismatch": "Compare the source's signing secret with the one in Terra's dashboard and paste it anew. If "
    "it is the same one, something between Terra and the hub changes bodies: a proxy that rewrites JSON, for one.",
    "signature_no_secret": "Paste the signing secret from Terra's dashboard into the source.",
    "signature_too_old": "Check this hub's clock. Where Terra retries for longer, raise the source's stale window.",
    "signature_from_future": "Check this hub's clock: it is behind.",
    "ip_not_allowed": "If the address is Terra's, or your proxy's, add it to the source's allowlist. Where it is a "
    "proxy, TRUSTED_PROXY_COUNT may be too low.",
    "invalid_payload": "Nothing can be done about the body here. Was this URL called by something else than Terra?",
    "body_too_large": "Raise MAX_BODY_BYTES, and the limit of each proxy before the hub; then have it sent again.",
    "content_encoding": "Let whatever compresses requests before the hub leave them as they are.",
    "idempotency_conflict": "Nothing is to be changed: the event that came first counts, and is linked here.",
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
    if _of_erased(source_id, body, kept):
        log.info("refused_not_kept", source=str(source_id), reason=refusal.code)
        return
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


def _of_erased(source_id: UUID, body: bytes | None, kept: bool) -> bool:
    """Tell whether a body is an erased person's; where that cannot be told, nothing is kept."""
    try:
        with transaction.atomic():
            return names_erased(source_id, body, read=kept)
    except (DatabaseError, SealError) as error:
        log.error("quarantine_failed", source=str(source_id), error=type(error).__name__)
        return True


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
