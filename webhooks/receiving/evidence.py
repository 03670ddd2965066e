"""What is still known of an event's verification: when it was signed, and with which of the source's secrets."""

from datetime import UTC, datetime
from typing import NamedTuple

from django.conf import settings

from destinations.crypto import SealError
from destinations.signatures import terra_hmac
from webhooks.models import Event, Payload
from webhooks.receiving.sources import as_live
from webhooks.receiving.verification import HEADERS, Secret, Signature, SignatureRefused, parse_signature

CURRENT, PREVIOUS, NONE_LIVE, NOT_TRIED = "current", "previous", "none", "not tried"
WORDS = {
    CURRENT: "with the source's current secret",
    PREVIOUS: "with an earlier secret of the source, which is being replaced",
    NONE_LIVE: "with a secret that the source no longer has",
    NOT_TRIED: "",
}


class Evidence(NamedTuple):
    """An accepted signature, looked at again."""

    signed_at: datetime
    age_s: int  # when it came; negative: the signer's clock was ahead
    secret: str  # a key of WORDS

    @property
    def words(self) -> str:
        """Return which secret it was, in words; empty where the body was too large to try."""
        return WORDS[self.secret]


def evidence_of(event: Event) -> Evidence | None:
    """Return what an event's headers and body say of its signature; ``None`` where none is kept.

    Bodies in the payload store are not fetched for it, so for them the secret stays open.
    """
    headers = event.headers if isinstance(event.headers, dict) else {}
    for name in HEADERS:
        try:
            signature = parse_signature(str(headers.get(name, "")))
            signed_at = datetime.fromtimestamp(signature.timestamp, UTC)
        except (SignatureRefused, ValueError, OverflowError):
            continue
        age = int((event.received_at - signed_at).total_seconds())
        return Evidence(signed_at, age, _secret_of(event, signature))
    return None


def _secret_of(event: Event, signature: Signature) -> str:
    body = Payload.objects.filter(pk=event.pk, body__isnull=False).values_list("body", flat=True).first()
    if body is None or event.size > settings.INLINE_BODY_BYTES:
        return NOT_TRIED
    try:
        secrets = as_live(event.source).secrets
    except SealError:
        return NOT_TRIED
    return next((_role(number) for number, one in enumerate(secrets) if _fits(one, signature, bytes(body))), NONE_LIVE)


def _role(number: int) -> str:
    return CURRENT if number == 0 else PREVIOUS


def _fits(secret: Secret, signature: Signature, body: bytes) -> bool:
    return terra_hmac(secret.value, signature.timestamp_text, body) in signature.digests
