"""The rows of accepted events: events, payloads and deliveries, written together.

The caller holds the transaction: all of it is on disk, or none.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.utils import timezone

from webhooks.delivering.wakeup import notify
from webhooks.keeping.erasures import arrivals
from webhooks.keeping.erasures.tombstones import SALT_SQL, Salt, held_among, salt_of
from webhooks.receiving.refusals import Refusal, keep
from webhooks.receiving.routing import Route, RoutingTable, destinations_for
from webhooks.sql import as_json, as_uuid, bind, fast_cursor, insert_rows, marks, on_postgres
from webhooks.tallying import count_events

EVENT_COLUMNS = (
    ("id", "uuid"), ("source_id", "uuid"), ("idempotency_key", "text"), ("type", "text"), ("user_id", "text"),
    ("reference_id", "text"), ("provider", "text"), ("terra_reference", "text"), ("ordering_timestamp", "bigint"),
    ("headers", "jsonb"), ("size", "int"), ("stale", "bool"), ("received_at", "timestamptz"),
)  # fmt: skip
PAYLOAD_COLUMNS = (("event_id", "uuid"), ("body", "bytea"), ("store_name", "text"), ("sha256", "bytea"))
DELIVERY_COLUMNS = (
    ("event_id", "uuid"), ("destination_id", "uuid"), ("next_attempt_at", "timestamptz"), ("created_at", "timestamptz"),
)  # fmt: skip

STALE_LOCK = 0x7465727261  # "terra": any number that no other advisory lock of this database has


@dataclass(slots=True)
class Entry:
    """An event that is ready to be written."""

    id: UUID
    source_id: UUID
    source_slug: str
    key: str  # idempotency key, unique with the source
    type: str
    user_id: str
    reference_id: str
    provider: str
    terra_reference: str
    ordering_timestamp: int | None
    headers: dict[str, str]
    size: int
    sha256: bytes
    received_at: datetime
    body: bytes
    store_name: str = ""  # in the payload store; empty: the body goes into the row
    stale: bool = False
    stale_window_s: int = 0
    old_user_id: str = ""  # user_reauth only: the id that ``user_id`` replaces

    @property
    def inline_body(self) -> bytes | None:
        """Return the body as its row holds it: not at all where the payload store has it."""
        return None if self.store_name else self.body


@dataclass(frozen=True, slots=True)
class Written:
    """What became of an entry: its event, new or the one that it repeats."""

    event_id: UUID
    duplicate: bool
    erased: bool = False  # it is an erased person's: nothing was written, and no event has this id


def write_entries(entries: Sequence[Entry], routing: RoutingTable) -> list[Written]:
    """Write entries in the current transaction; return what became of each, in order."""
    with fast_cursor() as cursor:
        version, now, salt = _version_clock_and_salt(cursor)
        erased = _erased(cursor, entries, salt) if salt else frozenset()
        welcome = [entry for entry in entries if entry.id not in erased]
        repeats = _stale_repeats(cursor, welcome)
        fresh = [entry for entry in welcome if entry.id not in repeats]
        new_ids = _insert_events(cursor, fresh)
        new = [entry for entry in fresh if entry.id in new_ids]
        _insert_payloads(cursor, new)
        _insert_deliveries(cursor, new, routing.current(version), now)
        repeats |= _existing(cursor, [entry for entry in fresh if entry.id not in new_ids])
        count_events(cursor, new, now)
        arrivals.note(cursor, new, now)
    return [Written(repeats.get(one.id, one.id), one.id in repeats, one.id in erased) for one in entries]


def _version_clock_and_salt(cursor: Any) -> tuple[int, datetime, str | None]:
    """Return the routing version, the clock that deliveries are due by (the database's own), the tombstones' salt."""
    clock = "statement_timestamp()" if on_postgres() else "NULL"
    version = "COALESCE((SELECT version FROM destinations_routingversion WHERE id = 1), 0)"
    cursor.execute(f"SELECT {version}, {clock}, {SALT_SQL}")
    version, now, salt = cursor.fetchone()
    return version, now or timezone.now(), salt


def _erased(cursor: Any, entries: Iterable[Entry], sealed_salt: str) -> frozenset[UUID]:
    """Return the ids of the entries that tombstones keep away."""
    salt = salt_of(sealed_salt)
    met = {entry.id: _tombstones(salt, entry) for entry in entries}
    held = held_among(cursor, [one for digests in met.values() for one in digests])
    return frozenset(key for key, digests in met.items() if held.intersection(digests))


def _tombstones(salt: Salt, entry: Entry) -> list[str]:
    """Return the tombstones that an entry would meet. Its body counts only where its headers cannot be believed."""
    found = [salt.event(entry.source_id, entry.key)]
    found += [salt.user(one) for one in (entry.user_id, entry.old_user_id) if one]
    return [*found, salt.body(entry.source_id, entry.sha256)] if entry.stale else found


def _insert_events(cursor: Any, entries: Sequence[Entry]) -> set[UUID]:
    rows = [
        (e.id, e.source_id, e.key, e.type, e.user_id, e.reference_id, e.provider, e.terra_reference,
         e.ordering_timestamp, as_json(e.headers), e.size, e.stale, e.received_at)
        # In one order everywhere: two processes with the same keys then wait for each other, and never deadlock.
        for e in sorted(entries, key=lambda entry: (entry.source_id, entry.key))
    ]  # fmt: skip
    ids = insert_rows(
        cursor, "webhooks_event", EVENT_COLUMNS, rows, unless="source_id, idempotency_key", returning="id"
    )
    return {as_uuid(row[0]) for row in ids}


def _insert_payloads(cursor: Any, entries: Iterable[Entry]) -> None:
    rows = [(e.id, e.inline_body, e.store_name, e.sha256) for e in entries]
    insert_rows(cursor, "webhooks_payload", PAYLOAD_COLUMNS, rows)


def _insert_deliveries(cursor: Any, entries: Iterable[Entry], routes: Sequence[Route], now: datetime) -> None:
    rows = [
        (e.id, destination_id, now, now)
        for e in entries
        for destination_id in destinations_for(routes, e.type, e.source_slug)
    ]
    insert_rows(cursor, "webhooks_delivery", DELIVERY_COLUMNS, rows)
    notify({row[1] for row in rows})


def _existing(cursor: Any, entries: Sequence[Entry]) -> dict[UUID, UUID]:
    """Return the event that each refused entry repeats; keep those whose body differs."""
    if not entries:
        return {}
    keys = [entry.key for entry in entries]
    sources = list({entry.source_id for entry in entries})  # the index on both columns starts with the source
    cursor.execute(
        "SELECT e.source_id, e.idempotency_key, e.id, p.sha256 FROM webhooks_event e "  # noqa: S608
        "LEFT JOIN webhooks_payload p ON p.event_id = e.id "
        f"WHERE e.source_id IN ({marks(sources)}) AND e.idempotency_key IN ({marks(keys)})",
        [*map(bind, sources), *keys],
    )
    held = {(as_uuid(source), key): (as_uuid(pk), digest) for source, key, pk, digest in cursor.fetchall()}
    return {entry.id: _same_event(entry, *held[entry.source_id, entry.key]) for entry in entries}


def _same_event(entry: Entry, event_id: UUID, digest: Any) -> UUID:
    if digest is not None and bytes(digest) != entry.sha256:
        refusal = Refusal(
            "idempotency_conflict",
            f"Same idempotency key {entry.key!r} as an event with another body: the first one counts "
            f"(SHA-256 {bytes(digest).hex()}), this one (SHA-256 {entry.sha256.hex()}) is kept here.",
            signed=True,
        )
        keep(entry.source_id, refusal, entry.headers, entry.body, size=entry.size, event_id=event_id)
    return event_id


def _stale_repeats(cursor: Any, entries: Sequence[Entry]) -> dict[UUID, UUID]:
    """Return the earlier event of each stale entry whose body is not new.

    Headers are not signed: a captured request could come again under another trace id.
    """
    repeats: dict[UUID, UUID] = {}
    seen: dict[tuple[UUID, bytes], UUID] = {}
    stale = [entry for entry in entries if entry.stale]
    if stale and on_postgres():  # no constraint tells of the same body: processes take turns
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [STALE_LOCK])
    for entry in stale:
        earlier = _event_with_body(cursor, entry) or seen.get((entry.source_id, entry.sha256))
        if earlier:
            repeats[entry.id] = earlier
        seen.setdefault((entry.source_id, entry.sha256), entry.id)
    return repeats


def _event_with_body(cursor: Any, entry: Entry) -> UUID | None:
    since = entry.received_at - timedelta(seconds=entry.stale_window_s)
    cursor.execute(
        "SELECT e.id FROM webhooks_payload p JOIN webhooks_event e ON e.id = p.event_id "
        "WHERE p.sha256 = %s AND e.source_id = %s AND e.received_at >= %s LIMIT 1",
        [entry.sha256, bind(entry.source_id), bind(since)],
    )
    row = cursor.fetchone()
    return as_uuid(row[0]) if row else None
