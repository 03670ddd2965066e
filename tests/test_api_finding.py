"""Lists over the API find what the admin's lists find: by the same filters, in the same orders, at the same cost."""

import base64
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from tests.admin_plans import after_some_days, problems_of, statements
from tests.api_support import Api, make_attempt, make_delivery, make_destination, make_event, make_source, messages
from tests.hub import on_postgres
from tests.keys_support import api_of
from tests.test_admin_costs import MOST_READ, SIZES
from webhooks.admin.filterforms import DeliveriesForm, EventsForm, RefusedForm
from webhooks.api.filters import DeliveryFilter, EventFilter, QuarantineFilter
from webhooks.finding import scans
from webhooks.models import Delivery, Event, Replay
from webhooks.receiving.intake import trace_key

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 3, 12, 12, 0, tzinfo=UTC)
NOBODY = "01a20a6f-c2ec-7047-87b3-6cff4e9b9dc4"


def minutes(count: int) -> datetime:
    return NOON + timedelta(minutes=count)


@pytest.fixture
def api() -> Api:
    return Api("webhooks.view_event", "webhooks.view_delivery", "webhooks.view_quarantinedrequest")


def walked(api: Api, path: str, limit: int = 2, **query: Any) -> list[Any]:
    """Return the ids of every page."""
    ids: list[Any] = []
    page: Any = {"next_cursor": None}
    while True:
        cursor = {"cursor": page["next_cursor"]} if page["next_cursor"] else {}
        page = api.get(path, limit=limit, **query, **cursor)
        assert len(page["data"]) <= limit
        ids += [row["id"] for row in page["data"]]
        if not page["has_more"]:
            assert page["next_cursor"] is None
            return ids


@pytest.mark.databaseless
def test_what_the_admin_can_be_asked_the_api_can_be_asked_too() -> None:
    shortcuts = {"hours"}  # of the admin's: a since that moves
    alike = {"type": "data_type"}  # the name that Terra's own API has
    events = {alike.get(name, name) for name in EventsForm.base_fields} - shortcuts
    assert events | {"event_id"} == set(EventFilter.base_filters)
    deliveries = {alike.get(name, name) for name in DeliveriesForm.base_fields}
    assert deliveries - shortcuts == set(DeliveryFilter.base_filters)
    assert set(RefusedForm.base_fields) - shortcuts == set(QuarantineFilter.base_filters)


@pytest.fixture
def events() -> list[Event]:
    """Eight events, a minute apart."""
    return [
        make_event(
            minutes(n), type=("sleep", "daily")[n % 2], user_id=f"user-{n % 3}", reference_id=f"ref-{n % 4}",
            terra_reference="large" if n < 3 else "", provider=("OURA", "GARMIN")[n % 2],
            source=make_source(("main", "second")[n % 4 == 0]),
        )
        for n in range(8)
    ]  # fmt: skip


def test_each_filter_of_events_alone_and_with_another_keeps_what_it_says(api: Api, events: list[Event]) -> None:
    hook = make_destination()
    for n in (1, 2, 3):
        make_delivery(events[n], hook, ("dead", "delivered")[n % 2])
    Event.objects.filter(pk=events[5].pk).update(idempotency_key=trace_key("trace-5"))
    holds: dict[tuple[str, str], Any] = {
        ("data_type", "sleep"): lambda n: n % 2 == 0,
        ("user_id", "user-1"): lambda n: n % 3 == 1,
        ("reference_id", "ref-2"): lambda n: n % 4 == 2,
        ("terra_reference", "large"): lambda n: n < 3,
        ("trace_id", "trace-5"): lambda n: n == 5,
        ("event_id", str(events[6].pk)): lambda n: n == 6,
        ("provider", "garmin"): lambda n: n % 2 == 1,
        ("source", "second"): lambda n: n % 4 == 0,
        ("destination", str(hook.pk)): lambda n: n in (1, 2, 3),
        ("outcome", "dead"): lambda n: n == 2,
        ("since", "2026-03-12T12:03:00Z"): lambda n: n >= 3,
        ("until", "2026-03-12T12:06:00Z"): lambda n: n < 6,
    }
    for one, two in [*zip(holds, holds, strict=True), *pairwise(holds)]:
        expected = [str(event.pk) for n, event in enumerate(events) if holds[one](n) and holds[two](n)][::-1]
        found = [row["id"] for row in api.get("events", **dict([one, two]))["data"]]
        assert found == expected, (one, two)


@pytest.fixture
def deliveries(events: list[Event]) -> list[Delivery]:
    """Each event for two destinations: every status, some errors, some of a replay, due in odd order."""
    one, two = make_destination("one"), make_destination("two")
    replay = Replay.objects.create(kind="failed", created_at=NOON)
    made: list[Delivery] = []
    for number, event in enumerate(events):
        for to in (one, two):
            n = len(made)
            status = ("pending", "dead", "delivered", "cancelled")[n % 4]
            made.append(
                make_delivery(
                    event, to, status, created_at=minutes(number), replay=replay if n % 5 == 0 else None,
                    last_error_code=("http_500", "", "timeout")[n % 3] if n % 4 < 2 else "",
                    next_attempt_at=minutes((n * 7) % 16) if status == "pending" else None,
                )
            )  # fmt: skip
    return made


def test_each_filter_of_deliveries_gives_every_row_once_over_pages(api: Api, deliveries: list[Delivery]) -> None:
    one, replay = deliveries[0].destination_id, Replay.objects.get().pk
    Event.objects.filter(pk=deliveries[9].event_id).update(idempotency_key=trace_key("trace-4"))
    holds: dict[tuple[tuple[str, Any], ...], Any] = {
        (): lambda d: True,
        (("destination", one),): lambda d: d.destination_id == one,
        (("error_code", "http_500"),): lambda d: d.last_error_code == "http_500",
        (("status_code", 500),): lambda d: d.last_error_code == "http_500",
        (("status_code", 500), ("error_code", "http_500")): lambda d: d.last_error_code == "http_500",
        (("data_type", "sleep"),): lambda d: d.event.type == "sleep",
        (("trace_id", "trace-4"),): lambda d: d.event_id == deliveries[9].event_id,
        (("event", deliveries[3].event_id),): lambda d: d.event_id == deliveries[3].event_id,
        (("replay", replay),): lambda d: d.replay_id == replay,
        (("replay", replay), ("status", "dead")): lambda d: d.replay_id == replay and d.status == "dead",
        (("since", "2026-03-12T12:02:00Z"), ("until", "2026-03-12T12:05:00Z")): lambda d: (
            minutes(2) <= d.created_at < minutes(5)
        ),
        (("status", "dead"),): lambda d: d.status == "dead",
        (("status", "dead"), ("data_type", "daily"), ("destination", one)): lambda d: (
            d.status == "dead" and d.event.type == "daily" and d.destination_id == one
        ),
    }
    for query, holds_for in holds.items():
        expected = [row.pk for row in deliveries if holds_for(row)][::-1]
        assert walked(api, "deliveries", **dict(query)) == expected, query


def test_a_delivery_is_asked_for_by_one_last_error_and_by_the_names_of_events(api: Api) -> None:
    two = api.get("deliveries", 400, status_code=422, error_code="timeout")
    assert messages(two).keys() == {"status_code"}
    assert messages(api.get("deliveries", 400, status_code="4xx")).keys() == {"status_code"}
    assert "data_type" in messages(api.get("deliveries", 400, type="sleep"))["type"]


def test_what_waits_comes_the_next_due_first_and_what_is_a_persons_by_event(
    api: Api, deliveries: list[Delivery]
) -> None:
    waiting = sorted((row.next_attempt_at, row.pk) for row in deliveries if row.status == "pending")
    of_user = sorted(((row.event_id, row.pk) for row in deliveries if row.event.user_id == "user-1"), reverse=True)

    assert walked(api, "deliveries", status="pending") == [pk for _, pk in waiting]
    assert walked(api, "deliveries", 3, user_id="user-1") == [pk for _, pk in of_user]


def test_a_filter_that_few_rows_pass_takes_several_pages_and_loses_none(
    api: Api, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scans, "_STEPS", (2,))

    first = api.get("events", provider="garmin")

    assert (first["has_more"], len(first["data"])) == (True, 1)
    found = walked(api, "events", 50, provider="garmin")
    assert found == [str(event.pk) for n, event in enumerate(events) if n % 2 == 1][::-1]


@pytest.mark.parametrize("other", [{}, {"user_id": "user-1"}])
def test_a_cursor_of_another_order_is_refused(api: Api, deliveries: list[Delivery], other: dict[str, str]) -> None:
    cursor = api.get("deliveries", limit=1, status="pending")["next_cursor"]

    assert api.get("deliveries", limit=1, status="pending", cursor=cursor)["data"]
    assert messages(api.get("deliveries", 400, cursor=cursor, **other)).keys() == {"cursor"}


@pytest.mark.parametrize(
    "place",
    [
        "2026-03-12T12:00:00~7", "2026-03-12T12:00:00+01:00~7", "0001-01-01T00:00:00+14:00~7", "~7", "7",
        "2026-03-12T12:00:00+00:00~9223372036854775808", "2026-03-12T12:00:00+00:00~7~7", "2026-03-12~7",
    ],
)  # fmt: skip
def test_a_place_that_no_page_ended_at_is_refused(api: Api, place: str) -> None:
    cursor = base64.urlsafe_b64encode(place.encode()).decode().rstrip("=")

    assert messages(api.get("deliveries", 400, status="pending", cursor=cursor)).keys() == {"cursor"}


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("events", {"source": "nowhere"}),
        ("events", {"since": "0001-01-01T00:00:00+14:00"}),
        ("events", {"trace_id": "x" * 1001}),
        ("deliveries", {"replay": "0"}),
        ("deliveries", {"replay": str(2**63)}),
        ("deliveries", {"replay": "1.5"}),
        ("deliveries", {"since": "9999-12-31T23:59:59-14:00"}),
        ("deliveries", {"user_id": "a\x00b"}),
    ],
)
def test_a_filter_that_makes_no_sense_is_refused_by_its_name(api: Api, path: str, query: dict[str, str]) -> None:
    assert messages(api.get(path, 400, **query)).keys() == query.keys()


def test_a_limited_key_finds_of_its_own_source_only_by_whatever_filter(deliveries: list[Delivery]) -> None:
    key = api_of("events:read", sources=["second"])
    own = [row for row in deliveries if row.event.source.slug == "second"]
    one = deliveries[0].destination_id

    assert walked(key, "events") == [str(pk) for pk in sorted({row.event_id for row in own}, reverse=True)]
    assert walked(key, "deliveries") == [row.pk for row in own][::-1]
    for path in ("events", "deliveries"):  # a page is filled with what may be seen, not emptied of what may not
        assert len(key.get(path, limit=1)["data"]) == 1
    for query, holds in (
        ({"destination": one}, lambda d: d.destination_id == one),
        ({"status": "pending"}, lambda d: d.status == "pending"),
        ({"user_id": "user-1"}, lambda d: d.event.user_id == "user-1"),
        ({"event": deliveries[4].event_id}, lambda d: False),
        ({"replay": Replay.objects.get().pk}, lambda d: d.replay_id is not None),
    ):
        assert sorted(walked(key, "deliveries", **query)) == [row.pk for row in own if holds(row)], query
    assert messages(key.get("events", 400, source="main")).keys() == {"source"}
    assert key.get("events", event_id=str(deliveries[3].event_id))["data"] == []


# --- attempts ---------------------------------------------------------------------------------------------------
def test_attempts_come_the_latest_first_page_by_page_with_the_replay_that_caused_them(api: Api) -> None:
    row = make_delivery(make_event(), make_destination())
    replay = Replay.objects.create(kind="failed", created_at=NOON)
    for number in (2, 1, 3):
        made = make_attempt(row, number, trigger="replay" if number == 3 else "schedule")
        if number == 3:
            made.replay = replay
            made.save()
    make_attempt(make_delivery(make_event(), make_destination("other")), 1)

    first = api.get(f"deliveries/{row.pk}/attempts", limit=2)
    rest = api.get(f"deliveries/{row.pk}/attempts", limit=2, cursor=first["next_cursor"])

    shown = first["data"] + rest["data"]
    assert [(one["number"], one["replay"], one["trigger"]) for one in shown] == [
        (3, replay.pk, "replay"), (2, None, "schedule"), (1, None, "schedule"),
    ]  # fmt: skip
    assert (first["has_more"], rest["has_more"]) == (True, False)
    one = api.get(f"attempts/{shown[0]['id']}")
    assert (one, one["delivery"], one["worker"]) == (shown[0], row.pk, "test")
    assert messages(api.get(f"deliveries/{row.pk}/attempts", 400, status="dead")).keys() == {"status"}


@pytest.mark.parametrize("path", ["attempts/x", "attempts/7", f"attempts/{10**30}", "deliveries/7/attempts"])
def test_an_attempt_that_is_not_there_is_not_found(api: Api, path: str) -> None:
    assert api.get(path, 404)["code"] == "not_found"


def test_a_limited_key_sees_no_attempt_of_another_source() -> None:
    row = make_delivery(make_event(), make_destination())
    made = make_attempt(row, 1)
    make_source("second")
    key = api_of("events:read", sources=["second"])

    assert key.get(f"attempts/{made.pk}", 404)["code"] == "not_found"
    assert key.get(f"deliveries/{row.pk}/attempts", 404)["code"] == "not_found"
    assert api_of("events:read", sources=["main"]).get(f"attempts/{made.pk}")["number"] == 1


# --- what it costs ------------------------------------------------------------------------------------------------
@pytest.mark.skipif(not on_postgres(), reason="asks PostgreSQL's planner (HUB_TEST_DATABASE=postgres)")
def test_no_list_reads_a_large_table_to_its_end_whatever_is_asked(api: Api) -> None:
    after_some_days(SIZES | {"attempts": 2_000, "days": 2})
    row = Delivery.objects.exclude(last_error_code="").select_related("event__source")[0]
    event = row.event
    of_events = {
        "user_id": event.user_id, "provider": event.provider, "data_type": event.type, "source": event.source.slug,
        "destination": row.destination_id, "trace_id": "none", "until": event.received_at.isoformat(),
    }  # fmt: skip
    of_deliveries = {
        "status": "dead", "destination": row.destination_id, "error_code": row.last_error_code, "data_type": event.type,
        "user_id": event.user_id, "replay": 1, "until": event.received_at.isoformat(),
    }  # fmt: skip
    asked = [("events", {}), ("deliveries", {}), ("deliveries", {"status": "pending"}), ("quarantine", {})]
    asked += [("events", {name: value}) for name, value in of_events.items()]
    asked += [("deliveries", {name: value}) for name, value in of_deliveries.items()]
    limited = api_of("events:read", sources=[event.source.slug])
    api.get("events", limit=1)  # the user's permissions and the content types are read once
    for path, query in asked:
        with statements() as found:
            page = api.get(path, limit=50, **query)
            if page["has_more"]:
                api.get(path, limit=50, **query, cursor=page["next_cursor"])
        assert problems_of(found, MOST_READ) == [], (path, query)
        assert len(found) <= 30, (path, query)
    for path, query in [*asked[:4], ("deliveries", {"destination": row.destination_id})]:
        with statements() as found:
            limited.get(path, limit=50, **query)
        assert problems_of(found, MOST_READ) == [], (path, query)
