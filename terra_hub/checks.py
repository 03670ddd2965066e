"""System checks: what the hub refuses to run with, and what it warns of in production."""

from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Tags, Warning, register
from django.http.request import validate_host

from destinations.crypto import SealError, key_ring
from destinations.egress import EgressPolicy
from terra_hub import notify
from terra_hub.payload_store import missing_settings
from webhooks.keeping.retention.lives import problems

_SETTINGS = "README.md has the table of settings, docs/payloads.md what each store needs."
COLLECT = "Run once for each version: python manage.py collectstatic --noinput"
_AT_HOME = ("localhost", "127.0.0.1", "::1")
_LOCAL = ("http://localhost", "http://127.0.0.1")
SCHEDULE_HOURS = 28  # the default retry schedule with its jitter, rounded up: destinations.models
SECRET_KEY_CHARACTERS = 32  # fewer can be guessed by whoever has one signed cookie
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
def secret_key_is_long(**_: Any) -> list[CheckMessage]:
    """Warn of a key that can be guessed: sessions could be forged."""
    if len(settings.SECRET_KEY) >= SECRET_KEY_CHARACTERS:
        return []
    hint = 'Make one: python3 -c "import secrets; print(secrets.token_urlsafe(50))"'
    return [Warning(f"SECRET_KEY has fewer than {SECRET_KEY_CHARACTERS} characters.", hint=hint, id="hub.W007")]


@register(Tags.security)
def public_host_is_allowed(**_: Any) -> list[CheckMessage]:
    """Warn of a public address at which the admin and the API answer 400."""
    host = urlsplit(settings.PUBLIC_URL).hostname or ""
    if validate_host(f"[{host}]" if ":" in host else host, settings.ALLOWED_HOSTS):
        return []
    hint = f"Add {host} to ALLOWED_HOSTS, or correct PUBLIC_URL."
    problem = f"PUBLIC_URL has the host {host}, and ALLOWED_HOSTS is {','.join(settings.ALLOWED_HOSTS)}."
    return [Warning(f"{problem} The admin and the API answer 400 there.", hint=hint, id="hub.W008")]


@register(Tags.security)
def egress_is_not_open(**_: Any) -> list[CheckMessage]:
    """Refuse an allowlist that lets the hub dial everything."""
    wide = [entry for entry in settings.EGRESS_ALLOW if _is_wide(entry)]
    hint = "Name the ranges that your destinations are in, such as 10.20.0.0/16."
    return [Error(f"EGRESS_ALLOW={entry} opens too much.", hint=hint, id="hub.E002") for entry in wide]


@register(Tags.security)
def egress_can_be_read(**_: Any) -> list[CheckMessage]:
    """Refuse an allowlist with an entry that says nothing: no destination could be dialled."""
    try:
        EgressPolicy(tuple(settings.EGRESS_ALLOW))
    except ValueError as error:
        return [Error(str(error), id="hub.E012")]
    return []


def _is_wide(entry: str) -> bool:
    try:
        return ip_network(entry.strip(), strict=False).prefixlen < _WIDEST
    except ValueError:  # a host:port entry
        return False


@register(Tags.files)
def payload_store_is_complete(**_: Any) -> list[CheckMessage]:
    """Refuse a payload store without the settings that it needs."""
    return [Error(f"PAYLOAD_STORE is {settings.PAYLOAD_STORE}, and {missing}", hint=_SETTINGS, id="hub.E004")
            for missing in missing_settings(settings)]  # fmt: skip


@register(Tags.security)
def retention_makes_sense(**_: Any) -> list[CheckMessage]:
    """Refuse lives of data that contradict each other: what would be removed, nobody would have meant."""
    return [
        Error(problem, hint=f"{hint} docs/retention.md has the rules.", id="hub.E011") for problem, hint in problems()
    ]


@register(Tags.security, deploy=True)
def sqlite_in_production(**_: Any) -> list[CheckMessage]:
    """Warn of SQLite where others reach the hub: one host only, and one writer at a time."""
    local = settings.PUBLIC_URL.startswith(_LOCAL)
    if "sqlite" not in settings.DATABASES["default"]["ENGINE"] or local:
        return []
    hint = "DATABASE_URL=postgres://… SQLite works on one host with one web process; never share its file."
    return [Warning("The hub's database is SQLite.", hint=hint, id="hub.W001")]


@register(Tags.security, deploy=True)
def google_is_google(**_: Any) -> list[CheckMessage]:
    """Refuse test servers in Google's place in production: they would get what service accounts sign."""
    names = [name for name in ("GCS_ENDPOINT", "GCS_TOKEN_ENDPOINT") if getattr(settings, name)]
    return [Error(f"{name} is set: it is for tests.", hint=f"Unset {name}.", id="hub.E005") for name in names]


@register(Tags.security, deploy=True)
def payloads_travel_by_tls(**_: Any) -> list[CheckMessage]:
    """Warn of a payload store to which health data goes in clear."""
    names = [name for name in ("PAYLOAD_S3_ENDPOINT", "PAYLOAD_GCS_ENDPOINT") if _is_in_clear(getattr(settings, name))]
    hint = "Use https:// unless nobody else is on that network."
    return [Warning(f"{name} is http://: payloads go over the network in clear.", hint=hint, id="hub.W002")
            for name in names]  # fmt: skip


def _is_in_clear(url: str) -> bool:
    return url.startswith("http://") and not url.startswith(_LOCAL)


@register(Tags.security, deploy=True)
def the_news_of_a_deauth_goes_out(**_: Any) -> list[CheckMessage]:
    """Warn of an erasure that comes before a deauth's own deliveries have used up their retries."""
    hours, whole = settings.ERASE_AFTER_DEAUTH_HOURS, SCHEDULE_HOURS
    if not 0 < hours < whole:
        return []
    hint = f"Retries take up to {whole} hours: set {whole} or more, or 0 for never."
    return [Warning(f"ERASE_AFTER_DEAUTH_HOURS is {hours:g}: a destination that is down may never hear of the deauth.",
                    hint=hint, id="hub.W006")]  # fmt: skip


@register(Tags.security, deploy=True)
def demo_is_off(**_: Any) -> list[CheckMessage]:
    """Refuse the demonstration's echo page where others reach the hub; at home, where ``make run`` has it, note it."""
    if not settings.DEMO_ECHO:
        return []
    if urlsplit(settings.PUBLIC_URL).hostname in _AT_HOME:
        return [Info("DEMO_ECHO is on, as in a demonstration.", hint="Unset DEMO_ECHO in production.", id="hub.I001")]
    return [Error("DEMO_ECHO is on.", hint="Unset DEMO_ECHO.", id="hub.E003")]


@register(Tags.staticfiles, deploy=True)
def static_files_are_collected(**_: Any) -> list[CheckMessage]:
    """Warn of pages whose styles and scripts are sent uncompressed, out of the packages."""
    if not settings.WHITENOISE_USE_FINDERS:
        return []
    return [Warning(f"{settings.STATIC_ROOT} has no static files: a page of the admin weighs over 1 MB.",
                    hint=COLLECT, id="hub.W004")]  # fmt: skip


@register(Tags.security)
def aws_identity_is_whole(**_: Any) -> list[CheckMessage]:
    """Refuse half an identity at AWS, and a word that allows nothing."""
    names = ("HUB_AWS_ARN", "HUB_AWS_ACCESS_KEY_ID", "HUB_AWS_SECRET_ACCESS_KEY")
    missing = [name for name in names if not getattr(settings, name)]
    found: list[CheckMessage] = []
    if 0 < len(missing) < len(names):
        found.append(
            Error(f"The hub's user at AWS lacks {', '.join(missing)}.", hint="Set all three or none.", id="hub.E006")
        )
    if settings.HUB_AWS_ARN and not settings.HUB_AWS_ARN.startswith("arn:"):
        hint = "Such as arn:aws:iam::123456789012:user/terra-hub."
        found.append(Error("HUB_AWS_ARN is no ARN.", hint=hint, id="hub.E006"))
    if settings.HUB_AWS_AMBIENT not in ("", "allowed"):
        hint = "Set it to allowed, or unset it."
        found.append(Error(f"HUB_AWS_AMBIENT is {settings.HUB_AWS_AMBIENT!r}.", hint=hint, id="hub.E007"))
    return found


@register(Tags.security)
def notices_can_leave(**_: Any) -> list[CheckMessage]:
    """Refuse channels of notices that are half set or malformed: nobody would be told, and nobody would know."""
    return [Error(problem, hint=hint, id="hub.E010") for problem, hint in notify.problems_of(settings)]


@register(Tags.security, deploy=True)
def notices_travel_by_tls(**_: Any) -> list[CheckMessage]:
    """Warn of a webhook for notices whose address, which is a secret, goes over the network in clear."""
    hint = "Use https:// unless nobody else is on that network."
    clear = _is_in_clear(settings.NOTIFY_WEBHOOK_URL)
    return [Warning("NOTIFY_WEBHOOK_URL is http://.", hint=hint, id="hub.W003")] if clear else []
