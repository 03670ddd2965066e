"""SHA-256 and HMAC-SHA256 of bodies, friendly to threads.

CPython lets go of its interpreter lock to hash 2,048 bytes or more, and taking it back among many
busy threads costs far more than hashing a small body does (twice the time of a whole request,
measured: docs/decisions/0002-group-commit.md). Small bodies are therefore hashed in smaller
pieces; large ones let other threads run meanwhile. https://docs.python.org/3/library/hashlib.html
"""

import hashlib
import hmac
from typing import Protocol

PIECE_BYTES = 2047
SMALL_BYTES = 16 * 1024


class _Hash(Protocol):
    def update(self, data: bytes, /) -> None: ...


def sha256(data: bytes) -> bytes:
    """Return the SHA-256 of ``data``."""
    made = hashlib.sha256()
    _feed(made, data)
    return made.digest()


def hmac_sha256(key: bytes, prefix: bytes, data: bytes) -> bytes:
    """Return the HMAC-SHA256 of ``prefix + data``."""
    if len(data) <= SMALL_BYTES:
        return hmac.digest(key, prefix + data, "sha256")  # one call into OpenSSL, half the time of hmac.new
    made = hmac.new(key, prefix, "sha256")
    made.update(data)
    return made.digest()


def _feed(made: _Hash, data: bytes) -> None:
    if PIECE_BYTES < len(data) <= SMALL_BYTES:
        for start in range(0, len(data), PIECE_BYTES):
            made.update(data[start : start + PIECE_BYTES])
    else:
        made.update(data)
