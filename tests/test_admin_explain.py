"""What the admin asks PostgreSQL for: by an index, and no more rows than it shows."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from destinations.models import Destination
from tests.admin_plans import lay_out_anew
from tests.admin_support import DELIVERIES, EVENTS, Person, page_of
from tests.api_support import make_destination, make_source
from tests.hub import on_postgres
from webhooks.finding import scans
from webhooks.models import Delivery, Event, Replay

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(not on_postgres(), reason="asks PostgreSQL's planner (HUB_TEST_DATABASE=postgres)"),
]

NOW = datetime(2026, 3, 12, 6, 0, tzinfo=UTC)
ROWS = 30_000
LARGE = ("webhooks_event", "webhooks_delivery", "webhooks_attempt")
# Far above a page with its count (1,001 keys), far below the tables.
MOST_READ = 4_000
MOST_TESTED = 9_000  # of a filter that no index serves; near a table's end PostgreSQL sorts the little that is left


@pytest.fixture
def ana() -> Person:
    return Person()


@pytest.fixture
def large_tables() -> Destination:
    """Fill the tables: 1 in 200 deliveries waits, 1 in 200 is a dead letter, and a rare type exists.

    The older half is of a type, for a destination, with a status and of a user that do not occur later: common
    values, whose rows a walk along the primary key meets only at its end.
    """
    source, destination, older = make_source(), make_destination(), make_destination("of long ago")
    replay = Replay.objects.create(kind="failed", created_at=NOW)
    with connection.cursor() as cursor:
        lay_out_anew(cursor)
        cursor.execute(
            """
            INSERT INTO webhooks_event (id, source_id, idempotency_key, type, user_id, reference_id, provider,
                terra_reference, headers, size, stale, received_at)
            SELECT (lpad(to_hex(1770000000000 + n), 12, '0') || '7000800000000000' || lpad(to_hex(n), 4, '0'))::uuid,
                %s, n::text,
                CASE WHEN n %% 5000 = 0 THEN 'rare' WHEN n < 15000 THEN 'old' ELSE 'daily' END,
                CASE WHEN n < 9000 THEN 'old-user' ELSE 'user-' || n %% 1000 END, 'ref-' || n %% 1000, 'GARMIN',
                CASE WHEN n < 6000 THEN 'large' ELSE '' END, '{}', 2, false, now()
            FROM generate_series(1, %s) n
            """,
            [source.pk, ROWS],
        )
        cursor.execute(
            """
            INSERT INTO webhooks_delivery (event_id, destination_id, status, next_attempt_at, last_error_code,
                replay_id, created_at)
            SELECT id, CASE WHEN n < 15000 THEN %s::uuid ELSE %s::uuid END,
                CASE WHEN n %% 200 = 1 THEN 'pending' WHEN n %% 200 = 2 OR n < 3000 THEN 'dead' ELSE 'delivered' END,
                now(), CASE WHEN n < 3000 THEN 'http_500' WHEN n %% 200 = 2 THEN 'timeout' ELSE '' END,
                CASE WHEN n < 2000 THEN %s::bigint END, '2026-01-01'::timestamptz + n * interval '1 second'
            FROM (SELECT id, row_number() OVER (ORDER BY id) AS n FROM webhooks_event) e ORDER BY id
            """,
            [older.pk, destination.pk, replay.pk],
        )
        cursor.execute(
            """
            INSERT INTO webhooks_attempt (delivery_id, number, started_at, outcome, error_code, error_detail, hint,
                request, response, trigger, worker, late)
            SELECT id, 1, now(), 'delivered', '', '', '', '{}', '{}', 'schedule', 'w', false FROM webhooks_delivery
            """
        )
        for table in LARGE:
            cursor.execute(f"ANALYZE {table}")
    return destination


def plans(ana: Person, url: str, **query: str) -> list[Any]:
    """Return the plan of each query about the large tables that a page makes, with what it really read."""
    with CaptureQueriesContext(connection) as queries:
        assert ana.client.get(url, query).status_code in (200, 302)
    selects = [one["sql"] for one in queries if one["sql"].split()[0] in ("SELECT", "WITH")]
    asked = [sql for sql in selects if any(name in sql for name in LARGE)]
    assert asked, "the page asks nothing"
    found = []
    with connection.cursor() as cursor:
        for sql in asked:
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {sql.replace('%', '%%')}", [])
            (answer,) = cursor.fetchone()
            found.append((sql, (json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]))
    return found


def nodes(plan: Any) -> list[Any]:
    return [plan, *(node for part in plan.get("Plans", []) for node in nodes(part))]


def check(ana: Person, url: str, most: int = MOST_READ, /, **query: str) -> None:
    """Check that a page scans no large table, and reads few rows of it."""
    for sql, plan in plans(ana, url, **query):
        for node in nodes(plan):
            scanned = node.get("Relation Name") in LARGE and node["Node Type"] == "Seq Scan"
            assert not scanned, f"{query} {sql}\n{json.dumps(node, indent=1)}"
            read = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
            assert read <= most, f"{query} {read} rows: {sql}\n{json.dumps(node, indent=1)}"


def test_no_list_of_events_reads_a_table_to_its_end(ana: Person, large_tables: Destination) -> None:
    last = str(Event.objects.order_by("-pk").values_list("pk", flat=True)[5_000])
    early = "2026-02-02T02:50:00Z"
    for query in (
        {}, {"before": last}, {"after": last}, {"type": "daily"}, {"type": "old"}, {"type": "rare"}, {"type": "never"},
        {"hours": "1"}, {"since": early}, {"until": early}, {"user_id": "user-7"}, {"user_id": "old-user"},
        {"user_id": "nobody"}, {"reference_id": "ref-7"}, {"terra_reference": "large"}, {"trace_id": "abc"},
        {"trace_id": "abc", "type": "old"}, {"type": "old", "until": early}, {"type": "old", "since": early},
        {"type": "old", "before": last}, {"user_id": "old-user", "until": early},
    ):  # fmt: skip
        check(ana, EVENTS, **query)


@pytest.fixture
def short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a page look at a thousand rows: few beside these tables, as ten thousand are beside real ones."""
    monkeypatch.setattr(scans, "_STEPS", (200, 800))


def test_a_filter_of_events_that_no_index_serves_looks_at_so_many_rows(
    ana: Person, large_tables: Destination, short_steps: None
) -> None:
    destination, unused = str(large_tables.pk), str(make_destination("unused").pk)
    source = Event.objects.select_related("source")[0].source.slug
    make_source("quiet")
    for query in (
        {"source": source}, {"source": "quiet"}, {"type": "old", "user_id": "user-7"}, {"outcome": "cancelled"},
        {"type": "daily", "user_id": "old-user"}, {"destination": destination}, {"destination": unused},
        {"destination": unused, "outcome": "dead"}, {"type": "old", "destination": destination, "outcome": "dead"},
        {"user_id": "old-user", "source": "quiet", "outcome": "delivered"}, {"type": "daily", "reference_id": "ref-7"},
        {"terra_reference": "large", "type": "daily"}, {"hours": "720", "source": "quiet"},
    ):  # fmt: skip
        check(ana, EVENTS, MOST_TESTED, **query)


def test_no_list_of_deliveries_reads_a_table_to_its_end(ana: Person, large_tables: Destination) -> None:
    destination, older = str(large_tables.pk), str(Destination.objects.get(name="of long ago").pk)
    event = str(Event.objects.order_by("-pk").values_list("pk", flat=True)[100])
    other, replay = str(make_destination("unused").pk), str(Replay.objects.get().pk)
    early = "2026-01-01T01:00:00Z"
    for query in (
        {}, {"before": "5000"}, {"after": "5000"}, {"status": "dead"}, {"status": "pending"},
        {"destination": destination}, {"destination": older}, {"destination": other},
        {"destination": destination, "status": "dead"}, {"destination": older, "status": "dead"},
        {"destination": destination, "status": "pending"}, {"destination": older, "status": "pending"},
        {"event": event}, {"event": event, "status": "dead"}, {"status": "dead", "before": "2000"},
        {"error_code": "timeout"}, {"status_code": "504"}, {"error_code": "never"}, {"replay": replay},
        {"replay": replay, "status": "dead"}, {"replay": replay, "status": "cancelled"}, {"replay": "999"},
        {"since": early}, {"until": early}, {"hours": "24"}, {"destination": older, "until": early},
        {"user_id": "user-7"}, {"user_id": "nobody"}, {"status": "dead", "until": early},
    ):  # fmt: skip
        check(ana, DELIVERIES, **query)


def test_a_filter_of_deliveries_that_no_index_serves_looks_at_so_many_rows(
    ana: Person, large_tables: Destination, short_steps: None
) -> None:
    destination, older = str(large_tables.pk), str(Destination.objects.get(name="of long ago").pk)
    replay = str(Replay.objects.get().pk)
    for query in (
        {"status": "delivered"}, {"status": "cancelled"}, {"destination": older, "status": "cancelled"},
        {"destination": older, "error_code": "timeout"}, {"destination": destination, "error_code": "http_500"},
        {"error_code": "timeout", "status": "pending"}, {"user_id": "user-7", "status": "dead"},
        {"replay": replay, "destination": destination}, {"status": "pending", "since": "2026-01-01T09:00:00Z"},
        {"user_id": "user-7", "destination": older, "error_code": "timeout", "status": "dead"},
    ):  # fmt: skip
        check(ana, DELIVERIES, MOST_TESTED, **query)


def test_no_search_for_an_id_reads_a_table_to_its_end(ana: Person, large_tables: Destination) -> None:
    event = Event.objects.order_by("-pk").values_list("pk", flat=True)[100]
    for term in (str(event), "user-7", "old-user", "ref-7", "large", "nobody", "77", "daily"):
        check(ana, "/admin/find/", q=term)


def test_no_page_reads_a_table_to_its_end(ana: Person, large_tables: Destination) -> None:
    check(ana, page_of(Event.objects.first()))
    check(ana, page_of(Delivery.objects.first()))
    check(ana, "/admin/")
    check(ana, "/admin/destinations/destination/add/?type=webhook")
