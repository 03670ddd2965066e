"""Wake-ups: hints that something is due, which may be lost without harm.

PostgreSQL: NOTIFY in the transaction that made the delivery. SQLite: the file's data version,
which another process's commit changes, looked at many times a second at almost no cost.
https://www.sqlite.org/pragma.html#pragma_data_version
"""

import threading
from collections.abc import Callable, Iterable
from uuid import UUID

import psycopg
import structlog
from django.db import DatabaseError, connection

from webhooks.sql import fast_cursor, on_postgres

log = structlog.get_logger(__name__)

CHANNEL = "terra_hub_due"
LISTEN_SECONDS = 1.0
RETRY_SECONDS = 2.0
SQLITE_POLL_SECONDS = 0.01


def notify(destination_ids: Iterable[UUID]) -> None:
    """Say that deliveries of these destinations are due, once the current transaction commits."""
    if not on_postgres():
        return
    with fast_cursor() as cursor:
        names = [str(destination_id) for destination_id in destination_ids]
        cursor.execute("SELECT pg_notify(%s, name) FROM unnest(%s::text[]) AS name", [CHANNEL, names])


class Listener:
    """A thread that calls ``woken`` whenever another process says that something is due."""

    def __init__(self, woken: Callable[[], None]) -> None:
        """Call ``woken`` from the listening thread, many times a second at most."""
        self._woken = woken
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="wake-up", daemon=True)

    def start(self) -> None:
        """Begin to listen."""
        self._thread.start()

    def stop(self) -> None:
        """Stop listening; returns when the thread has ended."""
        self._stop.set()
        self._thread.join(timeout=LISTEN_SECONDS + 1)

    def _run(self) -> None:
        listen = self._listen if on_postgres() else self._watch
        while not self._stop.is_set():
            try:
                listen()
            except (DatabaseError, psycopg.Error) as error:
                log.warning("wake_up_lost", error=type(error).__name__)
                self._stop.wait(RETRY_SECONDS)
            finally:
                connection.close()

    def _listen(self) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"LISTEN {CHANNEL}")
        connected = connection.connection
        self._woken()  # whatever came while nobody listened
        while not self._stop.is_set():
            for _ in connected.notifies(timeout=LISTEN_SECONDS, stop_after=1):
                self._woken()

    def _watch(self) -> None:
        seen = None
        with connection.cursor() as cursor:
            while not self._stop.wait(SQLITE_POLL_SECONDS):
                cursor.execute("PRAGMA data_version")
                version = cursor.fetchone()[0]
                if version != seen:
                    seen = version
                    self._woken()
