"""A lane's own account of what it has in hand."""

from concurrent.futures import Future
from uuid import UUID

import pytest
from django.utils import timezone

from destinations.adapters.base import Result
from tests.adapters.webhook_support import make
from tests.sink import Sink
from webhooks.delivering.delivery import Target
from webhooks.delivering.lanes import Lane
from webhooks.delivering.outbox import Claimed, Settlement

pytestmark = pytest.mark.databaseless

EVENT = UUID("0198e0c0-0000-7000-8000-000000000001")


def claimed(delivery_id: int, retry_count: int) -> Claimed:
    return Claimed(
        delivery_id=delivery_id, event_id=EVENT, attempt_count=retry_count, retry_count=retry_count,
        trigger="schedule", type="daily", user_id="", reference_id="", provider="", headers={},
        received_at=timezone.now(), body=b'{"type": "daily"}', store_name="",
    )  # fmt: skip


class Outbox:
    """An outbox with one delivery, which is due again as soon as its first try is settled."""

    def __init__(self) -> None:
        self.claims = 0
        self.settled: list[Settlement] = []

    def claim(self, lane: Lane, most: int) -> "Future[None]":
        self.claims += 1
        lane.take_over(f"worker:{self.claims}", [claimed(7, self.claims - 1)] if self.claims <= 2 else [])
        if self.claims == 2:  # the first try's end comes to the lane only now
            self.let_go(lane)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def settle(self, lane: Lane, results: list[tuple[Settlement, Result]]) -> None:
        self.settled += [settlement for settlement, _ in results]
        if len(self.settled) == 1:
            lane.wake()
        else:
            self.let_go(lane)

    def let_go(self, lane: Lane) -> None:
        lane.forget([(one.delivery_id, one.claimed_by) for one in self.settled])


def test_a_delivery_that_is_claimed_again_before_its_last_try_is_let_go_stays_in_hand(sink: Sink) -> None:
    sink.behave("/hook", status=500, times=1)
    outbox = Outbox()
    lane = Lane(Target(EVENT, 1, make(sink), (1,), b"key"), outbox.claim, outbox.settle)
    lane.run()
    tries = [(one.number, one.claimed_by, one.outcome) for one in outbox.settled]
    assert tries == [(1, "worker:1", "failed"), (2, "worker:2", "delivered")]
    assert lane.all_in_hand() == []
