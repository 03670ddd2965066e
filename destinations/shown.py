"""Small pieces of HTML that the admin's lists and pages share: moments, chips, ids."""

from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from destinations.texts import visible

NOTHING = "–"
_JUST_NOW_S = 5
_MINUTE = 60


class Tone(StrEnum):
    """How a chip is coloured; its icon and its text say the same."""

    GOOD = "good"
    BAD = "bad"
    WARN = "warn"
    INFO = "info"
    QUIET = "quiet"


class Chip(NamedTuple):
    """A state in one word, with an icon of Material Symbols."""

    label: str
    icon: str
    tone: Tone


def chip(state: Chip, title: str = "") -> SafeString:
    """Return a chip; its meaning never hangs on the colour alone."""
    return format_html(
        '<span class="hub-chip hub-{}"{}>{}{}</span>',
        state.tone.value,
        format_html(' title="{}"', visible(title)) if title else "",
        icon(state.icon),
        state.label,
    )


def icon(name: str) -> SafeString:
    """Return an icon that stands beside a text which says the same."""
    return format_html('<span class="material-symbols-outlined" aria-hidden="true">{}</span>', name)


def exact(moment: datetime) -> str:
    """Return a moment in UTC: ``2026-03-12 06:00:12 UTC``."""
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def relative(moment: datetime, now: datetime | None = None, depth: int = 2) -> str:
    """Return how far a moment is from now, in at most ``depth`` units: ``3 minutes ago``, ``in 2 hours, 5 minutes``."""
    now = now or timezone.now()
    seconds = (moment - now).total_seconds()
    if abs(seconds) < _JUST_NOW_S:
        return "now"
    if abs(seconds) < _MINUTE:
        span = f"{abs(seconds):.0f} s"
    else:
        earlier, later = sorted((moment, now))
        span = timesince(earlier, later, depth=depth).replace("\xa0", " ")
    return f"in {span}" if seconds > 0 else f"{span} ago"


def when(moment: datetime | None) -> SafeString:
    """Return a moment as people say it; the exact one shows when it is pointed at."""
    if moment is None:
        return format_html("{}", NOTHING)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', moment.isoformat(), exact(moment), relative(moment, depth=1)
    )


def when_exact(moment: datetime | None) -> SafeString:
    """Return a moment exactly, and how long ago it is."""
    if moment is None:
        return format_html("{}", NOTHING)
    return format_html(
        '<time datetime="{}">{}</time> <span class="hub-faint">({})</span>',
        moment.isoformat(),
        exact(moment),
        relative(moment),
    )


def stranger(text: str, most: int = 64) -> SafeString:
    """Return text that a sender wrote, as text: isolated from what stands beside it, cut where it is long."""
    if not text:
        return format_html("{}", NOTHING)
    plain = visible(text)
    shown = plain if len(plain) <= most else plain[: most - 1] + "…"
    return format_html('<bdi title="{}">{}</bdi>', plain[:500], shown)


def duration(milliseconds: int | None) -> str:
    """Return a duration for people: ``12 ms``, ``3.4 s``, ``2 min 10 s``."""
    if milliseconds is None:
        return NOTHING
    if milliseconds < 1000:
        return f"{milliseconds} ms"
    seconds = milliseconds / 1000
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    return f"{int(seconds // _MINUTE)} min {int(seconds % _MINUTE)} s"


def size(count: int) -> str:
    """Return a number of bytes for people: ``812 bytes``, ``1.2 MiB``."""
    amount = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"
