"""How long everything is kept: the settings, what is wrong with them, and how they are told."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.conf import settings
from django.utils import timezone

# Retries go on for some 28 hours, and the bodies of two days are compared with those of stale requests.
LEAST_DAYS = 2
ORPHANS = timedelta(days=1)  # a body is written before its event is committed
VIEWS = timedelta(days=6 * 365 + 2)  # who saw which payload: 45 CFR 164.316(b)(2)(i)

SETTINGS = (
    "RETENTION_PAYLOAD_DAYS", "RETENTION_SNAPSHOT_DAYS", "RETENTION_ATTEMPT_DAYS", "RETENTION_EVENT_DAYS",
    "RETENTION_QUARANTINE_DAYS",
)  # fmt: skip
SWEEPS = ("on", "off", "all")


def life(setting: str) -> timedelta | None:
    """Return how long a setting keeps what it is about; ``None``: for ever."""
    days = getattr(settings, setting)
    return timedelta(days=days) if days else None


def problems() -> Iterator[tuple[str, str]]:
    """Return what is wrong with the settings, each with what to do."""
    negative = [name for name in SETTINGS if getattr(settings, name) < 0]
    for name in negative:
        yield f"{name} is {getattr(settings, name)}.", "Give a number of days, or 0 for ever."
    if not negative:
        yield from _contradictions()
    if settings.RETENTION_SWEEP not in SWEEPS:
        yield f"RETENTION_SWEEP is {settings.RETENTION_SWEEP!r}.", f"It is one of: {', '.join(SWEEPS)}."


def _contradictions() -> Iterator[tuple[str, str]]:
    events, payloads = settings.RETENTION_EVENT_DAYS, settings.RETENTION_PAYLOAD_DAYS
    if 0 < events < LEAST_DAYS:
        yield (
            f"RETENTION_EVENT_DAYS is {events}, and a delivery may be retried for longer than a day.",
            f"Give {LEAST_DAYS} or more.",
        )
    if 0 < payloads < LEAST_DAYS:
        yield (
            f"RETENTION_PAYLOAD_DAYS is {payloads}: the hub could not tell a late retry from a request that somebody "
            "sends again.", f"Give {LEAST_DAYS} or more.",
        )  # fmt: skip
    if events and (payloads > events or not payloads):
        kept = f"for {payloads} days" if payloads else "for ever"
        yield (
            f"RETENTION_PAYLOAD_DAYS keeps payloads {kept}, and RETENTION_EVENT_DAYS removes events with their "
            f"payloads after {events} days.", "Let events live as long as payloads, or longer.",
        )  # fmt: skip


def why_gone(received_at: datetime) -> str:
    """Return in words why the payload of an event of this age is not there any more, and since when."""
    kept = life("RETENTION_PAYLOAD_DAYS")
    ended = received_at + kept if kept else None
    if kept is None or ended is None or ended > timezone.now():
        return "The payload is no longer kept."
    when = f"{ended:%Y-%m-%d} or soon after"
    return f"The payload is no longer kept: payloads are removed after {kept.days} days, this one on {when}."
