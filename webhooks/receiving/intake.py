"""``accept``: from a request's raw bytes to a committed event, or a refusal that is kept."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from destinations.digests import sha256
from destinations.ids import uuid7
from destinations.terra import InvalidPayload, Summary, summarize
from webhooks.keeping.payloads import discard_body, put_body
from webhooks.models import ID_LENGTH, KEY_LENGTH, TYPE_LENGTH
from webhooks.receiving.groupcommit import StoreUnavailable, committer
from webhooks.receiving.refusals import Refusal, keep
from webhooks.receiving.sources import LiveSource
from webhooks.receiving.verification import Address, Signature, SignatureRefused, address_allowed, verify
from webhooks.receiving.writing import Entry, Written

TRACE_ID = "x-terra-trace-id"
REFERENCE = "terra-reference"
ORDERING = "x-terra-ordering-timestamp"
# A request's credentials are no part of the event.
_NOT_KEPT = frozenset({"cookie", "authorization", "proxy-authorization"})
_MAX_HEADERS_LENGTH = 16 * 1024
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class Rejected(Exception):
    """A request that is refused: with an HTTP status and a reason."""

    def __init__(self, status: int, code: str, detail: str, signed: bool = False) -> None:
        """Refuse with ``status``; a ``signed`` request's body is kept whole."""
        super().__init__(detail)
        self.status, self.refusal = status, Refusal(code, detail, signed)


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request as it came: header names in lower case, the body's exact bytes."""

    headers: Mapping[str, str]
    body: bytes
    sender: Address | None  # None where it cannot be told


def accept(source: LiveSource, incoming: Incoming) -> Written:
    """Verify a request and commit its event; keep and raise ``Rejected`` where it does not pass.

    Raise ``StoreUnavailable`` where it passes but could not be committed.
    """
    try:
        entry = judge(source, incoming, timezone.now())
    except Rejected as rejected:
        keep(source.id, rejected.refusal, kept_headers(incoming.headers), incoming.body, remote_address=incoming.sender)
        raise
    store_large_body(entry)
    written = committer.commit(entry)
    # Not "if it is a duplicate": a commit whose answer was lost is tried again, and then finds its own event.
    if written.event_id != entry.id and entry.store_name:
        discard_body(entry.store_name)
    return written


def judge(source: LiveSource, incoming: Incoming, now: datetime) -> Entry:
    """Return the entry that a request becomes, or raise ``Rejected``."""
    _check_address(source, incoming)
    signature, stale = _check_signature(source, incoming, now)
    try:
        summary = summarize(incoming.body)
    except InvalidPayload as error:
        raise Rejected(400, "invalid_payload", str(error), signed=True) from error
    return _entry(source, incoming, summary, signature, stale, now)


def _check_address(source: LiveSource, incoming: Incoming) -> None:
    if source.allowlist_enforced and not address_allowed(incoming.sender, source.networks):
        sender = incoming.sender or "unknown"
        raise Rejected(403, "ip_not_allowed", f"The sender's address ({sender}) is not on the source's allowlist.")


def _check_signature(source: LiveSource, incoming: Incoming, now: datetime) -> tuple[Signature, bool]:
    try:
        return verify(incoming.headers, incoming.body, source.secrets, now, source.window)
    except SignatureRefused as refused:
        raise Rejected(400, refused.code, refused.detail) from refused


def _entry(
    source: LiveSource, incoming: Incoming, summary: Summary, signature: Signature, stale: bool, now: datetime
) -> Entry:
    headers = incoming.headers
    digest = sha256(incoming.body)
    ordering = headers.get(ORDERING, "")
    return Entry(
        id=uuid7(),
        source_id=source.id,
        source_slug=source.slug,
        key=idempotency_key(headers, summary, signature.timestamp_text, digest),
        type=storable(summary.type, TYPE_LENGTH),
        user_id=storable(summary.user_id, ID_LENGTH),
        reference_id=storable(summary.reference_id, ID_LENGTH),
        provider=storable(summary.provider, TYPE_LENGTH),
        terra_reference=storable(headers.get(REFERENCE, ""), ID_LENGTH),
        ordering_timestamp=int(ordering) if ordering.isascii() and ordering.isdigit() and len(ordering) < 16 else None,
        headers=kept_headers(headers),
        size=len(incoming.body),
        sha256=digest,
        received_at=now,
        body=incoming.body,
        stale=stale,
        stale_window_s=source.window.stale,
    )


def idempotency_key(headers: Mapping[str, str], summary: Summary, timestamp: str, digest: bytes) -> str:
    """Return what makes a request the same event as another one of its source.

    The trace id where there is one; else the lab report's own id; else terra-reference with the
    body's hash (chunks of one large request share the reference); else the time of signing with
    the body's hash.
    """
    trace, reference = headers.get(TRACE_ID, ""), headers.get(REFERENCE, "")
    if trace:
        return _key("trace", trace)
    if summary.event_id:
        return _key("lab", summary.event_id)
    if reference:
        return _key("reference", hashlib.sha256(reference.encode(errors="replace")).hexdigest()[:32], digest.hex())
    return _key("time", timestamp, digest.hex())


def _key(*parts: str) -> str:
    key = ":".join(parts)
    if len(key) <= KEY_LENGTH and key.isascii() and key.isprintable():
        return key
    return f"{parts[0]}-sha256:{hashlib.sha256(key.encode(errors='surrogatepass')).hexdigest()}"


def storable(text: str, length: int) -> str:
    """Return text that both databases take: NUL and lone surrogates become U+FFFD, cut to ``length``.

    For the columns that an event is found by; the bytes in the payload stay as they came.
    """
    return _UNSTORABLE.sub("\ufffd", text)[:length]


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that are stored with an event, up to 16 KB in all: long ones are left out first."""
    kept: dict[str, str] = {}
    length = 0
    for name, value in sorted(headers.items(), key=lambda item: len(item[1])):
        length += len(name) + len(value)
        if name not in _NOT_KEPT and length <= _MAX_HEADERS_LENGTH:
            kept[name] = storable(value, _MAX_HEADERS_LENGTH)
    return kept


def store_large_body(entry: Entry) -> None:
    """Put a large body into the payload store, before the commit that its 2XX stands for."""
    if entry.body is not None and len(entry.body) > settings.INLINE_BODY_BYTES:
        try:
            entry.store_name = put_body(entry.id, entry.body)
        except OSError as error:
            raise StoreUnavailable(f"The payload store did not take the body: {error.strerror}.") from error
        entry.body = None


def refuse_unread(
    source: LiveSource, headers: Mapping[str, str], sender: Address | None, rejected: Rejected, size: int
) -> None:
    """Keep the headers of a request whose body was not read."""
    keep(source.id, rejected.refusal, kept_headers(headers), None, remote_address=sender, size=size)
