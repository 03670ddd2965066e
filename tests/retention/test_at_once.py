"""Two that prune at once, and workers that die in the middle: no deadlock, nothing pending lost, and it goes on."""

import threading
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, transaction

from destinations.models import Destination
from destinations.services import Refused
from tests.api_support import at_once, in_a_thread, make_delivery, make_destination, refused
from tests.hub import Hub, on_postgres, until
from tests.retention.support import LIVES_OF_A_WORKER, kept_events, kind, mark, old_event, pruned
from webhooks.delivering.outbox import Settlement, settle
from webhooks.keeping import replay
from webhooks.keeping.replay import resend_event
from webhooks.keeping.retention import steps
from webhooks.models import Attempt, Delivery, Event, Payload, RetentionMark

pytestmark = pytest.mark.django_db(transaction=True)


def seed(count: int, to: Destination, days: float = 401, **columns: Any) -> list[Event]:
    return [old_event(days + number / 1000, to, **columns) for number in range(count)]


def without_a_lease(name: str, most: int) -> int:
    """Remove as two workers would that both believe the kind to be theirs; return how many rows."""
    one = kind(name)
    life = one.life()
    assert life is not None
    total, cursor, last = 0, "", False
    while not last:
        page = one.look(cursor, datetime.now(UTC) - life, most)
        cursor, last = page.cursor, page.last
        with transaction.atomic():
            total += one.remove(page.keys).rows
    return total


@pytest.mark.parametrize("name", ["payloads", "snapshots", "attempts", "events"])
def test_t54_pruners_that_work_on_the_same_rows_neither_deadlock_nor_count_twice(name: str) -> None:
    to = make_destination()
    seed(60, to)
    pending = old_event(402, to, "pending")
    found = at_once(4, lambda: without_a_lease(name, 20))
    assert [one for one in found if isinstance(one, Exception)] == []
    assert sum(found) == (61 if name == "snapshots" else 60)  # snapshots go whatever the delivery is
    if name != "snapshots":
        assert Payload.objects.filter(event=pending).exists()
    assert kept_events() >= {pending.pk}


def test_one_worker_has_a_kind_in_hand_and_another_takes_it_when_its_lease_is_over() -> None:
    assert steps.take(kind("events"), "me")
    assert steps.take(kind("events"), "you") is None
    assert steps.take(kind("payloads"), "you")
    RetentionMark.objects.filter(pk="events").update(lease_until=datetime(2026, 1, 1, tzinfo=UTC))
    assert steps.take(kind("events"), "you")


def test_a_step_whose_kind_was_taken_over_meanwhile_comes_to_nothing() -> None:
    seed(3, make_destination())
    one, row = kind("events"), steps.take(kind("events"), "me")
    assert row is not None
    RetentionMark.objects.filter(pk="events").update(claimed_by="you")
    assert steps.step(one, row, datetime.now(UTC), 10) is None
    assert Event.objects.count() == 3
    assert mark("events").removed == 0


def test_an_event_that_is_sent_again_at_this_moment_keeps_its_payload(monkeypatch: pytest.MonkeyPatch) -> None:
    """The resend has looked, and has not written yet: the removal passes the event over."""
    to = make_destination()
    (event,) = seed(1, to)
    looked, go_on = threading.Event(), threading.Event()
    make_due = replay._make_due

    def slowly(*args: Any) -> int:
        looked.set()
        assert go_on.wait(60)
        return make_due(*args)

    monkeypatch.setattr(replay, "_make_due", slowly)
    resending = in_a_thread(lambda: resend_event(event.pk, [to.pk]))
    assert looked.wait(60)
    if on_postgres():  # SQLite's resend has the only write lock
        assert pruned("payloads").removed.rows == 0
        assert pruned("events").removed.rows == 0
    go_on.set()
    resending.join(60)
    assert pruned("payloads", anew=True).removed.rows == 0
    assert pruned("events", anew=True).removed.rows == 0
    assert (Payload.objects.count(), Delivery.objects.get().status) == (1, "pending")


def test_an_event_whose_payload_is_removed_at_this_moment_is_not_sent_again() -> None:
    to = make_destination()
    (event,) = seed(1, to)
    found: list[Refused] = []
    with transaction.atomic():
        kind("payloads").remove([event.pk])
        resending = in_a_thread(lambda: found.append(refused(resend_event, event.pk, [to.pk])))
        resending.join(0.3)
    resending.join(60)
    assert [one.code for one in found] == ["payload_gone"]
    assert Delivery.objects.get().status == "delivered"


def test_a_late_result_of_an_event_that_was_pruned_is_dropped() -> None:
    to = make_destination()
    (event,) = seed(1, to)
    young = make_delivery(old_event(1), to, claimed_by="me:1")
    gone = Delivery.objects.get(event=event)
    assert pruned("events").removed.rows == 1
    settle([_result(gone), _result(young)])
    assert list(Attempt.objects.values_list("delivery_id", "late")) == [(young.pk, False)]


def _result(row: Delivery) -> Settlement:
    return Settlement(
        delivery_id=row.pk, destination_id=row.destination_id, number=1, claimed_by="me:1", duration_ms=5,
        started_at=datetime.now(UTC), outcome="delivered", status="delivered", wait_s=None, retry_count=0,
        trigger="schedule",
    )  # fmt: skip


def test_every_row_that_hangs_on_an_event_is_known_to_its_removal() -> None:
    """Whoever adds a table that refers to one of these says there what becomes of its rows."""
    found = Counter(
        (model.__name__, relation.related_model.__name__)
        for model in (Event, Delivery, Attempt, Payload)
        for relation in model._meta.related_objects
    )
    assert set(found) == {
        ("Event", "Payload"), ("Event", "Delivery"), ("Event", "QuarantinedRequest"), ("Delivery", "Attempt"),
    }  # fmt: skip


def test_a_worker_killed_in_a_step_loses_nothing_pending_and_another_goes_on(hub: Hub) -> None:
    to = hub.webhook("http://127.0.0.1:18999/hook")
    seed(5, to)
    pending = old_event(402, to, "pending")
    env = LIVES_OF_A_WORKER | {"CLAIM_LEASE_SECONDS": "2"}
    worker = hub.worker(HUB_FAILPOINT="pruning:4", **env)
    until(lambda: not worker.alive, what="the worker dies")
    hub.worker(**env)
    until(lambda: kept_events() == {pending.pk}, what="the next worker removes the rest")
    assert Payload.objects.filter(event=pending).exists()
    assert Attempt.objects.filter(delivery__event=pending).exists()
    with connection.cursor() as cursor:  # no row without the one that it refers to
        cursor.execute("SELECT count(*) FROM webhooks_delivery WHERE event_id NOT IN (SELECT id FROM webhooks_event)")
        assert cursor.fetchone()[0] == 0
