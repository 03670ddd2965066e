"""The use cases of API keys: made, shown once, found again by their hash, revoked."""

import hashlib
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.utils import timezone

from destinations.access.actors import KeyActor, sign_history
from destinations.access.limits import refuse_beyond
from destinations.access.scopes import HUB_WIDE, SCOPES, permissions_of, words_of
from destinations.models import ApiKey
from destinations.rules import Errors, Refused, settings_errors, storable

log = structlog.get_logger(__name__)

START = "hub_live_"
_ALPHABET = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_ID_LENGTH, _SECRET_LENGTH = 8, 43  # 43 characters of 62 hold 256 bits
_USED_TO_THE = timedelta(minutes=1)  # a key's last use is written so often, not at each request
NAME_LENGTH = 100
DEFAULT_DAYS = 90  # that a key lives where nobody says otherwise
ENDS_SOON = timedelta(days=14)
LONG_UNUSED = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class NewKey:
    """A new key: its row, and its text, which is shown this once."""

    row: ApiKey
    text: str


def make_key(
    *, name: str, scopes: Iterable[str], sources: Iterable[str] = (), expires_at: datetime | None = None, by: Any = None
) -> NewKey:
    """Make a key; raise ``Refused`` with what to change, per field.

    Nobody hands out more than they have: ``by`` needs every permission that the scopes give, a key that is limited to
    sources makes keys for some of these only, and a key that expires makes none that lives longer. Without
    ``expires_at`` it never ends: ``default_end`` is for who has not said so. To rotate a key, make another one and
    revoke the first when nothing uses it any more.
    """
    scopes, sources = list(dict.fromkeys(scopes)), list(dict.fromkeys(sources))
    refuse_beyond(by, sources)  # first: whether there is a source elsewhere is told to nobody who is limited
    errors = _problems(name, scopes, sources, expires_at)
    if errors:
        raise Refused(errors)
    _refuse_more_than_own(scopes, expires_at, by)
    text = START + _random(_ID_LENGTH) + "_" + _random(_SECRET_LENGTH)
    row = ApiKey(
        name=name.strip(), prefix=text[: len(START) + _ID_LENGTH], digest=digest_of(text), scopes=scopes,
        sources=sources, expires_at=expires_at, created_by=by.get_username()[:150] if by else "",
    )  # fmt: skip
    with transaction.atomic():
        sign_history(row, by, "created")
        row.save()
        # Not of one that was made on trial only, and is rolled back.
        transaction.on_commit(lambda: log.info("api_key_made", key=row.prefix, scopes=scopes, by=row.created_by))
    return NewKey(row, text)


def default_end(by: Any = None) -> datetime:
    """Return when a key ends that ``by`` makes without saying when: never after the key that makes it."""
    end = timezone.now() + timedelta(days=DEFAULT_DAYS)
    own = by.key.expires_at if isinstance(by, KeyActor) else None
    return min(end, own) if own else end


def warning_of(key: ApiKey, now: datetime) -> str:
    """Return why somebody should look at a key that opens something: it ends soon, or nothing uses it; else ``""``."""
    if key.state(now) != "active":
        return ""
    said = []
    if key.expires_at and key.expires_at - now <= ENDS_SOON:
        said.append(f"It ends in {_days(key.expires_at - now)}: make another one before.")
    if key.last_used_at is None and now - key.created_at >= LONG_UNUSED:
        said.append(f"It was never used, and made {_days(now - key.created_at)} ago: revoke it if nothing will.")
    elif key.last_used_at and now - key.last_used_at >= LONG_UNUSED:
        said.append(f"It was last used {_days(now - key.last_used_at)} ago: revoke it if nothing needs it.")
    return " ".join(said)


def _days(time: timedelta) -> str:
    return {0: "less than a day", 1: "1 day"}.get(time.days, f"{time.days} days")


def revoke_key(key: ApiKey, by: Any = None) -> ApiKey:
    """Let a key open nothing any more, from now on; return the row as it stands. Twice does no more than once.

    The keys that were made with it stay: each is revoked by itself.
    """
    with transaction.atomic():
        row: ApiKey = ApiKey.objects.select_for_update().get(pk=key.pk)
        if row.revoked_at is not None:
            return row
        row.revoked_at = timezone.now()
        sign_history(row, by, "revoked")
        row.save(update_fields=["revoked_at"])
        who = by.get_username() if by else ""
        transaction.on_commit(lambda: log.info("api_key_revoked", key=row.prefix, by=who))
    return row


def find_key(text: str) -> ApiKey | None:
    """Return the active key with this text, and note its use; ``None`` where there is none.

    A key outlives the person who made it, whose account may be switched off: what runs with it goes on running.
    """
    prefix = text[: len(START) + _ID_LENGTH]
    known = text.isascii() and text.isprintable()  # no NUL either, which PostgreSQL refuses
    row: ApiKey | None = ApiKey.objects.filter(prefix=prefix).first() if known else None
    # Compared also where there is no row, so that the time tells nothing.
    right = secrets.compare_digest(row.digest if row else digest_of(""), digest_of(text))
    now = timezone.now()
    if row is None or not right or row.state(now) != "active":
        return None
    if row.last_used_at is None or now - row.last_used_at > _USED_TO_THE:
        ApiKey.objects.filter(pk=row.pk).update(last_used_at=now)
    return row


def digest_of(text: str) -> str:
    """Return what is stored of a key. It holds 256 random bits, so one round of SHA-256 is enough."""
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()


def _random(length: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def _problems(name: str, scopes: list[str], sources: list[str], expires_at: datetime | None) -> Errors:
    errors: Errors = {}
    if not 0 < len(name.strip()) <= NAME_LENGTH or not storable(name):
        errors["name"] = [f"Say who or what will use it, in 1 to {NAME_LENGTH} characters."]
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown or not scopes:
        errors["scopes"] = [f"Give one or more of: {', '.join(SCOPES)}."]
    elif sources and not HUB_WIDE.isdisjoint(scopes):
        wide = ", ".join(scope for scope in scopes if scope in HUB_WIDE)
        errors["scopes"] = [
            f"A key that is limited to sources can never use {wide}: leave it out, or limit it to none."
        ]
    if expires_at and expires_at <= timezone.now():
        errors["expires_at"] = ["Must lie in the future."]
    return errors | settings_errors({"sources": sources})


def _refuse_more_than_own(scopes: list[str], expires_at: datetime | None, by: Any) -> None:
    """Raise ``Refused`` where a key would have what who makes it has not."""
    lacking = [scope for scope in scopes if by is not None and not by.has_perms(permissions_of([scope]))]
    if lacking:
        text = f"You cannot hand out what you may not do: {'; '.join(map(words_of, lacking))} ({', '.join(lacking)})."
        raise Refused({"scopes": [text]}, code="beyond_scopes", hint="Leave these scopes out.")
    ends = by.key.expires_at if isinstance(by, KeyActor) else None
    if ends and (expires_at is None or expires_at > ends):
        text = f"The key that makes it expires at {ends.isoformat()}: name a moment before that."
        raise Refused({"expires_at": [text]}, code="beyond_expiry")
