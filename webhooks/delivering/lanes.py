"""A lane: one destination's deliveries on their way, in one thread.

Its feed claims ahead while the adapter is busy, and hands out only what the adapter has room
for; what was handed out counts as tried, the rest can be given back.
"""

import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from time import monotonic

import structlog
from django.utils import timezone

from destinations.adapters.base import Effect, Message, Outcome, Result
from webhooks.delivering.breaker import THRESHOLD
from webhooks.delivering.delivery import Target, message_of, settlement_of
from webhooks.delivering.outbox import Claimed, Settlement
from webhooks.failpoints import failpoint
from webhooks.keeping.payloads import PayloadMissing, PayloadStoreDown

log = structlog.get_logger(__name__)

CLAIM_MOST = 500
CLAIMS_IN_HAND = 3  # one on its way, one being handed out, one being settled
TAKE_BYTES = 32 * 1024 * 1024  # of bodies handed out at once

# Claims up to so many deliveries for a lane, some time later: calls its ``take_over``.
Claim = Callable[["Lane", int], "Future[None]"]
# a lane's results, to be written back
Settle = Callable[["Lane", "list[tuple[Settlement, Result]]"], None]


@dataclass(slots=True)
class InHand:
    """A claimed delivery of this lane, until it is settled or given back."""

    row: Claimed
    claim: str
    leased_at: float  # monotonic
    started_at: datetime | None = None  # when it was handed out
    answered: bool = False  # its result is on its way to be settled


class Lane:
    """One destination's run: claims, delivers, hands results to be settled. Also its ``Feed``."""

    def __init__(self, target: Target, claim: Claim, settle: Settle, probe: bool = False) -> None:
        """Prepare a run; a ``probe`` claims one delivery and no more."""
        self.target = target
        self.probe = probe
        self.in_hand: dict[int, InHand] = {}
        self.lock = threading.Lock()
        self._claim, self._settle = claim, settle
        self._buffer: deque[int] = deque()
        self._claiming: Future[None] | None = None
        self._dry = False
        self._stopping = False
        self._changed = threading.Event()  # woken, stopped, or results were settled
        self.started = monotonic()
        self.ended = False
        self._failures = 0  # in a row
        limits = target.adapter.limits
        self._claim_size = 1 if probe else min(CLAIM_MOST, max(target.adapter.max_batch, 8 * limits.concurrency))

    # --- the worker's side ---------------------------------------------------
    def wake(self) -> None:
        """Say that more may be due."""
        self._dry = self.probe and self._dry
        self._changed.set()

    def stop(self) -> None:
        """Hand out nothing more; what is under way may finish."""
        self._stopping = True
        self._changed.set()

    def run(self) -> None:
        """Deliver until nothing is due, or until told to stop. Runs in a thread of its own."""
        try:
            while self._wait_for_more():
                for outcomes in self.target.adapter.stream(self):
                    self._hand_back(outcomes)
                self._fail_unanswered("The adapter gave no result.")
        except Exception as error:
            self._fail_unanswered(f"The hub failed while delivering: {self._log_failure(error)}.")
        finally:
            self._collect_claim(wait=True)
            self.ended = True

    def all_in_hand(self) -> list[InHand]:
        """Return everything in hand."""
        with self.lock:
            return list(self.in_hand.values())

    def untried(self) -> list[InHand]:
        """Return what is in hand and was not handed out: it can be given back."""
        return [item for item in self.all_in_hand() if item.started_at is None]

    def under_way(self) -> list[InHand]:
        """Return what was handed out and is not settled yet."""
        return [item for item in self.all_in_hand() if item.started_at is not None]

    def forget(self, settled: Iterable[tuple[int, str]]) -> None:
        """Let go of deliveries that were settled or given back, each with the claim that it was in hand under.

        One that was due again at once may be in hand anew by now, under a later claim: that one stays.
        """
        with self.lock:
            for delivery_id, claim in settled:
                item = self.in_hand.get(delivery_id)
                if item and item.claim == claim:
                    del self.in_hand[delivery_id]
        self._changed.set()

    # --- the adapter's side: Feed -------------------------------------------------
    def take(self, most: int) -> list[Message]:
        """Return up to ``most`` messages that are in hand; claim ahead where few are left."""
        self._collect_claim(wait=False)
        if self._stopping:
            return []
        messages = self._messages(most)
        if messages:
            failpoint("taken")
        if len(self._buffer) < self._claim_size:
            self._claim_ahead()
        return messages

    @property
    def closed(self) -> bool:
        """Tell whether no more messages will come in this run."""
        return self._stopping or (not self._buffer and self._claiming is None)

    def _messages(self, most: int) -> list[Message]:
        messages: list[Message] = []
        started_at, size = timezone.now(), 0
        while self._buffer and len(messages) < most and size < TAKE_BYTES:
            item = self.in_hand[self._buffer.popleft()]
            item.started_at = started_at
            try:
                messages.append(message_of(item.row, self.target))
                size += len(messages[-1].body)
            except PayloadMissing as error:
                self._settle_alone(item, Result(Outcome.REJECTED, "payload_missing", str(error)))
            except PayloadStoreDown as error:  # nothing that the destination did: its health stays as it is
                self._settle_alone(item, Result(Outcome.RETRY, "payload_store_down", str(error)))
        return messages

    # --- claims ----------------------------------------------------------------------
    def _wait_for_more(self) -> bool:
        """Claim, and wait for it; tell whether anything can be handed out, or the run is over.

        A run is not over while its results are being settled: room comes with them, and a wake-up
        in that time is heeded at once.
        """
        while not self._stopping and not self._collect_claim(wait=True):
            self._changed.clear()
            self._claim_ahead()
            if self._claiming is None:
                if not self.in_hand:
                    return False
                self._changed.wait()
        return not self._stopping

    def _claim_ahead(self) -> None:
        room = CLAIMS_IN_HAND * self._claim_size - len(self.in_hand)
        if self._claiming is None and not self._dry and not self._stopping and room >= self._claim_size:
            self._dry = self.probe  # a probe claims once
            self._claiming = self._claim(self, self._claim_size)

    def take_over(self, claim: str, rows: Sequence[Claimed]) -> None:
        """Put claimed rows into this lane's hands, from the thread that claimed them.

        From here on their leases are extended, however long the adapter is busy.
        """
        self._dry = self._dry or len(rows) < self._claim_size
        leased_at = monotonic()
        with self.lock:
            self.in_hand.update((row.delivery_id, InHand(row, claim, leased_at)) for row in rows)
        self._buffer.extend(row.delivery_id for row in rows)

    def _collect_claim(self, wait: bool) -> bool:
        """Forget a finished claim, or wait for it; tell whether anything can be handed out."""
        claiming = self._claiming
        if claiming and (wait or claiming.done()):
            self._claiming = None
            claiming.result()
        return bool(self._buffer)

    # --- results -----------------------------------------------------------------------
    def _hand_back(self, outcomes: Iterable[tuple[Message, Result]]) -> None:
        settled = []
        for message, result in outcomes:
            item = self.in_hand[message.delivery_id]
            settled.append((self._settlement(item, result), result))
            self._heed(result)
        failpoint("answered")
        self._settle(self, settled)

    def _settlement(self, item: InHand, result: Result) -> Settlement:
        item.answered = True
        started_at = item.started_at or timezone.now()
        return settlement_of(item.row, result, self.target, item.claim, started_at)

    def _heed(self, result: Result) -> None:
        """Stop at once where a result says so; the settler writes it onto the row for the others."""
        if result.effect is Effect.FAILURE:
            self._failures += 1
        elif result.outcome is Outcome.DELIVERED:
            self._failures = 0
        if self._failures >= THRESHOLD or result.effect in (Effect.PAUSE, Effect.DISABLE):
            self._stopping = True

    def _settle_alone(self, item: InHand, result: Result) -> None:
        self._settle(self, [(self._settlement(item, result), result)])

    def _log_failure(self, error: Exception) -> str:
        """Log an unforeseen error by its kind and place: its message may hold anything."""
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{type(error).__name__} at {place.filename.rsplit('/', 1)[-1]}:{place.lineno}"
        log.error("lane_failed", destination=str(self.target.destination_id), error=where)
        return where

    def _fail_unanswered(self, why: str) -> None:
        """An adapter answers for all that it took; where it does not, that is tried again later."""
        result = Result(Outcome.RETRY, "internal_error", why, effect=Effect.FAILURE)
        for item in self.under_way():
            if not item.answered:
                self._settle_alone(item, result)
