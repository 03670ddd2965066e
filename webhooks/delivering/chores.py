"""Chores: what a worker does beside delivering, each in a thread of its own, so that none holds another up."""

import threading
from collections.abc import Callable, Sequence

import structlog
from django.db import connection

log = structlog.get_logger(__name__)

# Does one bounded piece of work; returns the seconds after which it wants to be called again.
Chore = Callable[[], float]

FIRST_WAIT_S = 1.0  # after a failure; twice as long after each further one in a row
MOST_WAIT_S = 60.0
JOIN_S = 5.0  # that ``stop`` waits for a piece of work under way


class Chores:
    """Runs chores until ``stop``. One that raises is logged, and tried again after a while."""

    def __init__(self, chores: Sequence[Chore]) -> None:
        """Prepare; ``start`` begins."""
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(chore,), name=f"chore {name_of(chore)}", daemon=True)
            for chore in chores
        ]

    def start(self) -> None:
        """Begin."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Begin no further piece of work; wait a little for those under way, which any crash may cut off anyhow."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(JOIN_S)

    def _run(self, chore: Chore) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                wait, failures = chore(), 0
            except Exception as error:  # whatever it is, the next try may go well, and deliveries go on
                failures += 1
                wait = min(MOST_WAIT_S, FIRST_WAIT_S * 2 ** min(failures - 1, 10))
                log.error("chore_failed", chore=name_of(chore), error=type(error).__name__, failures=failures)
                connection.close()
            self._stopping.wait(wait)
        connection.close()


def name_of(chore: Chore) -> str:
    """Return the name by which logs call a chore."""
    return getattr(chore, "__name__", type(chore).__name__)
