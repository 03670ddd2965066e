"""The quarantine in the admin: what was refused and why, verified again, admitted."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from destinations.admin.base import OlderFilter, ReadOnlyAdmin, Rows, ValueFilter, as_uuid
from destinations.admin.buttons import Button
from destinations.services import Refused
from destinations.shown import Chip, Tone, chip, size, stranger, when
from destinations.texts import visible
from webhooks.admin.bodies import body_download, body_page, note_view, require_permission
from webhooks.admin.lookups import MOST_SOURCES
from webhooks.models import QuarantinedRequest, Source
from webhooks.receiving import quarantine
from webhooks.receiving.refusals import REASONS

_ADMIT = "webhooks.admit_quarantinedrequest"
_KEPT = Chip("Kept", "gpp_bad", Tone.WARN)
_ADMITTED = Chip("Admitted", "check_circle", Tone.GOOD)
_REPEAT = Chip("Repeats an event", "content_copy", Tone.QUIET)


class SourceFilter(ValueFilter):
    """Requests that came to one source."""

    title = "source"
    parameter_name = "source"
    column = "source_id"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the sources."""
        rows = Source.objects.order_by("slug").values_list("pk", "slug")
        return [(str(pk), slug) for pk, slug in rows[:MOST_SOURCES]]


def _open(item: QuarantinedRequest) -> bool:
    return item.admitted_at is None


@admin.register(QuarantinedRequest)
class QuarantineAdmin(ReadOnlyAdmin):
    """Requests that were refused, kept with the reason."""

    goes_on = True
    list_display = ("shown_time", "shown_reason", "shown_source", "shown_address", "shown_size", "shown_state")
    list_display_links = ("shown_time", "shown_reason")
    list_filter = (SourceFilter, OlderFilter)
    search_fields = ("pk",)
    search_help_text = "Id of a quarantined request"
    parts: ClassVar[Mapping[str, str]] = {"top": "hub/quarantined.html"}
    buttons: ClassVar[tuple[Button, ...]] = (
        Button(
            "verify", "Verify again", "Tries it with the source's secrets and allowlist of now. Changes nothing.",
            "verified", "webhooks.view_quarantinedrequest", main=True, applies=_open,
        ),
        Button(
            "admit", "Admit", "Makes an event of it, with its deliveries, if it passes now.",
            "move_to_inbox", _ADMIT, applies=_open,
        ),
    )  # fmt: skip

    # --- the list ---------------------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> Rows:
        """Return the requests, for lists without what they carried."""
        rows: Rows = QuarantinedRequest.objects.select_related("source")
        listed = getattr(request.resolver_match, "url_name", "") == "webhooks_quarantinedrequest_changelist"
        return rows.defer("body", "headers", "source__signing") if listed else rows

    def get_search_results(self, request: HttpRequest, queryset: Rows, search_term: str) -> tuple[Rows, bool]:
        """Find nothing: an id that exists has led to its page already."""
        return (queryset.none() if search_term.strip() else queryset), False

    def found_by_id(self, request: HttpRequest, term: str) -> Any:
        """Return the request with that id."""
        key = as_uuid(term)
        return QuarantinedRequest.objects.filter(pk=key).first() if key else None

    @admin.display(description="Came in")
    def shown_time(self, row: QuarantinedRequest) -> SafeString:
        """Return when it came."""
        return when(row.received_at)

    @admin.display(description="Reason")
    def shown_reason(self, row: QuarantinedRequest) -> str:
        """Return why it was refused, in words."""
        return REASONS.get(row.reason) or visible(row.reason)

    @admin.display(description="Source")
    def shown_source(self, row: QuarantinedRequest) -> str:
        """Return the source that it came to."""
        return row.source.slug

    @admin.display(description="From")
    def shown_address(self, row: QuarantinedRequest) -> SafeString:
        """Return the sender's address."""
        return stranger(row.remote_address, 40)

    @admin.display(description="Size")
    def shown_size(self, row: QuarantinedRequest) -> str:
        """Return the size of its body."""
        return size(row.size)

    @admin.display(description="State")
    def shown_state(self, row: QuarantinedRequest) -> SafeString:
        """Return whether it became an event."""
        return chip(_state(row))

    # --- the page ---------------------------------------------------------------------------
    def page(self, request: HttpRequest, obj: QuarantinedRequest) -> Mapping[str, Any]:
        """Return the reason in words and the event that it became, or that it repeats."""
        return {
            "chip": _state(obj),
            "reason": self.shown_reason(obj),
            "event_url": reverse("admin:webhooks_event_change", args=[obj.event_id]) if obj.event_id else "",
            "body_kept": obj.body is not None,
        }

    def press_verify(self, request: HttpRequest, obj: QuarantinedRequest) -> str:
        """Say whether it would pass now."""
        reason = quarantine.verify_again(obj)
        if reason:
            raise Refused({"": [f"It would be refused again. {reason}"]})
        return "It would pass now. Press Admit to make an event of it."

    def press_admit(self, request: HttpRequest, obj: QuarantinedRequest) -> HttpResponse:
        """Make an event of it, and go there."""
        event = quarantine.admit(obj, by=request.user)
        self.message_user(request, "Admitted. This is the event; its deliveries are due now.", "SUCCESS")
        return HttpResponseRedirect(reverse("admin:webhooks_event_change", args=[event.pk]))

    # --- its body ---------------------------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        """Add the body's pages."""
        wrap = self.admin_site.admin_view
        return [
            path("<path:object_id>/payload/", wrap(self.body_view), name="webhooks_quarantinedrequest_payload"),
            path(
                "<path:object_id>/payload/raw/", wrap(self.download_view), name="webhooks_quarantinedrequest_download"
            ),
            *super().get_urls(),
        ]

    def body_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the beginning of the body as text."""
        item = self._kept(request, object_id, "viewed")
        return body_page(self, request, item, [bytes(item.body or b"")], item.size)

    def download_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Send the exact bytes as a file."""
        item = self._kept(request, object_id, "downloaded")
        return body_download(item, [bytes(item.body or b"")], len(item.body or b""))

    def _kept(self, request: HttpRequest, object_id: str, how: str) -> QuarantinedRequest:
        require_permission(request)
        item: QuarantinedRequest | None = self.get_object(request, unquote(object_id))
        if item is None or item.body is None:
            raise Http404
        if not self.has_view_permission(request, item):
            raise PermissionDenied
        note_view(self, request, item, how)
        return item


def _state(row: QuarantinedRequest) -> Chip:
    if row.admitted_at:
        return _ADMITTED
    return _REPEAT if row.event_id else _KEPT
