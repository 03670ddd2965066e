"""What an erasure asks the database for among many people's rows: by indexes, never a large table as a whole."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import connection

from benchmarks import seeding
from tests.admin_plans import LARGE, lay_out_anew, statements
from tests.erasures.stage import carried_on
from tests.hub import on_postgres
from webhooks.keeping.erasures import jobs
from webhooks.keeping.erasures.plans import plan
from webhooks.models import Event

pytestmark = [
    pytest.mark.django_db,
    pytest.mark.skipif(not on_postgres(), reason="asks PostgreSQL's planner (HUB_TEST_DATABASE=postgres)"),
]
SIZES: dict[str, Any] = {"events": 10_000, "users": 500, "destinations": 20, "attempts": 50_000, "days": 10}


@pytest.fixture
def rows() -> None:
    """Fill the tables as a hub's are after some days."""
    seeding.people_make(
        {"secret": "source-secret-of-the-tests", "password": "a-long-enough-password-1", "sizes": SIZES}
    )
    with connection.cursor() as cursor:
        lay_out_anew(cursor)
        seeding.write(cursor, SIZES | {"end": datetime.now(UTC).isoformat()})
        cursor.execute("SET session_replication_role = origin")
        for table in seeding.TABLES:
            cursor.execute(f"ANALYZE {table}")


@pytest.mark.usefixtures("rows")
def test_neither_a_plan_nor_a_job_reads_a_large_table_as_a_whole() -> None:
    who = Event.objects.exclude(user_id="").exclude(reference_id="").order_by("pk").first()
    assert who is not None
    with statements() as found:
        counted = plan(user_ids=[who.user_id], reference_ids=[who.reference_id]).counts
        with connection.cursor() as cursor:
            cursor.execute("SAVEPOINT before")
            row = carried_on(jobs.start(user_ids=[who.user_id], reference_ids=[who.reference_id]))
            cursor.execute("ROLLBACK TO SAVEPOINT before")
    assert counted["events"] == row.receipt["counts"]["events"] > 0
    assert any("DELETE FROM webhooks_event" in sql for sql in found)
    assert scans_of(found) == []


def scans_of(found: list[str]) -> list[str]:
    """Return the statements whose plan reads a large table by a scan."""
    with connection.cursor() as cursor:
        return [sql[:400] for sql in dict.fromkeys(found) if _planned(sql) and _scans(cursor, sql)]


def _planned(sql: str) -> bool:
    return sql.lstrip("( ").split(None, 1)[0].upper() in ("SELECT", "WITH", "DELETE", "UPDATE")


def _scans(cursor: Any, sql: str) -> list[str]:
    cursor.execute("EXPLAIN " + sql.replace("%", "%%"), [])
    lines = [row[0] for row in cursor.fetchall()]
    return [line for line in lines if any(f"Seq Scan on {table}" in line for table in LARGE)]
