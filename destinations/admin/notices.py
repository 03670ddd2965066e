"""Notices in the admin: what operators were told, and whether it left the hub."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.safestring import SafeString

from destinations.admin.base import OlderFilter, ReadOnlyAdmin, Rows, ValueFilter
from destinations.admin.empty import Empty
from destinations.models import Destination, Notice
from destinations.notices import DISABLED, RECOVERED, state_of_sending
from destinations.shown import Chip, Tone, chip, stranger, when

_MOST_OFFERED = 200
_KINDS: Mapping[str, Chip] = {
    DISABLED: Chip("Disabled", "block", Tone.BAD),
    RECOVERED: Chip("Recovered", "check_circle", Tone.GOOD),
}
_SENT = Chip("Sent", "mark_email_read", Tone.GOOD)
_DUE = Chip("To be sent", "schedule_send", Tone.INFO)
_GIVEN_UP = Chip("Not sent", "cancel", Tone.BAD)
_HERE_ONLY = Chip("Shown here", "visibility", Tone.QUIET)


class OfDestinationFilter(ValueFilter):
    """Notices about one destination."""

    title = "destination"
    parameter_name = "destination"
    column = "destination_id"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the destinations."""
        rows = Destination.objects.present().order_by("name").values_list("pk", "name")
        return [(str(pk), name) for pk, name in rows[:_MOST_OFFERED]]


@admin.register(Notice)
class NoticeAdmin(ReadOnlyAdmin):
    """What operators were told of destinations."""

    goes_on = True
    list_display = ("shown_time", "shown_kind", "shown_destination", "shown_text", "shown_sent")
    list_display_links = ("shown_time", "shown_kind")
    list_filter = (OfDestinationFilter, OlderFilter)
    empty = Empty("notifications", "No notice yet.", "What goes wrong with a destination, and when it is well again.")
    parts: ClassVar[Mapping[str, str]] = {"top": "hub/notice.html"}

    def get_queryset(self, request: HttpRequest) -> Rows:
        """Return the notices with the names that they are about."""
        rows: Rows = Notice.objects.select_related("destination").defer(
            "destination__credentials", "destination__link_secret"
        )
        return rows

    @admin.display(description="When")
    def shown_time(self, row: Notice) -> SafeString:
        """Return when it was made."""
        return when(row.created_at)

    @admin.display(description="What")
    def shown_kind(self, row: Notice) -> SafeString:
        """Return what happened, in a word."""
        return chip(kind_chip(row.kind))

    @admin.display(description="Destination")
    def shown_destination(self, row: Notice) -> SafeString:
        """Return which destination it is about."""
        return stranger(row.destination.name, 40)

    @admin.display(description="Notice")
    def shown_text(self, row: Notice) -> SafeString:
        """Return what it says."""
        return stranger(row.text, 160)

    @admin.display(description="Sent")
    def shown_sent(self, row: Notice) -> SafeString:
        """Return whether it left the hub."""
        return chip(_sent_chip(row), state_of_sending(row))

    def page(self, request: HttpRequest, obj: Notice) -> Mapping[str, Any]:
        """Return the whole notice."""
        present = obj.destination.deleted_at is None
        return {
            "kind": kind_chip(obj.kind),
            "sending": state_of_sending(obj),
            "url": reverse("admin:destinations_destination_change", args=[obj.destination_id]) if present else "",
        }


def kind_chip(kind: str) -> Chip:
    """Return what a notice is about: ``failing_50`` is a warning at half the time."""
    word, _, percent = kind.partition("_")
    return _KINDS.get(kind) or Chip(f"{word.capitalize()}, {percent} %" if percent else word, "warning", Tone.WARN)


def _sent_chip(row: Notice) -> Chip:
    if row.sent_at:
        return _SENT
    if row.next_try_at:
        return _DUE
    return _GIVEN_UP if row.problem else _HERE_ONLY
