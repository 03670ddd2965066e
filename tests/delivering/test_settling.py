"""Many results in one transaction: each delivery and each attempt gets its own values, however alike they are."""

import pytest

from tests.delivering.test_late_results import claimed, result
from webhooks.delivering.outbox import settle
from webhooks.models import Attempt, Delivery
from webhooks.sql import MANY_ROWS

pytestmark = pytest.mark.django_db(transaction=True)

COUNT = 2 * MANY_ROWS


def test_many_results_that_are_all_alike_are_each_written() -> None:
    _, rows = claimed(COUNT)
    settle([result(row, status_code=200, response='{"status":200}') for row in rows])
    assert set(Delivery.objects.values_list("status", "attempt_count", "claimed_by", "next_attempt_at")) == {
        ("delivered", 1, "", None)
    }
    written = Attempt.objects.values_list("delivery_id", "outcome", "status_code", "error_code", "worker")
    assert sorted(written) == [(row.pk, "delivered", 200, "", "me:1") for row in rows]
    assert [attempt.response for attempt in Attempt.objects.all()] == [{"status": 200}] * COUNT


def test_one_that_differs_among_many_keeps_what_is_its_own() -> None:
    _, rows = claimed(COUNT)
    odd = result(
        rows[7], outcome="failed", status="pending", wait_s=60.0, error_code="http_500", status_code=500, hint="Look."
    )
    settle([odd if row == rows[7] else result(row, status_code=200) for row in rows])
    still = Delivery.objects.get(status="pending")
    assert (still.pk, still.last_error_code, still.claimed_by, still.settled_at) == (rows[7].pk, "http_500", "", None)
    assert still.next_attempt_at is not None
    assert Delivery.objects.filter(status="delivered", last_error_code="", next_attempt_at=None).count() == COUNT - 1
    failed = Attempt.objects.get(outcome="failed")
    assert (failed.delivery_id, failed.status_code, failed.error_code, failed.hint) == (
        rows[7].pk, 500, "http_500", "Look.",
    )  # fmt: skip
    assert Attempt.objects.filter(outcome="delivered", status_code=200, error_code="", hint="").count() == COUNT - 1


def test_among_many_results_only_those_whose_claim_is_their_own_move_their_delivery() -> None:
    _, rows = claimed(COUNT)
    lost = set(rows[::2])
    Delivery.objects.filter(pk__in=[row.pk for row in lost]).update(claimed_by="you:1")
    settle([result(row) for row in rows])
    assert set(Delivery.objects.filter(status="pending")) == lost
    assert set(Attempt.objects.filter(late=True).values_list("delivery_id", flat=True)) == {row.pk for row in lost}
