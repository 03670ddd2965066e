"""What keeps an erased person away: keyed hashes of user ids, of idempotency keys and of bodies.

The key is one random salt, sealed: who has the database alone cannot tell whether somebody was erased. Intake
reads the sealed salt with every commit, and looks further only where there is one.
"""

import hmac
import secrets
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from django.utils import timezone

from destinations.digests import sha256
from destinations.fields import Token
from destinations.terra import InvalidPayload, is_sample_user, summarize
from webhooks.models import Erasure, Tombstone, TombstoneSalt
from webhooks.sql import MAX_VARIABLES, fast_cursor, insert_rows, marks, on_postgres

USER, EVENT, BODY = "user", "event", "body"
SALT_SQL = "(SELECT salt FROM webhooks_tombstonesalt LIMIT 1)"  # NULL: nobody was ever erased
_ID = UUID(int=1)  # there is one salt, whoever makes it first
_SALT_BYTES = 32
_COLUMNS = (("digest", "text"), ("kind", "text"), ("erasure_id", "uuid"), ("created_at", "timestamptz"))


@dataclass(slots=True)
class _Opened:
    token: str = ""
    salt: bytes = b""


_opened = _Opened()  # the salt of this process, as it was sealed and as it is


@dataclass(frozen=True, slots=True)
class Salt:
    """The key of all hashes."""

    key: bytes

    def user(self, user_id: str) -> str:
        """Return the hash of a user id."""
        return self._digest(USER, user_id.encode())

    def event(self, source_id: UUID, key: str) -> str:
        """Return the hash of an event's idempotency key."""
        return self._digest(EVENT, source_id.bytes + key.encode())

    def body(self, source_id: UUID, digest: bytes) -> str:
        """Return the hash of a body's SHA-256: only for requests with an old signature, whose headers nobody signed."""
        return self._digest(BODY, source_id.bytes + digest)

    def subject(self, user_ids: Iterable[str], reference_ids: Iterable[str]) -> str:
        """Return the hash of what an erasure was asked for."""
        texts = [f"user:{one}" for one in sorted(user_ids)] + [f"reference:{one}" for one in sorted(reference_ids)]
        return self._digest("subject", "\0".join(texts).encode())

    def _digest(self, kind: str, value: bytes) -> str:
        return hmac.digest(self.key, kind.encode() + b"\0" + value, "sha256").hex()


def salt_of(token: str) -> Salt:
    """Return the salt that a sealed text is; raise ``SealError``."""
    if token != _opened.token:
        row = TombstoneSalt(pk=_ID, salt=Token(token))
        _opened.salt, _opened.token = bytes.fromhex(row.salt["key"]), token
    return Salt(_opened.salt)


def make_salt() -> Salt:
    """Return the salt; make it where there is none."""
    row = TombstoneSalt(pk=_ID)
    row.salt = {"key": secrets.token_hex(_SALT_BYTES)}
    if not TombstoneSalt.objects.exists():
        TombstoneSalt.objects.bulk_create([row], ignore_conflicts=True)  # two at once: the first one counts
    with fast_cursor() as cursor:
        cursor.execute(f"SELECT {SALT_SQL}")
        return salt_of(cursor.fetchone()[0])


# --- making and lifting --------------------------------------------------------------------------------------------
def mark_users(erasure: Erasure, user_ids: Iterable[str]) -> int:
    """Keep these users away. Who was erased before is kept away by the latest erasure.

    The user of samples is nobody, and stays welcome: else no source could be tried any more.
    """
    salt, moment = make_salt(), timezone.now()
    people = [one for one in user_ids if not is_sample_user(one)]
    rows = [Tombstone(pk=salt.user(one), kind=USER, erasure=erasure, created_at=moment) for one in people]
    Tombstone.objects.bulk_create(rows, update_conflicts=True, update_fields=["erasure"], unique_fields=["digest"])
    return len(rows)


def mark_events(erasure: Erasure, events: Iterable[tuple[UUID, str, Any]]) -> int:
    """Keep events away, given as source, idempotency key and SHA-256 of the body, if known; return how many are new."""
    salt, now = make_salt(), timezone.now()
    found = [(source, key, bytes(digest) if digest else b"") for source, key, digest in events]
    rows = [(salt.event(source, key), EVENT, erasure.pk, now) for source, key, _ in found]
    rows += [(salt.body(source, digest), BODY, erasure.pk, now) for source, _, digest in found if digest]
    with fast_cursor() as cursor:
        # In one order everywhere, so that two who write the same wait for each other.
        unique = sorted({row[0]: row for row in rows}.values())
        made = insert_rows(cursor, "webhooks_tombstone", _COLUMNS, unique, unless="digest", returning="kind")
    return sum(kind == EVENT for (kind,) in made)


def lift_users(erasure: Erasure) -> int:
    """Let the users of an erasure come back; what was erased stays away. Return how many ids that were."""
    count, _ = Tombstone.objects.filter(erasure=erasure, kind=USER).delete()
    return int(count)


# --- what comes in -------------------------------------------------------------------------------------------------
def held_among(cursor: Any, digests: Collection[str]) -> set[str]:
    """Return those of some hashes that are tombstones."""
    if on_postgres():  # one prepared statement for any number
        cursor.execute("SELECT digest FROM webhooks_tombstone WHERE digest = ANY(%b::text[])", [list(digests)])
        return {row[0] for row in cursor.fetchall()}
    found: set[str] = set()
    asked = list(digests)
    for start in range(0, len(asked), MAX_VARIABLES):
        part = asked[start : start + MAX_VARIABLES]
        cursor.execute(f"SELECT digest FROM webhooks_tombstone WHERE digest IN ({marks(part)})", part)  # noqa: S608
        found.update(row[0] for row in cursor.fetchall())
    return found


def names_erased(source_id: UUID, body: bytes | None, *, read: bool) -> bool:
    """Tell whether a refused request is an erased person's: by its body, whether or not its signature is right.

    Not ``read``: only whether it is an erased body, byte for byte; nothing large is parsed for strangers.
    """
    with fast_cursor() as cursor:
        cursor.execute(f"SELECT {SALT_SQL}")
        (token,) = cursor.fetchone()
        if not token or body is None:
            return False
        salt = salt_of(token)
        digests = [salt.body(source_id, sha256(body)), *map(salt.user, _users_in(body) if read else ())]
        return bool(held_among(cursor, digests))


def _users_in(body: bytes) -> list[str]:
    try:
        summary = summarize(body)
    except InvalidPayload:
        return []
    return [one for one in (summary.user_id, summary.old_user_id) if one]
