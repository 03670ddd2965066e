"""A replay survives its workers, gives way to new events, and ends when it is told to."""

from datetime import timedelta
from itertools import pairwise

import pytest
from django.utils import timezone

from destinations import services
from destinations.services import Refused
from tests.api_support import make_delivery
from tests.delivering.log import ACTIVITY, attempts, statuses
from tests.hub import Hub, until
from tests.replays.stage import LONG_AGO, carried_on, due, failed, fresh, ids, seed, sent, started
from tests.sink import Sink
from webhooks.keeping import replaying, replays
from webhooks.keeping.leases import take
from webhooks.keeping.replaying import LEAST_DUE, MOST_DUE, Pace, Replaying, step
from webhooks.models import Delivery, Event, Replay

pytestmark = pytest.mark.django_db(transaction=True)

NOWHERE = "http://127.0.0.1:8099/"  # nothing is sent there


def test_a_worker_killed_in_a_step_or_after_it_repeats_nothing_and_leaves_nothing_out(hub: Hub, sink: Sink) -> None:
    hook = services.pause(hub.webhook(sink.url("/hook")))
    events = seed(hub.source, 150)
    replay = started("matching")
    within = hub.worker(HUB_FAILPOINT="replay_queued", CLAIM_LEASE_SECONDS="2")
    until(lambda: not within.alive, what="killed within a step")
    assert (fresh(replay).queued, statuses()) == (0, {})
    after = hub.worker(HUB_FAILPOINT="replay_stepped", CLAIM_LEASE_SECONDS="2")
    until(lambda: not after.alive, what="killed after a step")
    assert 0 < fresh(replay).queued < 150
    assert statuses() == {"pending": replay.queued}
    services.resume(hook)
    hub.worker(CLAIM_LEASE_SECONDS="2")
    until(lambda: fresh(replay).status == "done")
    assert sent(sink) == ids(events)
    assert (replay.queued, replay.looked_at) == (150, 150)


def test_two_workers_carry_one_replay_on_without_sending_twice(hub: Hub, sink: Sink) -> None:
    hub.webhook(sink.url("/hook"))
    events = seed(hub.source, 400)
    hub.worker()
    hub.worker()
    replay = started("matching")
    until(lambda: fresh(replay).status == "done")
    assert sent(sink) == ids(events)
    assert replay.queued == 400


def test_a_step_of_a_replay_that_was_paused_or_taken_over_meanwhile_comes_to_nothing(hub: Hub) -> None:
    services.pause(hub.webhook(NOWHERE))
    seed(hub.source, 5)
    replay = started("matching")
    assert take(Replay, replay.pk, "me")
    assert not take(Replay, replay.pk, "another")
    mine = fresh(replay)
    replays.pause(replay)
    assert step(mine, "me", 10) == 0
    replays.resume(replay)
    assert take(Replay, replay.pk, "another")
    assert step(mine, "me", 10) == 0
    assert (fresh(replay).cursor, statuses()) == ("", {})
    assert step(fresh(replay), "another", 10) == 5


def test_a_new_event_overtakes_a_replay_of_many_at_a_slow_destination(hub: Hub, sink: Sink) -> None:
    hub.webhook(sink.url("/hook"), concurrency=1)
    seed(hub.source, 1500)
    sink.behave("/hook", delay=0.01)
    hub.worker()
    replay = started("matching")
    until(lambda: sink.count("/hook") > 20)
    new = hub.post(ACTIVITY % 7777).json["event_id"]
    until(lambda: Delivery.objects.get(event_id=new).status == "delivered")
    assert fresh(replay).queued < 1500, "the new event came after all that were replayed"


def test_few_deliveries_are_due_at_a_time_and_the_rest_waits_in_the_job(hub: Hub) -> None:
    services.pause(hub.webhook(NOWHERE))
    seed(hub.source, 300)
    replay = started("matching")
    chore = Replaying("me")
    for _ in range(10):
        chore()
    assert fresh(replay).queued == len(due(replay)) == LEAST_DUE
    # Where these are done, as many more are made due.
    Delivery.objects.filter(replay=replay).update(status="delivered")
    chore()
    assert (fresh(replay).queued, len(due(replay))) == (2 * LEAST_DUE, LEAST_DUE)


class Simulated:
    """A destination that takes ``size`` deliveries every ``every`` ticks of a tenth of a second, and a job's pace."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.seconds, self.due = 0.0, 0
        monkeypatch.setattr(replaying, "monotonic", lambda: self.seconds)
        self.pace = Pace(since=0.0)

    def run(self, size: int, every: int, ticks: int) -> list[int]:
        """Return how many may be due after each tick."""
        seen = []
        for tick in range(ticks):
            self.seconds += 0.1
            self.due -= min(self.due, size) if tick % every == 0 else 0
            self.pace.heed(self.due)
            room = max(0, self.pace.most - self.due)
            self.due += room
            self.pace.note(room, None)
            seen.append(self.pace.most)
        return seen


def test_bursts_of_a_slow_destination_do_not_make_many_due(monkeypatch: pytest.MonkeyPatch) -> None:
    sixteen_at_once = Simulated(monkeypatch).run(size=16, every=15, ticks=600)  # 11 a second
    assert max(sixteen_at_once) <= 80
    assert min(sixteen_at_once[100:]) >= 40, "and it has enough to do"


def test_what_may_be_due_grows_twofold_for_a_quick_destination_and_shrinks_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one = Simulated(monkeypatch)
    quick = one.run(size=100, every=1, ticks=100)
    assert quick[-1] == MOST_DUE
    assert all(later <= 2 * earlier for earlier, later in pairwise(quick))
    assert one.run(size=1, every=10, ticks=600)[-1] == LEAST_DUE


def test_a_limited_rate_holds_over_steps(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = 1000.0
    monkeypatch.setattr(replaying, "monotonic", lambda: seconds)
    services.pause(hub.webhook(NOWHERE))
    seed(hub.source, 50)
    replay = started("matching", rate_per_s=3)
    chore = Replaying("me")
    for _ in range(20):
        chore()
    assert fresh(replay).queued == 3
    seconds += 1
    for _ in range(20):
        chore()
    assert fresh(replay).queued == 6


def test_a_paused_replay_makes_nothing_more_due_until_it_is_resumed(hub: Hub, sink: Sink) -> None:
    hook = services.pause(hub.webhook(sink.url("/hook")))
    events = seed(hub.source, 200)
    replay = started("matching")
    carried_on(3)
    replays.pause(replay)
    services.resume(hook)
    hub.worker()
    until(lambda: statuses() == {"delivered": LEAST_DUE}, what="what was due already is delivered")
    assert fresh(replay).status == "paused"
    replays.resume(replay)
    until(lambda: fresh(replay).status == "done")
    assert sent(sink) == ids(events)


def test_cancelling_puts_back_what_waits(hub: Hub) -> None:
    hook = services.pause(hub.webhook(NOWHERE))
    new, was_delivered, was_dead, waited, claimed = seed(hub.source, 5)
    at = LONG_AGO + timedelta(days=1)
    done = make_delivery(was_delivered, hook, "delivered", attempt_count=1, settled_at=at)
    dead = failed(was_dead, hook, at=at)
    retry = failed(waited, hook, "pending", at=at)
    replay = started("matching")
    carried_on()
    assert due(replay) == {event.pk for event in (new, was_delivered, was_dead, waited, claimed)}
    under_way = Delivery.objects.get(event=claimed)
    ends = timezone.now() + timedelta(hours=1)
    Delivery.objects.filter(pk=under_way.pk).update(claimed_by="w:1", next_attempt_at=ends)

    replay = replays.cancel(replay)
    assert (replay.status, replay.restored, replay.finished_at) == ("cancelled", 4, None)
    assert replays.in_hand(replay.pk) == 1
    made = Delivery.objects.get(event=new)
    assert (made.status, made.last_error_code, made.next_attempt_at) == ("cancelled", "replay_cancelled", None)
    assert (fresh(done).status, done.last_error_code, done.next_attempt_at) == ("delivered", "", None)
    assert (fresh(dead).status, dead.last_error_code, dead.settled_at) == ("dead", "http_500", at)
    assert (fresh(retry).status, retry.next_attempt_at is not None) == ("pending", True), "no event is lost"
    assert (fresh(under_way).status, under_way.claimed_by) == ("pending", "w:1")
    carried_on(2)
    assert (fresh(replay).queued, replay.restored, replay.finished_at) == (5, 4, None)
    # The worker gives it back untried.
    Delivery.objects.filter(pk=under_way.pk).update(claimed_by="", next_attempt_at=timezone.now())
    carried_on()
    assert (fresh(under_way).status, fresh(replay).restored, replays.in_hand(replay.pk)) == ("cancelled", 5, 0)
    assert replay.finished_at
    with pytest.raises(Refused):
        replays.resume(replay)


def test_a_cancelled_replay_has_ended_when_nothing_more_of_it_goes_out(hub: Hub, sink: Sink) -> None:
    hub.webhook(sink.url("/hook"), concurrency=2)
    sink.behave("/hook", delay=0.3)
    seed(hub.source, 60)
    replay = started("matching")
    hub.worker()
    until(lambda: sink.count("/hook") >= 2)
    replays.cancel(replay)
    until(lambda: fresh(replay).finished_at)
    delivered = statuses().get("delivered", 0)
    assert set(statuses()) <= {"delivered", "cancelled"}
    assert delivered + replay.restored == replay.queued < 60
    assert sink.count("/hook") == delivered, "none was tried that was put back"


def test_a_worker_puts_back_what_a_crash_while_cancelling_left(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    services.pause(hub.webhook(NOWHERE))
    seed(hub.source, 5)
    replay = started("matching")
    carried_on()
    monkeypatch.setattr(replays, "_BATCHES_AT_ONCE", 0)
    assert replays.cancel(replay).finished_at is None
    carried_on()
    assert (fresh(replay).restored, statuses()) == (5, {"cancelled": 5})
    assert replay.finished_at


def test_a_replay_stops_when_its_destination_is_disabled_and_goes_on_from_there(hub: Hub, sink: Sink) -> None:
    hook = hub.webhook(sink.url("/hook"))
    events = seed(hub.source, 3)
    replay = started("matching", destinations=[hook.pk])
    services.disable(hook)
    hub.worker()
    until(lambda: fresh(replay).status == "stopped")
    assert f"disabled: {hook.name}" in replay.problem
    with pytest.raises(Refused, match="disabled"):
        replays.resume(replay)
    services.enable(hook)
    replays.resume(replay)
    until(lambda: fresh(replay).status == "done")
    assert replay.problem == ""
    assert sent(sink) == ids(events)


def test_a_replay_of_a_destination_that_fails_for_good_ends_with_dead_letters(hub: Hub, sink: Sink) -> None:
    hub.webhook(sink.url("/hook"), schedule=[1])
    sink.behave("/hook", status=404)
    seed(hub.source, 2)
    hub.worker(RETRY_TIME_SCALE="0.001")
    replay = started("matching")
    until(lambda: fresh(replay).status == "done")
    assert statuses(replay=replay) == {"dead": 2}
    assert len(attempts(replay=replay)) == 2
    assert Event.objects.count() == 2
