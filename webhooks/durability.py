"""Whether the hub's own database keeps what it has committed: promise 1 stands on it."""

import os

from django.db import connection

OVERRIDE = "ALLOW_UNSAFE_DB"


def unsafe_settings() -> list[str]:
    """Return what would let the database lose a committed event and is not allowed to, in words; empty: nothing."""
    return [] if is_overridden() else found_unsafe()


def is_overridden() -> bool:
    """Tell whether the operator has said that this database holds nothing that matters."""
    return os.environ.get(OVERRIDE) == "1"


def found_unsafe() -> list[str]:
    """Return what would let the database lose a committed event, in words; empty: nothing would."""
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("PRAGMA synchronous")
            return [] if cursor.fetchone()[0] >= 2 else ["SQLite's synchronous is below FULL."]
        return [
            problem for name in ("fsync", "synchronous_commit", "full_page_writes") if (problem := _off(cursor, name))
        ]


def _off(cursor: object, name: str) -> str:
    cursor.execute(f"SHOW {name}")  # type: ignore[attr-defined]  # a Django cursor
    value = cursor.fetchone()[0]  # type: ignore[attr-defined]  # a Django cursor
    return f"PostgreSQL's {name} is {value}." if value == "off" else ""


def explain(problems: list[str]) -> str:
    """Return the message that a process ends with when it refuses to start."""
    return (
        f"{' '.join(problems)} A power cut could lose events that were answered with 200. "
        f"Turn it on, or set {OVERRIDE}=1 if this database holds nothing that matters."
    )
