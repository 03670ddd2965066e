"""What of an HTTP request receiving looks at: its headers, its sender, its body's exact bytes."""

import os
from typing import Any

from django.conf import settings
from django.http import HttpRequest

from webhooks.receiving.verification import Address, client_address

CHUNK_BYTES = 256 * 1024
# The server puts the process's own environment into every request's: HTTP_PROXY, for one, may hold a password.
_OF_PROCESS = {name: value for name, value in os.environ.items() if name.startswith("HTTP_")}


class BodyTooLarge(Exception):
    """The body is over the limit."""


class BodyBroken(Exception):
    """The body ended before it was whole."""


def header_dict(request: HttpRequest) -> dict[str, str]:
    """Return the headers by their names in lower case."""
    found = {
        name[5:].replace("_", "-").lower(): value
        for name, value in request.META.items()
        if name.startswith("HTTP_") and isinstance(value, str) and _OF_PROCESS.get(name) != value
    }
    if request.META.get("CONTENT_TYPE"):
        found["content-type"] = request.META["CONTENT_TYPE"]
    return found


def sender(request: HttpRequest) -> Address | None:
    """Return the address that sent the request, by TRUSTED_PROXY_COUNT."""
    peer, forwarded = request.META.get("REMOTE_ADDR", ""), request.META.get("HTTP_X_FORWARDED_FOR", "")
    return client_address(peer, forwarded, settings.TRUSTED_PROXY_COUNT)


def declared_length(request: HttpRequest) -> int:
    """Return Content-Length, or 0 where there is none (a chunked body)."""
    text = str(request.META.get("CONTENT_LENGTH") or "")
    return int(text) if text.isascii() and text.isdigit() else 0


def read_body(request: HttpRequest, limit: int) -> bytes:
    """Return the body's exact bytes, chunked or not; raise ``BodyTooLarge`` or ``BodyBroken``.

    Django's own ``request.body`` takes a chunked body for an empty one.
    """
    stream: Any = request.META["wsgi.input"]
    if "chunked" in request.META.get("HTTP_TRANSFER_ENCODING", "").lower():
        return _read_to_end(stream, limit)
    length = declared_length(request)
    if length > limit:
        raise BodyTooLarge
    body = _read_to_end(stream, limit, length)
    if len(body) != length:
        raise BodyBroken(f"The body ended after {len(body)} of {length} bytes.")
    return body


def _read_to_end(stream: Any, limit: int, length: int | None = None) -> bytes:
    pieces, size = [], 0
    while length is None or size < length:
        try:
            piece = stream.read(CHUNK_BYTES if length is None else min(CHUNK_BYTES * 4, length - size))
        except OSError as error:
            raise BodyBroken("The connection was lost before the body was whole.") from error
        if not piece:
            break
        size += len(piece)
        if size > limit:
            raise BodyTooLarge
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
