"""Commits events with their deliveries, many requests in one transaction.

One thread per process writes. Requests that arrive while a commit is under way are written
together in the next one, and each is answered when its own rows are on disk. Why, and what it
gains: docs/decisions/0002-group-commit.md.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction

from webhooks.failpoints import failpoint
from webhooks.receiving.routing import RoutingTable
from webhooks.receiving.writing import Entry, Written, write_entries

log = structlog.get_logger(__name__)

MAX_GROUP_BYTES = 32 * 1024 * 1024
MAX_WAITING = 4096


class StoreUnavailable(Exception):
    """The event could not be committed, or not in time: the sender must try again."""


@dataclass(slots=True)
class Waiting:
    """One request that waits for its commit."""

    entry: Entry
    done: threading.Event = field(default_factory=threading.Event)
    written: Written | None = None

    @property
    def size(self) -> int:
        """Return the bytes that this entry adds to a transaction."""
        return len(self.entry.body or b"")


class Committer:
    """Takes entries from many threads and commits them in groups, from one thread."""

    def __init__(self) -> None:
        """Start without a thread: the first entry starts it (a fork would not carry it over)."""
        self._condition = threading.Condition()
        self._queue: list[Waiting] = []
        self._thread: threading.Thread | None = None
        self._routing = RoutingTable()

    def commit(self, entry: Entry) -> Written:
        """Return what became of ``entry`` once it is on disk; raise ``StoreUnavailable``.

        After the time limit the rows may still be committed: the sender's retry then finds
        its event and is answered as a duplicate.
        """
        waiting = Waiting(entry)
        self._enqueue(waiting)
        if not waiting.done.wait(settings.COMMIT_TIMEOUT_SECONDS):
            raise StoreUnavailable("The database did not commit in time.")
        if waiting.written is None:
            raise StoreUnavailable("The database did not take the event.")
        return waiting.written

    def _enqueue(self, waiting: Waiting) -> None:
        with self._condition:
            if len(self._queue) >= MAX_WAITING:
                raise StoreUnavailable("Too many requests wait for the database.")
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
                for waiting in group:
                    waiting.done.set()

    def _next_group(self) -> list[Waiting]:
        with self._condition:
            while not self._queue:
                self._condition.wait()
            count = _how_many(self._queue)
            group, self._queue = self._queue[:count], self._queue[count:]
            return group

    def _write(self, group: Sequence[Waiting]) -> None:
        """Write a group; where the database refuses it, write each entry on its own."""
        try:
            self._write_together(group)
        except Exception as error:
            connection.close()  # a broken connection is not used again
            if len(group) == 1 or not _answers():
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
        failpoint("after_commit")
        # Only now: the transaction is on disk.
        for waiting, written in zip(group, results, strict=True):
            waiting.written = written


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
