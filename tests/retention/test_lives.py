"""What is kept for how long, and what is never removed: pending deliveries keep all that they need."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.sessions.models import Session

from destinations import services
from destinations.models import Notice, StoredAnswer
from tests.api_support import id_at, make_attempt, make_delivery, make_destination, make_event, make_source, refused
from tests.retention.support import all_day, days_ago, kept_events, mark, next_round, old_event, pruned
from webhooks.keeping.replay import resend_event
from webhooks.models import Attempt, Delivery, Event, Payload, PayloadView, QuarantinedRequest

pytestmark = pytest.mark.django_db(transaction=True)


def test_payloads_go_after_their_days_and_the_log_stays() -> None:
    to = make_destination()
    old, dead, young = old_event(31, to), old_event(30.1, to, "dead"), old_event(29.9, to)
    all_day()
    assert list(Payload.objects.values_list("pk", flat=True)) == [young.pk]
    assert kept_events() == {old.pk, dead.pk, young.pk}
    assert (Delivery.objects.count(), Attempt.objects.count()) == (3, 3)
    assert (mark("payloads").removed, mark("payloads").removed_bytes) == (2, old.size + dead.size)
    assert mark("payloads").caught_up_at


def test_a_pending_delivery_keeps_its_payload_event_and_attempts_until_it_ends() -> None:
    paused = services.pause(make_destination())
    to = make_destination("other")
    waiting = old_event(900, paused, "pending")
    make_delivery(waiting, to, "delivered")
    beside = [old_event(901, to), old_event(899, to)]
    running = all_day()
    assert kept_events() == {waiting.pk}
    assert Payload.objects.count() == 1
    assert Attempt.objects.count() == 1
    assert not Event.objects.filter(pk__in=[one.pk for one in beside])

    Delivery.objects.filter(status="pending").update(status="delivered", next_attempt_at=None)
    all_day(running=running)
    assert kept_events() == {waiting.pk}  # until everything old is looked at again
    all_day(running=next_round(running))
    assert kept_events() == set()
    assert (Payload.objects.count(), Delivery.objects.count(), Attempt.objects.count()) == (0, 0, 0)


def test_snapshots_are_emptied_and_what_happened_stays_in_the_log() -> None:
    to = make_destination()
    old_event(8, to)
    old_event(6, to)
    all_day()
    first, second = Attempt.objects.order_by("started_at")
    assert (first.request, first.response, first.error_detail) == ({}, {}, "")
    assert (first.error_code, first.hint, first.outcome, first.duration_ms) == ("http_500", "Ask it.", "failed", 12)
    assert (second.request, second.error_detail) == ({"url": "https://example.test"}, "It said no.")
    assert mark("snapshots").removed == 1


def test_attempts_go_before_their_events_where_their_life_is_shorter(settings: Any) -> None:
    settings.RETENTION_ATTEMPT_DAYS = 10
    to = make_destination()
    again = old_event(50, to)
    old_event(11, to)
    old_event(9, to)
    make_attempt(Delivery.objects.get(event=again), 2, started_at=days_ago(1))
    all_day()
    assert sorted(Attempt.objects.values_list("number", flat=True)) == [1, 2]
    assert Event.objects.count() == 3


def test_an_event_goes_with_all_that_hangs_on_it() -> None:
    to, other = make_destination(), make_destination("other")
    event = old_event(401, to, "dead")
    make_delivery(event, other, "cancelled")
    repeated = QuarantinedRequest.objects.create(source=event.source, reason="x", event=event, received_at=days_ago(1))
    PayloadView.objects.create(event_id=event.pk, viewer="key", how="api", viewed_at=days_ago(1))
    young = old_event(399, to)
    all_day()
    assert kept_events() == {young.pk}
    assert Delivery.objects.count() == 1
    assert Attempt.objects.count() == 1
    repeated.refresh_from_db()
    assert repeated.event_id is None
    assert PayloadView.objects.count() == 1  # that somebody saw it outlives it


def test_zero_days_keep_for_ever(settings: Any) -> None:
    for name in ("PAYLOAD", "SNAPSHOT", "ATTEMPT", "EVENT", "QUARANTINE"):
        setattr(settings, f"RETENTION_{name}_DAYS", 0)
    event = old_event(4000, make_destination())
    QuarantinedRequest.objects.create(source=event.source, reason="x", received_at=days_ago(4000))
    all_day()
    assert (Payload.objects.count(), Event.objects.count(), QuarantinedRequest.objects.count()) == (1, 1, 1)
    assert Attempt.objects.get().request


def test_what_grows_slowly_goes_too() -> None:
    source, to = make_source(), make_destination()
    for days in (6, 8):
        moment = days_ago(days)
        QuarantinedRequest.objects.create(
            id=id_at(moment), source=source, reason="x", body=b"12345", received_at=moment
        )
    for hours in (23, 25):
        row = StoredAnswer.objects.create(principal="user:1", key=str(hours), fingerprint="0" * 64, answer={})
        StoredAnswer.objects.filter(pk=row.pk).update(created_at=datetime.now(UTC) - timedelta(hours=hours))
    for days in (-1, 1):
        Session.objects.create(session_key=f"s{days}", session_data="", expire_date=days_ago(days))
    for days in (401, 399):
        Notice.objects.create(destination=to, kind="x", text="x", created_at=days_ago(days))
    for days in (2193, 2191):
        PayloadView.objects.create(event_id=make_event().pk, viewer="v", how="api", viewed_at=days_ago(days))
    all_day()
    assert mark("quarantine").removed_bytes == 5
    assert [one.objects.count() for one in (QuarantinedRequest, Notice, PayloadView)] == [1, 1, 1]
    assert list(StoredAnswer.objects.values_list("key", flat=True)) == ["23"]
    assert list(Session.objects.values_list("session_key", flat=True)) == ["s-1"]


def test_steps_go_on_from_their_mark_and_cost_the_same() -> None:
    events = [old_event(100 - number) for number in range(7)]
    first = pruned("payloads", most=3)
    assert (first.removed.rows, first.page.last, first.page.cursor) == (3, False, str(events[2].pk))
    assert [pruned("payloads", most=3).removed.rows for _ in range(2)] == [3, 1]
    assert pruned("payloads", most=3).page.last


def test_a_removed_payload_is_told_with_its_day_and_nothing_is_sent_without_it() -> None:
    to = make_destination()
    event = old_event(31, to, "dead")
    all_day()
    problem = refused(resend_event, event.pk, [to.pk])
    assert problem.code == "payload_gone"
