"""Streams of the live tail, and the one poller of this process that feeds them all.

Everything here runs on the event loop; only the looking is done in a thread. The poller lives while
somebody listens.
"""

import asyncio
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import orjson
import structlog
from django.db import DatabaseError, InterfaceError

from webhooks.live.people import Watcher
from webhooks.live.rows import Cursor, Row, Wanted, Window
from webhooks.threads import run_in

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0
MOST_STREAMS = 32  # of this process
MOST_OF_ONE = 4  # of one person: browsers open six connections to a server, and the admin needs some
MOST_WAITING = 500  # rows that wait for a reader; one who is further behind is dropped
threads = ThreadPoolExecutor(2, thread_name_prefix="live")


class TooManyStreams(Exception):
    """No more streams for this person, or from this process."""


class Stream:
    """One reader: the rows that wait for it, and why it ends."""

    def __init__(self, watcher: Watcher, wanted: Wanted) -> None:
        """Start with nothing to send."""
        self.watcher, self.wanted = watcher, wanted
        self.ended = ""
        self._waiting: dict[str, dict[str, Any]] = {}  # by key: the first look and the poller may find the same row
        self._left_out = 0
        self._cursor = ""
        self._something = asyncio.Event()

    def offer(self, rows: Iterable[Row], left_out: int, cursor: Cursor | None) -> None:
        """Take what this reader wants to see and may; end where too much waits already."""
        deliveries = self.watcher.deliveries
        fitting = [row for row in rows if self.wanted.takes(row) and (deliveries or not row.of_delivery)]
        self._waiting |= {row.key: row.as_json(deliveries) for row in fitting}
        self._left_out += left_out
        self._cursor = str(cursor or "")
        if len(self._waiting) > MOST_WAITING:
            self._waiting.clear()
            self.end("slow")
        if fitting or left_out:
            self._something.set()

    def end(self, why: str) -> None:
        """Have the stream end, for a reason that the browser is told."""
        self.ended = self.ended or why
        self._something.set()

    async def next(self, most_seconds: float) -> bytes:
        """Return what is to be sent next: rows, or after a while of silence a sign of life."""
        with suppress(TimeoutError):
            async with asyncio.timeout(most_seconds):
                await self._something.wait()
        self._something.clear()
        if not (self._waiting or self._left_out):
            return b"id: %b\n: still here\n\n" % self._cursor.encode()  # the place moves on without rows, too
        message = {"rows": list(self._waiting.values()), "left_out": self._left_out}
        self._waiting, self._left_out = {}, 0
        return b"id: %b\ndata: %b\n\n" % (self._cursor.encode(), orjson.dumps(message))


class Feed:
    """The streams of this process and their poller."""

    def __init__(self) -> None:
        """Start idle."""
        self._streams: set[Stream] = set()
        self._poller: asyncio.Task[None] | None = None

    @property
    def streams(self) -> Sequence[Stream]:
        """Return those who listen."""
        return tuple(self._streams)

    @property
    def idle(self) -> bool:
        """Tell whether nothing is read."""
        return self._poller is None or self._poller.done()

    def join(self, stream: Stream) -> None:
        """Feed a stream; raise ``TooManyStreams`` where there is no room."""
        of_one = sum(one.watcher.user_id == stream.watcher.user_id for one in self._streams)
        if len(self._streams) >= MOST_STREAMS or of_one >= MOST_OF_ONE:
            raise TooManyStreams
        self._streams.add(stream)
        if self.idle:
            self._poller = asyncio.get_running_loop().create_task(self._poll())

    def leave(self, stream: Stream) -> None:
        """Feed a stream no longer; with the last one the poller ends."""
        self._streams.discard(stream)

    def close(self) -> None:
        """End every stream: the process is going to end."""
        for stream in self.streams:
            stream.end("stopping")

    async def _poll(self) -> None:
        window = Window()
        while self._streams:
            try:
                found = await run_in(threads, window.look)
            except (DatabaseError, InterfaceError) as error:
                log.warning("live_tail_waits", error=type(error).__name__)
            else:
                for stream in self.streams:
                    stream.offer(found.rows, found.left_out, window.floor)
            await asyncio.sleep(POLL_SECONDS)
