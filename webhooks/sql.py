"""Multi-row writes for the two hot paths, on SQLite (3.35+) and PostgreSQL.

Django's ``bulk_create`` cannot say which rows a unique constraint left out. On PostgreSQL columns
travel as binary arrays (``unnest``) in a prepared statement: a quarter of the client's time of a
multi-row VALUES list, and half of the server's (docs/decisions/0002-group-commit.md).
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
import psycopg
from django.db import connection

_encode = json.JSONEncoder(separators=(",", ":")).encode  # made once: json.dumps makes one for each call
# (column, its PostgreSQL type)
Columns = Sequence[tuple[str, str]]

# SQLite's default limit of bound variables is 32,766: https://www.sqlite.org/limits.html
MAX_VARIABLES = 30_000
# Of fewer rows all columns are arrays: by chance alone they are alike here and there, and nearly every group would
# make a statement of its own, which PostgreSQL would have to plan.
MANY_ROWS = 16


def on_postgres() -> bool:
    """Tell whether the hub's own database is PostgreSQL."""
    return connection.vendor == "postgresql"


def renew_connections() -> None:
    """Let go of this thread's connection, and of all in the pool that a restart of the server has broken.

    Not the pool's own check on each use: it waits longer and longer between connections that it finds
    broken, up to its time limit.
    """
    connection.close()
    pool = getattr(connection, "pool", None)
    if pool is not None:
        pool.check()


def bind(value: Any) -> Any:
    """Return a value as the hub's database stores it in Django's columns."""
    if value is None or on_postgres():
        return value
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, datetime):
        return connection.ops.adapt_datetimefield_value(value)
    return value


def as_uuid(value: Any) -> UUID:
    """Return a UUID column's value, whichever database it came from."""
    return value if isinstance(value, UUID) else UUID(hex=value)


def as_moment(value: Any) -> Any:
    """Return a time column's value as an aware ``datetime``, or ``None``: SQLite hands out text."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def as_json(value: Any) -> str:
    """Return JSON text for a JSON column; NUL is replaced, which PostgreSQL's jsonb refuses.

    For the hub's own records (headers, the log's snapshots), never for payloads.
    """
    try:
        text = orjson.dumps(value).decode()  # a twentieth of the time of the standard library's
    except TypeError:  # what UTF-8 cannot hold
        text = _encode(value)
    return text.replace("\\u0000", "\\ufffd")


@contextmanager
def fast_cursor() -> Iterator[Any]:
    """Return a cursor of the current connection, inside its transaction.

    On PostgreSQL it binds on the server, which Django's own cursor does not: statements are
    prepared and ``%b`` sends binary. Errors are Django's.
    """
    if not on_postgres():
        with connection.cursor() as cursor:
            yield cursor
        return
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        yield cursor


def insert_rows(
    cursor: Any,
    table: str,
    columns: Columns,
    rows: Iterable[Sequence[Any]],
    *,
    unless: str = "",
    adding: Sequence[str] = (),
    returning: str = "",
    alike: bool = False,
) -> list[tuple[Any, ...]]:
    """Insert rows; return ``returning``. ``alike`` says that most columns are the same in all rows, again and again.

    Those that conflict on the columns ``unless`` are skipped, or their numbers in the columns ``adding`` are
    added to the rows that are there.
    """
    rows = list(rows)
    if not rows:
        return []
    sums = ",".join(f"{name} = {table}.{name} + excluded.{name}" for name in adding)
    conflict = f" ON CONFLICT ({unless}) DO {'UPDATE SET ' + sums if sums else 'NOTHING'}" if unless else ""
    tail = conflict + (f" RETURNING {returning}" if returning else "")
    if not on_postgres():
        return _insert_values(cursor, table, columns, rows, tail)
    names = ",".join(name for name, _ in columns)
    source, values = rows_from(columns, rows, keys=1 if alike else len(columns))
    cursor.execute(f"INSERT INTO {table} ({names}) SELECT {names} FROM {source} AS u{tail}", values)  # noqa: S608
    return cursor.fetchall() if "RETURNING" in tail else []


def rows_from(columns: Columns, rows: Sequence[Sequence[Any]], keys: int) -> tuple[str, list[Any]]:
    """Return rows as a subquery for PostgreSQL, and the values that it is executed with.

    A column travels as an array, or as one value where many rows have the same: an array costs both sides a step
    for each row. The first ``keys`` columns are always arrays: what is joined by, the planner takes for rarer than
    it is where it is one value.
    """
    shown, names, arrays = [], [], []
    same: list[Any] = []
    different: list[list[Any]] = []
    for (name, kind), column in zip(columns, zip(*rows, strict=True), strict=True):
        if len(different) >= keys and len(rows) >= MANY_ROWS and column.count(column[0]) == len(rows):
            shown.append(f"%b::{kind} AS {name}")
            same.append(column[0])
        else:
            shown.append(f"a.{name}::{kind}")
            names.append(name)
            arrays.append(f"%b::{_array_kind(kind)}[]")
            different.append(list(column))
    listed = f"unnest({','.join(arrays)}) AS a({','.join(names)})"
    return f"(SELECT {','.join(shown)} FROM {listed})", [*same, *different]  # noqa: S608


def _array_kind(kind: str) -> str:
    return "text" if kind == "jsonb" else kind  # JSON travels as the text that it is


def _insert_values(cursor: Any, table: str, columns: Columns, rows: Sequence[Any], tail: str) -> list[tuple[Any, ...]]:
    names = ",".join(name for name, _ in columns)
    one = f"({','.join(['%s'] * len(columns))})"
    step = MAX_VARIABLES // len(columns)
    returned: list[tuple[Any, ...]] = []
    for start in range(0, len(rows), step):
        part = rows[start : start + step]
        sql = f"INSERT INTO {table} ({names}) VALUES {','.join([one] * len(part))}{tail}"  # noqa: S608
        cursor.execute(sql, [bind(value) for row in part for value in row])
        returned += cursor.fetchall() if "RETURNING" in tail else []
    return returned


def marks(values: Sequence[Any]) -> str:
    """Return ``%s,%s,…`` for an IN list."""
    return ",".join(["%s"] * len(values))
