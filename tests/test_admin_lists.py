"""Lists of the admin: the same cost at any size, nothing counted to the end, nothing skipped by number."""

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from destinations import paging
from tests.admin_support import DELIVERIES, DESTINATIONS, EVENTS, QUARANTINE, SOURCES, Page, Person, listed
from tests.api_support import make_attempt, make_delivery, make_destination, make_event, make_source
from webhooks.models import QuarantinedRequest

pytestmark = pytest.mark.django_db

LISTS = (DESTINATIONS, SOURCES, EVENTS, DELIVERIES, QUARANTINE)


@pytest.fixture
def ana() -> Person:
    return Person()


@pytest.fixture
def small_cap(monkeypatch: pytest.MonkeyPatch) -> int:
    """Let a list's pages hold three rows."""
    monkeypatch.setattr(paging, "CAP", 3)
    return 3


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
    for page in (event, deliveries[0]):
        ana.look(page)
    with CaptureQueriesContext(connection) as event_costs:
        ana.look(event)
    with CaptureQueriesContext(connection) as delivery_costs:
        ana.look(deliveries[0])

    for number in range(1, 6):
        make_delivery(event, make_destination(f"hook {number}"))
        make_attempt(deliveries[0], number)

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
        query["sql"] for query in queries if f'FROM "{large[0]}"' in query["sql"] and "LIMIT" not in query["sql"]
    ]
    assert unbounded == []


def test_the_count_stops_at_the_cap_and_older_rows_are_one_click_away(ana: Person, small_cap: int) -> None:
    made = {str(number): make_event() for number in range(5)}

    def texts(page: Page) -> tuple[set[str], bool]:
        return listed(page, made), "3+ events" in page.text

    first = ana.get(EVENTS)
    assert texts(first) == ({"4", "3", "2"}, True)
    (older,) = [attrs["href"] for attrs in first.find("a", **{"class": "hub-older"})]
    second = ana.get(EVENTS + str(older))
    assert texts(second) == ({"1", "0"}, False)
    assert "2 events" in second.text
    assert "Back to the newest" in second.text


def test_older_rows_keep_the_filters(ana: Person, small_cap: int) -> None:
    for number in range(5):
        make_event(type="sleep", user_id=str(number))
        make_event(type="daily")

    page = ana.get(EVENTS, type="sleep")

    (older,) = [str(attrs["href"]) for attrs in page.find("a", **{"class": "hub-older"})]
    assert "type=sleep" in older
    assert "2 events" in ana.get(EVENTS + older).text


def test_exactly_as_many_rows_as_the_cap_are_no_more(ana: Person, small_cap: int) -> None:
    for _ in range(3):
        make_event()

    page = ana.get(EVENTS)

    assert "3 events" in page.text
    assert "3+" not in page.text
    assert not page.find("a", **{"class": "hub-older"})


def test_a_page_has_fifty_rows_and_the_rest_is_on_the_next(ana: Person) -> None:
    made = {str(number): make_event() for number in range(51)}

    assert len(listed(ana.get(EVENTS), made)) == 50
    assert listed(ana.get(EVENTS, p="2"), made) == {"0"}
    assert ana.client.get(EVENTS, {"p": "99"}).status_code == 302


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

    assert len(queries) <= 12
    for said in (
        "Stopped (paused)",
        "Dead letters 1",
        "Quarantine 1",
        "Last event",
        "Workers 0",
        "Oldest due delivery",
    ):
        assert said in page.text, said
    for url in (DESTINATIONS, f"{DELIVERIES}?status=dead", f"{DELIVERIES}?status=pending", EVENTS, QUARANTINE):
        assert page.find("a", href=url), url


def test_the_overview_shows_what_a_person_may_see() -> None:
    fill(0)

    assert "Last event" not in Person("webhooks.view_delivery").get("/admin/").text
    assert "Your account may look at nothing yet." in Person("axes.view_accesslog").get("/admin/").text
