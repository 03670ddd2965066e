"""What people read of a hub's past and of its queues is what the tables say."""

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from tests.api_support import make_attempt, make_delivery, make_destination, make_event, make_source
from tests.stats.support import many_deliveries, tally_attempts, tally_events
from webhooks import stats
from webhooks.models import Attempt
from webhooks.stats import FAILURES_LOOKED_AT, Span
from webhooks.stats.summaries import CAP
from webhooks.tallying import start_of

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 12, 14, 37, 12, tzinfo=UTC)


def ago(**span: float) -> datetime:
    return NOW - timedelta(**span)


def test_a_series_has_a_point_for_each_step_and_adds_up_all_writers() -> None:
    source, other = make_source(), make_source("other")
    tally_events(source, NOW, 5, bytes=100)
    tally_events(source, NOW, 2, bytes=50, writer="w2")
    tally_events(other, ago(minutes=3), 1, bytes=10)
    tally_events(other, ago(hours=26), 7)

    hour = stats.received_series(Span.HOUR, NOW)
    assert len(hour) == 60
    assert [(point.starts_at.isoformat()[11:16], point.events, point.bytes) for point in hour if point.events] == [
        ("14:34", 1, 10), ("14:37", 7, 150),
    ]  # fmt: skip
    day = stats.received_series(Span.DAY, NOW)
    assert [len(day), day[0].starts_at.isoformat(), day[-1].events] == [24, "2026-03-11T15:00:00+00:00", 8]
    week = stats.received_series(Span.WEEK, NOW)
    assert [len(week), sum(point.events for point in week), week[-1].starts_at.hour] == [28, 15, 12]


def test_outcomes_and_durations_are_those_of_one_destination_or_of_all() -> None:
    one, two = make_destination("one"), make_destination("two")
    tally_attempts(one, NOW, delivered=90, failed=9, rejected=1, ms_10=50, ms_100=45, ms_1000=4, ms_more=1)
    tally_attempts(two, NOW, delivered=10, ms_10=10)

    last = stats.delivered_series(Span.HOUR, one.pk, NOW)[-1]
    assert (last.delivered, last.failed, last.rejected, last.attempts) == (90, 9, 1, 100)
    assert stats.delivered_series(Span.DAY, now=NOW)[-1].delivered == 100
    times = stats.duration_series(one.pk, Span.DAY, NOW)[-1]
    assert (times.p50, times.p95, times.p99) == (10, 100, 1000)
    assert stats.duration_series(one.pk, Span.DAY, NOW)[0].p50 is None


@pytest.mark.parametrize(
    ("counts", "share", "wanted"),
    [
        ([0] * 12, 0.5, None),
        ([10] + [0] * 11, 0.5, 5),
        ([0, 10] + [0] * 10, 0.9, 24),
        ([5, 5] + [0] * 10, 0.5, 10),
        ([0] * 11 + [3], 0.5, 30_000),
    ],
)
def test_a_percentile_lies_in_its_bucket(counts: list[int], share: float, wanted: int | None) -> None:
    assert stats.percentile(counts, share) == wanted


def test_a_summary_says_how_a_destination_does() -> None:
    now = timezone.now()
    busy, idle = make_destination("busy"), make_destination("idle")
    tally_attempts(busy, now, delivered=3, failed=1, ms_100=4)
    tally_attempts(busy, now - timedelta(hours=2), delivered=5, rejected=1, ms_100=6)
    tally_attempts(busy, now - timedelta(hours=30), delivered=1000, ms_100=1000)
    late, soon = now - timedelta(minutes=5), now + timedelta(minutes=7)
    for due in (late, soon, soon + timedelta(hours=1)):
        make_delivery(make_event(), busy, next_attempt_at=due)
    make_delivery(make_event(), busy, "delivered", settled_at=now - timedelta(seconds=3))

    found = stats.summaries([busy.pk, idle.pk], now)

    about = found[busy.pk]
    assert (about.delivered, about.failed, about.rejected, about.success) == (8, 1, 1, 0.8)
    assert about.p50 is not None
    assert 50 < about.p50 <= 100
    assert (about.waiting, about.waiting_capped, about.oldest_due, about.next_try_at) == (3, False, late, late)
    assert about.last_success_at == start_of(now, 60)
    assert (sum(about.sparkline), about.sparkline[-1], about.sparkline[-3], len(about.sparkline)) == (8, 3, 5, 24)
    assert sum(about.failures_by_hour) == 2
    nothing = found[idle.pk]
    assert (nothing.attempts, nothing.success, nothing.waiting, nothing.oldest_due) == (0, None, 0, None)
    assert (nothing.next_try_at, nothing.last_success_at) == (None, None)


def test_the_next_try_waits_for_a_hold_and_never_comes_while_paused() -> None:
    now = timezone.now()
    held = make_destination("held")
    make_delivery(make_event(), held, next_attempt_at=now - timedelta(minutes=1))
    until = now + timedelta(minutes=4)

    held.paused_until = until
    held.save()
    assert stats.summary(held.pk).next_try_at == until
    held.paused = True
    held.save()
    assert stats.summary(held.pk).next_try_at is None
    assert stats.summary(held.pk).oldest_due is not None


def test_what_is_being_tried_waits_and_is_not_the_next_try() -> None:
    destination, now = make_destination(), timezone.now()
    make_delivery(make_event(), destination, next_attempt_at=now + timedelta(seconds=50), claimed_by="w:1")
    about = stats.summary(destination.pk)
    assert (about.waiting, about.oldest_due, about.next_try_at) == (1, None, None)


def test_a_success_of_long_ago_is_known_by_its_hour() -> None:
    destination, now = make_destination(), timezone.now()
    tally_attempts(destination, now - timedelta(days=20), delivered=1, ms_10=1)
    tally_attempts(destination, now, failed=4, ms_10=4)
    last = stats.summary(destination.pk).last_success_at
    assert last is not None
    assert timedelta(0) <= now - timedelta(days=20) - last <= timedelta(hours=1)


def test_a_long_queue_is_counted_up_to_the_cap() -> None:
    destination = make_destination()
    many_deliveries(destination, CAP + 100)
    about = stats.summary(destination.pk)
    assert (about.waiting, about.waiting_capped) == (CAP, True)
    assert stats.waiting() == CAP + 1


def test_failures_are_grouped_by_cause_with_the_newest_words_first_and_last_time_and_users() -> None:
    destination, other = make_destination(), make_destination("other")
    early, late = ago(hours=3), ago(hours=1)
    for number, (code, status, user, at) in enumerate([
        ("http_404", "dead", "ann", early), ("http_404", "pending", "ann", late),
        ("http_404", "dead", "ben", ago(hours=2)), ("timeout", "pending", "", late),
    ]):  # fmt: skip
        delivery = make_delivery(make_event(user_id=user), destination, status, last_error_code=code, attempt_count=2)
        make_attempt(delivery, 1, error_code="other", started_at=ago(days=9))
        make_attempt(delivery, 2, error_code=code, error_detail=f"words {number}", hint="Do it.", started_at=at)
    make_delivery(make_event(), destination, "delivered")
    make_delivery(make_event(), destination)  # waits for its first try
    make_delivery(make_event(), destination, "cancelled", last_error_code="destination_deleted")
    make_delivery(make_event(), other, "dead", last_error_code="http_500")

    first, second = stats.failures(destination.pk)

    assert (first.code, first.detail, first.hint, first.count, first.users) == ("http_404", "words 2", "Do it.", 3, 2)
    assert (first.first_at, first.last_at, first.capped) == (early, late, False)
    assert (second.code, second.count, second.users) == ("timeout", 1, 0)


def test_a_failed_delivery_whose_log_is_gone_is_a_failure_still() -> None:
    destination = make_destination()
    make_delivery(make_event(), destination, "dead", last_error_code="http_404", attempt_count=2)
    Attempt.objects.all().delete()
    (only,) = stats.failures(destination.pk)
    assert (only.code, only.detail, only.count, only.first_at) == ("http_404", "", 1, None)


def test_more_failures_than_are_looked_at_are_said_to_be_more() -> None:
    destination = make_destination()
    many_deliveries(destination, FAILURES_LOOKED_AT + 10, "dead", "http_404")
    assert [(group.count, group.capped) for group in stats.failures(destination.pk)] == [(FAILURES_LOOKED_AT, True)]


def test_many_destinations_cost_a_handful_of_queries() -> None:
    ids = [make_destination(f"d{number}").pk for number in range(12)]
    with CaptureQueriesContext(connection) as queries:
        assert len(stats.summaries(ids)) == 12
    assert len(queries) <= 4
    assert stats.summaries([]) == {}
