"""Writes results back, those of all lanes together: one transaction for what has come meanwhile."""

import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from time import sleep
from uuid import UUID

import structlog
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, connection

from destinations.adapters.base import Result
from webhooks.delivering import outbox
from webhooks.delivering.breaker import Tally, record
from webhooks.delivering.lanes import Lane
from webhooks.delivering.outbox import Settlement
from webhooks.failpoints import failpoint

log = structlog.get_logger(__name__)

MOST = 1000
# After so many results at once, more are gathered for so long: fewer and larger transactions under
# load, and no delay without it.
MANY = 50
GATHER_SECONDS = 0.01
RETRY_SECONDS = 1.0

Item = tuple[Lane, Settlement, Result]


class Settler:
    """A thread that settles what lanes hand to it, and keeps at it while the database is away."""

    def __init__(self, woken: Callable[[], None]) -> None:
        """Prepare; ``start`` begins. ``woken`` is told when the last results of an ended lane are written."""
        self._woken = woken
        self._condition = threading.Condition()
        self._queue: list[Item] = []
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name="settler", daemon=True)

    def start(self) -> None:
        """Begin to settle."""
        self._thread.start()

    def put(self, lane: Lane, results: Sequence[tuple[Settlement, Result]]) -> None:
        """Take a lane's results; they are written soon."""
        with self._condition:
            self._queue += [(lane, settlement, result) for settlement, result in results]
            self._condition.notify()

    def stop(self, timeout: float) -> bool:
        """Write what is left and end; tell whether all of it was written in time."""
        with self._condition:
            self._stopping = True
            self._condition.notify()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while items := self._next():
            try:
                self._write(items)
            except Exception as error:  # this thread settles for every destination: it must go on
                log.error("results_not_settled", results=len(items), error=type(error).__name__)
                connection.close()
            self._let_go(items)
            if len(items) >= MANY:
                sleep(GATHER_SECONDS)
        connection.close()

    def _next(self) -> list[Item]:
        with self._condition:
            while not self._queue and not self._stopping:
                self._condition.wait()
            items, self._queue = self._queue[:MOST], self._queue[MOST:]
            return items

    def _write(self, items: Sequence[Item]) -> None:
        self._settle([settlement for _, settlement, _ in items])
        failpoint("settled")
        totals: dict[UUID, Tally] = defaultdict(Tally)
        for lane, _, result in items:
            totals[lane.target.destination_id].add(result, lane.target.version)
        for destination_id, total in totals.items():
            self._record(destination_id, total)

    def _record(self, destination_id: UUID, total: Tally) -> None:
        """Write a destination's health; where that cannot be, only this destination goes without."""
        try:
            self._persist(partial(record, destination_id, total))
        except Exception as error:
            log.error("health_not_recorded", destination=str(destination_id), error=type(error).__name__)

    def _settle(self, settlements: Sequence[Settlement]) -> None:
        """Settle; a row that the database refuses is settled apart from its neighbours."""
        try:
            self._persist(partial(outbox.settle, settlements))
        except (DataError, IntegrityError) as error:
            if len(settlements) > 1:
                middle = len(settlements) // 2
                self._settle(settlements[:middle])
                self._settle(settlements[middle:])
            else:
                self._settle_bare(settlements[0], error)

    def _settle_bare(self, settlement: Settlement, error: Exception) -> None:
        """Settle without texts from outside: a result that cannot be stored must not be retried for ever."""
        log.error("result_not_storable", delivery=settlement.delivery_id, error=type(error).__name__)
        bare = replace(settlement, error_detail="", hint="", request="{}", response="{}")
        try:
            self._persist(partial(outbox.settle, [bare]))
        except (DataError, IntegrityError):
            log.exception("result_lost", delivery=settlement.delivery_id)

    def _persist(self, write: Callable[[], None]) -> None:
        """Run a write until the database has taken it; let the refusal of a value pass through."""
        while True:
            try:
                return write()
            except (DataError, IntegrityError):
                raise
            except (DatabaseError, InterfaceError) as error:
                log.warning("settling_waits", error=type(error).__name__)
                connection.close()
                sleep(RETRY_SECONDS)

    def _let_go(self, items: Sequence[Item]) -> None:
        settled: dict[Lane, list[tuple[int, str]]] = defaultdict(list)
        for lane, settlement, _ in items:
            settled[lane].append((settlement.delivery_id, settlement.claimed_by))
        for lane, tries in settled.items():
            lane.forget(tries)
            if lane.ended:
                self._woken()
