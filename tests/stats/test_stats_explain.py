"""What statistics ask PostgreSQL for: by an index, and no more rows than they need."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from destinations.models import Destination
from tests.api_support import make_destination
from tests.hub import on_postgres
from tests.stats.support import tally_attempts
from tests.test_admin_explain import LARGE, large_tables, nodes
from webhooks import stats
from webhooks.stats import Span

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(not on_postgres(), reason="asks PostgreSQL's planner (HUB_TEST_DATABASE=postgres)"),
]
__all__ = ["large_tables"]

MOST_READ = 4_000  # of 20,000 rows


def check(ask: Callable[[], Any]) -> None:
    """Check that no question about a large table is answered by reading it to its end."""
    with CaptureQueriesContext(connection) as queries:
        ask()
    assert queries
    for sql in (one["sql"] for one in queries):
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {sql.replace('%', '%%')}", [])
            (answer,) = cursor.fetchone()
        plan = (json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]
        for node in nodes(plan):
            assert (node.get("Relation Name") in LARGE and node["Node Type"] == "Seq Scan") is False, sql
            read = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
            assert read <= MOST_READ, f"{read} rows: {sql}\n{json.dumps(node, indent=1)}"


def test_no_number_reads_a_large_table_to_its_end(large_tables: Destination) -> None:
    others = [make_destination(f"other {number}") for number in range(10)]
    for destination in (large_tables, *others):
        tally_attempts(destination, timezone.now(), delivered=1)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE webhooks_delivery SET last_error_code = 'http_500' WHERE status = 'dead'")
        cursor.execute("ANALYZE webhooks_delivery")
    check(lambda: stats.summaries([large_tables.pk, *(one.pk for one in others)]))
    check(lambda: stats.failures(large_tables.pk))
    check(lambda: stats.failures(others[0].pk))
    check(stats.waiting)
    check(lambda: stats.received_series(Span.WEEK))
    check(lambda: stats.delivered_series(Span.HOUR, large_tables.pk))


def test_a_backlog_and_a_heap_of_failures_are_looked_at_up_to_the_cap(large_tables: Destination) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE webhooks_delivery SET status = 'pending', last_error_code = 'http_500'")
        cursor.execute("ANALYZE webhooks_delivery")
    check(lambda: stats.summaries([large_tables.pk]))
    check(lambda: stats.failures(large_tables.pk))
    check(stats.waiting)
