"""What SQL kinds share: from an event to the rows of Terra's three tables.

The tables and their columns are those of Terra's page *Destinations*, "SQL Database". Every event
gives one payload row; every event that carries a user also gives a row of ``terra_users``.

What ``terra_users`` can hold of the order of events, and what it cannot: none of its columns says
when a row was last changed (``created_at`` is the user's own creation), so a user row alone cannot
tell an older event from a newer one. The payload tables can: their ``created_at`` is the moment at
which Terra made the event. ``UserRow.seen_at`` and ``UserRow.state_at`` are there to be compared
with them. Two cases stay open: a late event whose newer neighbours were deleted from the payload
tables is taken for the newest, and a ``deauth`` that arrives after a newer ``auth`` wins until the
user's next data event (an ``auth`` row does not say whether it succeeded).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import reduce

from destinations import terra
from destinations.adapters.base import Message

# The state of a row whose user has a new id. It is final: Terra has deleted the old id.
REPLACED = "user_reauth"
# Types in terra_other_payloads that set a state; "auth" is left out, see above.
STATE_TYPES = ("deauth", "access_revoked", "connection_error", "user_reauth")
ORDERING = "x-terra-ordering-timestamp"  # Unix milliseconds, by Terra's clock, stamped when the event is made

# NUL cannot stand in a text column of PostgreSQL, and a lone surrogate in none of UTF-8.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Column:
    """One column: text, or a moment with its time zone."""

    name: str
    is_moment: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """One of Terra's tables; the first column is its primary key."""

    name: str
    columns: tuple[Column, ...]

    @property
    def key(self) -> str:
        """Return the name of the primary key."""
        return self.columns[0].name


def _table(name: str, *columns: str) -> Table:
    return Table(name, tuple(Column(column, column.endswith(("_at", "_time"))) for column in columns))


USERS = _table("terra_users", "user_id", "reference_id", "created_at", "granted_scopes", "provider", "state")
DATA = _table(
    "terra_data_payloads",
    "payload_id", "user_id", "data_type", "created_at", "start_time", "end_time", "payload_url",
)  # fmt: skip
OTHER = _table("terra_other_payloads", "payload_id", "user_id", "payload_type", "created_at", "payload_url")
TABLES = (USERS, DATA, OTHER)


@dataclass(frozen=True, slots=True)
class UserRow:
    """A row of ``terra_users``; ``None`` means that its events do not say, not that it is empty."""

    user_id: str
    reference_id: str | None
    created_at: datetime | None  # of the user, by Terra
    granted_scopes: str | None
    provider: str | None
    state: str | None
    seen_at: datetime  # when the newest event that carries the user was made
    state_at: datetime  # when the event that set the state was made


@dataclass(frozen=True, slots=True)
class DataRow:
    """A row of ``terra_data_payloads``; ``start_time`` and ``end_time`` span the event's items."""

    payload_id: str
    user_id: str | None
    data_type: str
    created_at: datetime
    start_time: datetime | None
    end_time: datetime | None
    payload_url: str


@dataclass(frozen=True, slots=True)
class OtherRow:
    """A row of ``terra_other_payloads``."""

    payload_id: str
    user_id: str | None
    payload_type: str
    created_at: datetime
    payload_url: str


@dataclass(frozen=True, slots=True)
class EventRows:
    """All rows of one event: none or more of users, and one payload."""

    users: tuple[UserRow, ...]
    payload: DataRow | OtherRow

    @property
    def table(self) -> Table:
        """Return the table that the payload belongs to."""
        return DATA if isinstance(self.payload, DataRow) else OTHER


def rows_of(message: Message, facts: terra.Facts | None = None) -> EventRows:
    """Return the rows of one event; raise ``terra.InvalidPayload`` where its body is none of Terra's.

    ``facts`` are what ``terra.read`` says of the body, where that is known already.
    """
    facts = facts or terra.read(message.body)
    made_at = emitted_at(message)
    user_id = storable(facts.user_id)
    payload: DataRow | OtherRow
    kind = storable(facts.type) or ""
    if facts.is_data:
        payload = DataRow(
            message.event_id, user_id, kind, made_at, facts.start_time, facts.end_time, message.payload_url
        )
    else:
        payload = OtherRow(message.event_id, user_id, kind, made_at, message.payload_url)
    return EventRows(tuple(_users(facts, made_at)), payload)


def _users(facts: terra.Facts, made_at: datetime) -> Iterable[UserRow]:
    if facts.old_user and facts.old_user.user_id != facts.user_id:
        yield _user_row(facts.old_user, REPLACED, made_at)
    if facts.user:
        yield _user_row(facts.user, facts.user_state, made_at)


def _user_row(user: terra.User, state: str | None, made_at: datetime) -> UserRow:
    return UserRow(
        storable(user.user_id) or "",
        storable(user.reference_id),
        user.created_at,
        storable(user.scopes),
        storable(user.provider),
        state,
        made_at,
        made_at,
    )


def emitted_at(message: Message) -> datetime:
    """Return when Terra made the event, by its own clock; where it did not say, when the hub received it."""
    text = message.headers.get(ORDERING, "")
    if text.isascii() and text.isdigit() and len(text) < 16:
        try:
            return datetime.fromtimestamp(int(text) / 1000, UTC)
        except (OverflowError, ValueError, OSError):
            pass
    return message.received_at


def storable(text: str | None) -> str | None:
    """Return ``text`` with U+FFFD for what a text column cannot hold; the exact bytes are behind the link."""
    return _UNSTORABLE.sub("\ufffd", text) if text else text


def newest_users(events: Iterable[EventRows]) -> list[UserRow]:
    """Return one row per user, the newest word on each column, ordered by id.

    The order matters twice: a key that comes twice in one statement is PostgreSQL's error 21000,
    and two writers that lock rows in the same order cannot deadlock.
    """
    known: dict[str, list[UserRow]] = {}
    for event in events:
        for row in event.users:
            known.setdefault(row.user_id, []).append(row)
    return [reduce(_merge, sorted(rows, key=_seen_at)) for _, rows in sorted(known.items())]


def _seen_at(row: UserRow) -> datetime:
    return row.seen_at


def _merge(older: UserRow, newer: UserRow) -> UserRow:
    keeps_state = newer.state is None or older.state == REPLACED
    return replace(
        newer,
        reference_id=newer.reference_id or older.reference_id,
        created_at=newer.created_at or older.created_at,
        granted_scopes=newer.granted_scopes or older.granted_scopes,
        provider=newer.provider or older.provider,
        state=older.state if keeps_state else newer.state,
        state_at=older.state_at if keeps_state else newer.state_at,
    )
