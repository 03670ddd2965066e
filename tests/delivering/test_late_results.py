"""A result comes back after its delivery was erased, or after its life was over: it is dropped, its neighbours count.

Deleting is done here by hand, as erasing and retention do it: what they have in common is that the rows are gone.
"""

import threading
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection, transaction

from destinations.models import Destination
from tests.api_support import in_a_thread, make_delivery, make_destination, make_event
from tests.hub import on_postgres
from webhooks.delivering import outbox
from webhooks.delivering.outbox import Settlement, settle
from webhooks.models import Attempt, Delivery, Event

pytestmark = pytest.mark.django_db(transaction=True)


def claimed(count: int) -> tuple[Destination, list[Delivery]]:
    """Return so many deliveries that a worker has in hand."""
    destination = make_destination()
    due = datetime(2026, 3, 1, tzinfo=UTC)
    for _ in range(count):
        make_delivery(make_event(), destination, next_attempt_at=due)
    outbox.claim(destination.pk, "me:1", count, 60)
    return destination, list(Delivery.objects.order_by("pk"))


def result(row: Delivery, claim: str = "me:1", **changed: Any) -> Settlement:
    values = {"number": 1, "outcome": "delivered", "status": "delivered", "wait_s": None, **changed}
    return Settlement(
        delivery_id=row.pk, destination_id=row.destination_id, claimed_by=claim, started_at=datetime.now(UTC),
        duration_ms=5, retry_count=0, trigger="schedule", **values,
    )  # fmt: skip


def remove(row: Delivery) -> None:
    """Remove the event with all that hangs on it."""
    Event.objects.filter(pk=row.event_id).delete()


def test_the_neighbours_of_a_result_whose_delivery_is_gone_are_written() -> None:
    _, rows = claimed(3)
    remove(rows[1])
    settle([result(row) for row in rows])
    assert dict(Delivery.objects.values_list("pk", "status")) == {rows[0].pk: "delivered", rows[2].pk: "delivered"}
    assert sorted(Attempt.objects.values_list("delivery_id", flat=True)) == [rows[0].pk, rows[2].pk]


def test_a_late_result_is_dropped_where_the_delivery_went_after_its_loss_was_logged() -> None:
    destination, rows = claimed(2)
    Delivery.objects.update(next_attempt_at=datetime(2026, 3, 1, tzinfo=UTC))
    outbox.claim(destination.pk, "you:1", 2, 60)  # both tries of "me" are logged as unknown
    remove(rows[0])
    settle([result(row) for row in reversed(rows)])
    assert [(a.delivery_id, a.outcome, a.late) for a in Attempt.objects.all()] == [(rows[1].pk, "delivered", True)]


def test_a_late_result_that_waits_for_the_removal_of_its_delivery_finds_it_gone() -> None:
    """The worker comes in the middle of the removal: no foreign key breaks, at neither end."""
    _, rows = claimed(2)
    Delivery.objects.filter(pk=rows[0].pk).update(claimed_by="", status="dead", next_attempt_at=None)
    failures: list[Exception] = []
    begun = threading.Event()

    def late() -> None:
        begun.set()
        try:
            settle([result(row) for row in rows])
        except Exception as error:
            failures.append(error)

    with transaction.atomic():
        with connection.cursor() as cursor:
            tail = " FOR UPDATE" if on_postgres() else ""
            cursor.execute(f"SELECT 1 FROM webhooks_delivery WHERE id = {rows[0].pk}{tail}")
            cursor.execute(f"DELETE FROM webhooks_attempt WHERE delivery_id = {rows[0].pk}")
        worker = in_a_thread(late)
        assert begun.wait(60)
        worker.join(0.3)  # it waits for the lock, or comes after the commit: both must go well
        remove(rows[0])
    worker.join(60)
    assert (worker.is_alive(), failures) == (False, [])
    assert dict(Delivery.objects.values_list("pk", "status")) == {rows[1].pk: "delivered"}
    assert list(Attempt.objects.values_list("delivery_id", flat=True)) == [rows[1].pk]
