"""The numbers on the overview are what happened: server, worker and sink are real."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from destinations.models import Destination
from tests.admin_support import DELIVERIES, EVENTS, QUARANTINE, Page, Person
from tests.api_support import make_delivery, make_destination, make_event, make_source
from tests.delivering.conftest import one_sink, sink
from tests.delivering.log import attempts, post_many, statuses
from tests.hub import SAMPLES, Hub, until
from tests.sink import Sink
from tests.stats.support import tally_attempts, tally_events
from webhooks.models import Delivery

__all__ = ["one_sink", "sink"]


def card(page: Page, key: str) -> str:
    """Return what a card says."""
    (found,) = re.findall(rf'<a class="hub-card[^"]*" id="card-{key}".*?</a>', page.source, re.S)
    return re.sub(r"\s+", " ", re.sub(r"<span class=\"material[^>]*>.*?</span>|<[^>]+>", " ", found)).strip()


def href(page: Page, key: str) -> Any:
    return page.find("a", id=f"card-{key}")[0]["href"]


@pytest.mark.django_db(transaction=True)
def test_the_numbers_are_what_happened(hub: Hub, sink: Sink) -> None:
    ana = Person()
    hub.webhook(sink.url("/hook"))
    failing = hub.webhook(sink.url("/never"), schedule=[1])
    sink.behave("/never", status=404)
    post_many(hub, 3)
    hub.post(SAMPLES["sleep"], headers={"terra-signature": "t=1,v1=wrong"})
    hub.worker(RETRY_TIME_SCALE="0.001")
    until(lambda: statuses() == {"delivered": 3, "dead": 3})
    until(lambda: Destination.objects.get(pk=failing.pk).failing_since)

    page = ana.get("/admin/")

    assert "3 in the last 5 minutes; 3 events in the last hour." in card(page, "received")
    assert "3 in the last 5 minutes; 3 deliveries in the last hour." in card(page, "delivered")
    tried = len(attempts())
    assert f"Success rate {300 / tried:.1f} %" in card(page, "success")
    assert f"Of {tried} attempts in 24 hours {tried - 3} failed. 3 deliveries are dead letters: given up." in card(
        page, "success"
    )
    assert "Waiting 0" in card(page, "waiting")
    assert "Dead letters 3" in card(page, "dead")
    assert f"1 {failing.name} (failing)" in card(page, "troubled")
    assert "Quarantine 1" in card(page, "quarantine")
    assert "Workers 1" in card(page, "workers")
    assert "Oldest due delivery none Nothing is late." in card(page, "signal")
    assert re.search(r"Last event (now|\d+ s ago)", card(page, "last"))
    (received, delivered) = [svg["aria-label"] for svg in page.find("svg", role="img")]
    assert received == "Events received. Events: 3"
    assert delivered == (f"Delivery attempts. Delivered: 3; Failed: {tried - 3}; Rejected for good: 0")


@pytest.mark.django_db
def test_the_oldest_due_delivery_is_the_first_thing_that_is_said() -> None:
    destination, ana = make_destination(), Person()
    make_delivery(make_event(), destination, next_attempt_at=timezone.now() - timedelta(minutes=9))

    page = ana.get("/admin/")

    assert "Oldest due delivery 9 minutes ago" in card(page, "signal")
    assert card(page, "signal").endswith("Act")
    assert page.source.index("card-signal") < page.source.index("card-received")
    ana.press(destination, "pause")
    assert "Nothing is late." in card(ana.get("/admin/"), "signal")
    assert "Waiting 1" in card(ana.get("/admin/"), "waiting")


@pytest.mark.django_db
def test_each_number_leads_to_its_list() -> None:
    make_destination()
    Destination.objects.update(failing_since=timezone.now())
    page = Person().get("/admin/")
    keys = ("received", "delivered", "success", "waiting", "signal", "dead", "last")
    assert {key: href(page, key) for key in keys} == {
        "received": f"{EVENTS}?hours=1",
        "delivered": f"{DELIVERIES}?status=delivered&hours=1",
        "success": "/admin/destinations/destination/",
        "waiting": f"{DELIVERIES}?status=pending",
        "signal": f"{DELIVERIES}?status=pending",
        "dead": f"{DELIVERIES}?status=dead",
        "last": EVENTS,
    }  # fmt: skip
    assert href(page, "troubled") == "/admin/destinations/destination/?state=failing"
    assert href(page, "quarantine") == f"{QUARANTINE}?hours=24"
    assert href(page, "workers") == "/health"


@pytest.mark.django_db
def test_each_number_fits_with_the_words_beside_it() -> None:
    with time_machine.travel(datetime(2026, 3, 12, 6, 0, 48, tzinfo=UTC), tick=False):
        source, destination, ana, now = make_source(), make_destination(), Person(), timezone.now()
        assert "Destinations failing, paused or disabled 0 No destination" in card(ana.get("/admin/"), "troubled")
        tally_attempts(destination, now, failed=1)
        tally_events(source, now, 21)
        tally_events(source, now - timedelta(minutes=4), 19)
        tally_events(make_source("b"), now - timedelta(minutes=5), 5)  # 12 s of this minute count
        page = ana.get("/admin/")
        assert "Received per minute 8.2 41 in the last 5 minutes" in card(page, "received")
        assert "Of 1 attempt in 24 hours 1 failed. Their deliveries are tried again" in card(page, "success")
        make_delivery(make_event(), destination, "dead")
        assert "1 failed. 1 delivery is a dead letter: given up." in card(ana.get("/admin/"), "success")
    assert href(Person("webhooks.view_delivery").get("/admin/"), "success") == DELIVERIES


@pytest.mark.django_db
def test_charts_show_the_span_that_was_asked_for() -> None:
    ana, source, destination, now = Person(), make_source(), make_destination(), timezone.now()
    tally_events(source, now, 5)
    tally_events(source, now - timedelta(hours=3), 20)
    tally_events(source, now - timedelta(days=3), 100)
    tally_attempts(destination, now - timedelta(days=3), delivered=40, rejected=2)

    def said(span: str) -> list[Any]:
        return [svg["aria-label"] for svg in ana.get("/admin/", span=span).find("svg", role="img")]

    assert said("hour")[0] == "Events received. Events: 5"
    assert said("day")[0] == said("nonsense")[0] == "Events received. Events: 25"
    assert said("week")[0] == "Events received. Events: 125"
    assert "Delivered: 40; Failed: 0; Rejected for good: 2" in said("week")[1]
    assert ana.get("/admin/", span="week").find("a", href="?span=week")[0]["aria-current"] == "true"


@pytest.mark.django_db
def test_a_person_sees_the_numbers_that_their_permissions_cover() -> None:
    def keys(*permissions: str) -> set[str]:
        ids = {str(link.get("id")) for link in Person(*permissions).get("/admin/").find("a")}
        return {name for name in ids if name.startswith("card-")}

    assert keys("webhooks.view_event") == {"card-received", "card-last", "card-disk"}
    assert keys("destinations.view_destination") == {"card-troubled"}
    assert "card-received" not in keys("webhooks.view_delivery")
    assert "Delivery attempts" not in Person("webhooks.view_event").get("/admin/").text


@pytest.mark.django_db
def test_the_overview_costs_the_same_with_many_destinations() -> None:
    ana = Person()
    with CaptureQueriesContext(connection) as few:
        ana.get("/admin/", span="week")
    now = timezone.now()
    for number in range(12):
        destination = make_destination(f"d{number}")
        Delivery.objects.all().delete()
        tally_attempts(destination, now, delivered=1)
    with CaptureQueriesContext(connection) as many:
        ana.get("/admin/", span="week")
    assert len(many) == len(few) <= 25


@pytest.mark.django_db
def test_days_left_are_said_of_local_disks_only(settings: Any) -> None:
    tally_events(make_source(), timezone.now() - timedelta(days=2), 10, bytes=10**9)
    assert "at the last week" in card(Person().get("/admin/"), "disk")
    if connection.vendor == "postgresql":
        settings.PAYLOAD_STORE = "s3"
        assert "card-disk" not in Person().get("/admin/").source
