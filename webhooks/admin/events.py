"""Events in the admin: what came in, and where it went."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString

from destinations.admin.base import Rows
from destinations.admin.buttons import Button
from destinations.admin.empty import Empty
from destinations.shown import Chip, Tone, short_id, size, stranger, when
from webhooks.admin.bodies import SeenAdmin, body_download, body_page, note_unless_noted, require_permission
from webhooks.admin.chunks import chunks_of
from webhooks.admin.dots import dots, dots_of
from webhooks.admin.filterforms import EventsForm
from webhooks.admin.replays import replay_chosen
from webhooks.admin.unmatched import why_not
from webhooks.event_ids import moment_of_id
from webhooks.finding.events import EventsWanted, events_scan
from webhooks.finding.scans import Key, Scan
from webhooks.keeping.payload_views import DOWNLOADED, FETCHED, VIEWED
from webhooks.keeping.payloads import PayloadMissing, PayloadStoreDown, open_body
from webhooks.keeping.replay import resend_event
from webhooks.keeping.retention.lives import why_gone
from webhooks.models import Event, Payload
from webhooks.receiving.evidence import evidence_of
from webhooks.wording import delivery_state

DELIVERIES_SHOWN = 200
STALE = Chip("Stale", "history", Tone.WARN)
_COLUMNS = ("id", "type", "provider", "user_id", "size", "stale", "received_at", "source__slug")


@admin.register(Event)
class EventAdmin(SeenAdmin):
    """Accepted requests: what each said of itself, its deliveries, and its payload on demand."""

    list_display = (
        "shown_time", "shown_type", "shown_provider", "shown_user", "shown_size", "shown_deliveries", "shown_source",
    )  # fmt: skip
    list_display_links = ("shown_time", "shown_type")
    filter_form = EventsForm
    own_kind = "event"
    replay_kind = "matching"
    empty = Empty(
        "bolt", "No event yet.",
        "What Terra posts to a source's webhook URL shows here a moment later. The URL stands on the source's page.",
        "Look at the sources", "webhooks_source_changelist", "webhooks.view_source",
    )  # fmt: skip
    parts: ClassVar[Mapping[str, str]] = {"top": "hub/event.html"}
    actions = (replay_chosen,)
    buttons: ClassVar[tuple[Button, ...]] = (
        Button(
            "resend", "Resend", "Sends it again, to where it would go if it came now.",
            "send", "webhooks.resend_delivery", main=True,
        ),
    )  # fmt: skip

    # --- the list ---------------------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> Rows:
        """Return events with their sources, newest first."""
        rows: Rows = Event.objects.select_related("source")
        return rows

    def get_listed(self) -> Rows:
        """Return events without their headers."""
        rows: Rows = Event.objects.select_related("source").only(*_COLUMNS)
        return rows

    def rows_of(self, keys: Sequence[Any]) -> list[Event]:
        """Return the events of a page, each with the dots of its deliveries."""
        events: list[Event] = super().rows_of(keys)
        found = dots_of(keys)
        for event in events:
            vars(event)["dots"] = found.get(event.pk, [])
        return events

    def scan(self, wanted: EventsWanted) -> Scan:
        """Return how the events that are wanted are found."""
        return events_scan(wanted)

    def replay_url(self, chosen: Mapping[str, str]) -> str:
        """Return the dialog that replays what the list shows; none for a filter that no replay has."""
        return "" if "provider" in chosen else super().replay_url(chosen)

    def moment_of(self, key: Key) -> datetime:
        """Return when the event of a place was taken in."""
        return moment_of_id(key[0])

    @admin.display(description="Received")
    def shown_time(self, row: Event) -> SafeString:
        """Return when it was taken in. Its key is there for the script that marks what is new."""
        return format_html('<span data-hub-row="{}">{}</span>', row.pk, when(row.received_at))

    @admin.display(description="Type")
    def shown_type(self, row: Event) -> SafeString:
        """Return its type."""
        return stranger(row.type, 32)

    @admin.display(description="Provider")
    def shown_provider(self, row: Event) -> SafeString:
        """Return the wearable's provider."""
        return stranger(row.provider, 24)

    @admin.display(description="User")
    def shown_user(self, row: Event) -> SafeString:
        """Return Terra's id of the user, short, with a button that copies it."""
        return short_id(row.user_id, "user id")

    @admin.display(description="Source")
    def shown_source(self, row: Event) -> str:
        """Return where it came from."""
        return row.source.slug

    @admin.display(description="Size")
    def shown_size(self, row: Event) -> str:
        """Return the size of its body."""
        return size(row.size)

    @admin.display(description="Deliveries")
    def shown_deliveries(self, row: Event) -> SafeString:
        """Return a dot for each delivery, troubled ones first."""
        return dots(row.pk, vars(row)["dots"])

    def has_replay_permission(self, request: HttpRequest) -> bool:
        """Those who may start a replay."""
        return request.user.has_perm("webhooks.add_replay")

    # --- the page ---------------------------------------------------------------------------
    def page(self, request: HttpRequest, obj: Event) -> Mapping[str, Any]:
        """Return its deliveries with where each stands; its payload has a page of its own."""
        rows = obj.deliveries.select_related("destination").order_by("-id")[: DELIVERIES_SHOWN + 1]
        return {
            "stale": STALE if obj.stale else None,
            "deliveries": [(row, delivery_state(row)) for row in rows[:DELIVERIES_SHOWN]],
            "why_not": [] if rows else why_not(obj),
            "payload_gone": "" if Payload.objects.filter(pk=obj.pk).exists() else why_gone(obj.received_at),
            "evidence": evidence_of(obj),
            "chunks": chunks_of(obj),
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
            path("<path:object_id>/payload/bytes/", wrap(self.bytes_view), name="webhooks_event_bytes"),
            *super().get_urls(),
        ]

    def payload_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Show the beginning of the payload as text."""
        return self._payload(request, object_id, VIEWED)

    def download_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Send the exact bytes as a file."""
        return self._payload(request, object_id, DOWNLOADED)

    def bytes_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Send the exact bytes to the page's own script."""
        return self._payload(request, object_id, FETCHED)

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
            self.message_user(request, why_gone(event.received_at), "ERROR")
            return HttpResponseRedirect(self.url_of(event))
        except PayloadStoreDown as error:
            self.message_user(request, f"The payload cannot be read at this moment. {error}", "ERROR")
            return HttpResponseRedirect(self.url_of(event))
        note_unless_noted(request, event, how)
        if how != VIEWED:
            return body_download(event, pieces, event.size)
        return body_page(self, request, event, pieces, event.size)
