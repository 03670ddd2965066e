"""What the count of matching events asks PostgreSQL for: a range of the primary key, however many events there are."""

import json
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from destinations.models import Destination
from tests.hub import on_postgres
from tests.test_admin_explain import MOST_READ, large_tables, nodes
from webhooks import matching

__all__ = ["large_tables"]  # a fixture

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(not on_postgres(), reason="asks PostgreSQL's planner (HUB_TEST_DATABASE=postgres)"),
]


@pytest.mark.parametrize("types", [(), ("daily",), ("rare",), ("never",), ("daily", "rare")])
def test_no_more_than_the_latest_events_are_read(
    large_tables: Destination, types: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matching, "LATEST", 2_000)
    with CaptureQueriesContext(connection) as queries:
        assert matching.matching(types, ()).of == 2_000

    asked = [one["sql"] for one in queries if "webhooks_event" in one["sql"]]
    assert asked
    for sql in asked:
        for node in nodes(plan_of(sql)):
            assert node["Node Type"] != "Seq Scan", sql
            read = (node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"]
            assert read <= MOST_READ, sql


def plan_of(sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {sql.replace('%', '%%')}", [])
        (answer,) = cursor.fetchone()
    return (json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]
