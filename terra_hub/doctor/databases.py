"""The hub's own database: its version, whether it keeps what it commits, and what has piled up in it."""

import sqlite3
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from django.db import connection, transaction

from destinations.shown import size
from terra_hub.doctor.places import file_system_of, judged
from terra_hub.doctor.running import Skipped
from terra_hub.healthchecks import Finding, Level, Unwell
from webhooks.durability import OVERRIDE, found_unsafe
from webhooks.sql import on_postgres

_LEAST_POSTGRES, _LEAST_SQLITE = 140_000, (3, 35, 0)
DEAD_ROWS, DEAD_SHARE = 100_000, 0.4  # of a table: beyond both, autovacuum does not keep up
LONG_TRANSACTION = timedelta(minutes=15)
OLDEST_XID = 1_000_000_000  # transactions until which rows have to be frozen: half of what there is
FREE_BYTES, FREE_SHARE = 256 * 1024**2, 0.5  # of an SQLite file: beyond both, VACUUM is worth its time
WAL_BYTES = 512 * 1024**2
SLOW_COMMIT_MS = 50.0
_COMMITS = 5


def _ask(sql: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()


# --- version ------------------------------------------------------------------------------------------------------
def version() -> Finding:
    """Say which database it is; refuse one that is too old."""
    if on_postgres():
        number, said = int(_ask("SHOW server_version_num")[0]), f"PostgreSQL {_ask('SHOW server_version')[0]}"
        too_old, least = number < _LEAST_POSTGRES, f"PostgreSQL {_LEAST_POSTGRES // 10_000}"
    else:
        said = f"SQLite {sqlite3.sqlite_version}"
        too_old, least = sqlite3.sqlite_version_info < _LEAST_SQLITE, "SQLite 3.35"
    if too_old:
        raise Unwell(f"{said} is too old.", "It lacks what the hub's statements use.", f"Upgrade to {least} or later.")
    return Finding(Level.OK, said)


# --- durability ---------------------------------------------------------------------------------------------------
def keeps_commits() -> Finding:
    """Look at the settings that a commit's durability stands on, whatever the operator allows."""
    problems = found_unsafe()
    if problems:
        allowed = f"{OVERRIDE}=1 lets the hub run all the same." if _is_allowed() else ""
        raise Unwell(
            " ".join(problems), f"A power cut could lose events that were answered with 200. {allowed}".strip(),
            "Turn it on in the database's own settings.",
        )  # fmt: skip
    return _flush_time() if on_postgres() else _sqlite_place()


def _is_allowed() -> bool:
    from webhooks.durability import is_overridden

    return is_overridden()


def _flush_time() -> Finding:
    """Commit a few log messages of no table, which are flushed like any commit."""
    took = []
    for _ in range(_COMMITS):
        started = perf_counter()
        with transaction.atomic():
            _ask("SELECT pg_logical_emit_message(true, 'hub doctor', 'a commit')")
        took.append(1000 * (perf_counter() - started))
    said = f"fsync, synchronous_commit and full_page_writes are on; a commit takes {median(took):.1f} ms"
    if median(took) > SLOW_COMMIT_MS:
        return Finding(
            Level.WARNING, said, "Each commit waits for a slow disk, or for a far database.",
            "Put the database's log (pg_wal) on a disk with a short flush, near the hub.",
        )  # fmt: skip
    return Finding(Level.OK, said)


def _sqlite_place() -> Finding:
    place = _sqlite_file()
    return judged(f"synchronous is FULL, on {file_system_of(place.parent)}", file_system_of(place.parent), shared=True)


def _sqlite_file() -> Path:
    name = str(connection.settings_dict["NAME"])
    if "memory" in name:
        raise Skipped("The database is in memory.")
    return Path(name).absolute()


# --- what piles up ------------------------------------------------------------------------------------------------
def bloat() -> Finding:
    """Look for what a database collects when nobody cleans up behind its writes."""
    problems = list(_postgres_problems() if on_postgres() else _sqlite_problems())
    if not problems:
        return Finding(Level.OK, _postgres_words() if on_postgres() else _sqlite_words())
    told, causes, fixes = zip(*problems, strict=True)
    return Finding(Level.WARNING, " ".join(told), " ".join(dict.fromkeys(causes)), " ".join(dict.fromkeys(fixes)))


_DEAD = """
    SELECT relname, n_dead_tup, n_live_tup, greatest(last_autovacuum, last_vacuum) FROM pg_stat_user_tables
    WHERE n_dead_tup > %s AND n_dead_tup > %s * n_live_tup ORDER BY n_dead_tup DESC LIMIT 5
"""
_OLDEST = """
    SELECT extract(epoch FROM max(now() - xact_start)) FROM pg_stat_activity
    WHERE datname = current_database() AND xact_start IS NOT NULL AND pid <> pg_backend_pid()
"""
_PREPARED = (
    "SELECT extract(epoch FROM max(now() - prepared)) FROM pg_prepared_xacts WHERE database = current_database()"
)
_AGE = "SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database()"
Problem = tuple[str, str, str]  # what was seen, cause, what to change


def _postgres_problems() -> Iterator[Problem]:
    if _ask("SHOW autovacuum")[0] != "on":
        yield ("autovacuum is off.", "Rows that were changed or deleted are never cleaned up.",
               "Set autovacuum = on, and reload.")  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_DEAD, [DEAD_ROWS, DEAD_SHARE])
        tables = cursor.fetchall()
    for table, dead, live, vacuumed in tables:
        last = f"last vacuumed {vacuumed:%Y-%m-%d %H:%M} UTC" if vacuumed else "never vacuumed"
        yield (f"{table} has {dead:,} dead rows beside {live:,} ({last}).", "Autovacuum does not keep up.",
               "Give it more: raise autovacuum_vacuum_cost_limit; now: VACUUM (ANALYZE).")  # fmt: skip
    yield from _long_transactions()
    if _ask(_AGE)[0] > OLDEST_XID:
        yield ("Half of the transaction numbers are used up.", "Autovacuum freezes no rows.",
               "VACUUM (FREEZE), and find what holds it up.")  # fmt: skip


def _long_transactions() -> Iterator[Problem]:
    for what, sql in (("transaction", _OLDEST), ("prepared transaction", _PREPARED)):
        seconds = _ask(sql)[0]
        if seconds and timedelta(seconds=float(seconds)) > LONG_TRANSACTION:
            yield (
                f"A {what} has been open for {float(seconds) / 60:,.0f} minutes.",
                "While it is open, no row that was changed since is cleaned up.",
                "Find it in pg_stat_activity or pg_prepared_xacts, and end it.",
            )


def _postgres_words() -> str:
    seconds = _ask(_OLDEST)[0]
    oldest = f"the oldest transaction is {float(seconds):.0f} s old" if seconds else "no other transaction is open"
    dead = _ask("SELECT coalesce(sum(n_dead_tup), 0) FROM pg_stat_user_tables")[0]
    held = _ask("SELECT pg_database_size(current_database())")[0]
    return f"{size(int(held))}, {int(dead):,} dead rows; {oldest}"


def _sqlite_problems() -> Iterator[Problem]:
    mode = _ask("PRAGMA journal_mode")[0]
    if mode != "wal":
        yield (f"SQLite's journal_mode is {mode}.", "Something else than the hub has opened the file, or it lies where "
               "WAL does not work.", "Restart the hub on a local disk: it turns WAL on.")  # fmt: skip
    total, free = _sqlite_sizes()
    if free > FREE_BYTES and free > FREE_SHARE * total:
        yield (f"{size(free)} of the file's {size(total)} are free pages.", "Much was deleted.",
               "Stop the hub, run VACUUM on the file, and start it.")  # fmt: skip
    wal = _wal_bytes()
    if wal > WAL_BYTES:
        yield (f"Its write-ahead log has {size(wal)}.", "A reader has been open for long, such as a backup or a shell.",
               "Close what reads the file.")  # fmt: skip


def _sqlite_sizes() -> tuple[int, int]:
    """Return the bytes of the file, and of its free pages."""
    page, pages, free = (int(_ask(f"PRAGMA {name}")[0]) for name in ("page_size", "page_count", "freelist_count"))
    return page * pages, page * free


def _wal_bytes() -> int:
    wal = Path(f"{connection.settings_dict['NAME']}-wal")
    return wal.stat().st_size if wal.exists() else 0


def _sqlite_words() -> str:
    total, free = _sqlite_sizes()
    return f"{size(total)}, of it {size(free)} free pages; WAL on, with {size(_wal_bytes())}"
