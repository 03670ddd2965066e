"""Sources: who may post here. The use cases that change them, and the cached look-up."""

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.db import DatabaseError, InterfaceError, transaction
from django.utils import timezone

from destinations.services import Refused
from destinations.specs import masked
from destinations.terra import TERRA_ADDRESSES as TERRA_ADDRESSES
from webhooks.models import SLUG, Source
from webhooks.receiving.verification import Network, Secret, Window

CACHE_SECONDS = 1.0
GRACE_SECONDS = 24 * 3600
MIN_SECRET_LENGTH = 8


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


def live_source(slug: str) -> LiveSource | None:
    """Return an active source, at most a second old; ``None`` where there is none."""
    held = _cache.get(slug)
    if held and time.monotonic() - held[0] < CACHE_SECONDS:
        return held[1]
    with _lock:  # one thread asks the database, the others wait for its answer
        held = _cache.get(slug)
        if held and time.monotonic() - held[0] < CACHE_SECONDS:
            return held[1]
        return _load_unless_down(slug)


def _load_unless_down(slug: str) -> LiveSource | None:
    """Ask the database, unless it failed a moment ago: else all who wait here would try it in turn."""
    global _failed_at
    if time.monotonic() - _failed_at < CACHE_SECONDS:
        raise DatabaseError("The database failed a moment ago.")
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
    """Make a source; raise ``Refused`` with what to change, per field."""
    row = Source(slug=slug, name=name or slug, **settings)
    if secret:
        row.signing = {"secrets": [_entry(secret)]}
    return _save(row, by, "created")


def update_source(source: Source, *, by: Any = None, **changes: Any) -> Source:
    """Change a source's settings; its slug is fixed, and its secrets have their own use case."""
    for name in ("slug", "signing", "id"):
        if name in changes and changes[name] != getattr(source, name):
            raise Refused({name: [f"The {name} of a source cannot be changed here."]})
    for name, value in changes.items():
        setattr(source, name, value)
    return _save(source, by, "changed: " + ", ".join(sorted(changes)))


def add_signing_secret(source: Source, secret: str, grace_s: int = GRACE_SECONDS, by: Any = None) -> Source:
    """Make ``secret`` the current one; those before it stay live for ``grace_s`` more seconds."""
    ends = timezone.now() + timedelta(seconds=grace_s)
    kept = [_ending(entry, ends) for entry in source.signing.get("secrets", []) if _is_live(entry)]
    source.signing = {"secrets": [_entry(secret), *(e for e in kept if e["secret"] != secret.strip())]}
    return _save(source, by, "signing secret added")


def signing_secrets_summary(source: Source) -> list[dict[str, Any]]:
    """Return each live secret without its value: masked, its end, whether it is the current one."""
    entries = [entry for entry in source.signing.get("secrets", []) if _is_live(entry)]
    return [
        {"masked": masked(entry["secret"]), "not_after": entry["not_after"], "current": number == 0}
        for number, entry in enumerate(entries)
    ]


def _entry(secret: str) -> dict[str, Any]:
    secret = secret.strip()
    if len(secret) < MIN_SECRET_LENGTH:
        raise Refused(
            {"secret": [f"Paste the signing secret from Terra's dashboard: at least {MIN_SECRET_LENGTH} characters."]}
        )
    return {"secret": secret, "not_after": None}


def _ending(entry: Mapping[str, Any], ends: datetime) -> dict[str, Any]:
    earlier = entry["not_after"] and min(datetime.fromisoformat(entry["not_after"]), ends)
    return {"secret": entry["secret"], "not_after": (earlier or ends).isoformat()}


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
    row._history_user = by  # type: ignore[attr-defined]  # simple_history reads these two
    row._change_reason = reason[:100]  # type: ignore[attr-defined]  # not in the stubs
    with transaction.atomic():
        row.save()
    forget_cached_sources()
    return row


def _clean_allowlist(entries: Sequence[Any]) -> list[str]:
    clean = []
    for entry in entries:
        try:
            network = ip_network(str(entry).strip(), strict=False)
        except ValueError as error:
            raise Refused(
                {"allowlist": [f"{entry!r} is no address and no CIDR range such as 18.133.218.210 or 10.0.0.0/8."]}
            ) from error
        clean.append(str(network.network_address if network.num_addresses == 1 else network))
    return list(dict.fromkeys(clean))
