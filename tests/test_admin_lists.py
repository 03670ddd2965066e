"""Lists of the admin: the same cost at any size, nothing counted to the end, nothing skipped by number."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests.admin_support import DELIVERIES, DESTINATIONS, EVENTS, QUARANTINE, SOURCES, Page, Person, listed
from tests.api_support import make_attempt, make_delivery, make_destination, make_event, make_source
from webhooks.admin import lists
from webhooks.admin.lists import KeysetAdmin
from webhooks.finding import scans
from webhooks.models import QuarantinedRequest

pytestmark = pytest.mark.django_db

LISTS = (DESTINATIONS, SOURCES, EVENTS, DELIVERIES, QUARANTINE)


@pytest.fixture
def ana() -> Person:
    return Person()


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a page hold three rows, and let four be counted."""
    monkeypatch.setattr(KeysetAdmin, "list_per_page", 3)
    for module in (scans, lists):
        monkeypatch.setattr(module, "CAP", 4)


def fill(number: int) -> None:
    """Make one row for each list."""
    event = make_event(source=make_source(f"source-{number}"), type=f"type-{number}", user_id=f"user-{number}")
    delivery = make_delivery(event, make_destination(f"hook {number}"), "dead")
    make_attempt(delivery, 1)
    QuarantinedRequest.objects.create(
        source=event.source, reason="signature_missing", body=b"{}", received_at=event.received_at
    )


@pytest.mark.parametrize("url", LISTS)
def test_ten_rows_cost_as_many_queries_as_one(ana: Person, url: str, django_assert_num_queries: Any) -> None:
    fill(0)
    ana.get(url)  # content types are read once
    with CaptureQueriesContext(connection) as one:
        ana.get(url)

    for number in range(1, 10):
        fill(number)

    with django_assert_num_queries(len(one)):
        ana.get(url)
    assert len(one) <= 9


def test_an_events_page_costs_the_same_for_many_deliveries(ana: Person, django_assert_num_queries: Any) -> None:
    event = make_event()
    deliveries = [make_delivery(event, make_destination("hook 0"), "dead")]
    for number in (1, 2):
        make_attempt(deliveries[0], number)
    for page in (event, deliveries[0]):
        ana.look(page)
    with CaptureQueriesContext(connection) as event_costs:
        ana.look(event)
    with CaptureQueriesContext(connection) as delivery_costs:
        ana.look(deliveries[0])

    for number in range(1, 6):
        make_delivery(event, make_destination(f"hook {number}"))
        make_attempt(deliveries[0], number + 2)

    with django_assert_num_queries(len(event_costs)):
        ana.look(event)
    with django_assert_num_queries(len(delivery_costs)):
        ana.look(deliveries[0])


@pytest.mark.parametrize("url", [EVENTS, DELIVERIES, QUARANTINE, "/admin/"])
def test_nothing_large_is_counted(ana: Person, url: str) -> None:
    fill(0)

    with CaptureQueriesContext(connection) as queries:
        ana.get(url)

    large = ("webhooks_event", "webhooks_delivery", "webhooks_attempt", "webhooks_quarantinedrequest")
    counted = [
        query["sql"] for query in queries if "COUNT(" in query["sql"] and any(name in query["sql"] for name in large)
    ]
    assert counted == []
    unbounded = [
        query["sql"]
        for query in queries
        if f'FROM "{large[0]}"' in query["sql"] and "LIMIT" not in query["sql"] and '."id" IN (' not in query["sql"]
    ]
    assert unbounded == []


def link(page: Page, rel: str) -> str:
    """Return where the link to the page before or after leads; empty where there is none."""
    found = page.find("a", rel=rel)
    return str(found[0]["href"]) if found else ""


def test_pages_go_older_and_newer_and_the_count_stops_at_the_cap(ana: Person, small_pages: None) -> None:
    made = {str(number): make_event() for number in range(8)}

    first = ana.get(EVENTS)
    assert listed(first, made) == {"7", "6", "5"}
    assert "4+ events" in first.text
    assert not link(first, "prev")
    second = ana.get(EVENTS + link(first, "next"))
    assert listed(second, made) == {"4", "3", "2"}
    third = ana.get(EVENTS + link(second, "next"))
    assert listed(third, made) == {"1", "0"}
    assert not link(third, "next")
    back = ana.get(EVENTS + link(third, "prev"))
    assert listed(back, made) == {"4", "3", "2"}
    assert listed(ana.get(EVENTS + link(back, "prev")), made) == {"7", "6", "5"}
    (newest,) = [attrs["href"] for attrs in third.find("a", **{"class": "hub-older"}) if "rel" not in attrs]
    assert listed(ana.get(f"{EVENTS}{newest}"), made) == {"7", "6", "5"}


def test_pages_keep_the_filters(ana: Person, small_pages: None) -> None:
    for number in range(5):
        make_event(type="sleep", user_id=str(number))
        make_event(type="daily")

    page = ana.get(EVENTS, type="sleep")

    older = link(page, "next")
    assert "type=sleep" in older
    assert "4+ events" in page.text
    assert "type=sleep" in link(ana.get(EVENTS + older), "prev")


def test_exactly_as_many_rows_as_the_cap_are_no_more(ana: Person, small_pages: None) -> None:
    for _ in range(4):
        make_event()

    assert "4 events" in ana.get(EVENTS).text
    assert "4+" not in ana.get(EVENTS).text


def test_a_page_has_fifty_rows_and_the_rest_is_on_the_next(ana: Person) -> None:
    made = {str(number): make_event() for number in range(51)}

    page = ana.get(EVENTS)
    assert len(listed(page, made)) == 50
    assert listed(ana.get(EVENTS + link(page, "next")), made) == {"0"}


def test_what_a_form_sends_empty_is_left_out_of_the_address(ana: Person) -> None:
    response = ana.client.get(EVENTS, {"type": "sleep", "user_id": "", "since": " "})

    assert (response.status_code, response.headers["Location"]) == (302, "?type=sleep")


@pytest.mark.parametrize("url", LISTS)
def test_a_column_cannot_be_sorted_by(ana: Person, url: str) -> None:
    fill(0)

    with CaptureQueriesContext(connection) as queries:
        page = ana.get(url, o="1.-2.3.4.5")

    assert not page.find("a", href="?o=1")
    ordered = [query["sql"].split("ORDER BY")[-1] for query in queries if "ORDER BY" in query["sql"]]
    assert not [clause for clause in ordered if "received_at" in clause or "status" in clause or "size" in clause]


@pytest.mark.parametrize("url", LISTS)
def test_an_empty_list_is_a_page(ana: Person, url: str) -> None:
    assert "No results found" in ana.get(url).text or " 0 " in ana.get(url).text


def test_the_overview_links_each_number_to_its_list_in_a_bounded_number_of_queries(ana: Person) -> None:
    fill(0)
    ana.press(make_destination("Stopped"), "pause")
    ana.get("/admin/")
    with CaptureQueriesContext(connection) as queries:
        page = ana.get("/admin/")

    assert len(queries) <= 20
    for said in (
        "Stopped (paused)",
        "Dead letters 1",
        "Quarantine 1",
        "Last event",
        "Workers 0",
        "Oldest due delivery",
    ):
        assert said in page.text, said
    for url in (
        DESTINATIONS,
        f"{DELIVERIES}?status=dead",
        f"{DELIVERIES}?status=pending",
        EVENTS,
        f"{QUARANTINE}?hours=24",
    ):
        assert page.find("a", href=url), url


def test_the_overview_shows_what_a_person_may_see() -> None:
    fill(0)

    assert "Last event" not in Person("webhooks.view_delivery").get("/admin/").text
    assert "Your account may look at nothing yet." in Person("axes.view_accesslog").get("/admin/").text
