"""What a replay asks its database for is found by an index, whatever the selection."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from django.db import connection
from django.db.backends.utils import CursorWrapper
from django.utils import timezone

from tests.api_support import make_delivery, make_destination, make_source
from tests.hub import on_postgres
from tests.replays.stage import LONG_AGO, carried_on, failed, seed, started
from webhooks.keeping import estimates, progress, replays
from webhooks.keeping.estimates import estimate
from webhooks.keeping.replays import selection_in

pytestmark = pytest.mark.django_db(transaction=True)

LARGE = ("webhooks_event", "webhooks_delivery", "webhooks_attempt", "webhooks_payload")
Asked = list[tuple[Any, Any]]


@contextmanager
def heard(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    """Collect the statements about the large tables, also those that go past Django."""
    found: Asked = []

    def kept(sql: Any, params: Any) -> None:
        text = str(sql)
        if any(table in text for table in LARGE) and text.lstrip().startswith(("SELECT", "UPDATE", "WITH")):
            found.append((text, params))

    for kind in (psycopg.Cursor, CursorWrapper):
        plain = kind.execute

        def execute(self: Any, sql: Any, params: Any = None, *more: Any, _plain: Any = plain, **others: Any) -> Any:
            kept(sql, params)
            return _plain(self, sql, params, *more, **others)

        monkeypatch.setattr(kind, "execute", execute)
    yield found
    monkeypatch.undo()


def scans(asked: Asked) -> Sequence[str]:
    """Return the plans that read a large table from end to end."""
    found = []
    with connection.cursor() as cursor:
        if on_postgres():  # small tables are read whole, unless that is made dear: then only what has no index is
            cursor.execute("SET enable_seqscan = off")
        for sql, params in asked:
            if sql.endswith("DESC LIMIT 1") and "WHERE" not in sql:
                continue  # the newest row: SQLite calls it a scan, and ends it with the first
            prefix = "EXPLAIN " if on_postgres() else "EXPLAIN QUERY PLAN "
            cursor.execute(prefix + sql.replace("%b::", "%s::"), params)
            plan = "\n".join(str(row[-1]) for row in cursor.fetchall())
            if any(f"Seq Scan on {table}" in plan or plan_scans(plan, table) for table in LARGE):
                found.append(f"{sql}\n{plan}")
        if on_postgres():
            cursor.execute("RESET enable_seqscan")
    return found


def plan_scans(plan: str, table: str) -> bool:
    lines = [line for line in plan.splitlines() if line.startswith("SCAN")]
    return any(line.split()[1] in (table, "e") and "INDEX" not in line for line in lines)


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("matching", {}), ("matching", {"type": "activity"}), ("matching", {"user_id": "u1"}),
        ("matching", {"reference_id": "r1"}), ("matching", {"terra_reference": "t1"}), ("matching", {"source": "main"}),
        ("matching", {"trace_id": "abc"}), ("matching", {"outcome": "dead"}), ("missing", {}), ("failed", {}),
        ("failed", {"error_code": "http_500", "since": LONG_AGO}),
    ],
)  # fmt: skip
def test_no_step_and_no_estimate_reads_a_large_table_from_end_to_end(
    kind: str, values: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    hook = make_destination()
    events = seed(make_source(), 60, user_id="u1", reference_id="r1", terra_reference="t1")
    type(events[0]).objects.filter(pk=events[0].pk).update(idempotency_key="trace:abc")
    for event in events[:20]:
        failed(event, hook)
    make_delivery(events[30], hook, "delivered")
    for name, value in {"READ_MOST": 10, "SAMPLE_KEYS": 3}.items():
        monkeypatch.setattr(estimates, name, value)
    given = values | ({} if kind == "matching" else {"destinations": [hook.pk]})
    with heard(monkeypatch) as asked:
        replay = started(kind, **given)
        estimate(selection_in(replay))
        carried_on(3)
        replay.refresh_from_db()
        assert replay.queued
        progress.progress_of(replay, timezone.now() + timedelta(seconds=1))
        replays.cancel(replay)
    assert len(asked) > 8
    assert scans(asked) == []
