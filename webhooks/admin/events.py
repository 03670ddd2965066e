"""Events in the admin: what came in, and where it went."""

from collections import Counter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.db.models import Prefetch
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

from destinations.admin.base import OlderFilter, ReadOnlyAdmin, Rows, ValueFilter, as_uuid
from destinations.admin.buttons import Button
from destinations.shown import Chip, Tone, chip, size, stranger, when
from destinations.terra import EVENT_TYPES
from destinations.texts import visible
from webhooks.admin.bodies import body_download, body_page, note_view, require_permission
from webhooks.admin.wording import STATUS_CHIPS, delivery_state
from webhooks.filters import first_id_at
from webhooks.keeping.payloads import PayloadMissing, open_body
from webhooks.keeping.replay import resend_event
from webhooks.models import TYPE_LENGTH, Delivery, Event, Payload

DELIVERIES_SHOWN = 200
_SPANS = {"1": "Last hour", "24": "Last 24 hours", "168": "Last 7 days", "720": "Last 30 days"}
STALE = Chip("Stale", "history", Tone.WARN)
_COLUMNS = (
    "id", "type", "provider", "user_id", "reference_id", "size", "stale", "received_at", "source__slug"
)  # fmt: skip


class EventTypeFilter(ValueFilter):
    """Events of one type: the known ones, or the one that the address names."""

    title = "type"
    parameter_name = column = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the known types and the one that is chosen."""
        chosen = request.GET.get("type", "")
        known = dict.fromkeys((*EVENT_TYPES, chosen) if _is_type(chosen) else EVENT_TYPES)
        return [(name, visible(name)) for name in known]


def _is_type(text: str) -> bool:
    return 0 < len(text) <= TYPE_LENGTH and "\x00" not in text


class ReceivedFilter(ValueFilter):
    """Events of the last hours. An id begins with its time, so this is a range of the primary key."""

    title = "time"
    parameter_name = "hours"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer some spans."""
        return list(_SPANS.items())

    def narrowed(self, queryset: Rows, value: str) -> Rows:
        """Keep events that were taken in within that many hours."""
        if value not in _SPANS:
            raise IncorrectLookupParameters("Unknown span of time.")
        return queryset.filter(pk__gte=first_id_at(timezone.now() - timedelta(hours=int(value))))


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin):
    """Accepted requests: what each said of itself, its deliveries, and its payload on demand."""

    goes_on = True
    list_display = (
        "shown_time", "shown_type", "shown_provider", "shown_user", "shown_reference", "shown_source", "shown_size",
        "shown_deliveries",
    )  # fmt: skip
    list_display_links = ("shown_time", "shown_type")
    list_filter = (ReceivedFilter, EventTypeFilter, OlderFilter)
    search_fields = ("pk", "user_id", "reference_id")  # that there are some shows the box; see get_search_results
    search_help_text = "Event id, user id or reference id"
    parts: ClassVar[Mapping[str, str]] = {"top": "hub/event.html"}
    buttons: ClassVar[tuple[Button, ...]] = (
        Button(
            "resend", "Resend", "Sends it again, to where it would go if it came now.",
            "send", "webhooks.resend_delivery", main=True,
        ),
    )  # fmt: skip

    # --- the list ---------------------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> Rows:
        """Return events without their headers, newest first."""
        rows: Rows = Event.objects.select_related("source")
        if getattr(request.resolver_match, "url_name", "") != "webhooks_event_changelist":
            return rows
        statuses = Delivery.objects.only("event_id", "status")
        return rows.only(*_COLUMNS).prefetch_related(Prefetch("deliveries", statuses))

    def get_search_results(self, request: HttpRequest, queryset: Rows, search_term: str) -> tuple[Rows, bool]:
        """Keep the events whose user or reference it is: the whole id, each by its own index."""
        term = search_term.strip()
        if not term:
            return queryset, False
        column = "user_id" if Event.objects.filter(user_id=term).exists() else "reference_id"
        return queryset.filter(**{column: term}), False

    def found_by_id(self, request: HttpRequest, term: str) -> Any:
        """Return the event with that id."""
        key = as_uuid(term)
        return Event.objects.filter(pk=key).first() if key else None

    @admin.display(description="Received")
    def shown_time(self, row: Event) -> SafeString:
        """Return when it was taken in."""
        return when(row.received_at)

    @admin.display(description="Type")
    def shown_type(self, row: Event) -> SafeString:
        """Return its type."""
        return stranger(row.type)

    @admin.display(description="Provider")
    def shown_provider(self, row: Event) -> SafeString:
        """Return the wearable's provider."""
        return stranger(row.provider, 24)

    @admin.display(description="User")
    def shown_user(self, row: Event) -> SafeString:
        """Return Terra's id of the user."""
        return stranger(row.user_id, 14)

    @admin.display(description="Reference")
    def shown_reference(self, row: Event) -> SafeString:
        """Return the customer's own id of the user."""
        return stranger(row.reference_id, 14)

    @admin.display(description="Source")
    def shown_source(self, row: Event) -> str:
        """Return where it came from."""
        return row.source.slug

    @admin.display(description="Size")
    def shown_size(self, row: Event) -> str:
        """Return the size of its body."""
        return size(row.size)

    @admin.display(description="Deliveries")
    def shown_deliveries(self, row: Event) -> SafeString | str:
        """Return how many deliveries it has in each status."""
        counts = Counter(delivery.status for delivery in row.deliveries.all())
        chips = (chip(_counted(STATUS_CHIPS[status], count)) for status, count in sorted(counts.items()))
        return format_html_join(" ", "{}", ((one,) for one in chips)) or "none"

    # --- the page ---------------------------------------------------------------------------
    def page(self, request: HttpRequest, obj: Event) -> Mapping[str, Any]:
        """Return its deliveries with where each stands; its payload has a page of its own."""
        rows = obj.deliveries.select_related("destination").order_by("-id")[: DELIVERIES_SHOWN + 1]
        return {
            "stale": STALE if obj.stale else None,
            "deliveries": [(row, delivery_state(row)) for row in rows[:DELIVERIES_SHOWN]],
            "payload_kept": Payload.objects.filter(pk=obj.pk).exists(),
        }

    def press_resend(self, request: HttpRequest, obj: Event) -> str:
        """Send it again."""
        count = resend_event(obj.pk)
        return f"{count} {'delivery is' if count == 1 else 'deliveries are'} due now."

    # --- its payload ------------------------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        """Add the payload's pages."""
        wrap = self.admin_site.admin_view
        return [
            path("<path:object_id>/payload/", wrap(self.payload_view), name="webhooks_event_payload"),
            path("<path:object_id>/payload/raw/", wrap(self.download_view), name="webhooks_event_download"),
            *super().get_urls(),
        ]

    def payload_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Show the beginning of the payload as text."""
        return self._payload(request, object_id, "viewed")

    def download_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Send the exact bytes as a file."""
        return self._payload(request, object_id, "downloaded")

    def _payload(self, request: HttpRequest, object_id: str, how: str) -> HttpResponseBase:
        require_permission(request)
        event = self.get_object(request, unquote(object_id))
        if event is None:
            raise Http404
        if not self.has_view_permission(request, event):
            raise PermissionDenied
        try:
            pieces = open_body(Payload.objects.get(pk=event.pk))
        except (Payload.DoesNotExist, PayloadMissing):
            self.message_user(request, "The payload is no longer kept.", "ERROR")
            return HttpResponseRedirect(self.url_of(event))
        note_view(self, request, event, how)
        if how == "downloaded":
            return body_download(event, pieces, event.size)
        return body_page(self, request, event, pieces, event.size)


def _counted(one: Chip, count: int) -> Chip:
    return one._replace(label=f"{count} {one.label.lower()}")
