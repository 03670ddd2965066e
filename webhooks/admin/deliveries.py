"""Deliveries in the admin: where each stands, and every attempt that was made."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from destinations.admin.base import Rows
from destinations.admin.buttons import Button, tell_refused
from destinations.admin.empty import Empty
from destinations.services import Refused
from destinations.shown import NOTHING, chip, stranger, when
from webhooks.admin.compare import compared
from webhooks.admin.filterforms import DeliveriesForm
from webhooks.admin.lists import KeysetAdmin
from webhooks.admin.replays import replay_chosen
from webhooks.admin.timeline import shown_attempt, steps_before
from webhooks.event_ids import moment_of_id
from webhooks.finding.deliveries import DeliveriesWanted, deliveries_scan
from webhooks.finding.scans import Key, Scan
from webhooks.keeping.cancelling import Cancelled, cancel
from webhooks.keeping.replay import MOST, resend
from webhooks.models import Delivery, DeliveryStatus
from webhooks.wording import BEING_TRIED, delivery_state

ATTEMPTS_SHOWN = 100
_CANCEL = "webhooks.cancel_delivery"
_FAILED = (DeliveryStatus.PENDING, DeliveryStatus.DEAD)
_COLUMNS = (
    "id", "status", "attempt_count", "retry_count", "next_attempt_at", "claimed_by", "last_error_code", "created_at",
    "settled_at", "event__type", "destination__name", "destination__active", "destination__paused",
    "destination__paused_until", "destination__pause_reason", "destination__schedule",
)  # fmt: skip


def _waits(row: Delivery) -> bool:
    return row.status == DeliveryStatus.PENDING


def _is_settled(row: Delivery) -> bool:
    return not _waits(row)


@admin.register(Delivery)
class DeliveryAdmin(KeysetAdmin):
    """One event for one destination: its state in a sentence, and its attempts as a timeline."""

    list_display = (
        "shown_id", "shown_status", "shown_destination", "shown_type", "shown_attempts", "shown_next", "shown_error",
        "shown_made",
    )  # fmt: skip
    list_display_links = ("shown_id",)
    filter_form = DeliveriesForm
    own_kind = "delivery"
    replay_kind = "failed"
    empty = Empty(
        "local_shipping", "No delivery yet.",
        "Each event makes one delivery for each destination that takes it, from when it was made.",
        "Look at the destinations", "destinations_destination_changelist", "destinations.view_destination",
    )  # fmt: skip
    parts: ClassVar[Mapping[str, str]] = {"top": "hub/delivery.html"}
    actions = ("resend_chosen", "cancel_chosen", replay_chosen)
    buttons: ClassVar[tuple[Button, ...]] = (
        Button(
            "resend", "Resend", "Sends it now, whatever became of it. A webhook gets it again with the same id.",
            "send", "webhooks.resend_delivery", main=True, applies=_is_settled,
        ),
        Button(
            "try_now", "Try now", "Does not wait for the next try's time; the schedule begins anew.",
            "send", "webhooks.resend_delivery", main=True, applies=_waits,
        ),
        Button(
            "cancel", "Cancel", "Sends it no more. A try that is under way may still arrive. Resending takes it back.",
            "cancel", _CANCEL, applies=_waits,
        ),
    )  # fmt: skip

    # --- the list ---------------------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> Rows:
        """Return deliveries with their events, sources and destinations, newest first."""
        rows: Rows = Delivery.objects.select_related("event__source", "destination", "replay")
        return rows

    def get_listed(self) -> Rows:
        """Return deliveries with what the list shows of their events and destinations."""
        rows: Rows = Delivery.objects.select_related("event", "destination").only(*_COLUMNS)
        return rows

    def replay_url(self, chosen: Mapping[str, str]) -> str:
        """Return the dialog that replays what failed at one destination: other filters choose no replay."""
        known = {"destination", "error_code", "status_code", "status", "since", "until", "hours"}
        status = chosen.get("status", DeliveryStatus.DEAD)
        if "destination" not in chosen or not known.issuperset(chosen) or status not in _FAILED:
            return ""
        code = {"error_code": f"http_{chosen['status_code']}"} if "status_code" in chosen else {}
        kept = {name: value for name, value in chosen.items() if name not in ("status", "status_code")}
        return super().replay_url(kept | code)

    def scan(self, wanted: DeliveriesWanted) -> Scan:
        """Return how the deliveries that are wanted are found."""
        return deliveries_scan(wanted)

    def moment_of(self, key: Key) -> datetime | None:
        """Return the time of a place: when a delivery is due, when its event came, or when it was made."""
        if isinstance(key[0], datetime):
            return key[0]
        if len(key) == 2:
            return moment_of_id(key[0])
        made: datetime | None = Delivery.objects.filter(pk=key[0]).values_list("created_at", flat=True).first()
        return made

    @admin.display(description="Delivery")
    def shown_id(self, row: Delivery) -> str:
        """Return the id, which links to the page."""
        return str(row.pk)

    @admin.display(description="Status")
    def shown_status(self, row: Delivery) -> SafeString:
        """Return the status, and its sentence where it is pointed at."""
        state = delivery_state(row)
        return chip(state.chip, state.sentence)

    @admin.display(description="Destination")
    def shown_destination(self, row: Delivery) -> SafeString:
        """Return the destination's name."""
        return stranger(row.destination.name, 40)

    @admin.display(description="Event")
    def shown_type(self, row: Delivery) -> SafeString:
        """Return the event's type, which links to the event."""
        url = reverse("admin:webhooks_event_change", args=[row.event_id])
        return format_html('<a class="hub-link" href="{}">{}</a>', url, stranger(row.event.type, 32))

    @admin.display(description="Attempts")
    def shown_attempts(self, row: Delivery) -> int:
        """Return how many attempts were made."""
        return row.attempt_count

    @admin.display(description="Next try")
    def shown_next(self, row: Delivery) -> SafeString:
        """Return when it is due, or that it is being tried."""
        return chip(BEING_TRIED) if row.lease_until() else when(row.next_try_at())

    @admin.display(description="Last error")
    def shown_error(self, row: Delivery) -> SafeString | str:
        """Return the code of the last failure."""
        return stranger(row.last_error_code, 32) if row.last_error_code else NOTHING

    @admin.display(description="Made")
    def shown_made(self, row: Delivery) -> SafeString:
        """Return when it was made."""
        return when(row.created_at)

    def has_resend_permission(self, request: HttpRequest) -> bool:
        """Those who may resend."""
        return request.user.has_perm("webhooks.resend_delivery")

    def has_cancel_permission(self, request: HttpRequest) -> bool:
        """Those who may cancel."""
        return request.user.has_perm(_CANCEL)

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """Those who may start a replay."""
        return request.user.has_perm("webhooks.add_replay")

    @admin.action(description="Resend the chosen deliveries", permissions=["resend"])
    def resend_chosen(self, request: HttpRequest, queryset: Rows) -> None:
        """Make every chosen delivery due now, or none and say why."""
        keys = list(queryset.order_by().values_list("pk", flat=True)[: MOST + 1])
        try:
            messages.success(request, _due(resend(keys), len(keys)))
        except Refused as refused:
            tell_refused(request, refused)

    @admin.action(description="Cancel the chosen deliveries", permissions=["cancel"])
    def cancel_chosen(self, request: HttpRequest, queryset: Rows) -> None:
        """Cancel those of the chosen deliveries that wait."""
        keys = list(queryset.order_by().values_list("pk", flat=True)[: MOST + 1])
        try:
            messages.success(request, _cancelled(cancel(keys, by=request.user)))
        except Refused as refused:
            tell_refused(request, refused)

    # --- the page ---------------------------------------------------------------------------
    def page(self, request: HttpRequest, obj: Delivery) -> Mapping[str, Any]:
        """Return the timeline: what came before, and the latest attempts, the oldest of them first."""
        latest = list(obj.attempts.select_related("replay").order_by("-number")[:ATTEMPTS_SHOWN])[::-1]
        return {
            "state": delivery_state(obj),
            "before": steps_before(obj),
            "attempts": [shown_attempt(one, obj) for one in latest],
            "left_out": max(0, latest[0].number - 1) if latest else 0,
            "next_try": obj.next_try_at(),
            "comparison": compared(obj, latest, request.GET),
        }

    def press_resend(self, request: HttpRequest, obj: Delivery) -> str:
        """Send it again."""
        return _due(resend([obj.pk]), 1)

    press_try_now = press_resend

    def press_cancel(self, request: HttpRequest, obj: Delivery) -> str:
        """Send it no more."""
        return _cancelled(cancel([obj.pk], by=request.user))


def _due(count: int, asked: int) -> str:
    under_way = asked - count
    text = f"{count} {'delivery is' if count == 1 else 'deliveries are'} due now."
    return f"{text} {under_way} under way at this moment, left alone." if under_way else text


def _cancelled(done: Cancelled) -> str:
    text = f"{done.cancelled} {'delivery was' if done.cancelled == 1 else 'deliveries were'} cancelled."
    hand = f" {done.in_hand} of them in a worker's hands: a try may still arrive." if done.in_hand else ""
    settled = f" {done.settled} had ended already." if done.settled else ""
    return text + hand + settled
