"""Statistics over the API: counts by bucket, split or not, from tallies; and what is refused."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from destinations.models import Destination
from tests.admin_plans import problems_of, statements
from tests.api_support import Api, make_attempt, make_delivery, make_destination, make_event, make_source, messages
from tests.control_support import key_api
from tests.hub import on_postgres
from tests.stats.support import tally_attempts, tally_events, tally_split
from tests.test_admin_explain import large_tables
from webhooks import stats
from webhooks.finding.types import received_types
from webhooks.models import Source
from webhooks.stats import reports

pytestmark = pytest.mark.django_db
__all__ = ["large_tables"]

NOW = timezone.now().replace(minute=30, second=10, microsecond=0)
HOUR = timedelta(hours=1)
needs_planner = pytest.mark.skipif(not on_postgres(), reason="asks PostgreSQL's planner")


@pytest.fixture
def api() -> Api:
    return Api(superuser=True)


@pytest.fixture
def two(api: Api) -> tuple[Source, Source, Destination, Destination]:
    """Two sources and two destinations with tallies in two hours, of two processes."""
    eu, us, hook, table = make_source("eu"), make_source("us"), make_destination("hook"), make_destination("table")
    for writer in ("w1", "w2"):
        tally_events(eu, NOW - HOUR, 3, bytes=300, writer=writer)
        tally_split(eu, "type", "sleep", NOW - HOUR, events=3, bytes=300, delivered=2, failed=1, ms_25=3, writer=writer)
        tally_split(eu, "provider", "GARMIN", NOW - HOUR, events=3, bytes=300, delivered=2, failed=1, writer=writer)
        tally_attempts(hook, NOW - HOUR, delivered=2, failed=1, ms_25=3, writer=writer)
    tally_events(us, NOW, 5, bytes=50)
    tally_split(us, "type", "daily", NOW, events=5, bytes=50, delivered=1, rejected=1, ms_1000=2)
    tally_split(us, "provider", "", NOW, events=5, bytes=50, delivered=1, rejected=1)
    tally_attempts(table, NOW, delivered=1, rejected=1, ms_1000=2)
    return eu, us, hook, table


def asked(**query: Any) -> dict[str, Any]:
    return {"since": (NOW - 3 * HOUR).isoformat(), "until": NOW.isoformat(), "bucket": "hour", **query}


# --- counting -------------------------------------------------------------------------------------
def test_every_bucket_of_the_span_is_there_and_all_of_them_add_up(api: Api, two: Any) -> None:
    answer = api.get("stats", **asked())

    first = (NOW - 3 * HOUR).replace(minute=0, second=0)
    starts = [datetime.fromisoformat(row["starts_at"]) for row in answer["data"]]
    assert starts == [first + HOUR * number for number in range(4)]
    assert datetime.fromisoformat(answer["since"]) == first
    assert datetime.fromisoformat(answer["until"]) == first + 4 * HOUR
    assert (answer["bucket"], answer["split_by"], answer["groups"]) == ("hour", None, [])
    assert [row["received"] for row in answer["data"]] == [0, 0, 6, 5]
    assert [row["success_rate"] for row in answer["data"]] == [None, None, 4 / 6, 0.5]
    totals = answer["totals"]
    assert (totals["received"], totals["bytes"]) == (11, 650)
    assert (totals["attempts"], totals["delivered"], totals["failed"], totals["rejected"]) == (8, 5, 2, 1)
    assert totals["success_rate"] == 5 / 8
    assert answer["data"][0] == {
        "starts_at": answer["since"], "received": 0, "bytes": 0, "attempts": 0, "delivered": 0, "failed": 0,
        "rejected": 0, "success_rate": None, "p50_ms": None, "p95_ms": None, "p99_ms": None,
    }  # fmt: skip
    assert (answer["data"][2]["p50_ms"], answer["data"][3]["p50_ms"]) == (18, 750)


def test_it_can_be_split_by_destination_with_what_waits(api: Api, two: Any) -> None:
    hook = two[2]
    make_delivery(make_event(), hook, "dead")
    make_delivery(make_event(), hook)

    answer = api.get("stats", **asked(split_by="destination"))

    rows = {row["destination_name"]: row for row in answer["data"]}
    assert rows.keys() == {"hook", "table"}
    assert rows["hook"]["destination"] == str(hook.pk)
    assert (rows["hook"]["delivered"], rows["hook"]["failed"], rows["hook"]["received"]) == (4, 2, None)
    groups = {group["destination_name"]: group for group in answer["groups"]}
    assert (groups["table"]["rejected"], groups["table"]["p99_ms"]) == (1, 995)
    queue = groups["hook"]["queue"]
    assert (queue["pending"], queue["dead"], queue["pending_capped"], queue["dead_capped"]) == (1, 1, False, False)
    assert groups["table"]["queue"]["pending"] == 0
    assert (answer["totals"]["delivered"], answer["totals"]["received"]) == (5, None)


@pytest.mark.parametrize(
    ("split", "names", "received"),
    [
        ("source", ["eu", "us"], [6, 5]),
        ("type", ["daily", "sleep"], [5, 6]),
        ("provider", ["", "GARMIN"], [5, 6]),
    ],
)
def test_it_can_be_split_by_what_events_say(
    api: Api, two: Any, split: str, names: list[str], received: list[int]
) -> None:
    answer = api.get("stats", **asked(split_by=split))

    groups = sorted(answer["groups"], key=lambda group: group[split])
    assert [group[split] for group in groups] == names
    assert [group["received"] for group in groups] == received
    assert sorted(group["delivered"] for group in groups) == [1, 4]
    assert sorted(row[split] for row in answer["data"]) == names
    assert all("queue" not in group for group in groups)
    whole = api.get("stats", **asked())["totals"]
    assert {name: answer["totals"][name] for name in ("received", "bytes", "delivered", "rejected")} == {
        name: whole[name] for name in ("received", "bytes", "delivered", "rejected")
    }


def test_it_can_be_of_one_source_or_of_one_destination(api: Api, two: Any) -> None:
    of_source = api.get("stats", **asked(source="us"))["totals"]
    of_destination = api.get("stats", **asked(destination=str(two[2].pk)))["totals"]
    split = api.get("stats", **asked(source="us", split_by="type"))

    assert (of_source["received"], of_source["delivered"], of_source["rejected"]) == (5, 1, 1)
    assert (of_destination["received"], of_destination["delivered"], of_destination["failed"]) == (None, 4, 2)
    assert [group["type"] for group in split["groups"]] == ["daily"]


def test_the_page_of_one_destination_has_what_waits_too(api: Api, two: Any) -> None:
    destination = two[2]
    overdue = timezone.now() - timedelta(minutes=5)
    make_delivery(make_event(), destination, next_attempt_at=overdue)

    answer = api.get(f"destinations/{destination.pk}/stats", **asked())

    assert [row["delivered"] for row in answer["data"]] == [0, 0, 4, 0]
    assert answer["queue"]["pending"] == 1
    assert datetime.fromisoformat(answer["queue"]["oldest_due_at"]) == overdue
    assert answer["queue"]["last_success_at"]


def test_days_are_added_up_in_utc(api: Api) -> None:
    noon = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0) - timedelta(days=3)
    source = make_source()
    for hours in (-13, -11, 0, 11):  # 23:00 of the day before, 01:00, 12:00, 23:00
        tally_events(source, noon + timedelta(hours=hours), 1)

    answer = api.get("stats", since=noon - timedelta(days=1), until=noon + timedelta(hours=1), bucket="day")

    assert [row["received"] for row in answer["data"]] == [1, 3]
    assert {row["starts_at"][10:] for row in answer["data"]} == {"T00:00:00Z"}


def test_what_is_left_out_is_the_last_day_by_the_hour(api: Api, two: Any) -> None:
    answer = api.get("stats")

    assert (answer["bucket"], len(answer["data"])) == ("hour", 25)
    assert answer["totals"]["received"] == 11


@pytest.mark.parametrize(("span", "bucket"), [({"hours": 2}, "minute"), ({"days": 13}, "hour"), ({"days": 99}, "day")])
def test_a_bucket_is_chosen_by_the_span(api: Api, span: dict[str, int], bucket: str) -> None:
    assert api.get("stats", since=timezone.now() - timedelta(**span))["bucket"] == bucket


# --- what is refused --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"bucket": "week"}, "bucket"),
        ({"split_by": "user"}, "split_by"),
        ({"since": "yesterday"}, "since"),
        ({"until": "0001-01-01T00:00:00+14:00"}, "until"),
        ({"until": "0001-01-01T00:00:00Z"}, "since"),
        ({"since": "9999-12-31T23:59:59Z"}, "since"),
        ({"since": "0001-01-01T00:00:00Z", "bucket": "day"}, "since"),
        ({"since": (NOW - timedelta(days=3)).isoformat(), "bucket": "minute"}, "since"),
        ({"since": (NOW - timedelta(days=70)).isoformat(), "bucket": "hour"}, "bucket"),
        ({"since": NOW.isoformat(), "until": (NOW - HOUR).isoformat()}, "since"),
        ({"destination": "hook"}, "destination"),
        ({"destination": "01a20a6f-c2ec-7047-87b3-6cff4e9b9dc4"}, "destination"),
        ({"source": "nobody"}, "source"),
        ({"source": "eu", "split_by": "destination"}, "split_by"),
        ({"colour": "red"}, "colour"),
        ({"limit": "5"}, "limit"),
    ],
)
def test_what_cannot_be_counted_is_refused_by_its_name(api: Api, two: Any, query: dict[str, str], field: str) -> None:
    assert messages(api.get("stats", 400, **query)).keys() == {field}


@pytest.mark.parametrize("split", ["type", "provider", "source"])
def test_of_one_destination_no_types_are_counted(api: Api, two: Any, split: str) -> None:
    problem = api.get("stats", 400, destination=str(two[2].pk), split_by=split)

    assert messages(problem).keys() == {"split_by"}


def test_a_split_with_too_many_rows_is_refused(api: Api, two: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "MOST_ROWS", 1)

    assert messages(api.get("stats", 400, **asked(split_by="type"))).keys() == {"split_by"}
    assert api.get("stats", **asked())["totals"]["received"] == 11


def test_a_key_that_is_limited_to_sources_counts_these_only(api: Api, two: Any) -> None:
    theirs = make_destination("theirs", sources=["eu"])
    key = key_api("events:read", "destinations:read", sources=("eu",))

    assert key.get("stats", 403, **asked())["code"] == "limited_to_sources"
    assert messages(key.get("stats", 400, **asked(source="us"))).keys() == {"source"}
    assert messages(key.get("stats", 400, **asked(destination=str(two[2].pk)))).keys() == {"destination"}
    assert key.get("stats", **asked(source="eu"))["totals"]["received"] == 6
    assert key.get("stats", **asked(destination=str(theirs.pk)))["totals"]["delivered"] == 0
    assert key.get(f"destinations/{two[2].pk}/stats", 404)["code"] == "not_found"
    assert key.get(f"destinations/{theirs.pk}/stats")["queue"]["dead"] == 0


# --- why deliveries fail ----------------------------------------------------------------------------
def test_failures_are_grouped_by_cause(api: Api) -> None:
    destination = make_destination()
    for number, code in enumerate(["http_500", "http_401", "http_401"]):
        delivery = make_delivery(make_event(user_id=f"u{number}"), destination, "dead", last_error_code=code)
        delivery.attempt_count = 1
        delivery.save()
        make_attempt(delivery, 1, error_code=code, error_detail=f"said {code}", hint="Look there.")

    first, second = api.get(f"destinations/{destination.pk}/failures")["data"]

    assert (first["code"], first["count"], first["users"], first["capped"]) == ("http_401", 2, 2, False)
    assert (first["trouble"], first["detail"], first["hint"]) == (
        "authentication errors", "said http_401", "Look there."
    )  # fmt: skip
    assert (second["code"], second["count"]) == ("http_500", 1)
    assert first["first_at"] <= first["last_at"]
    assert Api("destinations.view_destination").get(f"destinations/{destination.pk}/failures", 403)


# --- event types ------------------------------------------------------------------------------------
def test_event_types_are_those_of_terra_and_those_that_came(api: Api) -> None:
    make_event(NOW - HOUR, type="sleep", received_at=NOW - HOUR)
    make_event(NOW, type="sleep", received_at=NOW)
    make_event(NOW, type="telepathy", received_at=NOW)

    types = {row["type"]: row for row in api.get("event-types")["data"]}

    assert types["sleep"]["category"] == "data"
    assert datetime.fromisoformat(types["sleep"]["last_received_at"]) == NOW
    assert (types["auth"]["category"], types["auth"]["last_received_at"]) == ("user", None)
    assert types["healthcheck"]["category"] == "other"
    assert types["telepathy"]["category"] == "unknown"
    assert key_api("events:read").get("event-types")["data"] == list(types.values())
    limited = key_api("events:read", sources=("main",)).get("event-types")["data"]
    assert {row["last_received_at"] for row in limited} == {None}
    assert "telepathy" not in {row["type"] for row in limited}


# --- what it costs ----------------------------------------------------------------------------------
def test_a_report_is_as_many_queries_for_a_year_as_for_an_hour(api: Api, two: Any) -> None:
    counts = []
    for span in (timedelta(hours=2), timedelta(days=390)):
        with CaptureQueriesContext(connection) as queries:
            api.get("stats", since=(timezone.now() - span).isoformat(), split_by="destination")
        counts.append(len(queries))

    assert counts[0] == counts[1]


@needs_planner
def test_no_answer_reads_a_large_table_to_its_end(api: Api, large_tables: Destination) -> None:
    many = Destination.objects.get(name="of long ago")
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE webhooks_delivery SET status = 'dead', last_error_code = 'http_500' WHERE destination_id = %s",
            [many.pk],
        )
        cursor.execute("ANALYZE webhooks_delivery")

    with statements() as found:
        api.get(f"destinations/{large_tables.pk}/stats")
        assert api.get(f"destinations/{many.pk}/stats")["queue"]["dead_capped"]
        api.get(f"destinations/{many.pk}/failures")
        api.get("event-types")
        stats.dead_letters([large_tables.pk, many.pk])

    assert any("webhooks_delivery" in sql for sql in found)
    assert set(received_types()) == {"daily", "old", "rare"}
    assert problems_of(found, 4_000) == []
