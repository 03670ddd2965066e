"""What lists ask SQLite for: each filter by its own index, in the list's order without sorting."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.db.models import QuerySet

from tests.hub import on_postgres
from webhooks.finding.deliveries import DeliveriesWanted, deliveries_scan
from webhooks.finding.events import EventsWanted, events_scan
from webhooks.finding.quarantine import RefusedWanted, refused_scan
from webhooks.finding.scans import Scan

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(on_postgres(), reason="asks SQLite's planner (HUB_TEST_DATABASE=sqlite)"),
]

ID = UUID(int=7)
NOW = datetime(2026, 3, 12, 6, 0, tzinfo=UTC)


def plans(scan: Scan) -> Iterator[str]:
    """Yield SQLite's plan of each query of a list's first page."""
    for arm in scan.arms:
        rows: QuerySet[Any] = scan._arm(arm, None, False)[:51]
        yield rows.explain()


@pytest.mark.parametrize(
    ("scan", "index"),
    [
        (lambda: events_scan(EventsWanted(type="sleep")), "event_type"),
        (lambda: events_scan(EventsWanted(user_id="ana", since=NOW)), "event_user"),
        (lambda: events_scan(EventsWanted(reference_id="ref")), "event_reference"),
        (lambda: events_scan(EventsWanted(terra_reference="large")), "event_terra_reference"),
        (lambda: deliveries_scan(DeliveriesWanted(destination_id=ID)), "delivery_of_destination"),
        (lambda: deliveries_scan(DeliveriesWanted(status="dead")), "delivery_dead"),
        (lambda: deliveries_scan(DeliveriesWanted(status="dead", destination_id=ID)), "delivery_dead_of_one"),
        (lambda: deliveries_scan(DeliveriesWanted(error_code="http_500")), "delivery_error"),
        (lambda: deliveries_scan(DeliveriesWanted(error_code="x", destination_id=ID)), "delivery_failed"),
        (lambda: deliveries_scan(DeliveriesWanted(replay_id=7)), "delivery_of_replay"),
        (lambda: refused_scan(RefusedWanted(source_id=ID)), "quarantine_of_source"),
    ],
)
def test_a_filter_is_served_by_its_index(scan: Any, index: str) -> None:
    for plan in plans(scan()):
        assert f"INDEX {index} (" in plan, plan
        assert "TEMP B-TREE" not in plan, plan


def test_a_queue_comes_from_the_outbox_s_own_index() -> None:
    (plan,) = plans(deliveries_scan(DeliveriesWanted(status="pending", destination_id=ID)))

    assert "INDEX delivery_due (" in plan, plan


def test_all_queues_are_merged_from_that_index_too() -> None:
    from webhooks.finding.deliveries import _due

    sql, params = _due((NOW, 7), False, 51)
    with connection.cursor() as cursor:
        cursor.execute(f"EXPLAIN QUERY PLAN {sql}", params)
        plan = " ".join(str(row[-1]) for row in cursor.fetchall())

    assert "USING INDEX delivery_due (" in plan, plan
    assert "SCAN v" not in plan, plan
    assert "SCAN w" not in plan, plan
