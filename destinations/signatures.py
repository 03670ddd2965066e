"""Signatures over webhook bodies: Terra's own scheme, and Standard Webhooks.

Terra: https://docs.tryterra.co, *Webhooks*, "terra-signature". Standard Webhooks:
https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md.
One secret serves both: Terra's scheme takes the UTF-8 bytes of the whole text, as Terra's SDKs do;
Standard Webhooks takes the bytes that its base64 spells, as the ``standardwebhooks`` libraries do.
"""

import base64
import binascii
import re
from collections.abc import Sequence

from destinations.digests import hmac_sha256

PREFIX = "whsec_"
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")


def terra_hmac(secret: bytes, timestamp: str, body: bytes) -> str:
    """Return Terra's ``v1``: lower-case hex of HMAC-SHA256 over ``timestamp + "." + body``."""
    return hmac_sha256(secret, timestamp.encode() + b".", body).hex()


def terra_signature(secrets: Sequence[bytes], timestamp: str, body: bytes) -> str:
    """Return a ``terra-signature`` header: ``t=<unix seconds>`` and a ``v1`` for each secret."""
    return ",".join([f"t={timestamp}", *[f"v1={terra_hmac(secret, timestamp, body)}" for secret in secrets]])


def standard_key(secret: str) -> bytes:
    """Return the key that Standard Webhooks signs with: what the secret's base64 spells.

    A secret that is not base64 stands for its own UTF-8 bytes; a receiver then has to pass those
    bytes, ``Webhook(secret.encode())``, to its library.
    """
    text = secret.removeprefix(PREFIX)
    if _BASE64.fullmatch(text):
        try:
            return base64.b64decode(text.rstrip("=") + "==")
        except binascii.Error:
            pass
    return secret.encode()


def standard_signature(keys: Sequence[bytes], message_id: str, timestamp: str, body: bytes) -> str:
    """Return a ``webhook-signature`` header: ``v1,<base64>`` for each key, with spaces between."""
    prefix = f"{message_id}.{timestamp}.".encode()
    return " ".join([f"v1,{base64.b64encode(hmac_sha256(key, prefix, body)).decode()}" for key in keys])
