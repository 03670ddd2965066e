"""Lists: pages that miss nothing, filters that say what they know, and the same cost on every page."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from hypothesis import given
from hypothesis import strategies as st

from destinations.ids import uuid7
from tests.api_support import Api, make_delivery, make_destination, make_event, messages
from webhooks.event_ids import first_id_at

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 12, 12, 0, tzinfo=UTC)


@pytest.fixture
def api() -> Api:
    return Api("webhooks.view_event", "webhooks.view_delivery", "destinations.view_destination")


def walk(api: Api, path: str, limit: int, **query: str) -> list[str]:
    """Return the ids of every page."""
    ids, cursor = [], {}
    while True:
        page = api.get(path, limit=limit, **query, **cursor)
        assert len(page["data"]) <= limit
        ids += [row["id"] for row in page["data"]]
        if not page["has_more"]:
            assert page["next_cursor"] is None
            return ids
        cursor = {"cursor": page["next_cursor"]}


@pytest.mark.parametrize("limit", [1, 3, 7, 8])
def test_pages_give_every_event_once_and_newest_first(api: Api, limit: int) -> None:
    made = [make_event(NOON + timedelta(seconds=number)) for number in range(7)]

    assert walk(api, "events", limit) == [str(event.pk) for event in reversed(made)]


def test_a_row_that_comes_between_two_pages_shifts_nothing(api: Api) -> None:
    old = [make_event(NOON + timedelta(seconds=number)) for number in range(4)]
    first = api.get("events", limit=2)

    make_event(NOON + timedelta(hours=1))

    second = api.get("events", limit=2, cursor=first["next_cursor"])
    shown = [row["id"] for row in first["data"] + second["data"]]
    assert shown == [str(event.pk) for event in reversed(old)]


def test_pages_of_deliveries_go_by_their_own_ids(api: Api) -> None:
    destination = make_destination()
    made = [make_delivery(make_event(), destination) for _ in range(5)]

    assert walk(api, "deliveries", 2) == [row.pk for row in reversed(made)]


def test_a_page_has_fifty_rows_unless_asked_otherwise(api: Api) -> None:
    for _ in range(51):
        make_event()

    page = api.get("events")

    assert (len(page["data"]), page["has_more"]) == (50, True)


@pytest.mark.parametrize("limit", ["0", "201", "-1", "ten", "1e2", "٣"])
def test_a_limit_out_of_range_is_refused(api: Api, limit: str) -> None:
    problem = api.get("events", 400, limit=limit)

    assert messages(problem) == {"limit": "Must be a whole number from 1 to 200."}


@pytest.mark.parametrize("path", ["events", "deliveries", "destinations"])
@pytest.mark.parametrize("cursor", ["", "abc", "MQ=", "-1", "bm90IGFuIGlk", "A" * 500, "é"])
def test_a_cursor_that_the_hub_did_not_make_is_refused(api: Api, path: str, cursor: str) -> None:
    problem = api.get(path, 400, cursor=cursor)

    assert messages(problem).keys() == {"cursor"}


@pytest.mark.parametrize("path", ["events", "deliveries", "destinations"])
def test_no_list_counts_or_skips_rows(api: Api, path: str) -> None:
    destination = make_destination()
    for _ in range(4):
        make_delivery(make_event(), destination)
    make_destination("second")
    first = api.get(path, limit=1)

    with CaptureQueriesContext(connection) as queries:
        api.get(path, limit=1, cursor=first["next_cursor"])

    text = " ".join(query["sql"].upper() for query in queries)
    assert "COUNT(" not in text
    assert "OFFSET" not in text


@pytest.mark.parametrize("path", ["events", "deliveries", "destinations"])
def test_ten_rows_cost_as_many_queries_as_one(api: Api, path: str, django_assert_max_num_queries: Any) -> None:
    for number in range(10):
        make_delivery(make_event(), make_destination(f"hook {number}"))
    api.get(path)  # the user's permissions and the content types are read once

    with CaptureQueriesContext(connection) as one:
        api.get(path, limit=1)

    with django_assert_max_num_queries(len(one)):
        assert len(api.get(path, limit=10)["data"]) == 10


@pytest.mark.parametrize("path", ["events", "deliveries", "destinations", "destination-types"])
def test_an_unknown_filter_is_an_error_that_names_the_known_ones(api: Api, path: str) -> None:
    problem = api.get(path, 400, colour="red")

    assert messages(problem).keys() == {"colour"}
    if path == "events":
        known = (
            "limit, cursor, since, until, outcome, provider, data_type, destination, user_id, reference_id, "
            "terra_reference, trace_id, source, event_id"
        )
        assert known in problem["detail"]


def test_a_filter_that_comes_twice_is_an_error(api: Api) -> None:
    response = api.client.get("/api/v1/events?provider=GARMIN&provider=FITBIT")

    assert response.status_code == 400
    assert messages(response.json()) == {"provider": "Give this parameter once."}


def test_each_filter_of_events_keeps_what_it_says(api: Api) -> None:
    wanted = make_event(type="sleep", provider="GARMIN", user_id="ana", reference_id="ref-1")
    make_event(type="daily", provider="FITBIT", user_id="ben", reference_id="ref-2")

    for name, value in {
        "data_type": "sleep",
        "provider": "GARMIN",
        "user_id": "ana",
        "reference_id": "ref-1",
        "event_id": str(wanted.pk),
    }.items():
        assert [row["id"] for row in api.get("events", **{name: value})["data"]] == [str(wanted.pk)], name


def test_outcome_and_destination_are_about_the_same_delivery(api: Api) -> None:
    one, two = make_destination("one"), make_destination("two")
    event = make_event()
    make_delivery(event, one, "dead")
    make_delivery(event, two, "delivered")
    make_event()  # goes nowhere

    def found(**query: str) -> int:
        return len(api.get("events", **query)["data"])

    assert found() == 2
    assert found(outcome="dead") == 1
    assert found(destination=str(one.pk)) == 1
    assert found(destination=str(one.pk), outcome="dead") == 1
    assert found(destination=str(two.pk), outcome="dead") == 0
    assert found(outcome="cancelled") == 0


def test_since_is_in_the_range_and_until_is_not(api: Api) -> None:
    destination = make_destination()
    for minutes in (0, 10, 20):
        moment = NOON + timedelta(minutes=minutes)
        make_delivery(make_event(moment), destination, created_at=moment)

    for path in ("events", "deliveries"):
        assert len(api.get(path, since="2026-03-12T12:10:00Z")["data"]) == 2
        assert len(api.get(path, until="2026-03-12T12:10:00Z")["data"]) == 1
        assert len(api.get(path, since="2026-03-12T13:10:00+01:00", until="2026-03-12T12:11:00Z")["data"]) == 1


def test_each_filter_of_deliveries_keeps_what_it_says(api: Api) -> None:
    one, two = make_destination("one"), make_destination("two")
    wanted = make_delivery(make_event(), one, "dead")
    make_delivery(make_event(), two, "delivered")

    for name, value in {"destination": one.pk, "status": "dead", "event": wanted.event_id}.items():
        assert [row["id"] for row in api.get("deliveries", **{name: str(value)})["data"]] == [wanted.pk], name


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("events", {"since": "yesterday"}),
        ("events", {"destination": "hook"}),
        ("events", {"outcome": "lost"}),
        ("events", {"event_id": "1"}),
        ("events", {"user_id": "a\x00b"}),
        ("deliveries", {"status": "sending"}),
        ("deliveries", {"event": "x"}),
        ("deliveries", {"until": "2026-13-01T00:00:00Z"}),
        ("destinations", {"type": "web\x00hook"}),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused_by_its_name(api: Api, path: str, query: dict[str, str]) -> None:
    problem = api.get(path, 400, **query)

    assert messages(problem).keys() == query.keys()


def test_deleted_destinations_are_not_listed(api: Api) -> None:
    from destinations.services import delete_destination

    kept = make_destination("kept")
    delete_destination(make_destination("gone"))

    assert walk(api, "destinations", 10) == [str(kept.pk)]


@pytest.mark.databaseless
@given(st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(2200, 1, 1), timezones=st.just(UTC)))
def test_the_first_id_of_a_moment_has_its_milliseconds(moment: datetime) -> None:
    milliseconds = first_id_at(moment).int >> 80

    assert abs(milliseconds - moment.timestamp() * 1000) < 1


@pytest.mark.databaseless
def test_an_id_made_now_lies_between_the_ids_of_the_moments_around_it() -> None:
    now = datetime.now(UTC)

    assert first_id_at(now - timedelta(seconds=2)) < uuid7() < first_id_at(now + timedelta(seconds=2))
