"""Commits events with their deliveries, many requests in one transaction.

One thread per process writes. Requests that arrive while a commit is under way are written
together in the next one, and each is answered when its own rows are on disk. Why, and what it
gains: docs/decisions/0002-group-commit.md.
"""

import asyncio
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction

from webhooks.failpoints import failpoint
from webhooks.receiving.routing import RoutingTable
from webhooks.receiving.writing import Entry, Written, write_entries
from webhooks.sql import renew_connections

log = structlog.get_logger(__name__)

MAX_GROUP_BYTES = 32 * 1024 * 1024
MAX_WAITING = 4096


class StoreUnavailable(Exception):
    """The event could not be committed, or not in time: the sender must try again."""


class NotCommitted(StoreUnavailable):
    """The same, and no row of it was or will be committed: what was put aside for it can go."""


@dataclass(slots=True, eq=False)
class Waiting:
    """One request that waits for its commit."""

    entry: Entry
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[None]"
    written: Written | None = None
    may_be_on_disk: bool = False  # its commit was asked for, whatever was heard of it

    @property
    def size(self) -> int:
        """Return the bytes that this entry adds to a transaction."""
        return len(self.entry.inline_body or b"")


class Committer:
    """Takes entries from requests on an event loop and commits them in groups, from one thread."""

    def __init__(self) -> None:
        """Start without a thread: the first entry starts it (a fork would not carry it over)."""
        self._condition = threading.Condition()
        self._queue: list[Waiting] = []
        self._group: list[Waiting] = []  # what is being written
        self._thread: threading.Thread | None = None
        self._routing = RoutingTable()

    async def commit(self, entry: Entry) -> Written:
        """Return what became of ``entry`` once it is on disk; raise ``StoreUnavailable``.

        An entry whose time runs out before its turn is not written. One whose time runs out during
        its commit may be: the sender's retry then finds its event by trace id or reference.
        """
        loop = asyncio.get_running_loop()
        waiting = Waiting(entry, loop, loop.create_future())
        self._enqueue(waiting)
        # A bare timer: asyncio.timeout() costs a third of a small request's verification.
        timer = loop.call_later(settings.COMMIT_TIMEOUT_SECONDS, _let_go, [waiting])
        try:
            await waiting.done
        finally:
            timer.cancel()
        written = waiting.written  # also where it came in the very moment in which the time ran out
        if written is None:
            sure = self._forget(waiting) and not waiting.may_be_on_disk
            raise (NotCommitted if sure else StoreUnavailable)("The database did not take the event, or not in time.")
        return written

    def _forget(self, waiting: Waiting) -> bool:
        """Take an entry out of the queue; tell whether no thread has it in hand."""
        with self._condition:
            if waiting in self._queue:
                self._queue.remove(waiting)
                return True
            return waiting not in self._group

    def _enqueue(self, waiting: Waiting) -> None:
        with self._condition:
            if len(self._queue) >= MAX_WAITING:
                raise NotCommitted("Too many requests wait for the database.")
            self._queue.append(waiting)
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="group-commit", daemon=True)
                self._thread.start()
            self._condition.notify()

    def _run(self) -> None:
        while True:
            group = self._next_group()
            try:
                self._write(group)
            finally:
                with self._condition:
                    self._group = []
                _tell(group)

    def _next_group(self) -> list[Waiting]:
        with self._condition:
            while not self._queue:
                self._condition.wait()
            count = _how_many(self._queue)
            self._group, self._queue = self._queue[:count], self._queue[count:]
            return self._group

    def _write(self, group: Sequence[Waiting]) -> None:
        """Write a group; where that fails, write each entry on its own: over a connection that is not broken."""
        try:
            self._write_together(group)
        except Exception as error:
            renew_connections()
            if not _answers():
                log.error("event_not_committed", error=type(error).__name__)
                return
            self._write_singly(group)

    def _write_singly(self, group: Sequence[Waiting]) -> None:
        for waiting in group:
            try:
                self._write_together([waiting])
            except Exception as error:  # whatever is wrong with this one, the next is written
                connection.close()
                log.error("event_not_committed", error=type(error).__name__)
                if not _answers():
                    return

    def _write_together(self, group: Sequence[Waiting]) -> None:
        failpoint("before_commit")
        with transaction.atomic():
            results = write_entries([waiting.entry for waiting in group], self._routing)
            for waiting in group:
                waiting.may_be_on_disk = True
        failpoint("after_commit")
        # Only now: the transaction is on disk.
        for waiting, written in zip(group, results, strict=True):
            waiting.written = written


def _tell(group: Iterable[Waiting]) -> None:
    """Let the requests of a group go on: one call into each event loop, however many wait there."""
    waiting_on: dict[asyncio.AbstractEventLoop, list[Waiting]] = defaultdict(list)
    for waiting in group:
        waiting_on[waiting.loop].append(waiting)
    for loop, theirs in waiting_on.items():
        try:
            loop.call_soon_threadsafe(_let_go, theirs)
        except RuntimeError:  # the loop was closed: nobody is there to be answered
            log.warning("answers_lost", requests=len(theirs))


def _let_go(group: Iterable[Waiting]) -> None:
    for waiting in group:
        if not waiting.done.done():  # else its time was up, or its client is gone
            waiting.done.set_result(None)


def _how_many(queue: Sequence[Waiting]) -> int:
    size, most = 0, settings.GROUP_COMMIT_MAX
    for number, waiting in enumerate(queue[:most]):
        size += waiting.size
        if number and size > MAX_GROUP_BYTES:
            return number
    return min(len(queue), most)


def _answers() -> bool:
    """Tell whether the database answers at all, so that an outage is not tried once per entry."""
    try:
        connection.ensure_connection()
    except (DatabaseError, InterfaceError):
        return False
    return True


committer = Committer()
