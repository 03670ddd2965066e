"""System checks: what the hub refuses to run with, and what it warns of in production."""

from ipaddress import ip_network
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from destinations.crypto import SealError, key_ring

_WIDEST = 8  # a prefix shorter than this opens a whole region of the address space


@register(Tags.security)
def credential_keys(**_: Any) -> list[CheckMessage]:
    """Refuse a missing or malformed key ring."""
    try:
        key_ring()
    except SealError as error:
        return [Error(str(error), id="hub.E001")]
    return []


@register(Tags.security)
def egress_is_not_open(**_: Any) -> list[CheckMessage]:
    """Refuse an allowlist that lets the hub dial everything."""
    wide = [entry for entry in settings.EGRESS_ALLOW if _is_wide(entry)]
    hint = "Name the ranges that your destinations are in, such as 10.20.0.0/16."
    return [Error(f"EGRESS_ALLOW={entry} opens too much.", hint=hint, id="hub.E002") for entry in wide]


def _is_wide(entry: str) -> bool:
    try:
        return ip_network(entry.strip(), strict=False).prefixlen < _WIDEST
    except ValueError:  # a host:port entry
        return False


@register(Tags.security, deploy=True)
def sqlite_in_production(**_: Any) -> list[CheckMessage]:
    """Warn of SQLite where others reach the hub: one host only, and one writer at a time."""
    local = settings.PUBLIC_URL.startswith(("http://localhost", "http://127.0.0.1"))
    if "sqlite" not in settings.DATABASES["default"]["ENGINE"] or local:
        return []
    hint = "DATABASE_URL=postgres://… SQLite works on one host with one web process; never share its file."
    return [Warning("The hub's database is SQLite.", hint=hint, id="hub.W001")]


@register(Tags.security, deploy=True)
def demo_is_off(**_: Any) -> list[CheckMessage]:
    """Refuse the demonstration's echo page in production."""
    return [Error("DEMO_ECHO is on.", hint="Unset DEMO_ECHO.", id="hub.E003")] if settings.DEMO_ECHO else []
