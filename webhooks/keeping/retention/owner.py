"""Whose a payload store is: a marker in the store names the one database that sweeps it."""

import json
import os
import socket
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from django.core.files.base import ContentFile
from django.db import DatabaseError, connection

from webhooks.keeping.stores.base import PayloadStore
from webhooks.sql import on_postgres

MARKER = "hub-sweeper.json"  # no name of a body: no sweep removes it
_MOST_BYTES = 4096


class AnothersStore(Exception):
    """Another database sweeps this store: nothing is deleted by this one."""


@dataclass(frozen=True, slots=True)
class Owner:
    """A database as a marker tells it; none of it is secret."""

    fingerprint: str
    words: str = "unknown"


def owned(store: PayloadStore, take_over: bool) -> bool:
    """Tell whether the store was this database's already; make it so where it is nobody's, or is to be taken over.

    Raise ``AnothersStore`` where it is another's, ``OSError`` as the store does. Where it has just become this one's,
    look again later: of two that come at once, the last to write has it.
    """
    mine, found = this_database(), _read(store)
    if found and found.fingerprint == mine.fingerprint:
        return True
    if not found or take_over:
        _write(store, mine)
        found = _read(store)
    if not found or found.fingerprint != mine.fingerprint:
        raise AnothersStore(_refusal(found))
    return False


def _refusal(found: Owner | None) -> str:
    return (
        f"This payload store is swept by another database ({found.words if found else 'unknown'}). "
        "If that one is gone, set RETENTION_SWEEP=all once."
    )


def this_database() -> Owner:
    """Return the database that this hub is configured for."""
    about = connection.settings_dict
    engine, name = connection.vendor, str(about["NAME"])
    if on_postgres():
        place = f"{about['HOST'] or 'localhost'}:{about['PORT'] or 5432}"
    else:
        place, name = socket.gethostname(), os.path.abspath(name)  # a URI of a test's stays a text
    parts = [engine, place, name, _cluster()]
    return Owner(sha256(json.dumps(parts).encode()).hexdigest(), f"{engine}, {name} on {place}"[:200])


def _cluster() -> str:
    """Return PostgreSQL's own number for its data: every stack of containers may call its host ``db``."""
    if not on_postgres():
        return ""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT system_identifier FROM pg_control_system()")
            return str(cursor.fetchone()[0])
    except DatabaseError:  # some hosts of databases do not tell it
        return ""


def _read(store: PayloadStore) -> Owner | None:
    try:
        with store.open(MARKER) as file:
            said: Any = json.loads(file.read(_MOST_BYTES))
        return Owner(str(said["fingerprint"]), str(said["database"])[:200])
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):  # half written, or somebody's own
        return Owner("")


def _write(store: PayloadStore, owner: Owner) -> None:
    store.delete(MARKER)
    text = json.dumps({"fingerprint": owner.fingerprint, "database": owner.words})
    name = store.save(MARKER, ContentFile(text.encode()))
    if name != MARKER:  # another was faster, in a store that gives a taken name characters
        store.delete(name)
