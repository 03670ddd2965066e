"""The quarantine in the admin: what was refused and why, verified again, admitted."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, HttpResponseRedirect
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from destinations.admin.base import Rows
from destinations.admin.buttons import Button
from destinations.admin.empty import Empty
from destinations.services import Refused
from destinations.shown import Chip, Tone, chip, size, stranger, when
from destinations.texts import visible
from webhooks.admin.bodies import SeenAdmin, body_download, body_page, note_unless_noted, require_permission
from webhooks.admin.filterforms import RefusedForm
from webhooks.event_ids import moment_of_id
from webhooks.finding.quarantine import STATES, RefusedWanted, refused_scan, state_of
from webhooks.finding.scans import Key, Scan
from webhooks.keeping.payload_views import DOWNLOADED, FETCHED, VIEWED
from webhooks.models import QuarantinedRequest
from webhooks.receiving import quarantine
from webhooks.receiving.refusals import REMEDIES

_PASSES = "passes"  # in the address of the page that a verification which passed leads to
_ADMIT = "webhooks.admit_quarantinedrequest"
_CHIPS: Mapping[str, Chip] = {
    "kept": Chip(STATES["kept"], "gpp_bad", Tone.WARN),
    "admitted": Chip(STATES["admitted"], "check_circle", Tone.GOOD),
    "repeats": Chip(STATES["repeats"], "content_copy", Tone.QUIET),
}
MOST_ADMITTED = 200


def _open(item: QuarantinedRequest) -> bool:
    return item.admitted_at is None


@admin.register(QuarantinedRequest)
class QuarantineAdmin(SeenAdmin):
    """Requests that were refused, kept with the reason."""

    list_display = ("shown_time", "shown_reason", "shown_source", "shown_address", "shown_size", "shown_state")
    list_display_links = ("shown_time", "shown_reason")
    filter_form = RefusedForm
    own_kind = "quarantine"
    actions = ("admit_chosen",)
    empty = Empty(
        "verified_user", "Nothing was refused.",
        "A request with a wrong signature, from a foreign address or with a broken body is kept here, with the reason.",
        "Look at the events", "webhooks_event_changelist", "webhooks.view_event",
    )  # fmt: skip
    parts: ClassVar[Mapping[str, str]] = {"top": "hub/quarantined.html"}
    buttons: ClassVar[tuple[Button, ...]] = (
        Button(
            "verify", "Verify again", "Tries it with the source's secrets and allowlist of now. Changes nothing.",
            "verified", "webhooks.view_quarantinedrequest", applies=_open,
        ),
        Button(
            "admit", "Admit", "Makes an event of it, with its deliveries, if it passes now.",
            "move_to_inbox", _ADMIT, applies=_open,
        ),
    )  # fmt: skip

    # --- the list ---------------------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> Rows:
        """Return the requests, newest first."""
        rows: Rows = QuarantinedRequest.objects.select_related("source")
        return rows

    def get_listed(self) -> Rows:
        """Return the requests without what they carried."""
        rows: Rows = QuarantinedRequest.objects.select_related("source")
        return rows.defer("body", "headers", "source__signing")

    def scan(self, wanted: RefusedWanted) -> Scan:
        """Return how the requests that are wanted are found."""
        return refused_scan(wanted)

    def moment_of(self, key: Key) -> datetime:
        """Return when the request of a place came."""
        return moment_of_id(key[0])

    def has_admit_permission(self, request: HttpRequest) -> bool:
        """Those who may admit."""
        return request.user.has_perm(_ADMIT)

    @admin.action(description="Verify again and admit what passes", permissions=["admit"])
    def admit_chosen(self, request: HttpRequest, queryset: Rows) -> None:
        """Admit each of the ticked requests that passes now, and say why the others do not."""
        rows = queryset.filter(admitted_at=None).order_by("pk")[:MOST_ADMITTED]
        admitted, refusals = quarantine.admit_all(rows, by=request.user)
        for item in admitted:
            self.log_change(request, item, "Admit.")
        count = len(admitted)
        if count:
            messages.success(request, f"{count} {'request was' if count == 1 else 'requests were'} admitted.")
        for reason, times in refusals.most_common(5):
            messages.warning(request, f"{times} would be refused again. {visible(reason)}")
        if not count and not refusals:
            messages.info(request, "Nothing to do: what you ticked was admitted before.")

    @admin.display(description="Came in")
    def shown_time(self, row: QuarantinedRequest) -> SafeString:
        """Return when it came."""
        return when(row.received_at)

    @admin.display(description="Reason")
    def shown_reason(self, row: QuarantinedRequest) -> str:
        """Return why it was refused, in words."""
        return visible(row.reason_words)

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
            "remedy": "" if obj.admitted_at else REMEDIES.get(obj.reason, ""),
        }

    def shown_buttons(self, request: HttpRequest, obj: Any) -> Iterator[tuple[Button, str]]:
        """Yield the buttons: the main one is Verify again, and once that has passed Admit."""
        main = "admit" if _PASSES in request.GET else "verify"
        for button, url in super().shown_buttons(request, obj):
            yield replace(button, main=button.name == main), url

    def press_verify(self, request: HttpRequest, obj: QuarantinedRequest) -> str | HttpResponse:
        """Say whether it would pass now."""
        reason = quarantine.verify_again(obj)
        if reason:
            raise Refused({"": [f"It would be refused again. {reason}"]})
        if not request.user.has_perm(_ADMIT):
            return "It would pass now. Who may admit can make an event of it."
        self.message_user(request, "It would pass now. Press Admit to make an event of it.", "SUCCESS")
        return HttpResponseRedirect(f"{self.url_of(obj)}?{_PASSES}=1")

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
            path("<path:object_id>/payload/bytes/", wrap(self.bytes_view), name="webhooks_quarantinedrequest_bytes"),
            *super().get_urls(),
        ]

    def body_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Show the beginning of the body as text."""
        item = self._kept(request, object_id, VIEWED)
        return body_page(self, request, item, [bytes(item.body or b"")], item.size)

    def download_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Send the exact bytes as a file."""
        item = self._kept(request, object_id, DOWNLOADED)
        return body_download(item, [bytes(item.body or b"")], len(item.body or b""))

    def bytes_view(self, request: HttpRequest, object_id: str) -> HttpResponseBase:
        """Send the exact bytes to the page's own script."""
        item = self._kept(request, object_id, FETCHED)
        return body_download(item, [bytes(item.body or b"")], len(item.body or b""))

    def _kept(self, request: HttpRequest, object_id: str, how: str) -> QuarantinedRequest:
        require_permission(request)
        item: QuarantinedRequest | None = self.get_object(request, unquote(object_id))
        if item is None or item.body is None:
            raise Http404
        if not self.has_view_permission(request, item):
            raise PermissionDenied
        note_unless_noted(request, item, how)
        return item


def _state(row: QuarantinedRequest) -> Chip:
    return _CHIPS[state_of(row.admitted_at, row.event_id)]
