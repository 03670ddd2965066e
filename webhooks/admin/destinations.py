"""Destinations in the admin: the list and the page of ``destinations.admin``, with what deliveries say."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from destinations.admin.base import CappedChangeList, Rows, ValueFilter
from destinations.admin.buttons import Button
from destinations.admin.destination import DestinationAdmin as ControlPlaneAdmin
from destinations.admin.destination import TypeFilter
from destinations.models import Destination
from destinations.registry import adapter_class
from destinations.services import target_of
from destinations.shown import NOTHING, ago, chip, duration, icon, percent, stranger, when
from destinations.states import CREDENTIALS_REJECTED, HEALTHY, UNTESTED
from destinations.texts import visible
from webhooks import charts, stats
from webhooks.admin.condition import condition_of, waiting, with_last_code
from webhooks.admin.consequences import consequence
from webhooks.admin.destination_page import about_page
from webhooks.admin.retrytimes import retry_times
from webhooks.admin.testevents import TEST_BUTTON, TestEvents

# What is told apart by the state as the list shows it, and what by the row alone.
_BY_CHIP = {"healthy": HEALTHY, "untested": UNTESTED, "credentials": CREDENTIALS_REJECTED}
_BY_ROW: Mapping[str, dict[str, Any]] = {
    "failing": {"failing_since__isnull": False, "active": True},
    "paused": {"paused": True, "active": True},
    "disabled": {"active": False},
}
TARGET_SHOWN = 36  # characters in the list
MOST = 2000  # destinations that a filter by chip looks at


class StateFilter(ValueFilter):
    """Destinations in a state. There are a few hundred at most, so what no column says is found by looking at each."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the states of the list."""
        return [
            ("failing", "Failing"), ("credentials", "Credentials rejected"), ("paused", "Paused"),
            ("disabled", "Disabled"), ("untested", "Untested"), ("healthy", "Healthy"),
        ]  # fmt: skip

    def narrowed(self, queryset: Rows, value: str) -> Rows:
        """Keep the destinations in that state."""
        if value in _BY_ROW:
            return queryset.filter(**_BY_ROW[value])
        return queryset.filter(pk__in=_showing(value)) if value in _BY_CHIP else queryset.none()


def _showing(value: str) -> list[Any]:
    rows = with_last_code(Destination.objects.present().defer("credentials", "link_secret"))[:MOST]
    now = timezone.now()
    return [row.pk for row in rows if condition_of(row, now).chip == _BY_CHIP[value]]


class DestinationList(CappedChangeList):
    """The list with what deliveries say of each row, asked for all rows of the page together."""

    def get_results(self, request: HttpRequest) -> None:
        """Put each row's figures on it."""
        super().get_results(request)
        rows = list(self.result_list)
        found = stats.summaries([row.pk for row in rows])
        for row in rows:
            row.about = found.get(row.pk)
        self.result_list = rows


@admin.register(Destination)
class DestinationAdmin(TestEvents, ControlPlaneAdmin):  # type: ignore[misc]  # the bases differ in the stubs only
    """Where deliveries go, and how each place is doing."""

    buttons: ClassVar[tuple[Button, ...]] = (ControlPlaneAdmin.buttons[0], TEST_BUTTON, *ControlPlaneAdmin.buttons[1:])

    list_display = (
        "shown_name", "shown_target", "shown_state", "shown_day", "shown_p95", "shown_waiting", "shown_success",
    )  # fmt: skip
    list_filter = (TypeFilter, StateFilter)
    parts: ClassVar[Mapping[str, str]] = {
        **ControlPlaneAdmin.parts,
        "top": "hub/destination_page.html",
        "form_end": "hub/destination_form_end.html",
        "bottom": "hub/destination_bottom.html",
    }

    # --- the list ---------------------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> Rows:
        """Return destinations with the code of their newest failure."""
        return with_last_code(super().get_queryset(request))

    def get_changelist(self, request: HttpRequest, **_: Any) -> Any:
        """Return the list that asks for all rows together."""
        return DestinationList

    @admin.display(description="Name")
    def shown_name(self, row: Destination) -> str:
        """Return the name, which links to the page, with nothing invisible in it."""
        return visible(row.name)

    @admin.display(description="Target")
    def shown_target(self, row: Destination) -> SafeString:
        """Return the type with its icon, and below it where deliveries go, without secrets."""
        sign = icon(adapter_class(row.type).icon)
        kind = format_html('<span class="hub-kind">{}{}</span>', sign, self.shown_type(row))
        target = stranger(target_of(row), TARGET_SHOWN)
        return format_html('<span class="hub-two">{}<span class="hub-second">{}</span></span>', kind, target)

    @admin.display(description="State")
    def shown_state(self, row: Destination) -> SafeString:
        """Return the state, and its sentence where it is pointed at."""
        state = condition_of(row)
        return chip(state.chip, state.sentence)

    @admin.display(description="24 hours")
    def shown_day(self, row: Destination) -> SafeString:
        """Return what was delivered in each of the last 24 hours, and the share that succeeded."""
        about = _about(row)
        share = NOTHING if about.success is None else percent(about.success)
        drawn = charts.sparkline(about.sparkline, "Delivered by hour", about.failures_by_hour) if about.attempts else ""
        return format_html('<span class="hub-day">{}<span>{}</span></span>', drawn, share)

    @admin.display(description="p95")
    def shown_p95(self, row: Destination) -> str:
        """Return how long 95 of 100 tries took at most, of those of the last 24 hours."""
        return duration(_about(row).p95)

    @admin.display(description="Waiting")
    def shown_waiting(self, row: Destination) -> SafeString:
        """Return how many deliveries wait, and below it since when the oldest of them is due."""
        about = _about(row)
        if not about.oldest_due:
            return format_html("{}", waiting(about))
        oldest = ago(about.oldest_due)
        return format_html(
            '<span class="hub-two">{}<span class="hub-second">oldest {}</span></span>', waiting(about), oldest
        )

    @admin.display(description="Last success")
    def shown_success(self, row: Destination) -> SafeString:
        """Return when a delivery succeeded last."""
        return when(_about(row).last_success_at)

    # --- the page ---------------------------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        """Add the times of a schedule that is being typed."""
        view = self.admin_site.admin_view(self.retry_times_view)
        return [path("retry-times/", view, name="destinations_destination_retry_times"), *super().get_urls()]

    def retry_times_view(self, request: HttpRequest) -> HttpResponse:
        """Return the times of the schedule in the address, for a failure now."""
        context = {"retry": retry_times(request.GET.get("schedule", ""), timezone.now())}
        return TemplateResponse(request, "hub/retry_times.html", context)

    def shown_buttons(self, request: HttpRequest, obj: Any) -> Iterator[tuple[Button, str]]:
        """Yield the buttons; each says what becomes of the deliveries that wait now."""
        for button, url in super().shown_buttons(request, obj):
            yield replace(button, says=consequence(button, _about(obj))), url

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the form's parts; a new destination's closed part shows the times of its schedule."""
        parts = super().get_fieldsets(request, obj)
        if obj is None:
            parts[-1][1]["description"] = render_to_string("hub/retry_schedule.html", {"editable": True, **_retry([])})
        return parts

    def page(self, request: HttpRequest, obj: Destination) -> Mapping[str, Any]:
        """Return what the control plane shows, and what became of its deliveries."""
        return {**super().page(request, obj), **about_page(request, obj, _about(obj)), **_retry(obj.schedule)}


def _retry(waits: list[float]) -> dict[str, Any]:
    return {"retry": retry_times(", ".join(f"{wait:g}" for wait in waits), timezone.now())}


def _about(row: Destination) -> stats.Summary:
    """Return a row's figures, asked for once."""
    known: stats.Summary | None = vars(row).get("about")
    if known is None:
        known = stats.summary(row.pk)
        vars(row)["about"] = known
    return known
