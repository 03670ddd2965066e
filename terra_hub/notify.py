"""The settings of the channels that notices leave by, read from ``EMAIL_URL`` and judged."""

from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import unquote, urlsplit

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

TIMEOUT_S = 10
# scheme -> (the settings that it turns on, its port)
SCHEMES: Mapping[str, tuple[dict[str, bool], int]] = {
    "smtp": ({}, 25),
    "smtp+tls": ({"EMAIL_USE_TLS": True}, 587),  # STARTTLS, and nothing is said before it
    "smtps": ({"EMAIL_USE_SSL": True}, 465),
}
_LOCAL = ("localhost", "127.0.0.1", "::1")


def email_settings(url: str) -> dict[str, Any]:
    """Return Django's settings of a mail server; of a URL that says none, those that reach nothing.

    What is wrong with it says ``problems_of``: ``manage.py check`` runs before anything else does.
    """
    try:
        parts = urlsplit(url)
        port, (turned_on, default_port) = parts.port, SCHEMES[parts.scheme]
    except (ValueError, KeyError):
        return {"EMAIL_TIMEOUT": TIMEOUT_S, "EMAIL_HOST_PASSWORD": ""}
    return {
        "EMAIL_HOST": parts.hostname or "",
        "EMAIL_PORT": port or default_port,
        "EMAIL_HOST_USER": unquote(parts.username or ""),
        "EMAIL_HOST_PASSWORD": unquote(parts.password or ""),
        "EMAIL_TIMEOUT": TIMEOUT_S,
        **turned_on,
    }


def problems_of(settings: Any) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with the settings of notices, and what to change; never a value that may be a secret."""
    if settings.EMAIL_URL:
        yield from _problems_of_email_url(settings.EMAIL_URL)
    missing = [name for name in ("EMAIL_URL", "NOTIFY_EMAIL_FROM") if not getattr(settings, name)]
    if settings.NOTIFY_EMAIL_TO and missing:
        yield f"NOTIFY_EMAIL_TO is set, but not {' and '.join(missing)}.", "Set them too, or unset NOTIFY_EMAIL_TO."
    for name, addresses in (
        ("NOTIFY_EMAIL_TO", settings.NOTIFY_EMAIL_TO),
        ("NOTIFY_EMAIL_FROM", [settings.NOTIFY_EMAIL_FROM] if settings.NOTIFY_EMAIL_FROM else []),
    ):
        for address in addresses:
            if not _is_address(address):
                yield f"{name} has {address!r}, which is no e-mail address.", "Write ops@example.com."
    if settings.NOTIFY_WEBHOOK_URL and not _is_web(settings.NOTIFY_WEBHOOK_URL):
        yield "NOTIFY_WEBHOOK_URL is no URL.", "Write https://hooks.example.com/…, as the receiver shows it."


def _problems_of_email_url(url: str) -> Iterator[tuple[str, str]]:
    hint = "Write smtp+tls://user:password@mail.example.com:587 (STARTTLS) or smtps:// (TLS from the start)."
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018  # reading it judges it
    except ValueError:
        yield "EMAIL_URL is no URL.", hint
        return
    if parts.scheme not in SCHEMES or not parts.hostname:
        yield f"EMAIL_URL does not begin with one of {', '.join(f'{name}://host' for name in SCHEMES)}.", hint
    elif parts.scheme == "smtp" and parts.password and parts.hostname not in _LOCAL:
        yield "EMAIL_URL would send the mail server's password in clear.", hint


def _is_address(text: str) -> bool:
    try:
        validate_email(text)
    except ValidationError:
        return False
    return True


def _is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and url.isprintable()
    except ValueError:
        return False
