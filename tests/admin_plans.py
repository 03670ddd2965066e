"""What a page asks the database for: every statement with its values, and PostgreSQL's plan of each."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from django.db import connection
from django.test.utils import CaptureQueriesContext

from benchmarks import seeding

LARGE = ("webhooks_event", "webhooks_delivery", "webhooks_attempt")
MOST_QUERIES = 30
PLAN_TIMEOUT_MS = 60_000
# Counted, with no LIMIT inside that would end it.
_COUNT = re.compile(r"\bCOUNT\s*\(", re.I)


@contextmanager
def statements() -> Iterator[list[str]]:
    """Collect every statement of this thread's connection, also of cursors that Django does not know."""
    found: list[str] = []
    if connection.vendor != "postgresql":
        with CaptureQueriesContext(connection) as queries:
            yield found
        found += [one["sql"] for one in queries]
        return
    import psycopg

    plain = psycopg.Cursor.execute

    def execute(cursor: Any, query: Any, params: Any = None, **more: Any) -> Any:
        text = query if isinstance(query, str) else getattr(query, "as_string", lambda _: str(query))(cursor)
        found.append(_bound(cursor, text, params))
        return plain(cursor, query, params, **more)

    psycopg.Cursor.execute = execute  # type: ignore[method-assign]
    try:
        yield found
    finally:
        psycopg.Cursor.execute = plain  # type: ignore[method-assign]


def _bound(cursor: Any, text: str, params: Any) -> str:
    """Return a statement with its values in it."""
    import psycopg

    if not params:
        return text.replace("%%", "%") if params is not None else text
    return psycopg.ClientCursor(cursor.connection).mogrify(re.sub(r"%[bt](?!\w)", "%s", text), params)


def problems_of(found: list[str], most_read: int) -> list[str]:
    """Return what no page may do: read a large table by a scan, read many rows of it, count it to the end."""
    problems = []
    for sql in dict.fromkeys(found):
        if sql.lstrip("( ").split(None, 1)[0].upper() not in ("SELECT", "WITH"):
            continue
        if not any(name in sql for name in LARGE):
            continue
        problems += [f"{problem}: {sql[:1500]}" for problem in _problems(sql, most_read)]
    return problems


def _problems(sql: str, most_read: int) -> Iterator[str]:
    if _COUNT.search(sql) and "LIMIT" not in sql.upper():
        yield "counts without a cap"
    if connection.vendor != "postgresql":
        return
    try:
        plan = plan_of(sql)
    except Exception as error:
        yield f"its plan cannot be had ({type(error).__name__})"
        return
    for node in nodes(plan):
        table = node.get("Relation Name") in LARGE
        if table and node["Node Type"] == "Seq Scan":
            yield f"scans {node['Relation Name']}"
        read = (node.get("Actual Rows", 0) + node.get("Rows Removed by Filter", 0)) * node.get("Actual Loops", 1)
        if table and read > most_read:
            yield f"reads {read:,.0f} rows of {node['Relation Name']} by {node.get('Index Name', node['Node Type'])}"


def plan_of(sql: str) -> Any:
    """Return PostgreSQL's plan of a statement, with what it really read."""
    connection.ensure_connection()
    raw = connection.connection
    with raw.transaction(), raw.cursor() as cursor:
        cursor.execute(f"SET LOCAL statement_timeout = {PLAN_TIMEOUT_MS}")
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON, TIMING OFF) {sql}")
        (answer,) = cursor.fetchone()
    return (json.loads(answer) if isinstance(answer, str) else answer)[0]["Plan"]


def nodes(plan: Any) -> list[Any]:
    """Return every node of a plan."""
    return [plan, *(node for part in plan.get("Plans", []) for node in nodes(part))]


def lay_out_anew(cursor: Any) -> None:
    """Give the large tables new files in this transaction: how rows lie after other tests sways the planner."""
    cursor.execute("TRUNCATE webhooks_attempt, webhooks_delivery, webhooks_payload, webhooks_event CASCADE")


def after_some_days(sizes: dict[str, Any]) -> None:
    """Fill every table as a hub has them after some days, and tell PostgreSQL's planner."""
    plan = {"secret": "source-secret-of-the-tests", "password": "a-long-enough-password-1", "sizes": sizes}
    seeding.people_make(plan)
    with connection.cursor() as cursor:
        lay_out_anew(cursor)
        seeding.write(cursor, sizes | {"end": datetime.now(UTC).isoformat()})
        cursor.execute("SET session_replication_role = origin")
        for table in seeding.TABLES:
            cursor.execute(f"ANALYZE {table}")
