"""Files of the payload store that no event names: left by a crash between the two. Found by listing the store."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import cast
from uuid import UUID

from django.conf import settings
from django.core.files.storage import storages

from webhooks.event_ids import moment_of_id
from webhooks.keeping import storehealth
from webhooks.keeping.retention.owner import owned
from webhooks.keeping.retention.rows import KEY, Page, Removed, among
from webhooks.keeping.stores.base import PayloadStore, event_of
from webhooks.sql import fast_cursor

LISTED = 1000  # names in one request
# Of these. A crash leaves few: so many are another hub's files, or this database is an older copy.
TOO_MANY = 100
MANY = 10  # where they are more than half: a small hub's files beside a smaller one's
MOST = 100  # deleted in one step: each is a request to the store


class TooManyOrphans(Exception):
    """The store holds much that is not this hub's: nothing is deleted."""


def look(cursor: str, before: datetime, most: int) -> Page:
    """Return files whose event is older than ``before`` and is not there; behind the last the listing begins anew.

    Raise ``AnothersStore`` where another database sweeps this store, ``TooManyOrphans`` where much is not this hub's.
    """
    store = cast(PayloadStore, storages["payloads"])
    with storehealth.watched(store.place, "payload_store_not_listed"):
        listed = store.names(cursor, LISTED)
        if listed.names and not owned(store, settings.RETENTION_SWEEP == "all"):
            return Page([], cursor, False)
    old = {name: event for name in listed.names if (event := event_of(name)) and moment_of_id(event) < before}
    orphans = _without_event(old)
    _refuse_too_many(store, orphans, old)
    now = orphans[: min(most, MOST)]
    if len(now) < len(orphans):
        return Page(now, now[-1], False)
    return Page(orphans, "" if listed.last else listed.after, listed.last)


def _without_event(events: dict[str, UUID]) -> list[str]:
    condition, parameters = among("event_id", KEY, set(events.values()))
    with fast_cursor() as cursor:
        cursor.execute(f"SELECT store_name FROM webhooks_payload WHERE {condition}", parameters)  # noqa: S608
        named = {row[0] for row in cursor.fetchall()}
    return [name for name in events if name not in named]


def _refuse_too_many(store: PayloadStore, orphans: Sequence[str], among_these: Collection[str]) -> None:
    mostly = len(orphans) >= MANY and len(orphans) > len(among_these) / 2
    if (len(orphans) >= TOO_MANY or mostly) and settings.RETENTION_SWEEP != "all":
        raise TooManyOrphans(
            f"{len(orphans)} of {len(among_these)} files in {store.place()} belong to no event, and none was deleted. "
            "Give each hub a folder or prefix of its own. If no other hub uses this one and the database is no older "
            "copy, set RETENTION_SWEEP=all."
        )


def remove(names: Sequence[str]) -> Removed:
    """Hand the files over to be deleted after the commit."""
    return Removed(len(names), files=names)
