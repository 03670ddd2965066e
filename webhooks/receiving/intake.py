"""``accept``: from a request's raw bytes to a committed event, or a refusal that is kept."""

import hashlib
import re
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.utils import timezone

from destinations.digests import sha256
from destinations.ids import uuid7
from destinations.terra import InvalidPayload, Summary, summarize
from webhooks.keeping.payloads import PayloadStoreDown, discard_body, put_body
from webhooks.models import ID_LENGTH, KEY_LENGTH, TYPE_LENGTH
from webhooks.receiving.groupcommit import NotCommitted, StoreUnavailable, committer
from webhooks.receiving.refusals import Refusal, keep
from webhooks.receiving.sources import LiveSource
from webhooks.receiving.verification import Address, Signature, SignatureRefused, address_allowed, verify
from webhooks.receiving.writing import Entry, Written
from webhooks.threads import run_in

TRACE_ID = "x-terra-trace-id"
REFERENCE = "terra-reference"
ORDERING = "x-terra-ordering-timestamp"
# A request's credentials are no part of the event.
_NOT_KEPT = frozenset({"cookie", "authorization", "proxy-authorization"})
_MAX_HEADERS_LENGTH = 16 * 1024
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")

P = ParamSpec("P")
T = TypeVar("T")
# For what would hold up the event loop: the database, the payload store, and large bodies, whose
# parsing takes a multiple of their size in memory. So few, that many at once wait for each other.
THREADS = 8
_threads = ThreadPoolExecutor(THREADS, thread_name_prefix="intake")


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


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run what may block in a thread, and return what it returns."""
    return await run_in(_threads, function, *args, **kwargs)


async def accept(source: LiveSource, incoming: Incoming) -> Written:
    """Verify a request and commit its event; keep and raise ``Rejected`` where it does not pass.

    Raise ``StoreUnavailable`` where it passes but could not be committed.
    """
    try:
        entry = await _entry_of(source, incoming)
    except Rejected as rejected:
        headers, sender = kept_headers(incoming.headers), incoming.sender
        await in_thread(keep, source.id, rejected.refusal, headers, incoming.body, remote_address=sender)
        raise
    try:
        written = await committer.commit(entry)
    except NotCommitted:
        if entry.store_name:
            await in_thread(discard_body, entry.store_name)
        raise
    # Not "if it is a duplicate": a commit whose answer was lost is tried again, and then finds its own event.
    if (written.erased or written.event_id != entry.id) and entry.store_name:
        await in_thread(discard_body, entry.store_name)
    return written


async def _entry_of(source: LiveSource, incoming: Incoming) -> Entry:
    if len(incoming.body) <= settings.INLINE_BODY_BYTES:
        return judge(source, incoming, timezone.now())
    entry = await in_thread(judge, source, incoming, timezone.now())
    await in_thread(store_large_body, entry)
    return entry


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
        old_user_id=storable(summary.old_user_id, ID_LENGTH),
    )


def idempotency_key(headers: Mapping[str, str], summary: Summary, timestamp: str, digest: bytes) -> str:
    """Return what makes a request the same event as another one of its source.

    The trace id where there is one; else the lab report's own id; else terra-reference with the
    body's hash (chunks of one large request share the reference); else the time of signing with
    the body's hash.
    """
    trace, reference = headers.get(TRACE_ID, ""), headers.get(REFERENCE, "")
    if trace:
        return trace_key(trace)
    if summary.event_id:
        return _key("lab", summary.event_id)
    if reference:
        return _key("reference", hashlib.sha256(reference.encode(errors="replace")).hexdigest()[:32], digest.hex())
    return _key("time", timestamp, digest.hex())


def trace_key(trace: str) -> str:
    """Return the key of the event that came with a trace id."""
    return _key("trace", trace)


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
    if len(entry.body) > settings.INLINE_BODY_BYTES:
        try:
            entry.store_name = put_body(entry.id, entry.body)
        except PayloadStoreDown as error:
            raise StoreUnavailable(str(error)) from error


def refuse_unread(
    source: LiveSource, headers: Mapping[str, str], sender: Address | None, rejected: Rejected, size: int
) -> None:
    """Keep the headers of a request whose body was not read."""
    keep(source.id, rejected.refusal, kept_headers(headers), None, remote_address=sender, size=size)
