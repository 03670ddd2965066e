"""What is counted is what happened: server, workers and sink are real."""

import uuid
from collections import Counter
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import connection, transaction
from django.db.models import Sum
from django.utils import timezone

from tests.api_support import make_delivery, make_destination, make_event, make_source
from tests.delivering.log import ACTIVITY, attempts, post_many, statuses
from tests.hub import SAMPLES, Hub, own_hub, until
from tests.sink import Sink
from tests.stats.support import counted, outcomes, tally_attempts, tally_events, tally_split, timed
from webhooks import tallying
from webhooks.delivering import outbox
from webhooks.delivering.outbox import Settlement
from webhooks.models import HOUR_S, MINUTE_S, DeliveredTally, Event, Payload, ReceivedTally, SplitTally, Worker
from webhooks.sql import fast_cursor
from webhooks.tallying import DURATIONS

pytestmark = pytest.mark.django_db(transaction=True)

FAST = "0.001"  # of the schedule's seconds


def test_what_comes_in_and_what_is_tried_is_counted_once(hub: Hub, sink: Sink) -> None:
    hub.webhook(sink.url("/hook"))
    hub.webhook(sink.url("/never"), schedule=[1])
    sink.behave("/hook", status=500, times=2)
    sink.behave("/never", status=404)
    gone, *_ = post_many(hub, 3)
    Payload.objects.filter(event_id=gone).delete()
    trace = uuid.uuid4().hex
    for _ in range(3):
        hub.post(SAMPLES["sleep"], trace=trace)
    hub.worker(RETRY_TIME_SCALE=FAST)
    until(lambda: statuses() == {"delivered": 3, "dead": 5})

    tried = Counter(one.outcome for one in attempts())
    assert tried.keys() == {"delivered", "failed", "rejected"}
    for period_s in (MINUTE_S, HOUR_S):
        sizes = sum(Event.objects.values_list("size", flat=True))
        assert counted(ReceivedTally, period_s, "events", "bytes") == (4, sizes)
        assert outcomes(period_s) == (tried["delivered"], tried["failed"], tried["rejected"])
        assert timed(period_s) == len(attempts())


def test_it_is_counted_by_type_and_by_provider_too(hub: Hub, sink: Sink) -> None:
    hub.webhook(sink.url("/hook"))
    hub.webhook(sink.url("/never"), schedule=[1])
    sink.behave("/never", status=404)
    for name in ("sleep", "sleep-full", "daily", "healthcheck"):
        hub.post(SAMPLES[name])
    hub.worker(RETRY_TIME_SCALE=FAST)
    until(lambda: statuses() == {"delivered": 4, "dead": 4})

    rows = list(Event.objects.values_list("type", "provider", "size"))
    assert len({row[1] for row in rows}) > 1
    for period_s in (MINUTE_S, HOUR_S):
        for place, kind in enumerate(("type", "provider")):
            for name in {row[place] for row in rows}:
                sizes = [row[2] for row in rows if row[place] == name]
                tally = SplitTally.objects.filter(kind=kind, name=name, source=hub.source, period_s=period_s)
                sums = tally.aggregate(*map(Sum, ("events", "bytes", "delivered", "failed", "rejected", *DURATIONS)))
                found = [sums[f"{one}__sum"] for one in ("events", "bytes", "delivered", "failed")]
                assert found == [len(sizes), sum(sizes), len(sizes), 2 * len(sizes)], name
                assert sum(sums[f"{one}__sum"] for one in DURATIONS) == 3 * len(sizes)


def test_names_without_end_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallying, "MOST_NAMES", 3)
    monkeypatch.setattr(tallying, "_names", {"type": set(), "provider": set()})
    entries = [entry_of(f"type {number}") for number in range(9)]

    with transaction.atomic(), fast_cursor() as cursor:
        tallying.count_events(cursor, entries, timezone.now())

    names = SplitTally.objects.filter(kind="type", period_s=HOUR_S).values_list("name", "events")
    assert sorted(names) == [("(other)", 6), ("type 0", 1), ("type 1", 1), ("type 2", 1)]


def entry_of(event_type: str) -> Any:
    return SimpleNamespace(source_id=make_source().pk, type=event_type, provider="", size=2)


def test_two_web_processes_and_two_workers_add_up(transactional_db: None, tmp_path: Path, sink: Sink) -> None:
    with own_hub(tmp_path, processes=2) as hub:
        for number in range(6):
            hub.webhook(sink.url(f"/hook/{number}"))
        for _ in range(2):
            hub.worker(WORKER_LANES="1")
        until(lambda: Worker.objects.count() == 2)
        until(lambda: post_many(hub, 5) and len(writers(ReceivedTally)) == len(writers(DeliveredTally)) == 2)
        until(lambda: set(statuses()) == {"delivered"})
        hub.stop_workers()
    events = Event.objects.count()
    assert counted(ReceivedTally, HOUR_S, "events") == (events,) == counted(ReceivedTally, MINUTE_S, "events")
    assert outcomes(HOUR_S) == (6 * events, 0, 0) == outcomes(MINUTE_S)


def test_a_tally_that_cannot_be_written_breaks_no_commit(transactional_db: None, tmp_path: Path, sink: Sink) -> None:
    tables = [model._meta.db_table for model in (ReceivedTally, DeliveredTally, SplitTally)]
    with own_hub(tmp_path) as hub:
        hub.webhook(sink.url("/hook"))
        with connection.cursor() as cursor:
            for table in tables:
                cursor.execute(f"ALTER TABLE {table} RENAME TO {table}_away")
        try:
            answers = [hub.post(ACTIVITY % number).status for number in range(3)]
            hub.worker()
            until(lambda: statuses() == {"delivered": 3})
        finally:
            hub.stop_workers()
            with connection.cursor() as cursor:
                for table in tables:
                    cursor.execute(f"ALTER TABLE {table}_away RENAME TO {table}")
    assert answers == [200, 200, 200]
    assert sink.count("/hook") == 3


def writers(model: Any) -> set[str]:
    return set(model.objects.values_list("writer", flat=True))


def settlement(
    claim: str, delivery_id: int, destination_id: uuid.UUID, ms: int, outcome: str, number: int = 1
) -> Settlement:
    return Settlement(
        delivery_id=delivery_id, destination_id=destination_id, number=number, claimed_by=claim,
        started_at=timezone.now(), duration_ms=ms, outcome=outcome, status="delivered", wait_s=None, retry_count=0,
        trigger="schedule",
    )  # fmt: skip


def test_a_result_that_comes_late_is_counted_too() -> None:
    destination = make_destination()
    delivery = make_delivery(make_event(), destination, next_attempt_at=timezone.now() - timedelta(seconds=1))
    outbox.claim(destination.pk, "first", 10, 0)  # its lease ends at once
    outbox.claim(destination.pk, "second", 10, 60)

    outbox.settle([settlement("second", delivery.pk, destination.pk, 40, "delivered", number=2)])
    outbox.settle([settlement("first", delivery.pk, destination.pk, 31_000, "failed")])  # fits the row of its loss

    assert [one.late for one in attempts()] == [True, False]
    assert outcomes(HOUR_S) == (1, 1, 0)
    assert counted(DeliveredTally, MINUTE_S, "ms_50", "ms_30000", "ms_more") == (1, 0, 1)


def test_a_duration_is_counted_where_its_bound_says() -> None:
    destination = make_destination()
    wanted = {0: "ms_10", 10: "ms_10", 11: "ms_25", 1000: "ms_1000", 30_000: "ms_30000", 30_001: "ms_more"}
    deliveries = [make_delivery(make_event(), destination, claimed_by="c") for _ in wanted]

    outbox.settle(
        [
            settlement("c", delivery.pk, destination.pk, ms, "delivered")
            for ms, delivery in zip(wanted, deliveries, strict=True)
        ]
    )

    for column, count in Counter(wanted.values()).items():
        assert counted(DeliveredTally, MINUTE_S, column) == (count,), column


def test_old_tallies_are_pruned_and_others_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tallying, "PRUNE_ROWS", 3)  # so that several transactions are needed
    now = datetime.fromisoformat("2026-03-12T06:30:10+00:00")
    source, destination = make_source(), make_destination()
    ages = [timedelta(days=401), timedelta(days=399), timedelta(days=2, minutes=1), timedelta(days=1, hours=23)]
    for age in ages:
        for number in range(4):
            tally_events(source, now - age, 1, writer=f"w{number}")
            tally_split(source, "type", "sleep", now - age, events=1, writer=f"w{number}")
            tally_attempts(destination, now - age, delivered=1, writer=f"w{number}")

    gone = tallying.prune(now)

    assert gone == 3 * 4 * (1 + 3)
    assert outcomes(HOUR_S) == (12, 0, 0)
    assert outcomes(MINUTE_S) == (4, 0, 0)
    assert counted(ReceivedTally, HOUR_S, "events") == (12,)
    assert counted(ReceivedTally, MINUTE_S, "events") == (4,)


def test_a_worker_prunes(hub: Hub) -> None:
    tally_events(make_source(), timezone.now() - timedelta(days=3), 1)
    hub.worker()
    until(lambda: ReceivedTally.objects.count() == 1)
    assert ReceivedTally.objects.get().period_s == HOUR_S
