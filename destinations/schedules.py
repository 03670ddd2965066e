"""Retry schedules as people read them: presets, and at what time each retry would go out."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from destinations.models import DEFAULT_SCHEDULE
from destinations.shown import span


class Preset(NamedTuple):
    """A schedule that can be chosen by its name."""

    label: str
    says: str
    waits: Sequence[float]

    @property
    def text(self) -> str:
        """Return the waits as they are typed."""
        return ", ".join(f"{wait:g}" for wait in self.waits)

    @property
    def words(self) -> str:
        """Return the waits for people."""
        return ", ".join(span(wait) for wait in self.waits)


PRESETS = (
    Preset("Default", "8 retries over 27 hours", DEFAULT_SCHEDULE),
    Preset("Quick", "5 retries within an hour", (60, 180, 360, 900, 2100)),
    # After 1 min, 10 min, 1 h, 5 h, 12 h, 1 day, 2 days and 3 days.
    Preset("Patient", "8 retries over 3 days", (60, 540, 3000, 14400, 25200, 43200, 86400, 86400)),
)


class Try(NamedTuple):
    """One retry: which one, after what wait in words, and when."""

    number: int
    wait: str
    at: datetime
    clock: str


def tries(waits: Sequence[float], failed_at: datetime) -> list[Try]:
    """Return each retry of a delivery whose first try fails at ``failed_at`` and all later ones at once.

    Without the ±10 % that a real wait varies by.
    """
    found: list[Try] = []
    at = failed_at
    for number, wait in enumerate(waits, 1):
        at += timedelta(seconds=wait)
        found.append(Try(number, span(wait), at, clock_of(at, failed_at)))
    return found


def clock_of(at: datetime, now: datetime) -> str:
    """Return a time in UTC as people say it: ``14:05:30``, ``17:20:00 tomorrow``, ``17:20:00, Tue 1 Dec``."""
    days = (at.date() - now.date()).days
    day = {0: "", 1: " tomorrow"}.get(days, f", {at:%a} {at.day} {at:%b}")
    return f"{at:%H:%M:%S}{day}"
