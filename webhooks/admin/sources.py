"""Sources in the admin."""

# mypy: disable-error-code="no-untyped-call"
# simple_history has no types.

from collections.abc import Mapping
from datetime import datetime
from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import URLPattern, path
from django.utils.safestring import SafeString

from destinations.admin.base import Rows, UseCaseAdmin, refusal_of
from destinations.admin.buttons import GRACES, Button, chosen_grace
from destinations.admin.empty import Empty
from destinations.crypto import SealError
from destinations.shown import Chip, Tone, chip, when
from webhooks.admin.forms import SourceForm
from webhooks.admin.matching import matching_view
from webhooks.models import Source
from webhooks.receiving import sources
from webhooks.receiving.samples import send_sample

_ACTIVE = Chip("Active", "check_circle", Tone.GOOD)
_DISABLED = Chip("Disabled", "block", Tone.QUIET)


@admin.register(Source)
class SourceAdmin(UseCaseAdmin):
    """Terra environments that may post here."""

    list_display = ("shown_slug", "shown_name", "shown_active", "shown_allowlist", "shown_made")
    list_display_links = ("shown_slug",)
    search_fields = ("slug", "name")
    empty = Empty(
        "input", "No source yet.",
        "A source is one environment of Terra's. It has a webhook URL to paste into Terra's dashboard.",
        "Add a source", "webhooks_source_add", "webhooks.add_source",
    )  # fmt: skip
    parts: ClassVar[Mapping[str, str]] = {"top": "hub/source_top.html"}
    buttons: ClassVar[tuple[Button, ...]] = (
        Button(
            "send_sample",
            "Send a signed sample",
            "A healthcheck made and signed by this hub, verified like Terra's own requests, and delivered.",
            "send",
            "destinations.test_destination",
            applies=lambda row: row.active,
        ),
        Button(
            "replace_secret",
            "Replace signing secret",
            "",
            "key",
            "webhooks.change_source",
            fields="hub/new_secret.html",
        ),
    )

    def get_urls(self) -> list[URLPattern]:
        """Add what a destination's form asks, and what a source's page asks while it waits for its first event."""
        wrap = self.admin_site.admin_view
        return [
            path("matching/", wrap(matching_view), name="webhooks_source_matching"),
            path("<path:object_id>/waiting/", wrap(self.waiting_view), name="webhooks_source_waiting"),
            *super().get_urls(),
        ]

    @admin.display(description="Slug")
    def shown_slug(self, row: Source) -> str:
        """Return the slug, which links to the page."""
        return row.slug

    @admin.display(description="Name")
    def shown_name(self, row: Source) -> str:
        """Return the name."""
        return row.name

    @admin.display(description="State")
    def shown_active(self, row: Source) -> SafeString:
        """Return whether it takes requests."""
        return chip(_ACTIVE if row.active else _DISABLED)

    @admin.display(description="Allowlist")
    def shown_allowlist(self, row: Source) -> str:
        """Return how many addresses are on the list, and whether it counts."""
        return f"{len(row.allowlist)} entries, {'enforced' if row.allowlist_enforced else 'not enforced'}"

    @admin.display(description="Made")
    def shown_made(self, row: Source) -> SafeString:
        """Return when it was made."""
        return when(row.created_at)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: events refer to their source. Switch it off instead."""
        return False

    def get_queryset(self, request: HttpRequest) -> Rows:
        """Return every source."""
        rows: Rows = Source.objects.all()
        return rows

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **_: Any) -> Any:
        """Return the form, with what was refused of this request."""
        return type("SourceForm", (SourceForm,), {"refused": refusal_of(request)})

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the form's parts; none for those who may only look."""
        if obj is not None and not self.has_change_permission(request, obj):
            return []
        return SourceForm.fieldsets(adding=obj is None)

    def keep(self, request: HttpRequest, form: SourceForm) -> Source:
        """Make or change the source."""
        if not form.editing:
            return sources.create_source(by=request.user, **form.values())
        changes = form.changes()
        return sources.update_source(form.instance, by=request.user, **changes) if changes else form.instance

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> Any:
        """Go to its page, where its webhook URL stands."""
        return self.response_change(request, obj)

    def page(self, request: HttpRequest, obj: Source) -> Mapping[str, Any]:
        """Return the webhook URL and the live secrets without their values."""
        secrets, problem = _secrets_of(obj)
        return {
            "chip": _ACTIVE if obj.active else _DISABLED,
            "webhook_url": sources.webhook_url(obj.slug),
            "secrets": secrets,
            "problem": problem,
            "graces": GRACES,
            "facts": [] if self.has_change_permission(request, obj) else _facts(obj),
            "waiting": request.user.has_perm("webhooks.view_event") and not sources.has_events(obj),
        }

    def waiting_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Return the good news once the first event is here; until then say nothing."""
        source = self.get_object(request, unquote(object_id))
        if source is None:
            raise Http404
        if not (self.has_view_permission(request, source) and request.user.has_perm("webhooks.view_event")):
            raise PermissionDenied
        if not sources.has_events(source):
            return HttpResponse(status=204)
        return render(request, "hub/source_waiting.html", {"original": source, "waiting": False})

    def press_send_sample(self, request: HttpRequest, obj: Source) -> str:
        """Send a sample to it."""
        event = send_sample(obj, by=request.user)
        return f"The sample was verified and is here as event {event.pk}."

    def press_replace_secret(self, request: HttpRequest, obj: Source) -> str:
        """Make the pasted secret the current one; those before it stay live for a while."""
        sources.add_signing_secret(obj, request.POST.get("secret", ""), chosen_grace(request), by=request.user)
        return "The signing secret was replaced."


def _secrets_of(obj: Source) -> tuple[list[dict[str, Any]], str]:
    try:
        found = sources.signing_secrets_summary(obj)
    except SealError as error:
        return [], str(error)
    return [{**one, "until": one["not_after"] and datetime.fromisoformat(one["not_after"])} for one in found], ""


def _facts(obj: Source) -> list[tuple[str, Any]]:
    """Return what the form would show, for those who may only look."""
    return [
        ("Name", obj.name),
        ("Terra dev-id", obj.dev_id),
        ("Allowlist", ", ".join(obj.allowlist)),
        ("Enforce the allowlist", "yes" if obj.allowlist_enforced else "no"),
        ("Tolerance (seconds)", obj.tolerance_s),
        ("Stale window (seconds)", obj.stale_window_s),
        ("Strict", "yes" if obj.strict else "no"),
    ]
