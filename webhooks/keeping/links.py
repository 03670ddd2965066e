"""Links to payloads: signed per destination, working until the destination revokes them.

A token is base64url of the event's UUID, the destination's UUID and the first 16 bytes of
HMAC-SHA256 over both under the destination's link key.
"""

import base64
import binascii
import hmac
from uuid import UUID

from django.conf import settings
from django.urls import reverse

from destinations.models import Destination
from webhooks.models import Delivery, Payload

MAC_BYTES = 16


class LinkRefused(Exception):
    """A token that opens nothing. All reasons look alike to the one who holds it."""


def link_key(destination: Destination) -> bytes:
    """Return the key that signs a destination's links; a new key revokes those made before."""
    return base64.b64decode(destination.link_secret["key"])


def token_for(event_id: UUID, destination_id: UUID, key: bytes) -> str:
    """Return the token of an event's payload for one destination."""
    named = event_id.bytes + destination_id.bytes
    mac = hmac.digest(key, named, "sha256")[:MAC_BYTES]
    return base64.urlsafe_b64encode(named + mac).decode()


def payload_url(event_id: UUID, destination_id: UUID, key: bytes) -> str:
    """Return the absolute link, under PUBLIC_URL."""
    return f"{settings.PUBLIC_URL}{reverse('payload', args=[token_for(event_id, destination_id, key)])}"


def payload_of(token: str) -> Payload:
    """Return the payload that a token opens; raise ``LinkRefused``."""
    event_id, destination_id = _named_in(token)
    destination = Destination.objects.present().filter(pk=destination_id).first()
    if destination is None or not hmac.compare_digest(
        token_for(event_id, destination_id, link_key(destination)), token
    ):
        raise LinkRefused
    if not Delivery.objects.filter(event_id=event_id, destination_id=destination_id).exists():
        raise LinkRefused
    payload: Payload | None = Payload.objects.filter(pk=event_id).first()
    if payload is None:
        raise LinkRefused
    return payload


def _named_in(token: str) -> tuple[UUID, UUID]:
    try:
        data = base64.urlsafe_b64decode(token.encode("ascii"))
        if len(data) != 32 + MAC_BYTES:
            raise LinkRefused
        return UUID(bytes=data[:16]), UUID(bytes=data[16:32])
    except (binascii.Error, ValueError) as error:
        raise LinkRefused from error
