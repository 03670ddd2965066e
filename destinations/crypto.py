"""Sealing of credentials: AES-256-GCM under a key ring of the hub's own.

A token is ``sealed:1:<key id>:<base64url of nonce and ciphertext>``. Its associated data name
the row and the field, so a token that is copied into another row does not open.
"""

import base64
import binascii
import json
import os
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

PREFIX = "sealed:1:"
NONCE_BYTES = 12
KEY_BYTES = 32


class SealError(Exception):
    """A sealed value cannot be opened; the message says why and never holds a secret."""


class KeyRing:
    """The keys that open sealed values; the first one seals new ones."""

    def __init__(self, entries: Sequence[str]) -> None:
        """Read ``key id:base64 of 32 bytes`` entries; raise ``SealError`` on a malformed one."""
        self._ciphers: dict[str, AESGCM] = {}
        for key_id, cipher in (_read_key(*item) for item in enumerate(filter(str.strip, entries), 1)):
            if key_id in self._ciphers:
                raise SealError(f"CREDENTIAL_KEYS names the key {key_id!r} twice: each key needs an id of its own.")
            self._ciphers[key_id] = cipher
        if not self._ciphers:
            raise SealError(
                "CREDENTIAL_KEYS is not set: credentials can be neither sealed nor opened. "
                "Make a key with: python manage.py generate_key"
            )
        self.active_key_id = next(iter(self._ciphers))

    @property
    def key_ids(self) -> Sequence[str]:
        """Return the ids of all keys, the one that seals first."""
        return tuple(self._ciphers)

    def seal(self, value: Any, bound_to: str) -> str:
        """Seal a JSON-able value, bound to the row and field that ``bound_to`` names."""
        nonce = os.urandom(NONCE_BYTES)
        plain = json.dumps(value, separators=(",", ":")).encode()
        sealed = self._ciphers[self.active_key_id].encrypt(nonce, plain, bound_to.encode())
        text = base64.urlsafe_b64encode(nonce + sealed).decode()
        return f"{PREFIX}{self.active_key_id}:{text}"

    def open(self, token: str, bound_to: str) -> Any:
        """Open a sealed value; raise ``SealError`` for a missing key, a wrong key or a wrong row."""
        cipher = self._ciphers.get(key_id_of(token))
        if cipher is None:
            raise SealError(f"CREDENTIAL_KEYS has no key with the id {key_id_of(token)!r}.")
        try:
            data = base64.urlsafe_b64decode(token.rsplit(":", 1)[1])
            return json.loads(cipher.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], bound_to.encode()))
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise SealError(
                f"A sealed value of {bound_to} does not open with the key {key_id_of(token)!r}: "
                "it was sealed with another key, or belongs to another row."
            ) from error


def key_id_of(token: str) -> str:
    """Return the id of the key that sealed ``token``."""
    if not token.startswith(PREFIX) or token.count(":") != 3:
        raise SealError("A stored credential is not a sealed value.")
    return token.split(":")[2]


def generate_key(key_id: str) -> str:
    """Return a new ring entry: ``key id:base64 of 32 random bytes``."""
    return f"{key_id}:{base64.b64encode(os.urandom(KEY_BYTES)).decode()}"


def _read_key(number: int, entry: str) -> tuple[str, AESGCM]:
    key_id, _, text = entry.strip().partition(":")
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if not key_id or len(key) != KEY_BYTES:
        raise SealError(
            f"Entry {number}{_shown_id(entry)} of CREDENTIAL_KEYS is not 'key id:base64 of 32 bytes'. "
            "Make one with: python manage.py generate_key"
        )
    return key_id, AESGCM(key)


def _shown_id(entry: str) -> str:
    """Return the id of a malformed entry to show; nothing where it may be a key: without a colon, or too long."""
    found = re.match(r"\s*([A-Za-z0-9._-]{1,20}):", entry)
    return f" (id {found[1]!r})" if found else ""


@lru_cache(maxsize=4)
def _ring_of(entries: tuple[str, ...]) -> KeyRing:
    return KeyRing(entries)


def key_ring() -> KeyRing:
    """Return the ring that the setting CREDENTIAL_KEYS describes."""
    from django.conf import settings

    return _ring_of(tuple(settings.CREDENTIAL_KEYS))


class SecretDict(dict[str, Any]):
    """Opened credentials: a dict whose ``repr`` shows no value, so that no traceback does."""

    def __repr__(self) -> str:
        return f"<{len(self)} secret values>"

    __str__ = __repr__


def as_secret(value: Any) -> Any:
    """Wrap an opened mapping so that printing it shows nothing."""
    return SecretDict(value) if isinstance(value, Mapping) else value
