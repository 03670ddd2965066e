"""The live tail's stream over HTTP (server-sent events): ASGI, in front of Django's threads.

A stream may last for minutes, and Django has sixteen threads: one that waits must hold none.
"""

import asyncio
import signal
import threading
from contextlib import suppress
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http.request import split_domain_port, validate_host

from webhooks.live.feed import Feed, Stream, TooManyStreams, threads
from webhooks.live.people import Watcher, watcher_of
from webhooks.live.rows import Cursor, Wanted, look
from webhooks.receiving.endpoint import Answer, answer_with, problem
from webhooks.receiving.requests import header_dict
from webhooks.threads import run_in

PATH = "/admin/live/stream"
HEARTBEAT_SECONDS = 10.0
CHECK_SECONDS = 5.0  # how long somebody who may look no more can go on
SEND_SECONDS = 10.0
# Then the browser connects anew. The server takes whatever it is given to send, and holds it in memory for a
# client that does not read: this is what it can hold.
MOST_BYTES = 1024 * 1024
MOST_SECONDS = 900.0
HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"), (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"), (b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"same-origin"),
)  # fmt: skip


class LiveTail:
    """Serves the stream, and hands everything else to ``other``."""

    def __init__(self, other: ASGI3Application) -> None:
        """Start idle."""
        self._other, self.feed = other, Feed()
        self._listening_for_the_end = False

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] != PATH:
            await self._other(scope, receive, send)
            return
        headers = header_dict(scope)
        refusal, watcher = await _admit(scope, headers)
        if watcher is None:
            await answer_with(refusal, send)
            return
        stream = Stream(watcher, Wanted.of(scope["query_string"].decode("latin-1")))
        try:
            self.feed.join(stream)
        except TooManyStreams:
            await answer_with(_TOO_MANY, send)
            return
        self._listen_for_the_end()
        try:
            await _serve(stream, headers, receive, send)
        finally:
            self.feed.leave(stream)

    def _listen_for_the_end(self) -> None:
        """End the streams when the process is told to end: the server waits for answers that are under way.

        It has no hook for that (its lifespan ends after the last answer). It is told by a signal through the
        event loop, which leaves Python's own handlers free.
        """
        if self._listening_for_the_end or threading.current_thread() is not threading.main_thread():
            return
        self._listening_for_the_end = True
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            _call_too(number, lambda: loop.call_soon_threadsafe(self.feed.close))


def _call_too(number: signal.Signals, function: Any) -> None:
    before = signal.getsignal(number)

    def told(signum: int, frame: FrameType | None) -> None:
        function()
        if callable(before):
            before(signum, frame)

    signal.signal(number, told)


_TOO_MANY = problem(429, "too_many_streams", "Too many live tails are open. Close one of them.")


async def _admit(scope: HTTPScope, headers: dict[str, str]) -> tuple[Answer, Watcher | None]:
    """Return who may look; or the answer to one who may not."""
    if scope["method"] != "GET":
        return problem(405, "method_not_allowed", "The live tail is read with GET.", allow="GET"), None
    if not _own_page(headers):
        return problem(403, "other_origin", "The live tail is for the hub's own pages."), None
    try:
        watcher = await run_in(threads, watcher_of, headers.get("cookie", ""))
    except (DatabaseError, InterfaceError):
        return problem(503, "store_unavailable", "The database does not answer."), None
    return problem(403, "not_allowed", "Log in as somebody who may view events."), watcher


def _own_page(headers: dict[str, str]) -> bool:
    """Tell whether a page of this hub asks, as far as its browser says."""
    host, _ = split_domain_port(headers.get("host", "").lower())
    origin = headers.get("origin", "")
    return (
        validate_host(host, settings.ALLOWED_HOSTS)
        and headers.get("sec-fetch-site", "same-origin") == "same-origin"
        and (not origin or urlsplit(origin).netloc.lower() == headers["host"].lower())
    )


async def _serve(stream: Stream, headers: dict[str, str], receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS, "trailers": False})
    beside = [_until_gone(stream, receive), _check(stream, headers.get("cookie", "")), _end_in_time(stream)]
    tasks = [asyncio.create_task(one) for one in beside]
    try:
        await _write(stream, Cursor.parse(headers.get("last-event-id", "")), send)
    except TimeoutError:
        stream.end("slow")
    finally:
        for task in tasks:
            task.cancel()
    with suppress(TimeoutError):
        await _piece(b"event: end\ndata: %b\n\n" % stream.ended.encode(), send)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _write(stream: Stream, since: Cursor | None, send: ASGISendCallable) -> None:
    await _piece(b"retry: 1000\n\n", send)
    with suppress(DatabaseError, InterfaceError):
        found = await run_in(threads, look, since)
        stream.offer(found.rows, found.left_out, since or found.cursor)
    left = MOST_BYTES
    while not stream.ended:
        data = await stream.next(HEARTBEAT_SECONDS)
        left -= len(data)
        if left < 0:
            stream.end("full")
        await _piece(data, send)


async def _piece(data: bytes, send: ASGISendCallable) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        await send({"type": "http.response.body", "body": data, "more_body": True})


async def _until_gone(stream: Stream, receive: ASGIReceiveCallable) -> None:
    while (await receive())["type"] == "http.request":
        pass
    stream.end("gone")


async def _check(stream: Stream, cookies: str) -> None:
    """End the stream of somebody who has logged out, or may look no more."""
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        try:
            watcher = await run_in(threads, watcher_of, cookies)
        except (DatabaseError, InterfaceError):
            continue
        if watcher != stream.watcher:
            stream.end("logged_out")


async def _end_in_time(stream: Stream) -> None:
    await asyncio.sleep(MOST_SECONDS)
    stream.end("full")
