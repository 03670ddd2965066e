"""Fills a hub as if it had run for days: ``python -m benchmarks.seeding``, in its environment, with a plan as JSON.

{"secret": …, "password": …, "sizes": {"events": …, "users": …, "destinations": …, "attempts": …, "days": …,
"end": ISO time of the last event}}

The rows are made by PostgreSQL itself. Columns that this file does not name get what ``blank_defaults`` puts
there meanwhile, so that a column which is added later needs no change here unless it means something.
"""

import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import django

from benchmarks.seeds import FILLS, FUNCTIONS, LARGE, sql_of

ADMIN = "bench"
SLUGS = ("bench", "staging")
TYPES = ("webhook", "webhook", "webhook", "postgres")
# Each foreign key is known to be there.
SESSION = ("session_replication_role = replica", "synchronous_commit = off", "maintenance_work_mem = '512MB'")
TABLES = tuple(dict.fromkeys(table for table, _ in FILLS))
# Made-up values that a column without a default gets while the tables are filled.
BLANKS: Mapping[str, str] = {
    "boolean": "false", "smallint": "0", "integer": "0", "bigint": "0", "double precision": "0",
    "character varying": "''", "text": "''", "jsonb": "'{}'", "timestamp with time zone": "now()",
}  # fmt: skip


def main() -> None:
    """Migrate, make what people make by the use cases, and write everything else by SQL."""
    django.setup()
    print(json.dumps(seed(json.load(sys.stdin))))


def seed(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Do what the plan says; return how long it took and how many rows each large table has."""
    from django.core.management import call_command

    started = time.perf_counter()
    call_command("migrate", verbosity=0)
    people_make(plan)
    fill(plan["sizes"])
    call_command("migrate", verbosity=0)  # nothing is left to do; signals of migrations have run
    return {"seconds": round(time.perf_counter() - started, 1), **counts()}


def people_make(plan: Mapping[str, Any]) -> None:
    """Make the sources, the destinations and the user."""
    from django.contrib.auth import get_user_model

    from destinations.services import create_destination
    from webhooks.receiving.sources import create_source

    for slug in SLUGS:
        create_source(slug=slug, secret=plan["secret"])
    get_user_model().objects.create_superuser(ADMIN, password=plan["password"])
    for number in range(plan["sizes"]["destinations"]):
        create_destination(**_destination(number))


def _destination(number: int) -> dict[str, Any]:
    kind = TYPES[number % len(TYPES)]
    fields: dict[str, Any] = {"config": {"url": f"http://127.0.0.1:18999/hook/{number}"}, "credentials": {}}
    if kind == "postgres":
        fields = {
            "config": {"host": "127.0.0.1", "database": f"health_{number}", "username": "hub"},
            "credentials": {"password": "bench-password"},
        }
    return {"type": kind, "name": f"Destination {number:03}", **fields}


def fill(sizes: Mapping[str, int]) -> None:
    """Write the rows, without indexes that are no constraint: those are made at the end, from sorted rows."""
    from django.db import connection

    with connection.cursor() as cursor:
        with without_indexes(cursor, TABLES):
            write(cursor, sizes)
        cursor.execute("VACUUM ANALYZE")
        cursor.execute("CHECKPOINT")


def write(cursor: Any, sizes: Mapping[str, Any]) -> None:
    """Write the rows and nothing else, with the settings of this session or transaction changed for it."""
    for setting in SESSION:
        cursor.execute(f"SET {setting}")
    for function in FUNCTIONS:
        cursor.execute(function, None)
    _number_destinations(cursor)
    with blank_defaults(cursor, TABLES):
        for table, sql in FILLS:
            _run(cursor, table, sql_of(sql, sizes))


def _number_destinations(cursor: Any) -> None:
    """Let the fills name a destination by its number."""
    cursor.execute(
        "CREATE TEMP TABLE seed_destination AS SELECT id, (row_number() OVER (ORDER BY name) - 1)::int AS number "
        "FROM destinations_destination"
    )
    cursor.execute("CREATE UNIQUE INDEX ON seed_destination (number)")
    cursor.execute("ANALYZE seed_destination")


def _run(cursor: Any, table: str, sql: str) -> None:
    started = time.perf_counter()
    cursor.execute(sql, None)
    say(f"{table}: {cursor.rowcount:,} rows in {time.perf_counter() - started:.0f} s")


@contextmanager
def blank_defaults(cursor: Any, tables: Sequence[str]) -> Iterator[None]:
    """Give every column that must have a value and has no default a blank one, for a while."""
    cursor.execute(
        "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public' "
        "AND is_nullable = 'NO' AND column_default IS NULL AND is_identity = 'NO' AND table_name = ANY(%s)",
        [list(tables)],
    )
    columns = [(table, column, BLANKS[kind]) for table, column, kind in cursor.fetchall() if kind in BLANKS]
    for table, column, blank in columns:
        cursor.execute(f'ALTER TABLE {table} ALTER COLUMN "{column}" SET DEFAULT {blank}', None)
    yield
    for table, column, _ in columns:
        cursor.execute(f'ALTER TABLE {table} ALTER COLUMN "{column}" DROP DEFAULT', None)


@contextmanager
def without_indexes(cursor: Any, tables: Sequence[str]) -> Iterator[None]:
    """Take away the indexes that no constraint needs; make them again at the end."""
    cursor.execute(
        "SELECT i.indexname, i.indexdef FROM pg_indexes i LEFT JOIN pg_constraint c ON c.conname = i.indexname "
        "WHERE i.schemaname = 'public' AND c.oid IS NULL AND i.tablename = ANY(%s)",
        [list(tables)],
    )
    indexes = cursor.fetchall()
    for name, _ in indexes:
        cursor.execute(f'DROP INDEX "{name}"', None)
    yield
    started = time.perf_counter()
    for _, definition in indexes:
        cursor.execute(definition, None)
    say(f"{len(indexes)} indexes in {time.perf_counter() - started:.0f} s")


def counts() -> dict[str, int]:
    """Return the rows of the large tables."""
    from django.db import connection

    with connection.cursor() as cursor:
        found = {}
        for table in LARGE:
            cursor.execute(f"SELECT count(*) FROM {table}")
            (found[table],) = cursor.fetchone()
        return found


def say(text: str) -> None:
    """Tell the progress."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
