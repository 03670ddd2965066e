"""Deliveries in the admin: one sentence, a timeline, and resend."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from destinations.models import Destination
from destinations.services import disable, pause
from tests.admin_support import DELIVERIES, Person, listed, page_of
from tests.api_support import make_attempt, make_delivery, make_destination, make_event
from webhooks.delivering.outbox import claim
from webhooks.models import Delivery, Replay
from webhooks.wording import delivery_state

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 12, 6, 0, tzinfo=UTC)


@pytest.fixture
def ana() -> Person:
    return Person()


def delivery(status: str = "pending", **columns: Any) -> Delivery:
    """Make a delivery and return it as the admin reads it."""
    row = make_delivery(make_event(), Destination.objects.first() or make_destination(), status, **columns)
    return Delivery.objects.select_related("destination").get(pk=row.pk)


def sentence(**columns: Any) -> str:
    return delivery_state(delivery(**columns), NOW).sentence


def test_a_sentence_says_what_happens_next() -> None:
    soon = NOW + timedelta(minutes=3)
    assert sentence(next_attempt_at=soon, attempt_count=1, retry_count=1, last_error_code="http_500") == (
        "Attempt 2 at 2026-03-12 06:03:00 UTC (in 3 minutes) after http_500; retry 1 of 8."
    )
    assert sentence(next_attempt_at=soon, claimed_by="w1") == (
        "Attempt 1 is under way: worker w1 has claimed it until 2026-03-12 06:03:00 UTC (in 3 minutes), "
        "and goes on claiming it for as long as the try takes."
    )
    assert "Due since" in sentence(next_attempt_at=NOW - timedelta(minutes=1), claimed_by="a-lost-worker")
    assert "Due since 2026-03-12 05:59:00 UTC" in sentence(next_attempt_at=NOW - timedelta(minutes=1))
    assert "its destination was deleted" in sentence(
        status="cancelled", last_error_code="destination_deleted", settled_at=NOW
    )
    assert "then resend it" in sentence(status="dead", attempt_count=9, settled_at=NOW)


def test_a_sentence_names_what_holds_a_delivery_back() -> None:
    row = make_destination()
    due = NOW - timedelta(minutes=1)
    pause(row)
    assert "its destination is paused" in sentence(next_attempt_at=due)
    disable(row)
    assert "its destination is disabled" in sentence(next_attempt_at=due)
    held = {"active": True, "paused": False, "paused_until": NOW + timedelta(seconds=30), "pause_reason": "breaker"}
    Destination.objects.update(**held)
    assert "held back until 2026-03-12 06:00:30 UTC (after many failures" in sentence(next_attempt_at=due)


def test_the_timeline_tells_every_attempt(ana: Person) -> None:
    row = delivery(attempt_count=3, next_attempt_at=NOW)
    make_attempt(row, 1, status_code=500, error_detail="It answered 500.", hint="Read its log.", worker="host-1:7")
    make_attempt(row, 2, outcome="unknown", error_code="worker_lost", duration_ms=None, late=True)
    sent = {"method": "POST", "headers": {"terra-signature": "****"}}
    make_attempt(
        row, 3, outcome="delivered", error_code="", status_code=200, duration_ms=2345, trigger="resend", request=sent,
        response={"status": 200, "body": "<b>ok</b>"},
    )  # fmt: skip

    page = ana.look(row)

    for said in (
        "Attempt 1", "Failed, may succeed later", "HTTP 500", "http_500", "It answered 500.", "Read its log.",
        "host-1:7", "12 ms", "Attempt 2", "Outcome unknown", "worker_lost", "reported after its lease had ended",
        "Attempt 3", "Delivered", "HTTP 200", "2.3 s", "Resent by hand · worker", "terra-signature ****", "<b>ok</b>",
        "Next try",
    ):  # fmt: skip
        assert said in page.text, said
    assert page.text.index("Attempt 1") < page.text.index("Attempt 2") < page.text.index("Attempt 3")
    assert not page.find("b")
    assert len(page.find("details")) >= 2
    assert not page.find("details", open="")


def test_the_timeline_says_what_made_a_delivery(ana: Person) -> None:
    event = make_event(NOW)
    job = Replay.objects.create(kind="missing", created_at=NOW, created_by="ben")

    def made(seconds: float, attempted: dict[str, Any] | None = None, **columns: Any) -> str:
        row = make_delivery(
            event, make_destination(uuid4().hex), created_at=NOW + timedelta(seconds=seconds), **columns
        )
        if attempted is not None:
            make_attempt(row, 1, **attempted)
        return ana.look(row).text.partition("Queued")[2].partition("made it.")[0]

    assert f"Later than the event: replay {job.pk} by ben" in made(45, trigger="replay", replay=job)
    replayed = {"trigger": "replay", "replay": job}
    assert f"Later than the event: replay {job.pk} by ben" in made(45, replayed, attempt_count=1)
    assert "Later than the event: a resend" in made(3, {"trigger": "resend"}, attempt_count=2, trigger="replay")
    assert "Later than the event: a replay" in made(45, status="cancelled", last_error_code="replay_cancelled")
    assert "Later than the event." in made(45, attempt_count=9)
    assert "With the event." in made(1, trigger="resend")
    assert "With the event." in made(90, {"trigger": "schedule"}, attempt_count=2, trigger="resend")


def test_a_delivery_that_is_being_tried_has_no_next_try(ana: Person) -> None:
    row = delivery(next_attempt_at=datetime.now(UTC))
    assert [item.delivery_id for item in claim(row.destination_id, "host-1:7", 10, 60)] == [row.pk]

    page, lists = ana.look(row), ana.get(DELIVERIES)

    assert "Attempt 1 is under way: worker host-1:7 has claimed it until" in page.text
    assert "Attempt 1 is under way" in ana.look(row.event).text
    assert "Next try" not in page.text
    assert "Being tried" in lists.text
    row.refresh_from_db()
    shown = [attrs["datetime"] for attrs in lists.find("time")]
    assert row.next_attempt_at
    assert row.next_attempt_at.isoformat() not in shown
    assert row.created_at.isoformat() in shown

    Delivery.objects.update(next_attempt_at=NOW)  # the worker died, and its lease has ended
    assert "Due since" in ana.look(row).text
    assert "Next try" in ana.look(row).text
    assert "Being tried" not in ana.get(DELIVERIES).text


def test_of_many_attempts_the_latest_are_shown(ana: Person) -> None:
    row = delivery(attempt_count=130)
    for number in range(1, 131):
        make_attempt(row, number)

    text = ana.look(row).text

    assert "30 earlier ones are not shown." in text
    assert "Attempt 31 " in text
    assert "Attempt 130 " in text
    assert "Attempt 30 " not in text


def test_one_is_resent_by_its_button(ana: Person) -> None:
    row = delivery("dead", attempt_count=9, last_error_code="http_500")

    page = ana.press(row, "resend")

    row.refresh_from_db()
    assert (row.status, row.trigger, row.retry_count) == ("pending", "resend", 0)
    assert "1 delivery is due now." in page.text
    assert "Due since" in page.text


def test_many_are_resent_from_the_list(ana: Person) -> None:
    rows = [delivery("dead"), delivery("delivered"), delivery("dead")]
    chosen = [str(row.pk) for row in rows[:2]]

    page = ana.post(DELIVERIES, action="resend_chosen", _selected_action=chosen)

    assert "2 deliveries are due now." in page.text
    assert [Delivery.objects.get(pk=row.pk).status for row in rows] == ["pending", "pending", "dead"]


def test_a_resend_that_cannot_be_says_why_and_does_nothing(ana: Person) -> None:
    row = delivery("dead")
    disable(row.destination)

    for page in (
        ana.press(row, "resend"),
        ana.post(DELIVERIES, action="resend_chosen", _selected_action=[str(row.pk)]),
    ):
        assert "The destination is disabled: hook. Enable it first." in page.text
    row.refresh_from_db()
    assert row.status == "dead"


def test_resend_needs_its_permission() -> None:
    row = delivery("dead")
    ben = Person("webhooks.view_delivery")

    assert "Resend" not in ben.look(row).text
    assert ben.client.post(page_of(row).replace("/change/", "/do/resend/")).status_code == 403
    ben.client.post(DELIVERIES, {"action": "resend_chosen", "_selected_action": [str(row.pk)]})
    row.refresh_from_db()
    assert row.status == "dead"


def test_filters_and_search_keep_what_they_say(ana: Person) -> None:
    one, two = make_destination("Alpha"), make_destination("Beta")
    event = make_event(type="sleep", reference_id="ref-1", terra_reference="large-1")
    dead = make_delivery(event, one, "dead")
    waiting = make_delivery(make_event(), two, "pending")

    def shown(**query: str) -> set[str]:
        return listed(ana.get(DELIVERIES, **query), {"dead": dead, "waiting": waiting})

    assert shown() == {"dead", "waiting"}
    assert shown(status="dead") == {"dead"}
    assert shown(status="pending") == {"waiting"}
    assert shown(destination=str(one.pk)) == {"dead"}
    assert shown(event=str(waiting.event_id)) == {"waiting"}
    for of_event in ({"type": "sleep"}, {"reference_id": "ref-1"}, {"terra_reference": "large-1"}):
        assert shown(**of_event) == {"dead"}, of_event
    assert shown(trace_id="of-another") == set()
    assert "1 delivery" in ana.get(DELIVERIES, type="sleep").text
    assert shown(q="nothing like it") == set()
    assert ana.client.get(DELIVERIES, {"q": str(dead.pk)}).headers["Location"] == page_of(dead)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"status": "x"}, "status: Select a valid choice."),
        ({"destination": "x"}, "destination: Select a valid choice."),
        ({"event": "x"}, "event: Enter a valid UUID."),
        ({"status_code": "0"}, "status_code: Ensure this value is greater than or equal to 100."),
        ({"status_code": "500", "error_code": "timeout"}, "status_code: A delivery has one last error"),
        ({"status": "delivered", "status_code": "500"}, "status: Only what is pending or a dead letter"),
    ],
)
def test_a_filter_that_makes_no_sense_is_named_and_shows_nothing(ana: Person, query: dict[str, str], said: str) -> None:
    row = delivery()

    page = ana.get(DELIVERIES, **query)

    assert said in page.text
    assert listed(page, {"row": row}) == set()


@pytest.mark.parametrize("term", ["9" * 19, "9" * 40, "-1", "٣", "1e3", "%"])
def test_any_search_term_has_an_answer(ana: Person, term: str) -> None:
    delivery()

    ana.get(DELIVERIES, q=term)


@pytest.mark.parametrize("lookup", ["last_error_code", "event__user_id", "destination__name", "trigger__exact"])
def test_a_column_without_an_index_cannot_be_filtered_by(ana: Person, lookup: str) -> None:
    assert ana.client.get(DELIVERIES, {lookup: "1"}).headers["Location"] == "?"
