"""What the admin asks PostgreSQL for: by an index, and no more rows than it shows."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from destinations.models import Destination
from tests.admin_support import DELIVERIES, EVENTS, Person, page_of
from tests.api_support import make_destination, make_source
from tests.hub import on_postgres
from webhooks.models import Delivery, Event

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(not on_postgres(), reason="asks PostgreSQL's planner (HUB_TEST_DATABASE=postgres)"),
]

ROWS = 20_000
LARGE = ("webhooks_event", "webhooks_delivery", "webhooks_attempt")
# Far above a page with its count (1,001 keys), far below the tables.
MOST_READ = 4_000


@pytest.fixture
def ana() -> Person:
    return Person()


@pytest.fixture
def large_tables() -> Destination:
    """Fill the tables: 1 in 200 deliveries waits, 1 in 200 is a dead letter, and a rare type exists."""
    source, destination = make_source(), make_destination()
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO webhooks_event (id, source_id, idempotency_key, type, user_id, reference_id, provider,
                terra_reference, headers, size, stale, received_at)
            SELECT (lpad(to_hex(1770000000000 + n), 12, '0') || '7000800000000000' || lpad(to_hex(n), 4, '0'))::uuid,
                %s, n::text, CASE WHEN n %% 5000 = 0 THEN 'rare' ELSE 'daily' END, 'user-' || n %% 1000,
                'ref-' || n %% 1000, 'GARMIN', '', '{}', 2, false, now()
            FROM generate_series(1, %s) n
            """,
            [source.pk, ROWS],
        )
        cursor.execute(
            """
            INSERT INTO webhooks_delivery (event_id, destination_id, status, next_attempt_at, created_at)
            SELECT id, %s,
                CASE row_number() OVER () %% 200 WHEN 1 THEN 'pending' WHEN 2 THEN 'dead' ELSE 'delivered' END,
                now(), now() FROM webhooks_event
            """,
            [destination.pk],
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
        ana.get(url, **query)
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


def check(ana: Person, url: str, **query: str) -> None:
    """Check that a page scans no large table, and reads few rows of it."""
    for sql, plan in plans(ana, url, **query):
        for node in nodes(plan):
            scanned = node.get("Relation Name") in LARGE and node["Node Type"] == "Seq Scan"
            assert not scanned, f"{sql}\n{json.dumps(node, indent=1)}"
            read = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
            assert read <= MOST_READ, f"{read} rows: {sql}\n{json.dumps(node, indent=1)}"


def test_no_list_of_events_reads_a_table_to_its_end(ana: Person, large_tables: Destination) -> None:
    last = Event.objects.order_by("-pk").values_list("pk", flat=True)[5_000]
    for query in (
        {}, {"p": "20"}, {"before": str(last)}, {"type": "daily"}, {"type": "rare"}, {"type": "never"}, {"hours": "1"},
        {"q": "user-7"}, {"q": "ref-7"}, {"q": "nobody"}, {"type": "rare", "hours": "720"},
        {"type": "daily", "q": "user-7"}, {"type": "daily", "before": str(last)},
    ):  # fmt: skip
        check(ana, EVENTS, **query)


def test_no_list_of_deliveries_reads_a_table_to_its_end(ana: Person, large_tables: Destination) -> None:
    destination = str(large_tables.pk)
    event = Event.objects.order_by("-pk").values_list("pk", flat=True)[100]
    other = str(make_destination("unused").pk)
    for query in (
        {}, {"p": "20"}, {"before": "5000"}, {"status": "dead"}, {"status": "pending"}, {"destination": destination},
        {"destination": other}, {"destination": destination, "status": "dead"},
        {"destination": destination, "status": "pending"}, {"q": str(event)}, {"status": "dead", "before": "9000"},
    ):  # fmt: skip
        check(ana, DELIVERIES, **query)


def test_no_page_reads_a_table_to_its_end(ana: Person, large_tables: Destination) -> None:
    check(ana, page_of(Event.objects.first()))
    check(ana, page_of(Delivery.objects.first()))
    check(ana, "/admin/")
    check(ana, "/admin/destinations/destination/add/?type=webhook")
