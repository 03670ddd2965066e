"""How the hub is, in a few numbers, each with the list behind it. The cost does not grow with the tables."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from destinations.models import Destination
from destinations.shown import Chip, Tone, exact, relative
from destinations.states import state_of
from terra_hub.health import LATE_AFTER, WORKER_SEEN_WITHIN, oldest_due
from webhooks.delivering import outbox
from webhooks.filters import first_id_at
from webhooks.models import Delivery, DeliveryStatus, Event, QuarantinedRequest, Worker

MOST = 1000
TROUBLED_SHOWN = 10
_GOOD = Chip("Fine", "check_circle", Tone.GOOD)
_LOOK = Chip("Look at it", "warning", Tone.WARN)
_BAD = Chip("Act", "error", Tone.BAD)
_QUIET = Chip("Nothing yet", "hourglass_empty", Tone.QUIET)


@dataclass(frozen=True, slots=True)
class Card:
    """One number of the overview."""

    title: str
    number: str
    text: str
    url: str
    chip: Chip


def overview(user: AbstractBaseUser | AnonymousUser | Any) -> list[Card]:
    """Return what this person may see of the hub's state."""
    return list(_cards(user))


def _cards(user: Any) -> Iterator[Card]:
    if user.has_perm("destinations.view_destination"):
        yield _troubled()
    if user.has_perm("webhooks.view_delivery"):
        yield _oldest_due()
        yield _dead()
        yield _workers()
    if user.has_perm("webhooks.view_event"):
        yield _last_event()
    if user.has_perm("webhooks.view_quarantinedrequest"):
        yield _refused()


def _list(model: str, query: str = "") -> str:
    return reverse(f"admin:{model}_changelist") + query


def _troubled() -> Card:
    now = timezone.now()
    trouble = Q(failing_since__isnull=False) | Q(paused=True) | Q(active=False) | Q(paused_until__gt=now)
    rows = list(Destination.objects.present().filter(trouble).defer("credentials", "link_secret")[: MOST + 1])
    url = _list("destinations_destination")
    if not rows:
        return Card("Destinations", "0", "None is failing, paused or disabled.", url, _GOOD)
    named = [f"{row.name} ({state_of(row, now).chip.label.lower()})" for row in rows[:TROUBLED_SHOWN]]
    more = f" and {len(rows) - TROUBLED_SHOWN} more" if len(rows) > TROUBLED_SHOWN else ""
    failing = any(row.failing_since and row.active for row in rows)
    return Card(
        "Destinations failing, paused or disabled", _capped(len(rows)), ", ".join(named) + more,
        url + "?state=failing" if failing else url, _BAD if failing else _LOOK,
    )  # fmt: skip


def _oldest_due() -> Card:
    now = timezone.now()
    url = _list("webhooks_delivery", "?status=pending")
    oldest = oldest_due()
    if oldest is None:
        return Card("Oldest due delivery", "none", "Nothing is late.", url, _GOOD)
    late = now - oldest > LATE_AFTER
    return Card(
        "Oldest due delivery", relative(oldest, now), f"Due since {exact(oldest)}.", url, _LOOK if late else _GOOD
    )


def _dead() -> Card:
    keys = Delivery.objects.filter(status=DeliveryStatus.DEAD).order_by("-pk").values_list("pk", flat=True)
    count = len(keys[: MOST + 1])
    text = "Given up, kept, resendable." if count else "No delivery was given up."
    return Card(
        "Dead letters", _capped(count), text, _list("webhooks_delivery", "?status=dead"), _LOOK if count else _GOOD
    )


def _workers() -> Card:
    since = outbox.now() - WORKER_SEEN_WITHIN
    count = Worker.objects.filter(seen_at__gte=since).count()
    url = _list("webhooks_delivery", "?status=pending")
    if count:
        return Card("Workers", str(count), "Seen within the last minute.", url, _GOOD)
    return Card("Workers", "0", "Nothing is delivered. Start one: python manage.py worker", url, _BAD)


def _last_event() -> Card:
    last = Event.objects.order_by("-pk").values_list("received_at", flat=True).first()
    url = _list("webhooks_event")
    if last is None:
        return Card("Last event", "none", "Paste a source's webhook URL into Terra's dashboard.", url, _QUIET)
    return Card("Last event", relative(last), f"Received {exact(last)}.", url, _GOOD)


def _refused() -> Card:
    since = first_id_at(timezone.now() - timedelta(days=1))
    rows = QuarantinedRequest.objects.filter(pk__gte=since).order_by("-pk").values_list("pk", flat=True)
    count = len(rows[: MOST + 1])
    text = (
        "Refused in the last 24 hours, kept with the reason." if count else "Nothing was refused in the last 24 hours."
    )
    url = _list("webhooks_quarantinedrequest")
    return Card("Quarantine", _capped(count), text, url, _LOOK if count else _GOOD)


def _capped(count: int) -> str:
    return f"{MOST:,}+" if count > MOST else f"{count:,}"
