"""What an operator's destinations get, and what the delivery log says: server, worker and sink are real."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from destinations import services
from destinations.models import Destination
from tests.delivering.log import (
    ACTIVITY,
    attempts,
    numbers_are_whole,
    post_many,
    statuses,
    until_seen_by_workers,
)
from tests.hub import SAMPLES, SECRET, Hub, until
from tests.sink import Sink
from webhooks.keeping.replay import resend
from webhooks.models import Delivery, Payload

pytestmark = pytest.mark.django_db(transaction=True)

FAST = "0.001"  # of the schedule's seconds


def test_a_failing_destination_is_tried_again_until_it_answers(hub: Hub, sink: Sink) -> None:
    hub.webhook(sink.url("/hook"))
    sink.behave("/hook", status=500, body="no", times=2)
    hub.post(SAMPLES["sleep"])
    assert Destination.objects.get().proven_at is None
    hub.worker(RETRY_TIME_SCALE=FAST)
    until(lambda: statuses() == {"delivered": 1})
    until(lambda: Destination.objects.get().proven_at, what="a delivery has proven the set-up")
    assert [(a.number, a.outcome, a.status_code, a.trigger) for a in attempts()] == [
        (1, "failed", 500, "schedule"), (2, "failed", 500, "schedule"), (3, "delivered", 200, "schedule"),
    ]  # fmt: skip
    assert len({one.headers["webhook-id"] for one in sink.requests("/hook")}) == 1


def test_a_spent_schedule_makes_a_dead_letter_that_a_resend_delivers(hub: Hub, sink: Sink) -> None:
    hub.webhook(sink.url("/hook"), schedule=[1, 1])
    sink.behave("/hook", status=404)
    hub.post(SAMPLES["sleep"])
    hub.worker(RETRY_TIME_SCALE=FAST)
    until(lambda: statuses() == {"dead": 1})
    assert len(attempts()) == 3
    assert Delivery.objects.get().last_error_code == "http_404"

    sink.behave("/hook", status=204)
    resend([Delivery.objects.get().pk])
    until(lambda: statuses() == {"delivered": 1})
    assert [a.trigger for a in attempts()] == ["schedule", "schedule", "schedule", "resend"]
    assert numbers_are_whole()


def test_a_schedule_waits_as_long_as_it_says(hub: Hub, sink: Sink) -> None:
    hub.webhook(sink.url("/hook"))
    sink.behave("/hook", status=503)
    hub.post(SAMPLES["sleep"])
    hub.worker()
    until(lambda: attempts())
    until(lambda: Delivery.objects.get().claimed_by == "")
    again, tried = Delivery.objects.get().next_attempt_at, attempts()[0].started_at
    assert tried + timedelta(seconds=27) <= again <= timezone.now() + timedelta(seconds=33)


def test_retry_after_pauses_the_whole_destination_and_no_other(hub: Hub, sink: Sink) -> None:
    paused, other = hub.webhook(sink.url("/paused"), concurrency=1), hub.webhook(sink.url("/other"))
    sink.behave("/paused", status=429, headers={"Retry-After": "3600"})
    post_many(hub, 20)
    hub.worker(RETRY_TIME_SCALE=FAST)
    until(lambda: statuses(destination=other) == {"delivered": 20})
    until(lambda: Destination.objects.get(pk=paused.pk).paused_until)
    row = Destination.objects.get(pk=paused.pk)
    assert timedelta(minutes=55) < row.paused_until - timezone.now() <= timedelta(hours=1)
    until(lambda: not Delivery.objects.filter(destination=paused).exclude(claimed_by=""))
    assert sink.count("/paused") == 1
    assert statuses(destination=paused) == {"pending": 20}


def test_410_disables_the_destination_and_keeps_its_deliveries(hub: Hub, sink: Sink) -> None:
    destination = hub.webhook(sink.url("/hook"), concurrency=1)
    sink.behave("/hook", status=410)
    post_many(hub, 5)
    hub.worker(RETRY_TIME_SCALE=FAST)
    until(lambda: not Destination.objects.get(pk=destination.pk).active)
    assert "gone" in Destination.objects.get(pk=destination.pk).disabled_reason
    assert sink.count("/hook") == 1
    assert statuses() == {"pending": 5}

    sink.behave("/hook", status=200)
    services.enable(Destination.objects.get(pk=destination.pk))
    until(lambda: statuses() == {"delivered": 5})


def test_a_destination_that_only_fails_is_disabled_after_its_hours(hub: Hub, sink: Sink) -> None:
    destination = hub.webhook(sink.url("/hook"), disable_after_hours=2)
    Destination.objects.filter(pk=destination.pk).update(failing_since=timezone.now() - timedelta(hours=3))
    sink.behave("/hook", status=500)
    hub.post(SAMPLES["sleep"])
    hub.worker()
    until(lambda: not Destination.objects.get(pk=destination.pk).active)
    assert statuses() == {"pending": 1}


def test_a_breaker_sends_only_probes_and_opens_when_the_destination_answers(hub: Hub, sink: Sink) -> None:
    destination = hub.webhook(sink.url("/hook"), concurrency=4)
    sink.behave("/hook", status=500)
    post_many(hub, 60)
    hub.worker(RETRY_TIME_SCALE="0.01")
    until(lambda: Destination.objects.get(pk=destination.pk).pause_reason == "breaker")
    until(lambda: not Delivery.objects.exclude(claimed_by=""))
    tried = sink.count("/hook")
    assert tried < 60  # ten in a row, and what was under way meanwhile

    end_pause(destination)
    until(lambda: sink.count("/hook") > tried)
    until(lambda: Destination.objects.get(pk=destination.pk).paused_until > timezone.now())
    assert sink.count("/hook") == tried + 1  # one probe

    sink.behave("/hook", status=200)
    end_pause(destination)
    until(lambda: statuses() == {"delivered": 60})
    row = Destination.objects.get(pk=destination.pk)
    assert (row.consecutive_failures, row.failing_since, row.paused_until) == (0, None, None)


def end_pause(destination: Destination) -> None:
    Destination.objects.filter(pk=destination.pk).update(paused_until=timezone.now())


def test_a_hung_destination_slows_none_of_the_nine_others(hub: Hub, sink: Sink) -> None:
    hung = hub.webhook(sink.url("/hung"), timeout_s=300)
    healthy = [hub.webhook(sink.url(f"/{number}")) for number in range(9)]
    sink.behave("/hung", mode="hang")
    hub.worker()
    post_many(hub, 30)
    until(lambda: statuses(destination__in=healthy) == {"delivered": 270})
    assert statuses(destination=hung) == {"pending": 30}
    # All of them were served while the first try of the hung one was still under way.
    assert not attempts(delivery__destination=hung)


def test_a_dripping_answer_ends_at_the_deadline(hub: Hub, sink: Sink) -> None:
    hub.webhook(sink.url("/hook"), timeout_s=1)
    sink.behave("/hook", mode="drip", start=b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", bytes=b"x")
    hub.post(SAMPLES["sleep"])
    hub.worker()
    until(lambda: attempts())
    assert attempts()[0].error_code == "deadline"
    assert attempts()[0].outcome == "failed"


@pytest.mark.parametrize("status", [100, 204, 301, 400, 401, 404, 408, 422, 500, 502, 599])
def test_only_2xx_counts_as_delivered(hub: Hub, sink: Sink, status: int) -> None:
    hub.webhook(sink.url("/hook"))
    sink.behave("/hook", status=status if status >= 200 else 500, headers={"Location": sink.url("/elsewhere")})
    hub.post(SAMPLES["sleep"])
    hub.worker()
    until(lambda: attempts())
    assert attempts()[0].outcome == ("delivered" if status == 204 else "failed")
    assert sink.count("/elsewhere") == 0


def test_a_disabled_destination_is_left_alone_and_its_deliveries_wait(hub: Hub, sink: Sink) -> None:
    destination = hub.webhook(sink.url("/hook"), concurrency=2, timeout_s=120)
    sink.behave("/hook", mode="hold")
    post_many(hub, 30)
    hub.worker()
    until(lambda: sink.count("/hook") == 2)
    services.disable(destination)
    until_seen_by_workers(hub, sink)
    sink.behave("/hook")
    sink.release()
    until(lambda: not Delivery.objects.exclude(claimed_by=""))
    time.sleep(1.5)
    assert sink.count("/hook") == 2
    assert statuses(destination=destination) == {"delivered": 2, "pending": 28}

    services.enable(Destination.objects.get(pk=destination.pk))
    until(lambda: statuses(destination=destination) == {"delivered": 30})
    assert sink.count("/hook") == 30


def test_an_edited_destination_gets_what_waits_at_its_new_address(hub: Hub, sink: Sink) -> None:
    destination = hub.webhook(sink.url("/old"), schedule=[1] * 50)
    sink.behave("/old", status=500)
    post_many(hub, 5)
    hub.worker(RETRY_TIME_SCALE="0.5")
    until(lambda: len(attempts()) >= 5)
    services.update_destination(
        Destination.objects.get(pk=destination.pk), config={"url": sink.url("/new")},
        credentials={"signing_secret": SECRET},
    )  # fmt: skip
    until(lambda: statuses() == {"delivered": 5})
    assert sink.count("/new") == 5


def test_a_deleted_destination_cancels_what_waits_and_says_why(hub: Hub, sink: Sink) -> None:
    destination = hub.webhook(sink.url("/hook"))
    post_many(hub, 5)
    services.delete_destination(destination)
    hub.worker()
    assert statuses() == {"cancelled": 5}
    assert set(Delivery.objects.values_list("last_error_code", flat=True)) == {"destination_deleted"}
    time.sleep(1.5)
    assert sink.count("/hook") == 0


def test_a_lost_wake_up_costs_time_and_nothing_else(hub: Hub, sink: Sink) -> None:
    destination = hub.webhook(sink.url("/hook"))
    hub.worker()
    hub.post(ACTIVITY % 1)
    until(lambda: statuses() == {"delivered": 1})
    # Due again without anybody saying so.
    Delivery.objects.filter(destination=destination).update(status="pending", next_attempt_at=timezone.now())
    until(lambda: sink.count("/hook") == 2)


def test_a_payload_that_is_gone_makes_a_dead_letter_and_holds_no_neighbour(hub: Hub, sink: Sink) -> None:
    hub.webhook(sink.url("/hook"))
    gone, *_ = post_many(hub, 3)
    Payload.objects.filter(event_id=gone).delete()
    hub.worker()
    until(lambda: statuses() == {"delivered": 2, "dead": 1})
    assert Delivery.objects.get(event_id=gone).last_error_code == "payload_missing"
    assert numbers_are_whole()


def test_a_destination_whose_credentials_do_not_open_harms_only_itself(hub: Hub, sink: Sink) -> None:
    broken, fine = hub.webhook(sink.url("/broken")), hub.webhook(sink.url("/fine"))
    copied = Destination.objects.filter(pk=fine.pk).values_list("credentials", flat=True)[0]
    Destination.objects.filter(pk=broken.pk).update(credentials=copied)
    post_many(hub, 3)
    hub.worker()
    until(lambda: statuses(destination=fine) == {"delivered": 3})
    until(lambda: "unusable" in Destination.objects.get(pk=broken.pk).pause_reason)
    assert statuses(destination=broken) == {"pending": 3}
