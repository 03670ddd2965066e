"""Runs an adapter's one-by-one work in a bounded number of threads, for clients that block."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue

from destinations.adapters.base import Feed, Message, Outcomes, Result, deliver_by_stream

POLL_S = 0.02  # how long a new message may wait in the feed while others are under way
Work = Callable[[Message], Result]
_Done = SimpleQueue[tuple[Message, Result | BaseException]]


class Pool:
    """Up to ``concurrency`` messages at once; one thread feeds it and takes the results."""

    def __init__(self, concurrency: int) -> None:
        """Start no thread yet."""
        self._most = max(1, concurrency)
        self._threads: ThreadPoolExecutor | None = None

    def deliver(self, batch: Sequence[Message], work: Work) -> list[Result]:
        """Return what ``work`` gives for each message, in the order of ``batch``."""
        return deliver_by_stream(lambda feed: self.stream(feed, work), batch)

    def stream(self, feed: Feed, work: Work) -> Iterator[Outcomes]:
        """Hand results back as they come; end when nothing is under way and ``feed`` has nothing.

        What ``work`` raises is raised here: expected failures are results. Where this is closed
        early, what is under way ends by itself, and its results are lost.
        """
        done: _Done = SimpleQueue()
        running = 0
        while True:
            taken = feed.take(self._most - running) if running < self._most else []
            for message in taken:
                self._executor().submit(_run, work, message, done)
            running += len(taken)
            if not running:
                return
            finished = _finished(done, POLL_S if running < self._most else None)
            running -= len(finished)
            if finished:
                yield finished

    def close(self) -> None:
        """End the threads when they are done. The pool may be used again."""
        threads, self._threads = self._threads, None
        if threads:
            threads.shutdown(wait=False, cancel_futures=True)

    def _executor(self) -> ThreadPoolExecutor:
        self._threads = self._threads or ThreadPoolExecutor(self._most, thread_name_prefix="deliver")
        return self._threads


def _run(work: Work, message: Message, done: _Done) -> None:
    try:
        done.put((message, work(message)))
    except BaseException as error:
        done.put((message, error))


def _finished(done: _Done, patience_s: float | None) -> list[tuple[Message, Result]]:
    """Wait for one result, and return all that are there."""
    found: list[tuple[Message, Result]] = []
    try:
        found.append(_checked(*done.get(timeout=patience_s)))
        while True:
            found.append(_checked(*done.get_nowait()))
    except Empty:
        return found


def _checked(message: Message, result: Result | BaseException) -> tuple[Message, Result]:
    if isinstance(result, BaseException):
        raise result
    return message, result
