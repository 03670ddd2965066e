"""Links to payloads: signed per destination, working until the destination revokes them or they expire.

A token is base64url, without padding, of one of

    lasting    event 16 | destination 16 | MAC 16                                48 bytes, 64 characters
    expiring   version 1 = 0x01 | event 16 | destination 16 | expiry 5 | MAC 16  54 bytes, 72 characters

where event and destination are UUIDs, the expiry is in seconds since 1970 (big-endian), and the MAC
is the first 16 bytes of HMAC-SHA256 over all before it under the destination's link key. A lasting
token has no version byte: its length tells it apart, and its text stays the same for ever, as rows
in other databases hold it.
"""

import base64
import binascii
import hmac
import math
import time
from dataclasses import dataclass
from functools import cache
from uuid import UUID

import structlog
from django.conf import settings
from django.urls import reverse

from destinations.crypto import SealError
from destinations.models import Destination
from webhooks.models import Delivery, Payload

log = structlog.get_logger(__name__)

MAC_BYTES = 16
EXPIRY_BYTES = 5
EXPIRING = b"\x01"
_LASTING_LENGTH = 32 + MAC_BYTES
_EXPIRING_LENGTH = len(EXPIRING) + 32 + EXPIRY_BYTES + MAC_BYTES


class LinkRefused(Exception):
    """A token that opens nothing. All reasons look alike to the one who holds it."""


class LinkExpired(Exception):
    """A token that is signed as it should be, and whose time is over."""


@dataclass(frozen=True, slots=True)
class _Named:
    """What a token says, before anyone has looked at its signature."""

    event_id: UUID
    destination_id: UUID
    expires_at: int | None  # seconds since 1970; None: lasting


def link_key(destination: Destination) -> bytes:
    """Return the key that signs a destination's links; a new key revokes those made before."""
    return base64.b64decode(destination.link_secret["key"])


def expiry_after(lifetime_s: int | None) -> int | None:
    """Return when a link that is made now ends, in seconds since 1970; ``None``: it lasts."""
    return None if lifetime_s is None else math.ceil(time.time()) + lifetime_s


def token_for(event_id: UUID, destination_id: UUID, key: bytes, expires_at: int | None = None) -> str:
    """Return the token of an event's payload for one destination: lasting, or until ``expires_at``."""
    named = event_id.bytes + destination_id.bytes
    if expires_at is not None:
        named = EXPIRING + named + expires_at.to_bytes(EXPIRY_BYTES)
    mac = hmac.digest(key, named, "sha256")[:MAC_BYTES]
    return base64.urlsafe_b64encode(named + mac).decode()


def payload_url(event_id: UUID, destination_id: UUID, key: bytes, expires_at: int | None = None) -> str:
    """Return the absolute link, under PUBLIC_URL."""
    return f"{settings.PUBLIC_URL}{_path()}{token_for(event_id, destination_id, key, expires_at)}"


@cache
def _path() -> str:
    """Return the path of all links. Asked for once: Django's reverse() took a sixth of a worker's time."""
    return reverse("payload", args=["token"]).removesuffix("token")


def payload_of(token: str) -> Payload:
    """Return the payload that a token opens; raise ``LinkRefused`` or ``LinkExpired``."""
    named = _named_in(token)
    destination = Destination.objects.present().filter(pk=named.destination_id).first()
    if destination is None or not _is_signed_by(destination, named, token):
        raise LinkRefused
    if named.expires_at is not None and time.time() >= named.expires_at:
        raise LinkExpired  # said only of what was signed: nobody else learns anything by it
    if not Delivery.objects.filter(event_id=named.event_id, destination_id=named.destination_id).exists():
        raise LinkRefused
    payload: Payload | None = Payload.objects.filter(pk=named.event_id).first()
    if payload is None:
        raise LinkRefused
    return payload


def _is_signed_by(destination: Destination, named: _Named, token: str) -> bool:
    try:
        key = link_key(destination)
    except (SealError, KeyError) as error:  # a missing credential key is the operator's to mend, not the reader's
        log.error("link_key_unreadable", destination=str(destination.pk), error=type(error).__name__)
        return False
    return hmac.compare_digest(token_for(named.event_id, destination.pk, key, named.expires_at), token)


def _named_in(token: str) -> _Named:
    try:
        data = base64.urlsafe_b64decode(token.encode("ascii"))
    except (binascii.Error, ValueError) as error:
        raise LinkRefused from error
    if len(data) == _LASTING_LENGTH:
        return _Named(UUID(bytes=data[:16]), UUID(bytes=data[16:32]), None)
    if len(data) == _EXPIRING_LENGTH and data[:1] == EXPIRING:
        expiry = int.from_bytes(data[33 : 33 + EXPIRY_BYTES])
        return _Named(UUID(bytes=data[1:17]), UUID(bytes=data[17:33]), expiry)
    raise LinkRefused
