"""Test events: one real delivery for one destination, chosen on its page, marked as a test."""

import json
from typing import Any

import pytest

from destinations.models import Destination
from destinations.services import disable, enable
from tests.admin_support import Person, page_of
from tests.api_support import make_delivery, make_destination, make_event, make_source, refused
from webhooks.keeping.testevents import received_of, send_last, send_test
from webhooks.models import Delivery, Event, Payload
from webhooks.receiving.samples import send_sample

pytestmark = pytest.mark.django_db


@pytest.fixture
def hook() -> Destination:
    make_source()
    make_destination("another one")
    return make_destination()


def test_a_healthcheck_is_made_for_this_destination_only(hook: Destination) -> None:
    row = send_test(hook)
    assert Delivery.objects.get() == row
    assert (row.destination, row.trigger, row.status) == (hook, "test", "pending")
    event = row.event
    assert event.idempotency_key.startswith("test:")
    assert event.headers["x-terra-trace-id"].startswith("hub-test-")
    body = json.loads(bytes(Payload.objects.get().body))
    assert (body["type"], body["message"]) == ("healthcheck", "Test event of the Terra destination hub.")


def test_it_comes_from_a_source_that_the_destination_takes(hook: Destination) -> None:
    other = make_source("other")
    limited = make_destination("limited", sources=["other"])
    assert send_test(limited).event.source == other
    assert send_test(hook).event.source == make_source()


def test_where_it_cannot_be_sent_it_is_said_why(hook: Destination) -> None:
    make_event()
    disable(hook)
    for send in (lambda: send_test(hook), lambda: send_last(hook, "daily")):
        assert "disabled" in str(refused(send).errors)
    enable(hook)
    Event.objects.all().delete()
    make_source().delete()
    assert refused(send_test, hook).hint == "Add a source first."
    assert not Delivery.objects.exists()


def test_the_last_real_event_of_a_type_is_sent_again(hook: Destination) -> None:
    make_event(type="sleep")
    real = make_event(type="sleep")
    make_event(type="daily")
    held = make_delivery(real, hook, "delivered", attempt_count=1)
    send_sample(make_source(), b'{"type":"sleep"}')

    row = send_last(hook, "sleep")

    assert row == held
    assert (row.event, row.status, row.trigger, row.attempt_count) == (real, "pending", "test", 1)
    assert Delivery.objects.exclude(event__idempotency_key__startswith="trace:").count() == 1


def test_an_event_that_it_never_had_gets_a_delivery_marked_as_a_test(hook: Destination) -> None:
    event = make_event(type="daily")
    row = send_last(hook, "daily")
    assert (row.event, row.destination, row.trigger) == (event, hook, "test")


def test_only_what_the_destination_takes_is_offered_and_sent() -> None:
    make_event(type="sleep")
    make_event(type="daily")
    make_event(type="an_own_type")
    everything = make_destination("all")
    some = make_destination("some", event_types=["daily", "body", "an_own_type"])
    assert received_of(everything) == ["sleep", "daily"]
    assert received_of(some) == ["daily", "an_own_type"]
    assert "does not take" in str(refused(send_last, some, "sleep").errors)
    assert "None of the newest" in str(refused(send_last, some, "body").errors)
    make_source("other")
    limited = make_destination("limited", sources=["other"])
    assert "from its sources" in str(refused(send_last, limited, "daily").errors)


def test_the_button_leads_to_the_delivery_where_it_is_seen_to_arrive(hook: Destination) -> None:
    make_event(type="sleep")
    ana = Person(
        "destinations.view_destination",
        "destinations.test_destination",
        "webhooks.view_delivery",
        "webhooks.view_event",
    )
    assert [one["value"] for one in ana.look(hook).find("option")] == ["healthcheck", "last:sleep"]
    page = ana.press(hook, "test", sample="healthcheck")
    row = Delivery.objects.get()
    assert "Waiting for its first try" in page.text
    [waiting] = page.find("p", role="status")
    address = waiting["hx-get"]
    assert address

    def asked() -> Any:
        answer = ana.client.get(address)
        return answer.status_code, answer.get("HX-Refresh")

    assert asked() == (204, None)
    Delivery.objects.filter(pk=row.pk).update(attempt_count=1)
    assert asked() == (204, "true")
    Delivery.objects.filter(pk=row.pk).update(attempt_count=0, status="delivered", next_attempt_at=None)
    assert asked() == (204, "true")
    assert "Waiting for its first try" not in ana.look(row).text

    ana.press(hook, "test", sample="last:sleep")
    assert Delivery.objects.filter(event__type="sleep", trigger="test").count() == 1
    assert "None of the newest" in ana.press(hook, "test", sample="last:body").text


def test_it_needs_its_own_permission(hook: Destination) -> None:
    viewer = Person("destinations.view_destination", "webhooks.view_delivery")
    assert "Send a test event" not in viewer.look(hook).text
    viewer.post(f"{page_of(hook).removesuffix('change/')}do/test/", 403)
    only_test = Person("destinations.view_destination", "destinations.test_destination")
    assert "on its way" in only_test.press(hook, "test").text
    only_test.get(f"{page_of(hook).removesuffix('change/')}arriving/1/", 403)
