"""What bucket kinds share: the key of an event's object, its metadata, and which of two events stays.

Keys are those of Terra's page *Destinations*, "S3 Bucket": data events go to
``{version}/{type}/{user_id}-{start_time}.json``, all others to ``{type}/{user_id}-{timestamp}.json``.
A prefix may stand in front. What comes from a body is hashed where it is no safe name, so nothing
climbs out of its folder and no two names fall together.
"""

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, NamedTuple
from urllib.parse import quote

from destinations import terra
from destinations.adapters.base import Message, Outcome, Result
from destinations.adapters.rows import emitted_at

CONTENT_TYPE = "application/json"
EVENT_ID = "terra-event-id"
REFERENCE = "terra-reference"
ORDERING = "terra-ordering-timestamp"  # Unix milliseconds; see ``Position``
MAX_KEY_BYTES = 900  # S3, GCS and Supabase take 1024; proxies before them at times less
MAX_PREFIX = 256
PREFIX_PATTERN = r"/*(?:[A-Za-z0-9._=+@-]+/+)*[A-Za-z0-9._=+@-]*/*"
PREFIX_LETTERS = "letters, digits, / . _ = + @ -"

_SAFE = re.compile(r"[A-Za-z0-9._-]{1,128}")
_SAFE_FOLDER = re.compile(r"[A-Za-z0-9._-]{0,127}[A-Za-z0-9_-]")  # Azure drops a dot at a segment's end
_HASHED = re.compile(r"[tuv]-[A-Z2-7]{32}")  # a name that is spelled like a hash must not be taken for one
_VISIBLE = "".join(map(chr, range(0x21, 0x7F))).replace("%", "")
_MAX_METADATA = 512  # bytes of one value; S3 takes 2 KiB of all names and values together


class Position(NamedTuple):
    """Where an event stands among those of one key: the greater one stays."""

    made_ms: int  # Unix milliseconds, by Terra's clock; where it did not say, when the hub received it
    event_id: str  # of two that were made at once, the one that the hub received later (ids are UUIDv7)


@dataclass(frozen=True, slots=True)
class EventObject:
    """One event as an object of a bucket: its body goes there byte for byte."""

    key: str
    metadata: Mapping[str, str]  # names in lower case, values in printable ASCII
    position: Position


def object_of(message: Message, prefix: str = "", facts: terra.Facts | None = None) -> EventObject:
    """Return where an event goes and what is written beside it; raise ``terra.InvalidPayload``.

    ``facts`` are what ``terra.read`` says of the body, where that is known already.
    """
    facts = facts or terra.read(message.body)
    made_at = emitted_at(message)
    position = Position(round(made_at.timestamp() * 1000), message.event_id)
    metadata = {EVENT_ID: message.event_id, ORDERING: str(position.made_ms)}
    reference = printable(message.headers.get(REFERENCE, ""))
    key = _placed(_key(facts, message.event_id, made_at), prefix)
    return EventObject(key, metadata | ({REFERENCE: reference} if reference else {}), position)


def position_in(metadata: Mapping[str, str]) -> Position | None:
    """Return where the event of a stored object stands; ``None`` where its metadata is not the hub's."""
    named = {name.lower(): value for name, value in metadata.items()}
    made, event_id = named.get(ORDERING, ""), named.get(EVENT_ID, "")
    if not (made.isascii() and made.isdigit() and len(made) < 16 and event_id):
        return None
    return Position(int(made), event_id)


def may_replace(there: Mapping[str, str], mine: Position) -> bool:
    """Decide whether an event may take the place of the object whose metadata is ``there``.

    A late, older event must not replace a newer one. The same event again may, and so may any event
    where the object is none of the hub's: its key is Terra's, and the event belongs there.
    """
    stored = position_in(there)
    return stored is None or mine >= stored


def superseded(there: Mapping[str, str], **about: Any) -> Result:
    """Return what an event gets whose place a newer one has, whose metadata is ``there``."""
    detail = "A newer event of this key is there; it was kept, and nothing was written."
    return Result(Outcome.DELIVERED, "superseded", detail, response={"kept_event_id": there.get(EVENT_ID, "")}, **about)


def check_key(prefix: str) -> str:
    """Return the one key that checks of a destination write to."""
    return _placed("terra-hub-check.json", prefix)


def clean_prefix(prefix: str) -> str:
    """Return a prefix without slashes at its ends, and without empty segments."""
    return "/".join(filter(None, prefix.split("/")))


def prefix_problem(prefix: str) -> str:
    """Return what is wrong with a prefix beyond its pattern and length; ``""`` where it is good."""
    if {".", ".."} & set(clean_prefix(prefix).split("/")):
        return "Must not have a segment . or .. in it: some stores would climb out of the folder."
    return ""


def printable(text: str) -> str:
    """Return text as a value of metadata: everything but visible ASCII is percent-encoded, the end is cut."""
    return quote(text, safe=_VISIBLE, errors="replace")[:_MAX_METADATA]


def moment_text(moment: datetime) -> str:
    """Return a moment as keys have it: ISO 8601 in UTC with ``Z``, sub-seconds only where there are some."""
    utc = moment.astimezone(UTC).replace(tzinfo=None)
    precision = "seconds" if not utc.microsecond else "microseconds" if utc.microsecond % 1000 else "milliseconds"
    return utc.isoformat(timespec=precision) + "Z"


def _placed(key: str, prefix: str) -> str:
    folder = clean_prefix(prefix)
    return f"{folder}/{key}" if folder else key


def _key(facts: terra.Facts, event_id: str, made_at: datetime) -> str:
    kind = segment(facts.type, "t")
    if facts.user_id is None:
        return f"{kind}/{segment(event_id, 'u')}-{moment_text(made_at)}.json"
    user = segment(facts.user_id, "u")
    if not facts.is_data:
        return f"{kind}/{user}-{moment_text(made_at)}.json"
    folder = f"{segment(facts.version, 'v')}/{kind}" if facts.version else kind
    return f"{folder}/{user}-{moment_text(facts.start_time or made_at)}.json"


def segment(name: str, letter: str) -> str:
    """Return ``name`` where it is safe in a key, else ``letter``, a hyphen and 32 letters of its SHA-256."""
    safe = _SAFE if letter == "u" else _SAFE_FOLDER
    if safe.fullmatch(name) and name not in (".", "..") and not _HASHED.fullmatch(name):
        return name
    digest = sha256(name.encode("utf-8", "surrogatepass")).digest()
    return f"{letter}-{base64.b32encode(digest).decode()[:32]}"
