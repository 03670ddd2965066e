"""How the hub opens its own database: SQLite or PostgreSQL, from one URL."""

from typing import Any

import environ

# WAL lets the worker read while the server writes; FULL makes a commit survive a power cut,
# which a 2XX promises. https://www.sqlite.org/pragma.html#pragma_synchronous
# What is deleted is overwritten: an erased person is not to be read from the file's free pages.
SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=20000; "
    "PRAGMA cache_size=-32000; PRAGMA journal_size_limit=67108864; PRAGMA secure_delete=ON;"
)


def database_settings(url: str, pool_size: int) -> dict[str, Any]:
    """Return Django's settings of the database at ``url``; refuse what the hub cannot use."""
    settings: dict[str, Any] = dict(environ.Env.db_url_config(url))
    engine = settings["ENGINE"]
    if engine == "django.db.backends.sqlite3":
        return settings | {"OPTIONS": _sqlite_options()}
    if engine == "django.db.backends.postgresql":
        return settings | {"OPTIONS": settings.get("OPTIONS", {}) | _postgres_options(pool_size)}
    raise ValueError(f"DATABASE_URL names {engine}; the hub runs on sqlite:///path and postgres://host/name.")


def _sqlite_options() -> dict[str, Any]:
    # IMMEDIATE: a transaction that reads and then writes would fail at once under load,
    # whatever the timeout. https://docs.djangoproject.com/en/5.2/ref/databases/#sqlite-transaction-behavior
    return {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": SQLITE_PRAGMAS}


def _postgres_options(pool_size: int) -> dict[str, Any]:
    return {
        # The pool doubles the wait between its tries to connect for as long as reconnect_timeout: five minutes
        # unless said, in which a database that is back would go unused for minutes (18 s after an outage of 40 s).
        "pool": {"min_size": 1, "max_size": pool_size, "timeout": 2, "reconnect_timeout": 2},
        "connect_timeout": 5,
        "application_name": "terra-hub",
    }
