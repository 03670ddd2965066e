"""How the hub is, in a few numbers, each with the list behind it. The cost does not grow with the tables."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any
from urllib.parse import urlencode

from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from destinations.models import Destination
from destinations.shown import Chip, Tone, exact, relative
from destinations.states import state_of
from terra_hub.disk import disks
from terra_hub.healthchecks import (
    LATE_AFTER,
    QUIET_AFTER,
    Level,
    days_words,
    disk_level,
    disk_words,
    last_event_at,
    oldest_due,
    workers_seen,
)
from webhooks import charts, stats
from webhooks.charts import Series
from webhooks.event_ids import first_id_at
from webhooks.models import Delivery, DeliveryStatus, QuarantinedRequest
from webhooks.stats import DeliveredPoint, ReceivedPoint, Span

MOST = 1000
TROUBLED_SHOWN = 10
RATE_MINUTES = 5  # over which a rate per minute is taken
GOOD = Chip("Fine", "check_circle", Tone.GOOD)
LOOK = Chip("Look at it", "warning", Tone.WARN)
BAD = Chip("Act", "error", Tone.BAD)
QUIET = Chip("Nothing yet", "hourglass_empty", Tone.QUIET)
_CHIPS = {Level.OK: GOOD, Level.WARNING: LOOK, Level.FAILED: BAD}
_SPANS = {Span.HOUR: "Last hour", Span.DAY: "Last 24 hours", Span.WEEK: "Last 7 days"}


@dataclass(frozen=True, slots=True)
class Card:
    """One number of the overview."""

    key: str  # of its element, so that the focus stays on it when the page renews its numbers
    title: str
    number: str
    text: str
    url: str
    chip: Chip


class Past:
    """What was received and delivered, each span read once for all cards and charts of a page."""

    def __init__(self, now: datetime) -> None:
        """Look back from ``now``."""
        self.now = now
        self.received = cache(self._received)
        self.delivered = cache(self._delivered)

    def _received(self, span: Span) -> list[ReceivedPoint]:
        return stats.received_series(span, self.now)

    def _delivered(self, span: Span) -> list[DeliveredPoint]:
        return stats.delivered_series(span, now=self.now)

    def recent(self, counts: list[int]) -> int:
        """Return how many came in the last minutes; of the minute in which these begin, the share that lies in them."""
        return round(sum(counts[-RATE_MINUTES:]) + counts[-RATE_MINUTES - 1] * (1 - self.now.second / 60))


def overview(user: Any, span: str = "") -> dict[str, Any]:
    """Return what this person may see of the hub's state, as the overview's template shows it."""
    chosen, past = Span.named(span), Past(timezone.now())
    return {
        "signal": _oldest_due() if user.has_perm("webhooks.view_delivery") else None,
        "cards": list(_cards(user, past)),
        "charts": list(_charts(user, past, chosen)),
        "spans": [(one.label, words, one is chosen) for one, words in _SPANS.items()],
    }


def _cards(user: Any, past: Past) -> Iterator[Card]:
    sees_events, sees_deliveries = user.has_perm("webhooks.view_event"), user.has_perm("webhooks.view_delivery")
    if sees_events:
        yield _received(past)
    if sees_deliveries:
        yield _delivered(past)
        dead = _dead_count()
        yield _success(user, past, dead)
        yield _waiting()
    if user.has_perm("destinations.view_destination"):
        yield _troubled()
    if sees_deliveries:
        yield _dead(dead)
    if sees_events:
        yield _last_event()
    if user.has_perm("webhooks.view_quarantinedrequest"):
        yield _refused()
    if sees_deliveries:
        yield _workers()
    if sees_events or sees_deliveries:
        yield from _disks()


def _charts(user: Any, past: Past, span: Span) -> Iterator[SafeString]:
    starts = span.starts(past.now)
    if user.has_perm("webhooks.view_event"):
        events = [point.events for point in past.received(span)]
        yield charts.bars("Events received", starts, [Series("Events", "good", events)])
    if user.has_perm("webhooks.view_delivery"):
        points = past.delivered(span)
        series = [
            Series("Delivered", "good", [point.delivered for point in points]),
            Series("Failed", "bad", [point.failed for point in points]),
            Series("Rejected for good", "worse", [point.rejected for point in points]),
        ]
        yield charts.bars("Delivery attempts", starts, series)


def _list(model: str, **query: str) -> str:
    return reverse(f"admin:{model}_changelist") + (f"?{urlencode(query)}" if query else "")


# --- what comes in and goes out ------------------------------------------------------------------
def _received(past: Past) -> Card:
    counts = [point.events for point in past.received(Span.HOUR)]
    recent = past.recent(counts)
    return Card(
        "received", "Received per minute", _rate(recent), _flow(recent, sum(counts), "event"),
        _list("webhooks_event", hours="1"), GOOD if any(counts) else QUIET,
    )  # fmt: skip


def _delivered(past: Past) -> Card:
    counts = [point.delivered for point in past.delivered(Span.HOUR)]
    recent = past.recent(counts)
    return Card(
        "delivered", "Delivered per minute", _rate(recent), _flow(recent, sum(counts), "delivery", "deliveries"),
        _list("webhooks_delivery", status="delivered", hours="1"), GOOD if any(counts) else QUIET,
    )  # fmt: skip


def _rate(recent: int) -> str:
    rate = recent / RATE_MINUTES
    return f"{rate:,.0f}" if rate >= 10 or not rate else f"{rate:.1f}"


def _flow(recent: int, hour: int, one: str, many: str = "") -> str:
    """Return what the rate was taken from, in whole numbers."""
    things = one if hour == 1 else many or f"{one}s"
    return f"{recent:,} in the last {RATE_MINUTES} minutes; {hour:,} {things} in the last hour."


def _success(user: Any, past: Past, dead: int) -> Card:
    points = past.delivered(Span.DAY)
    attempts, delivered = sum(point.attempts for point in points), sum(point.delivered for point in points)
    sees_them = user.has_perm("destinations.view_destination")  # their list has the rate of each
    url = _list("destinations_destination" if sees_them else "webhooks_delivery")
    if not attempts:
        return Card("success", "Success rate", "–", "No attempt in the last 24 hours.", url, QUIET)
    failed = sum(point.failed + point.rejected for point in points)
    text = f"Of {_counted(attempts, 'attempt')} in 24 hours {failed:,} failed.{_what_became(failed, dead)}"
    share = delivered / attempts
    chip = GOOD if share >= 0.99 else LOOK if share >= 0.9 else BAD
    return Card("success", "Success rate", share_words(share), text, url, chip)


def _what_became(failed: int, dead: int) -> str:
    """Return what a failed attempt means for its delivery, so that it fits with the dead letters."""
    if dead:
        return (
            f" {_capped(dead)} {'delivery is a dead letter' if dead == 1 else 'deliveries are dead letters'}: given up."
        )
    return " Their deliveries are tried again: none is a dead letter." if failed else ""


def _counted(count: int, one: str) -> str:
    return f"{count:,} {one}{'' if count == 1 else 's'}"


def share_words(share: float) -> str:
    """Return a share in per cent; what is not all is never shown as 100 %."""
    return "100 %" if share == 1 else f"{min(share * 100, 99.9):.1f} %"


def _waiting() -> Card:
    count = stats.waiting()
    text = "Pending deliveries: due, waiting for another try, or held by a pause." if count else "Nothing waits."
    return Card("waiting", "Waiting", _capped(count), text, _list("webhooks_delivery", status="pending"), GOOD)


# --- what needs somebody -------------------------------------------------------------------------
def _oldest_due() -> Card:
    now = timezone.now()
    url = _list("webhooks_delivery", status="pending")
    oldest = oldest_due()
    if oldest is None:
        return Card("signal", "Oldest due delivery", "none", "Nothing is late.", url, GOOD)
    late = now - oldest > LATE_AFTER
    text = f"Due since {exact(oldest)}." + (" Deliveries are behind: Health says why that may be." if late else "")
    return Card("signal", "Oldest due delivery", relative(oldest, now), text, url, BAD if late else GOOD)


def _troubled() -> Card:
    now, title = timezone.now(), "Destinations failing, paused or disabled"
    trouble = Q(failing_since__isnull=False) | Q(paused=True) | Q(active=False) | Q(paused_until__gt=now)
    rows = list(Destination.objects.present().filter(trouble).defer("credentials", "link_secret")[: MOST + 1])
    if not rows:
        return Card("troubled", title, "0", "No destination needs you.", _list("destinations_destination"), GOOD)
    named = [f"{row.name} ({state_of(row, now).chip.label.lower()})" for row in rows[:TROUBLED_SHOWN]]
    more = f" and {len(rows) - TROUBLED_SHOWN} more" if len(rows) > TROUBLED_SHOWN else ""
    failing = any(row.failing_since and row.active for row in rows)
    url = _list("destinations_destination", state="failing") if failing else _list("destinations_destination")
    return Card("troubled", title, _capped(len(rows)), ", ".join(named) + more, url, BAD if failing else LOOK)


def _dead_count() -> int:
    """Return how many dead letters there are; one more than ``MOST`` where there are more."""
    keys = Delivery.objects.filter(status=DeliveryStatus.DEAD).order_by("-pk").values_list("pk", flat=True)
    return len(keys[: MOST + 1])


def _dead(count: int) -> Card:
    text = "Given up, kept, resendable." if count else "No delivery was given up."
    url = _list("webhooks_delivery", status="dead")
    return Card("dead", "Dead letters", _capped(count), text, url, LOOK if count else GOOD)


def _last_event() -> Card:
    last = last_event_at()
    url = _list("webhooks_event")
    if last is None:
        text = "Paste a source's webhook URL into Terra's dashboard."
        return Card("last", "Last event", "none", text, url, QUIET)
    chip = LOOK if timezone.now() - last > QUIET_AFTER else GOOD
    return Card("last", "Last event", relative(last), f"Received {exact(last)}.", url, chip)


def _refused() -> Card:
    since = first_id_at(timezone.now() - timedelta(days=1))
    rows = QuarantinedRequest.objects.filter(pk__gte=since).order_by("-pk").values_list("pk", flat=True)
    count = len(rows[: MOST + 1])
    words = "Refused in the last 24 hours, kept with the reason."
    text = words if count else "Nothing was refused in the last 24 hours."
    url = _list("webhooks_quarantinedrequest", hours="24")
    return Card("quarantine", "Quarantine", _capped(count), text, url, LOOK if count else GOOD)


# --- what it runs on -----------------------------------------------------------------------------
def _workers() -> Card:
    count = workers_seen()
    if count:
        return Card("workers", "Workers", str(count), "Seen within the last minute.", reverse("health"), GOOD)
    text = "Nothing is delivered. Start one: python manage.py worker"
    return Card("workers", "Workers", "0", text, reverse("health"), BAD)


def _disks() -> Iterator[Card]:
    """Yield the disk that is full first, where any of the hub's data lies on this host."""
    found = disks()
    if not found:
        return
    first = min(found, key=lambda disk: (disk.days_left or float("inf"), disk.free_share))
    number = f"{first.free_share:.0%} free" if first.days_left is None else days_words(first.days_left)
    title = "Disk" if first.days_left is None else "Disk lasts"
    yield Card("disk", title, number, f"{capfirst(disk_words(first))}.", reverse("health"), _CHIPS[disk_level(first)])


def _capped(count: int) -> str:
    return f"{MOST:,}+" if count > MOST else f"{count:,}"
