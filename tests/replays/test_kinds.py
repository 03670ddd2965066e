"""What each kind of replay sends, and what the delivery log says of it: server, worker and sink are real."""

from datetime import timedelta

import pytest
from django.utils import timezone

from destinations.models import Destination
from tests.api_support import make_delivery
from tests.delivering.log import attempts, numbers_are_whole, statuses
from tests.hub import Hub, until
from tests.replays.stage import LONG_AGO, failed, fresh, ids, seed, sent, started
from tests.sink import Sink
from webhooks.keeping.replay import resend
from webhooks.models import Attempt, Delivery, Payload, Replay

pytestmark = pytest.mark.django_db(transaction=True)


def ended(replay: Replay) -> Replay:
    """Wait until a replay is done."""
    until(lambda: fresh(replay).status == "done", what=f"replay {replay.pk} is done")
    return replay


def test_all_that_match_a_filter_go_where_they_would_go_now_each_attempt_linked(hub: Hub, sink: Sink) -> None:
    hook = hub.webhook(sink.url("/hook"), event_types=["activity"])
    old = seed(hub.source, 3)
    seed(hub.source, 2, LONG_AGO + timedelta(hours=1), type="sleep")
    late = seed(hub.source, 2, LONG_AGO + timedelta(days=1))
    before = failed(old[0], hook)
    kept = Attempt.objects.filter(delivery=before).values().get()
    hub.worker()
    replay = started("matching", type="activity", until=LONG_AGO + timedelta(hours=2))
    assert replay.estimate == 3
    ended(replay)
    assert sent(sink) == ids(old)
    assert not Delivery.objects.filter(event__in=late).exists()
    assert (replay.queued, replay.skipped, replay.created_by) == (3, 0, "ana")
    assert [(a.outcome, a.trigger, a.replay_id) for a in attempts(trigger="replay")] == [
        ("delivered", "replay", replay.pk)
    ] * 3
    assert Attempt.objects.filter(delivery=before, number=1).values().get() == kept
    assert numbers_are_whole()


def test_a_retry_after_a_replayed_try_is_the_schedules_and_the_job_waits_for_it(hub: Hub, sink: Sink) -> None:
    hub.webhook(sink.url("/hook"), schedule=[1, 1])
    seed(hub.source, 1)
    sink.behave("/hook", status=500, times=1)
    hub.worker(RETRY_TIME_SCALE="0.001")
    replay = ended(started("matching"))
    assert [(a.outcome, a.trigger, a.replay_id) for a in attempts()] == [
        ("failed", "replay", replay.pk), ("delivered", "schedule", None),
    ]  # fmt: skip
    assert Delivery.objects.get().replay_id == replay.pk


def test_what_failed_since_a_time_with_one_cause_is_sent_again_and_nothing_else(hub: Hub, sink: Sink) -> None:
    hook, other = hub.webhook(sink.url("/hook")), hub.webhook(sink.url("/other"))
    early, dead, waiting, other_code, fine, elsewhere = seed(hub.source, 6)
    since = LONG_AGO + timedelta(hours=5)
    failed(early, hook)
    failed(dead, hook, at=since)
    failed(waiting, hook, "pending", at=since)
    failed(other_code, hook, code="timeout", at=since)
    failed(elsewhere, other, at=since)
    make_delivery(fine, hook, "delivered")
    hub.worker()
    replay = started("failed", destinations=[hook.pk], error_code="http_500", since=since)
    assert replay.estimate == 2
    ended(replay)
    assert sent(sink) == ids([dead, waiting])
    assert sink.count() == 2


def test_what_a_destination_never_got_is_sent_to_it(hub: Hub, sink: Sink) -> None:
    hook = hub.webhook(sink.url("/hook"), event_types=["activity"])
    before, missing, there, after = seed(hub.source, 4, every_s=3600)
    seed(hub.source, 1, LONG_AGO + timedelta(minutes=90), type="sleep")
    make_delivery(there, hook, "delivered")
    hub.worker()
    replay = started("missing", destinations=[hook.pk], since=missing.received_at, until=after.received_at)
    assert replay.estimate == 1
    ended(replay)
    assert sent(sink) == ids([missing])
    assert not Delivery.objects.filter(event__in=[before, after]).exists()


def test_chosen_deliveries_and_chosen_events_are_sent_again(hub: Hub, sink: Sink) -> None:
    hook = hub.webhook(sink.url("/hook"))
    one, two, three = seed(hub.source, 3)
    rows = [make_delivery(event, hook, "delivered") for event in (one, two)]
    hub.worker()
    ended(started("chosen", deliveries=[row.pk for row in rows]))
    assert sent(sink) == ids([one, two])
    ended(started("chosen", events=f"{two.pk},{three.pk}"))
    assert sent(sink) == ids([one, two]) + ids([two, three])


def test_a_payload_that_is_gone_is_left_out_and_counted(hub: Hub, sink: Sink) -> None:
    hub.webhook(sink.url("/hook"))
    gone, kept = seed(hub.source, 2)
    Payload.objects.filter(event=gone).delete()
    hub.worker()
    replay = ended(started("matching"))
    assert sent(sink) == ids([kept])
    assert (replay.queued, replay.skipped) == (1, 1)


def test_a_delivery_that_is_due_or_being_tried_is_left_alone(hub: Hub, sink: Sink) -> None:
    hook = hub.webhook(sink.url("/hook"), concurrency=1)
    due, tried = seed(hub.source, 2)
    waits = make_delivery(due, hook, next_attempt_at=LONG_AGO)
    ends = timezone.now() + timedelta(hours=1)
    make_delivery(tried, hook, next_attempt_at=ends, claimed_by="another:1")
    replay = started("matching")
    hub.worker()
    ended(replay)
    assert (replay.queued, replay.skipped) == (0, 2)
    until(lambda: fresh(waits).status == "delivered")
    assert [a.trigger for a in attempts()] == ["schedule"]


def test_a_resend_takes_a_delivery_out_of_its_replay(hub: Hub, sink: Sink) -> None:
    hook = hub.webhook(sink.url("/hook"))
    (event,) = seed(hub.source, 1)
    hub.worker()
    ended(started("matching"))
    resend([Delivery.objects.get().pk])
    until(lambda: statuses(destination=hook) == {"delivered": 1} and len(attempts()) == 2)
    assert [(a.trigger, a.replay_id is None) for a in attempts()] == [("replay", False), ("resend", True)]
    assert sent(sink) == ids([event, event])


def test_one_destination_that_was_disabled_meanwhile_holds_no_other_up(hub: Hub, sink: Sink) -> None:
    hook, other = hub.webhook(sink.url("/hook")), hub.webhook(sink.url("/other"))
    events = seed(hub.source, 3)
    replay = started("matching", destinations=[hook.pk, other.pk])
    Destination.objects.filter(pk=other.pk).update(active=False)
    hub.worker()
    ended(replay)
    assert sent(sink) == ids(events)
    assert sink.count("/other") == 0
    assert other.name in replay.problem
    assert (replay.queued, replay.skipped) == (3, 3)
