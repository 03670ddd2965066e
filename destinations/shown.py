"""Small pieces of HTML that the admin's lists and pages share: moments, chips, ids."""

import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple

from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

from destinations.texts import visible

NOTHING = "–"
_JUST_NOW_S = 5
_MINUTE = 60
_EXACT = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC)")


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


def clock(moment: datetime, now: datetime) -> SafeString:
    """Return a moment by the clock, with its day where that is not today: ``14:05 UTC``, ``27 Nov 14:05 UTC``."""
    moment, now = moment.astimezone(UTC), now.astimezone(UTC)
    day = "" if moment.date() == now.date() else f"{moment.day} {moment:%b} "
    year = "" if moment.year == now.year else f"{moment.year} "
    return _time(moment, "clock", f"{day}{year}{moment:%H:%M} UTC")


def ago(moment: datetime | None, now: datetime | None = None) -> SafeString:
    """Return how far a moment is from now, within a sentence; the exact one shows when it is pointed at."""
    if moment is None:
        return format_html("{}", NOTHING)
    return _time(moment, "relative", relative(moment, now, depth=1))


def when(moment: datetime | None) -> SafeString:
    """Return a moment as people say it, with the exact one below."""
    if moment is None:
        return format_html("{}", NOTHING)
    ago = _time(moment, "relative", relative(moment, depth=1))
    return format_html('<span class="hub-when">{} {}</span>', ago, _time(moment, "short", f"{moment:%Y-%m-%d %H:%M}"))


def when_exact(moment: datetime | None) -> SafeString:
    """Return a moment exactly, and how long ago it is."""
    if moment is None:
        return format_html("{}", NOTHING)
    ago = _time(moment, "relative-2", relative(moment))
    return format_html('{} <span class="hub-faint">({})</span>', _time(moment, "exact", exact(moment)), ago)


def said(sentence: str) -> SafeString:
    """Return a sentence of the hub in which each exact moment can be switched to the reader's own time."""
    pieces = _EXACT.split(visible(sentence))  # text, moment, text, …
    return format_html_join("", "{}", ((_switched(piece) if at % 2 else piece,) for at, piece in enumerate(pieces)))


def _switched(text: str) -> SafeString | str:
    try:
        moment = datetime.strptime(text, "%Y-%m-%d %H:%M:%S UTC").replace(tzinfo=UTC)
    except ValueError:  # no date at all: somebody's own text
        return text
    return _time(moment, "exact", text)


def _time(moment: datetime, form: str, text: str) -> SafeString:
    # hub/times.js paints what stands in it, by its form.
    utc = exact(moment)
    return format_html(
        '<time datetime="{}" title="{}" data-hub-time="{}">{}</time>', moment.isoformat(), utc, form, text
    )


def stranger(text: str, most: int = 64) -> SafeString:
    """Return text that a sender wrote, as text: isolated from what stands beside it, cut where it is long."""
    if not text:
        return format_html("{}", NOTHING)
    plain = visible(text)
    shown = plain if len(plain) <= most else plain[: most - 1] + "…"
    return format_html('<bdi title="{}">{}</bdi>', plain[:500], shown)


def short_id(text: str, what: str) -> SafeString:
    """Return an id that somebody else made up: short, with a button that copies all of it."""
    if not text:
        return format_html("{}", NOTHING)
    return format_html(
        '<span class="hub-id">{}<button type="button" class="hub-copy" data-hub-copy-text="{}" aria-label="Copy the {}"'
        ' title="Copy the {}">{}<span aria-live="polite"></span></button></span>',
        stranger(text, 14), text, what, what, icon("content_copy"),
    )  # fmt: skip


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


def span(seconds: float) -> str:
    """Return a length of time for people: ``30 s``, ``4 min 30 s``, ``2 h 15 min``, ``3 days``."""
    whole = round(seconds)
    if whole < _MINUTE:
        return f"{seconds:g} s"
    units = (("day", 86400), ("h", 3600), ("min", 60), ("s", 1))
    parts: list[str] = []
    for unit, length in units:
        count, whole = divmod(whole, length)
        if count:
            parts.append(f"{count} day{'' if count == 1 else 's'}" if unit == "day" else f"{count} {unit}")
    return " ".join(parts[:2])


def percent(share: float) -> str:
    """Return a share for people: ``99.2 %``. Only all is ``100 %``, and only nothing is ``0 %``."""
    if share in (0, 1):
        return f"{share:.0%}".replace("%", " %")
    return f"{min(max(share * 100, 0.1), 99.9):.1f} %"


def size(count: int) -> str:
    """Return a number of bytes for people: ``812 bytes``, ``1.2 MiB``."""
    amount = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "bytes" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} GiB"
