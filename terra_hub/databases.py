"""How the hub opens its own database: SQLite or PostgreSQL, from one URL."""

from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

import environ

from terra_hub.environment import BadSetting

EXAMPLE = "postgres://hub:password@db.example.com:5432/hub"
_ENCODE = "Percent-encode what a password has of / : @ # ? % (such as %23 for #)."

# WAL lets the worker read while the server writes; FULL makes a commit survive a power cut,
# which a 2XX promises. https://www.sqlite.org/pragma.html#pragma_synchronous
# What is deleted is overwritten: an erased person is not to be read from the file's free pages.
SQLITE_PRAGMAS = (
    "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA busy_timeout=20000; "
    "PRAGMA cache_size=-32000; PRAGMA journal_size_limit=67108864; PRAGMA secure_delete=ON;"
)


def database_settings(url: str, pool_size: int) -> dict[str, Any]:
    """Return Django's settings of the database at ``url``; raise ``BadSetting``, without a word of the URL."""
    if problem := _problem(url):
        raise BadSetting("DATABASE_URL", problem, EXAMPLE)
    settings: dict[str, Any] = dict(environ.Env.db_url_config(url))
    if url.startswith("sqlite:"):
        return settings | {"OPTIONS": _sqlite_options()}
    return settings | {"OPTIONS": settings.get("OPTIONS", {}) | _postgres_options(pool_size)}


def _problem(url: str) -> str:
    if not url.startswith(("sqlite://", "postgres://", "postgresql://")):
        return "does not begin with postgres:// or sqlite:///, the two that the hub runs on."
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # reading it judges it
    except ValueError:
        return f"has a malformed host or port. {_ENCODE}"
    return _sqlite_problem(url) if parts.scheme == "sqlite" else _postgres_problem(parts)


def _sqlite_problem(url: str) -> str:
    path = url.removeprefix("sqlite://")
    if path.startswith("/") and path != "/":
        return ""
    return "names no file: write sqlite:// and the path, which begins with a slash."


def _postgres_problem(parts: SplitResult) -> str:
    if parts.fragment or "#" in parts.geturl():
        return f"has a # in it. {_ENCODE}"
    if "@" in parts.path:  # the part before it, of a password with a slash, would be shown as the port
        return f"has an @ after the host. {_ENCODE}"
    return "" if parts.path.strip("/") else "names no database after the host."


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


def is_file() -> bool:
    """Tell whether the hub's database is a file: SQLite."""
    from django.db import connection

    return connection.vendor == "sqlite"


def unreachable() -> str:
    """Connect once, past the pool, which would not say why it cannot.

    Return that the database cannot be opened or reached, where it is and why, in one line, or ``""``.
    """
    from django.db import connection

    database: Any = connection
    try:
        _connect(database)
    except database.Database.Error as error:
        reason = " ".join(str(error).split())
        # Another process that writes is no reason not to begin.
        return "" if "database is locked" in reason else f"DATABASE_URL: {_where(database.settings_dict)}: {reason}"
    return ""


def _connect(database: Any) -> None:
    parameters = database.get_connection_params()
    if database.vendor != "sqlite":
        database.Database.connect(**parameters).close()
        return
    opened = database.Database.connect(parameters["database"], uri=True)
    try:
        opened.execute("PRAGMA schema_version")  # opening alone reads nothing
    finally:
        opened.close()


def _where(settings: dict[str, Any]) -> str:
    if "sqlite" not in settings["ENGINE"]:
        return f"no connection to {settings['HOST'] or 'the local socket'}:{settings['PORT'] or 5432}"
    folder = Path(settings["NAME"]).parent
    return f"{settings['NAME']} cannot be opened{'' if folder.is_dir() else f' (there is no folder {folder})'}"
