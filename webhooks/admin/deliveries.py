"""Deliveries in the admin: where each stands, and every attempt that was made."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.options import IncorrectLookupParameters
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from destinations.admin.base import OlderFilter, ReadOnlyAdmin, Rows, ValueFilter, as_uuid
from destinations.admin.buttons import Button, tell_refused
from destinations.models import Destination
from destinations.services import Refused
from destinations.shown import NOTHING, chip, stranger, when
from webhooks.admin.wording import attempt_chip, delivery_state
from webhooks.keeping.replay import MOST, resend
from webhooks.models import Delivery, DeliveryStatus

ATTEMPTS_SHOWN = 100
MOST_DESTINATIONS = 200
_BIGGEST_ID = 2**63 - 1
_COLUMNS = (
    "id", "status", "attempt_count", "retry_count", "next_attempt_at", "claimed_by", "last_error_code", "created_at",
    "settled_at", "event__type", "destination__name", "destination__active", "destination__paused",
    "destination__paused_until", "destination__pause_reason", "destination__schedule",
)  # fmt: skip


class StatusFilter(ValueFilter):
    """Deliveries in a status that an index holds; the others are nearly all rows, which the plain list shows."""

    title = "status"
    parameter_name = column = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer what waits and what was given up."""
        return [(one.value, str(one.label)) for one in (DeliveryStatus.PENDING, DeliveryStatus.DEAD)]


class DestinationFilter(ValueFilter):
    """Deliveries for one destination."""

    title = "destination"
    parameter_name = "destination"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer destinations by name."""
        rows = Destination.objects.present().order_by("name").values_list("pk", "name")
        offered = {str(pk): name for pk, name in rows[:MOST_DESTINATIONS]}
        chosen = request.GET.get(self.parameter_name)
        return list(offered.items() if chosen is None else ({chosen: "The chosen one"} | offered).items())

    def narrowed(self, queryset: Rows, value: str) -> Rows:
        """Keep what is for that destination, also for one that is not offered: a deleted one."""
        key = as_uuid(value)
        if key is None:
            raise IncorrectLookupParameters("Not the id of a destination.")
        return queryset.filter(destination_id=key)


@admin.register(Delivery)
class DeliveryAdmin(ReadOnlyAdmin):
    """One event for one destination: its state in a sentence, and its attempts as a timeline."""

    goes_on = True
    list_display = (
        "shown_id", "shown_status", "shown_destination", "shown_type", "shown_attempts", "shown_next", "shown_error",
        "shown_made",
    )  # fmt: skip
    list_display_links = ("shown_id",)
    list_filter = (StatusFilter, DestinationFilter, OlderFilter)
    search_fields = ("pk", "event_id")  # that there are some shows the box; see get_search_results
    search_help_text = "Delivery id or event id"
    parts: ClassVar[Mapping[str, str]] = {"top": "hub/delivery.html"}
    actions = ("resend_chosen",)
    buttons: ClassVar[tuple[Button, ...]] = (
        Button(
            "resend", "Resend", "Sends it now, whatever became of it. A webhook gets it again with the same id.",
            "send", "webhooks.resend_delivery", main=True,
        ),
    )  # fmt: skip

    # --- the list ---------------------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> Rows:
        """Return deliveries with what is shown of their events and destinations, newest first."""
        rows: Rows = Delivery.objects.select_related("event", "destination").only(*_COLUMNS)
        return rows

    def get_search_results(self, request: HttpRequest, queryset: Rows, search_term: str) -> tuple[Rows, bool]:
        """Keep the deliveries of the event with that id."""
        term = search_term.strip()
        if not term:
            return queryset, False
        key = as_uuid(term)
        return (queryset.filter(event_id=key) if key else queryset.none()), False

    def found_by_id(self, request: HttpRequest, term: str) -> Any:
        """Return the delivery with that id."""
        if not (term.isascii() and term.isdecimal() and int(term[:20]) <= _BIGGEST_ID):
            return None
        return Delivery.objects.filter(pk=int(term)).first()

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
        """Return when it is due."""
        return when(row.next_attempt_at if row.status == DeliveryStatus.PENDING else None)

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

    @admin.action(description="Resend the chosen deliveries", permissions=["resend"])
    def resend_chosen(self, request: HttpRequest, queryset: Rows) -> None:
        """Make every chosen delivery due now, or none and say why."""
        keys = list(queryset.order_by().values_list("pk", flat=True)[: MOST + 1])
        try:
            messages.success(request, _due(resend(keys), len(keys)))
        except Refused as refused:
            tell_refused(request, refused)

    # --- the page ---------------------------------------------------------------------------
    def page(self, request: HttpRequest, obj: Delivery) -> Mapping[str, Any]:
        """Return the state and the latest attempts, the oldest of them first."""
        latest = list(obj.attempts.order_by("-number")[:ATTEMPTS_SHOWN])[::-1]
        return {
            "state": delivery_state(obj),
            "attempts": [(one, attempt_chip(one)) for one in latest],
            "left_out": max(0, latest[0].number - 1) if latest else 0,
            "waits": obj.status == DeliveryStatus.PENDING,
        }

    def press_resend(self, request: HttpRequest, obj: Delivery) -> str:
        """Send it again."""
        return _due(resend([obj.pk]), 1)


def _due(count: int, asked: int) -> str:
    under_way = asked - count
    text = f"{count} {'delivery is' if count == 1 else 'deliveries are'} due now."
    return f"{text} {under_way} under way at this moment, left alone." if under_way else text
