"""Cancelling deliveries: over the API and in the admin; what a worker has in hand does not bring one back."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.admin_support import DELIVERIES, Person
from tests.api_support import Api, at_once, make_delivery, make_destination, make_event, make_source, messages
from tests.delivering.log import numbers_are_whole, statuses
from tests.hub import Hub, until
from tests.keys_support import api_of
from tests.replays.conftest import one_sink, sink
from tests.replays.stage import carried_on, seed, started
from tests.sink import Sink
from webhooks.delivering import outbox
from webhooks.keeping.cancelling import Cancelled, cancel
from webhooks.keeping.progress import progress_of
from webhooks.models import Attempt, Delivery

__all__ = ["one_sink", "sink"]
pytestmark = pytest.mark.django_db


@pytest.fixture
def api() -> Api:
    return Api("webhooks.view_delivery", "webhooks.cancel_delivery", "webhooks.resend_delivery")


def claimed() -> Delivery:
    """Return a delivery that a worker has just taken."""
    row = make_delivery(make_event(), make_destination(), next_attempt_at=datetime.now(UTC) - timedelta(seconds=1))
    assert [one.delivery_id for one in outbox.claim(row.destination_id, "w1", 10, 60)] == [row.pk]
    return row


def settled(row: Delivery, status: str = "delivered", wait_s: float | None = None) -> None:
    """Let the worker report how its try went."""
    outcome = "delivered" if status == "delivered" else "failed"
    outbox.settle(
        [
            outbox.Settlement(
                row.pk, row.destination_id, 1, "w1", timezone.now(), 12, outcome, status, wait_s, 1, "schedule"
            )
        ]
    )


def state(row: Delivery) -> tuple[Any, ...]:
    row.refresh_from_db()
    return row.status, row.last_error_code, row.next_attempt_at, row.claimed_by


CANCELLED = ("cancelled", "cancelled_by_hand", None, "")


def test_a_delivery_that_waits_is_sent_no_more_until_it_is_resent(api: Api) -> None:
    row = make_delivery(make_event(), make_destination(), attempt_count=2, last_error_code="http_500")

    assert api.post(f"deliveries/{row.pk}/cancel") == {"cancelled": 1, "in_hand": 0, "settled": 0}

    assert state(row) == CANCELLED
    assert row.settled_at is not None
    assert row.attempt_count == 2
    assert outbox.due_destinations() == []
    api.post(f"deliveries/{row.pk}/resend", status=202)
    assert [one.delivery_id for one in outbox.claim(row.destination_id, "w1", 10, 60)] == [row.pk]


@pytest.mark.parametrize("report", ["delivered", "pending", "dead"])
def test_what_a_worker_reports_of_one_that_was_cancelled_meanwhile_is_logged_and_changes_nothing(
    api: Api, report: str
) -> None:
    row = claimed()

    assert api.post(f"deliveries/{row.pk}/cancel") == {"cancelled": 1, "in_hand": 1, "settled": 0}
    settled(row, report, wait_s=30 if report == "pending" else None)

    assert state(row) == CANCELLED
    attempt = Attempt.objects.get(delivery=row)
    assert (attempt.number, attempt.late, attempt.outcome) == (
        1, True, "delivered" if report == "delivered" else "failed",
    )  # fmt: skip
    assert row.attempt_count == 1


@pytest.mark.parametrize("how", [outbox.release, lambda ids, claims: outbox.extend(ids, claims, 60)])
def test_a_claim_that_is_given_back_or_extended_does_not_bring_it_back(how: Any) -> None:
    row = claimed()
    cancel([row.pk])

    how([row.pk], ["w1"])

    assert state(row) == CANCELLED


def test_one_that_is_resent_after_that_is_not_settled_by_the_old_claim(api: Api) -> None:
    row = claimed()
    cancel([row.pk])
    api.post(f"deliveries/{row.pk}/resend", status=202)

    settled(row)

    assert state(row)[0] == "pending"


@pytest.mark.parametrize("status", ["delivered", "dead", "cancelled"])
def test_what_has_ended_is_not_cancelled(api: Api, status: str) -> None:
    row = make_delivery(make_event(), make_destination(), status, last_error_code="x")

    assert api.post(f"deliveries/{row.pk}/cancel", status=409)["code"] == "conflict"
    assert api.post("deliveries/cancel", {"ids": [row.pk]}) == {"cancelled": 0, "in_hand": 0, "settled": 1}

    assert state(row)[:2] == (status, "x")


def test_many_are_cancelled_at_once_and_each_is_counted_for_what_it_was(api: Api) -> None:
    hand, done = claimed(), make_delivery(make_event(), make_destination("done"), "delivered")
    waiting = [make_delivery(make_event(), make_destination(f"hook {number}")) for number in range(3)]
    other = make_delivery(make_event(), make_destination("other"))
    ids = [hand.pk, done.pk, *(row.pk for row in waiting), waiting[0].pk]

    assert api.post("deliveries/cancel", {"ids": ids}) == {"cancelled": 4, "in_hand": 1, "settled": 1}

    assert all(state(row) == CANCELLED for row in (hand, *waiting))
    assert (state(other)[0], state(done)[0]) == ("pending", "delivered")


def test_an_id_that_is_not_there_keeps_all_of_them(api: Api) -> None:
    row = make_delivery(make_event(), make_destination())

    problem = api.post("deliveries/cancel", {"ids": [row.pk, 987654]}, 404)

    assert "987654" in messages(problem)["ids"]
    assert api.post("deliveries/987654/cancel", status=404)["code"] == "not_found"
    assert state(row)[0] == "pending"


def test_a_trial_says_what_it_would_do_and_does_not(api: Api) -> None:
    row = claimed()

    assert api.post(f"deliveries/{row.pk}/cancel?dry_run=true")["in_hand"] == 1
    assert api.post("deliveries/cancel?dry_run=true", {"ids": [row.pk]})["cancelled"] == 1

    assert state(row)[0] == "pending"


def test_a_limited_key_cancels_deliveries_of_its_own_source_only() -> None:
    hook = make_destination()
    own, other = (make_delivery(make_event(source=make_source(slug)), hook) for slug in ("second", "main"))
    key = api_of("deliveries:write", sources=["second"])

    assert key.post(f"deliveries/{other.pk}/cancel", status=404)["code"] == "not_found"
    assert key.post("deliveries/cancel", {"ids": [own.pk, other.pk]}, 404)["code"] == "not_found"
    assert key.post("deliveries/cancel", {"ids": [own.pk]})["cancelled"] == 1

    assert (state(own)[0], state(other)[0]) == ("cancelled", "pending")


@pytest.mark.django_db(transaction=True)
def test_cancelled_at_the_same_moment_by_many_it_is_cancelled_once() -> None:
    ids = [make_delivery(make_event(), make_destination(f"hook {number}")).pk for number in range(4)]

    found = at_once(6, lambda: cancel(ids))

    assert sorted(one.cancelled for one in found) == [0, 0, 0, 0, 0, 4]
    assert Cancelled(0, 0, 4) in found


def test_a_replay_counts_what_was_cancelled_of_it() -> None:
    make_destination()
    seed(make_source(), 3)
    replay = started("matching")
    carried_on()
    cancel([Delivery.objects.order_by("pk")[0].pk])

    replay.refresh_from_db()
    done = progress_of(replay, timezone.now())
    assert (done.cancelled, done.waiting, done.delivered) == (1, 2, 0)


# --- in the admin -------------------------------------------------------------------------------------------
def test_a_button_cancels_and_the_page_says_so() -> None:
    ana, row = Person(), claimed()

    page = ana.press(row, "cancel")

    assert "1 delivery was cancelled. 1 of them in a worker's hands: a try may still arrive." in page.text
    assert "somebody cancelled it" in page.text
    assert "Cancel." in ana.get(f"{DELIVERIES}{row.pk}/history/").text
    assert state(row) == CANCELLED
    assert not [one for one in page.find("form") if str(one.get("action")).endswith("/do/cancel/")]


def test_a_list_action_cancels_what_waits_of_what_was_ticked() -> None:
    hook = make_destination()
    waiting, done = make_delivery(make_event(), hook), make_delivery(make_event(), hook, "delivered")
    values = {"action": "cancel_chosen", "_selected_action": [waiting.pk, done.pk]}

    looker = Person("webhooks.view_delivery", "webhooks.resend_delivery")
    looker.client.post(DELIVERIES, values)
    assert state(waiting)[0] == "pending"
    page = Person("webhooks.view_delivery", "webhooks.cancel_delivery").post(DELIVERIES, **values)

    assert "1 delivery was cancelled. 1 had ended already." in page.text
    assert (state(waiting)[0], state(done)[0]) == ("cancelled", "delivered")


@pytest.mark.django_db(transaction=True)
def test_cancelling_beside_a_worker_leaves_each_delivery_sent_or_cancelled_and_its_log_whole(
    hub: Hub, sink: Sink
) -> None:
    hook = hub.webhook(sink.url("/hook"), concurrency=4)
    sink.behave("/hook", delay=0.01)
    now = datetime.now(UTC)
    ids = [make_delivery(event, hook, next_attempt_at=now).pk for event in seed(hub.source, 240)]
    hub.worker()
    until(lambda: sink.count("/hook") > 20, what="the worker is at it")

    found = [cancel(ids[first::6], by=None) for first in range(6)]

    cancelled = sum(one.cancelled for one in found)
    assert cancelled > 0
    assert statuses() == {"cancelled": cancelled, "delivered": 240 - cancelled}
    # What was in hand is reported late, and logged: no more than was counted.
    most = 240 - cancelled + sum(one.in_hand for one in found)
    hub.workers[0].stop()
    assert statuses() == {"cancelled": cancelled, "delivered": 240 - cancelled}
    assert 240 - cancelled <= sink.count("/hook") <= most
    assert Attempt.objects.filter(late=True).count() == Attempt.objects.count() - (240 - cancelled)
    assert numbers_are_whole()
