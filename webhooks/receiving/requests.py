"""What of an HTTP request receiving looks at: its headers, its sender, its body's exact bytes."""

import asyncio
from collections.abc import Mapping

from asgiref.typing import ASGIReceiveCallable, HTTPScope
from django.conf import settings

from webhooks.receiving.groupcommit import StoreUnavailable
from webhooks.receiving.verification import Address, client_address

# How long a body that is refused unread is read all the same, and dropped.
DROP_SECONDS = 30.0


class BodyTooLarge(Exception):
    """The body is over the limit."""


class BodyBroken(Exception):
    """The body ended before it was whole."""


class BodyTooSlow(Exception):
    """The body was not whole in time."""


def header_dict(scope: HTTPScope) -> dict[str, str]:
    """Return the headers by their names in lower case; values of a name that came twice are joined."""
    found: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        found[name] = f"{found[name]},{value}" if name in found else value
    return found


def sender(scope: HTTPScope, headers: Mapping[str, str]) -> Address | None:
    """Return the address that sent the request, by TRUSTED_PROXY_COUNT."""
    peer = scope["client"][0] if scope["client"] else ""
    return client_address(peer, headers.get("x-forwarded-for", ""), settings.TRUSTED_PROXY_COUNT)


def declared_length(headers: Mapping[str, str]) -> int:
    """Return Content-Length, or 0 where there is none (a chunked body)."""
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else 0


class _Room:
    """The bytes of bodies that this process holds: being read, or waiting for their commit."""

    held = 0

    def take(self, size: int) -> None:
        """Make room for ``size`` more bytes; raise ``StoreUnavailable`` where there is none."""
        if self.held + size > settings.HELD_BODY_BYTES:
            raise StoreUnavailable("Too many large bodies came at once (HELD_BODY_BYTES).")
        self.held += size

    def give_back(self, size: int) -> None:
        """Let go of ``size`` bytes."""
        self.held -= size


_room = _Room()  # all of a process's requests are read on one event loop


async def read_body(headers: Mapping[str, str], receive: ASGIReceiveCallable, limit: int) -> bytes:
    """Return the body's exact bytes, chunked or not; ``let_go`` of them in the end.

    Raise ``BodyTooLarge``, ``BodyBroken``, ``BodyTooSlow``, or ``StoreUnavailable`` where this
    process holds too many bytes already.
    """
    expected = None if "transfer-encoding" in headers else declared_length(headers)
    pieces: list[bytes] = []
    try:
        async with asyncio.timeout(settings.BODY_TIMEOUT_SECONDS):
            whole = await _read_pieces(receive, pieces, limit)
        size = sum(map(len, pieces))
        if not whole or size != (size if expected is None else expected):
            raise BodyBroken(f"The body ended after {size} of {'more' if expected is None else expected} bytes.")
    except BaseException as error:
        _room.give_back(sum(map(len, pieces)))
        if isinstance(error, TimeoutError):
            detail = f"The body was not whole within {settings.BODY_TIMEOUT_SECONDS:g} s (BODY_TIMEOUT_SECONDS)."
            raise BodyTooSlow(detail) from error
        raise
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def let_go(body: bytes) -> None:
    """Say that a body that was read is not held any more."""
    _room.give_back(len(body))


async def _read_pieces(receive: ASGIReceiveCallable, pieces: list[bytes], limit: int) -> bool:
    """Add what comes to ``pieces``; tell whether it came to its end."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return False
        piece, more = message.get("body", b""), message.get("more_body", False)
        size += len(piece)
        if size > limit:
            raise BodyTooLarge
        if piece:
            _room.take(len(piece))
            pieces.append(piece)
    return True


async def drop_body(headers: Mapping[str, str], receive: ASGIReceiveCallable) -> None:
    """Read on and keep nothing, so that the sender gets to see its answer.

    Many clients look for an answer only once they have sent everything (Python's ``http.client`` is
    one), and meet a broken pipe instead. Nothing is read where the client waits for leave to send
    (``Expect``) or says that more than twice MAX_BODY_BYTES will come.
    """
    most = 2 * settings.MAX_BODY_BYTES
    if "expect" in headers or declared_length(headers) > most:
        return
    try:
        async with asyncio.timeout(DROP_SECONDS):
            await _drop_pieces(receive, most)
    except TimeoutError:
        return


async def _drop_pieces(receive: ASGIReceiveCallable, left: int) -> None:
    while left > 0:
        message = await receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            return
        left -= len(message.get("body", b""))
