"""The worker: finds destinations with due work and runs a lane for each."""

import itertools
import os
import secrets
import socket
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from time import monotonic
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.utils import timezone

from destinations.adapters_of import AdapterCache
from destinations.models import Destination
from destinations.notice_sending import send_notices
from destinations.notices import warn_of_failing
from webhooks.delivering import outbox
from webhooks.delivering.breaker import THRESHOLD
from webhooks.delivering.chores import Chores
from webhooks.delivering.delivery import Target, target_of
from webhooks.delivering.lanes import InHand, Lane
from webhooks.delivering.outbox import Due
from webhooks.delivering.settler import Settler
from webhooks.delivering.wakeup import Listener
from webhooks.failpoints import failpoint
from webhooks.keeping.erasures.working import Erasing
from webhooks.keeping.replaying import Replaying
from webhooks.keeping.retention.chore import Retention
from webhooks.models import Worker as WorkerRow
from webhooks.receivers import cancel_of_deleted
from webhooks.tallying import Pruner

log = structlog.get_logger(__name__)

POLL_SECONDS = 1.0  # the backstop of a lost wake-up, and how soon a disabled destination is left alone
SCAN_INTERVAL_SECONDS = 0.01  # at most one look for due work in this time
BEAT_SECONDS = 5.0
FORGET_WORKERS_AFTER = timedelta(hours=1)
SLICE_SECONDS = 10.0  # a lane gives way after this long, where others wait for one
UNUSABLE_PAUSE = timedelta(seconds=30)


class Worker:
    """One worker process. ``run`` returns after ``stop``, when everything in hand is accounted for."""

    def __init__(self) -> None:
        """Prepare threads; ``run`` starts them."""
        self.name = f"{socket.gethostname()[:24]}-{os.getpid()}-{secrets.token_hex(3)}"
        self._numbers = itertools.count(1)
        self._lanes: dict[UUID, Lane] = {}
        self._ended: list[Lane] = []  # run out, with results that are not settled yet
        self._targets: dict[UUID, Target] = {}
        self._adapters = AdapterCache()
        self._threads = ThreadPoolExecutor(settings.WORKER_LANES, thread_name_prefix="lane")
        self._claims = ThreadPoolExecutor(1, thread_name_prefix="claim")
        self._woken = threading.Event()
        self._settler = Settler(self.wake)
        self._listener = Listener(self.wake)
        self._replaying = Replaying(self.name)
        self._erasing = Erasing(self.name)
        self._retention = Retention(self.name)
        self._chores = Chores([self._replaying, self._erasing, self._retention, warn_of_failing, send_notices])
        self._stopping = threading.Event()
        self._pruner = Pruner()
        self._beat_at = 0.0
        self._hurried = False

    def wake(self) -> None:
        """Say that something may be due."""
        self._woken.set()

    def stop(self) -> None:
        """Take no more work; ``run`` finishes what is under way and returns."""
        self._stopping.set()
        self._woken.set()

    @property
    def stopping(self) -> bool:
        """Tell whether ``stop`` was called."""
        return self._stopping.is_set()

    def hurry(self) -> None:
        """Stop waiting for what is under way: its leases are given back at once."""
        self._hurried = True

    def run(self) -> None:
        """Deliver until ``stop`` is called."""
        log.info("worker_started", worker=self.name, lanes=settings.WORKER_LANES)
        self._settler.start()
        self._listener.start()
        self._chores.start()
        while not self._stopping.is_set():
            wait = self._tick_safely()
            self._woken.wait(wait)
            self._stopping.wait(SCAN_INTERVAL_SECONDS)
            self._woken.clear()
        self._shut_down()

    # --- finding work --------------------------------------------------------------
    def _tick_safely(self) -> float:
        try:
            return self._tick()
        except (DatabaseError, InterfaceError) as error:
            log.warning("worker_waits_for_database", error=type(error).__name__)
            connection.close()
            return POLL_SECONDS

    def _tick(self) -> float:
        """Start and wake lanes for what is due; return the seconds until the next look."""
        self._collect_ended()
        if monotonic() - self._beat_at > BEAT_SECONDS:
            self._beat()
        due = outbox.due_destinations()
        now = outbox.now()
        self._stop_lanes_of_others(due)
        waiting = [item for item in due if item.next_attempt_at <= now and not self._has_lane(item)]
        for item in waiting[: max(0, settings.WORKER_LANES - len(self._lanes))]:
            self._start_lane(item)
        if len(waiting) > settings.WORKER_LANES - len(self._lanes):
            self._ask_old_lanes_to_give_way()
        upcoming = [(item.next_attempt_at - now).total_seconds() for item in due if item.next_attempt_at > now]
        return min([POLL_SECONDS, *upcoming])

    def _has_lane(self, due: Due) -> bool:
        """Wake a destination's lane; tell whether it has one, or one with results still to settle."""
        lane = self._lanes.get(due.destination_id)
        if lane is None:
            # Its last results may pause the destination: nothing is claimed before they are written.
            return any(ended.target.destination_id == due.destination_id for ended in self._ended)
        if lane.target.version != due.version:
            lane.stop()  # the next lane uses the new set-up
        lane.wake()
        return True

    def _stop_lanes_of_others(self, due: Sequence[Due]) -> None:
        """Stop lanes whose destination was disabled, paused or deleted: what is in hand is given back."""
        deliverable = {item.destination_id for item in due}
        for destination_id, lane in list(self._lanes.items()):
            if destination_id not in deliverable:
                lane.stop()

    def _ask_old_lanes_to_give_way(self) -> None:
        for lane in list(self._lanes.values()):
            if monotonic() - lane.started > SLICE_SECONDS:
                lane.stop()

    # --- lanes ------------------------------------------------------------------------
    def _start_lane(self, due: Due) -> None:
        try:
            target = self._target(due)
        except Exception as error:
            self._leave_unusable(due, error)
            return
        lane = Lane(target, self._claim, self._settler.put, probe=due.consecutive_failures >= THRESHOLD)
        self._lanes[due.destination_id] = lane
        self._threads.submit(self._run_lane, lane)

    def _target(self, due: Due) -> Target:
        held = self._targets.get(due.destination_id)
        if held is None or held.version != due.version:
            destination = Destination.objects.get(pk=due.destination_id)
            held = target_of(destination, self._adapters.get(destination))
            self._targets[due.destination_id] = held
        return held

    def _leave_unusable(self, due: Due, error: Exception) -> None:
        """A destination that cannot be opened (a missing key, a broken config) harms only itself."""
        log.error("destination_unusable", destination=str(due.destination_id), error=type(error).__name__)
        if isinstance(error, DatabaseError | InterfaceError):
            raise error
        until = outbox.now() + UNUSABLE_PAUSE
        Destination.objects.filter(pk=due.destination_id).update(
            paused_until=until, pause_reason=f"unusable: {type(error).__name__}"
        )

    def _run_lane(self, lane: Lane) -> None:
        lane.run()
        self._woken.set()

    def _collect_ended(self) -> None:
        """Give back what ended lanes did not try; keep those whose results are not settled yet."""
        for destination_id, lane in list(self._lanes.items()):
            if lane.ended:
                del self._lanes[destination_id]
                self._give_back(lane)
                self._ended.append(lane)
        self._ended = [lane for lane in self._ended if lane.in_hand]

    def _give_back(self, lane: Lane) -> None:
        untried = lane.untried()
        outbox.release([item.row.delivery_id for item in untried], _claims_of(untried))
        lane.forget([(item.row.delivery_id, item.claim) for item in untried])

    # --- claims and leases -------------------------------------------------------------------
    def _claim(self, lane: Lane, most: int) -> "Future[None]":
        return self._claims.submit(self._claim_now, lane, most)

    def _claim_now(self, lane: Lane, most: int) -> None:
        claim, rows = f"{self.name}:{next(self._numbers)}", []
        destination_id = lane.target.destination_id
        try:
            rows = outbox.claim(destination_id, claim, most, settings.CLAIM_LEASE_SECONDS)
            failpoint("claimed")
        except (DatabaseError, InterfaceError) as error:
            log.warning("claim_failed", destination=str(destination_id), error=type(error).__name__)
            connection.close()
        lane.take_over(claim, rows)

    def _beat(self) -> None:
        """Say that this worker lives, and extend the leases of what is in hand."""
        if not self._beat_at:
            cancel_of_deleted()  # what a crash may have left behind
        self._beat_at = monotonic()
        now = timezone.now()
        WorkerRow.objects.update_or_create(
            name=self.name, defaults={"seen_at": now}, create_defaults={"seen_at": now, "started_at": now}
        )
        WorkerRow.objects.filter(seen_at__lt=now - FORGET_WORKERS_AFTER).delete()
        for lane in [*self._lanes.values(), *self._ended]:
            self._extend(lane)
        self._pruner.maybe()

    def _extend(self, lane: Lane) -> None:
        lease = settings.CLAIM_LEASE_SECONDS
        old = [item for item in lane.all_in_hand() if monotonic() - item.leased_at > lease / 3]
        outbox.extend([item.row.delivery_id for item in old], _claims_of(old), lease)
        for item in old:
            item.leased_at = monotonic()

    # --- the end --------------------------------------------------------------------------------
    def _shut_down(self) -> None:
        """Finish what is under way within the grace time; give the rest back at once."""
        deadline = monotonic() + settings.SHUTDOWN_GRACE_SECONDS
        for lane in self._lanes.values():
            lane.stop()
        log.info("worker_stopping", worker=self.name, under_way=sum(len(lane.in_hand) for lane in self._lanes.values()))
        self._chores.stop()
        while self._under_way() and monotonic() < deadline and not self._hurried:
            self._tick_while_stopping()
        self._settler.stop(max(1.0, deadline - monotonic()))
        try:
            self._abandon([*self._lanes.values(), *self._ended])
            self._replaying.release()
            self._erasing.release()
            self._retention.release()
            WorkerRow.objects.filter(name=self.name).delete()
        except (DatabaseError, InterfaceError) as error:  # its leases will end by themselves
            log.warning("leases_not_given_back", error=type(error).__name__)
        self._listener.stop()
        self._claims.shutdown(wait=False, cancel_futures=True)
        connection.close()
        log.info("worker_stopped", worker=self.name)

    def _under_way(self) -> bool:
        return any(not lane.ended for lane in self._lanes.values())

    def _tick_while_stopping(self) -> None:
        if monotonic() - self._beat_at > BEAT_SECONDS:
            self._beat()
        threading.Event().wait(0.05)

    def _abandon(self, lanes: Iterable[Lane]) -> None:
        """Free what is still in hand.

        Tries under way keep their claim's name, so that the next claim logs them as unknown.
        """
        for lane in lanes:
            self._give_back(lane)
            left = lane.under_way()
            outbox.extend([item.row.delivery_id for item in left], _claims_of(left), 0)


def _claims_of(items: Iterable[InHand]) -> list[str]:
    return list({item.claim for item in items})
