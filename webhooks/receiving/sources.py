"""Sources: who may post here. The use cases that change them, and the cached look-up."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import DatabaseError, IntegrityError, InterfaceError, transaction
from django.utils import timezone

from destinations.access.actors import sign_history
from destinations.access.limits import refuse_beyond
from destinations.crypto import SealError
from destinations.secrets_about import changed_text, masked, tail_of, who
from destinations.services import Refused
from destinations.terra import TERRA_ADDRESSES as TERRA_ADDRESSES
from webhooks.models import SLUG, Event, Source
from webhooks.receiving.verification import Network, Secret, Window
from webhooks.sql import renew_connections

PREFIX = "/webhooks/terra/"  # of the path that a source's events are posted to; its slug follows
CACHE_SECONDS = 1.0
GRACE_SECONDS = 24 * 3600
MAX_GRACE_SECONDS = 30 * 24 * 3600
MIN_SECRET_LENGTH = 8
MOST_SECRETS = 10  # that are live at once: each is tried for each request
MOST_ADDRESSES = 1000
# What can be said when a source is made, and changed later.
SETTINGS = ("name", "dev_id", "active", "tolerance_s", "stale_window_s", "strict", "allowlist", "allowlist_enforced")


@dataclass(frozen=True, slots=True)
class LiveSource:
    """What receiving needs of a source, opened and parsed once."""

    id: UUID
    slug: str
    secrets: tuple[Secret, ...]
    window: Window
    networks: tuple[Network, ...]
    allowlist_enforced: bool


_cache: dict[str, tuple[float, LiveSource]] = {}
_lock = threading.Lock()
_failed_at = float("-inf")  # when the database last failed to answer


def recent_source(slug: str) -> LiveSource | None:
    """Return an active source that was looked up within the last second; it asks no database."""
    held = _cache.get(slug)
    return held[1] if held and time.monotonic() - held[0] < CACHE_SECONDS else None


def live_source(slug: str) -> LiveSource | None:
    """Return an active source, at most a second old; ``None`` where there is none."""
    with _lock:  # one thread asks the database, the others wait for its answer
        return recent_source(slug) or _load_unless_down(slug)


def _load_unless_down(slug: str) -> LiveSource | None:
    """Ask the database, unless it failed a moment ago: else all who wait here would try it in turn."""
    global _failed_at
    if time.monotonic() - _failed_at < CACHE_SECONDS:
        raise DatabaseError("The database failed a moment ago.")
    try:
        return _load(slug)
    except (DatabaseError, InterfaceError):
        renew_connections()
    try:
        return _load(slug)
    except (DatabaseError, InterfaceError):
        _failed_at = time.monotonic()
        raise


def _load(slug: str) -> LiveSource | None:
    # A slug that no source can have is not looked up: PostgreSQL refuses a NUL in any text.
    row = Source.objects.filter(slug=slug, active=True).first() if SLUG.fullmatch(slug) else None
    if row is None:
        _cache.pop(slug, None)
        return None
    live = as_live(row)
    _cache[slug] = (time.monotonic(), live)
    return live


def webhook_url(slug: str) -> str:
    """Return the URL that is pasted into Terra's dashboard."""
    return f"{settings.PUBLIC_URL}{PREFIX}{slug}"


def has_events(source: Source) -> bool:
    """Tell whether anything of a source was taken in."""
    # In the order of the index that starts with the source: there is no other way to read it than one probe.
    return bool(Event.objects.filter(source=source).order_by("idempotency_key").values_list("pk")[:1])


def forget_cached_sources() -> None:
    """Make the next look-ups of this process ask the database."""
    _cache.clear()


def as_live(row: Source) -> LiveSource:
    """Open a source's secrets and parse its allowlist."""
    return LiveSource(
        id=row.id,
        slug=row.slug,
        secrets=tuple(_secret(entry) for entry in row.signing.get("secrets", [])),
        window=Window(row.tolerance_s, row.stale_window_s, row.strict),
        networks=tuple(ip_network(entry, strict=False) for entry in row.allowlist),
        allowlist_enforced=row.allowlist_enforced,
    )


def _secret(entry: Mapping[str, Any]) -> Secret:
    ends = entry.get("not_after")
    return Secret(entry["secret"].encode(), datetime.fromisoformat(ends) if ends else None)


def create_source(*, slug: str, name: str = "", secret: str = "", by: Any = None, **settings: Any) -> Source:
    """Make a source; raise ``Refused`` with what to change, per field. ``settings`` are the names in ``SETTINGS``."""
    refuse_beyond(by, [slug], "slug")
    _refuse_unknown(settings)
    row = Source(slug=slug, name=name or slug, **settings)
    if secret:
        row.signing = {"secrets": [_entry(secret, by)]}
    try:
        return _save(row, by, "created")
    except IntegrityError as error:  # somebody else took the slug at the same moment
        raise Refused({"slug": ["Another source has this slug."]}) from error


def update_source(source: Source, *, by: Any = None, **changes: Any) -> Source:
    """Change a source's settings; its slug is fixed, and its secrets have their own use case."""
    for name in ("slug", "signing", "id"):
        if name in changes and changes.pop(name) != getattr(source, name):
            raise Refused({name: [f"The {name} of a source cannot be changed here."]})
    _refuse_unknown(changes)
    with transaction.atomic():
        _hold(source)
        for name, value in changes.items():
            setattr(source, name, value)
        return _save(source, by, "changed: " + ", ".join(sorted(changes)))


def add_signing_secret(source: Source, secret: str, grace_s: int = GRACE_SECONDS, by: Any = None) -> Source:
    """Make ``secret`` the current one; those before it stay live for ``grace_s`` more seconds."""
    if not 0 <= grace_s <= MAX_GRACE_SECONDS:
        raise Refused({"grace_s": [f"Must be from 0 to {MAX_GRACE_SECONDS} seconds (30 days)."]})
    new, ends = _entry(secret, by), timezone.now() + timedelta(seconds=grace_s)
    with transaction.atomic():
        _hold(source)
        others = [entry for entry in _stored(source) if _is_live(entry) and entry["secret"] != new["secret"]]
        kept = [_ending(entry, ends) for entry in others] if grace_s else []
        if len(kept) >= MOST_SECRETS:
            raise Refused(
                {"grace_s": [f"{MOST_SECRETS} secrets are live already."]}, code="too_many_secrets",
                hint="Send grace_s 0 to end all of them now.",
            )  # fmt: skip
        source.signing = {"secrets": [new, *kept]}
        return _save(source, by, "signing secret added")


def _refuse_unknown(settings: Mapping[str, Any]) -> None:
    unknown = [name for name in settings if name not in SETTINGS]
    if unknown:
        text = f"Unknown setting. Known settings: {', '.join(SETTINGS)}."
        raise Refused({name: [text] for name in unknown})


def _hold(source: Source) -> None:
    """Read the row as it stands now, alone: else two changes at once would undo each other.

    SQLite locks no rows and needs none: its transaction holds the only write lock.
    """
    fresh = vars(Source.objects.select_for_update(no_key=True).get(pk=source.pk))
    # As it lies there: refresh_from_db() would open the secrets, and fail where they do not open.
    vars(source).update({field.attname: fresh[field.attname] for field in Source._meta.concrete_fields})


def _stored(source: Source) -> list[dict[str, Any]]:
    """Return the stored secrets; none where they do not open, so that a new one mends the source."""
    try:
        return list(source.signing.get("secrets", []))
    except SealError:
        return []


def signing_secrets_summary(source: Source) -> list[dict[str, Any]]:
    """Return each live secret without its value: what may be told of it, until when, whether it is the current one.

    Raise ``SealError`` where the stored secrets do not open.
    """
    entries = [entry for entry in source.signing.get("secrets", []) if _is_live(entry)]
    return [
        {
            "said": _said(entry),
            "masked": masked(entry["secret"]),
            "not_after": entry["not_after"],
            "current": number == 0,
            "changed_at": entry.get("since"),
            "changed_by": entry.get("by", ""),
        }
        for number, entry in enumerate(entries)
    ]


def _said(entry: Mapping[str, Any]) -> str:
    """Return in the words of a destination's secrets when one was set, and how people tell it."""
    end, since = tail_of(entry["secret"]), entry.get("since")
    changed = changed_text(datetime.fromisoformat(since) if since else None, entry.get("by", ""))
    return ", ".join(filter(None, ["Set", f"ends …{end}" if end else "", changed])) + "."


def _entry(secret: str, by: Any) -> dict[str, Any]:
    secret = secret.strip()
    if len(secret) < MIN_SECRET_LENGTH:
        raise Refused(
            {"secret": [f"Paste the signing secret from Terra's dashboard: at least {MIN_SECRET_LENGTH} characters."]}
        )
    return {"secret": secret, "not_after": None, "since": timezone.now().isoformat(), "by": who(by)}


def _ending(entry: Mapping[str, Any], ends: datetime) -> dict[str, Any]:
    earlier = entry["not_after"] and min(datetime.fromisoformat(entry["not_after"]), ends)
    return {**entry, "not_after": (earlier or ends).isoformat()}


def _is_live(entry: Mapping[str, Any]) -> bool:
    return not entry["not_after"] or datetime.fromisoformat(entry["not_after"]) > timezone.now()


def _save(row: Source, by: Any, reason: str) -> Source:
    row.allowlist = _clean_allowlist(row.allowlist)
    try:
        row.full_clean(exclude=["signing"])
    except ValidationError as error:
        raise Refused({name: list(texts) for name, texts in error.message_dict.items()}) from error
    if row.allowlist_enforced and not row.allowlist:
        raise Refused({"allowlist": ["An empty allowlist that is enforced refuses every request. Add an address."]})
    sign_history(row, by, reason)
    with transaction.atomic():
        row.save()
    forget_cached_sources()
    return row


def _clean_allowlist(entries: Sequence[Any]) -> list[str]:
    clean = []
    if len(entries) > MOST_ADDRESSES:
        raise Refused({"allowlist": [f"At most {MOST_ADDRESSES} entries. Put neighbours together as a CIDR range."]})
    for entry in entries:
        try:
            network = ip_network(str(entry).strip(), strict=False)
        except ValueError as error:
            raise Refused(
                {"allowlist": [f"{entry!r} is no address and no CIDR range such as 18.133.218.210 or 10.0.0.0/8."]}
            ) from error
        clean.append(str(network.network_address if network.num_addresses == 1 else network))
    return list(dict.fromkeys(clean))
