"""Destinations in the admin."""

# mypy: disable-error-code="no-untyped-call"
# simple_history has no types.

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.safestring import SafeString

from destinations import services
from destinations.admin.base import Rows, ValueFilter, as_uuid
from destinations.admin.buttons import GRACES, Button, chosen_grace
from destinations.admin.destination_form import DestinationFormAdmin
from destinations.admin.empty import Empty
from destinations.checking import passed
from destinations.models import Destination
from destinations.registry import adapter_class, type_choices
from destinations.shown import chip, stranger, when
from destinations.specs import complete, spec_fields
from destinations.states import IN_STATE, state_of, step_rows

_CHANGE = "destinations.change_destination"
_PAUSE = "destinations.pause_destination"


class TypeFilter(ValueFilter):
    """Destinations of one type."""

    title = "type"
    parameter_name = column = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer every type."""
        return type_choices()


class StateFilter(ValueFilter):
    """Destinations that somebody should look at."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer what can be told from the row."""
        return [(state, state.capitalize()) for state in IN_STATE]

    def narrowed(self, queryset: Rows, value: str) -> Rows:
        """Keep the destinations in that state."""
        return queryset.filter(**IN_STATE[value]) if value in IN_STATE else queryset.none()


def _signs(row: Destination) -> bool:
    return services.has_signing_secret(adapter_class(row.type))


class DestinationAdmin(DestinationFormAdmin):
    """Where deliveries go: set up, checked, paused, deleted.

    ``webhooks.admin.destinations`` registers it, with what its deliveries say beside what its row says.
    """

    list_display: Any = ("shown_name", "shown_type", "shown_target", "shown_state", "shown_check", "shown_made")
    list_display_links = ("shown_name",)
    list_filter: ClassVar[Any] = (TypeFilter, StateFilter)
    search_fields = ("name",)
    search_help_text = "Name, or an id"
    empty = Empty(
        "output", "No destination yet.",
        "A destination is where events go: a webhook, a database, a bucket, a queue.",
        "Add a destination", "destinations_destination_add", "destinations.add_destination",
    )  # fmt: skip
    parts: ClassVar[Mapping[str, str]] = {
        "top": "hub/destination_top.html",
        "form_top": "hub/destination_form_top.html",
        "form_end": "hub/destination_draft.html",
        "bottom": "hub/setup_panel.html",
    }
    delete_confirmation_template = "hub/destination_delete.html"
    buttons: ClassVar[tuple[Button, ...]] = (
        Button(
            "check", "Check", "Tries the set-up step by step, for at most 15 s, and leaves nothing behind.",
            "troubleshoot", "destinations.check_destination", main=True,
        ),
        Button(
            "pause", "Pause", "Sends nothing until you resume. Deliveries collect; nothing is lost.",
            "pause", _CHANGE, also=_PAUSE, applies=lambda row: row.active and not row.paused, undo="resume",
        ),
        Button(
            "resume", "Resume", "Ends the pause. What waits is sent at once.",
            "play_arrow", _CHANGE, also=_PAUSE,
            applies=lambda row: row.active and (row.paused or bool(row.paused_until)),
        ),
        Button(
            "disable", "Disable", "New events get no delivery here. What waits is kept, and not sent.",
            "block", _CHANGE, applies=lambda row: row.active, undo="enable",
        ),
        Button(
            "enable", "Enable", "Takes new events again, and sends what was kept.",
            "power_settings_new", _CHANGE, applies=lambda row: not row.active,
        ),
        Button(
            "rotate_secret", "Rotate signing secret", "Makes a new one and shows it once. The old one signs too for",
            "autorenew", _CHANGE, fields="hub/grace.html", applies=_signs,
        ),
        Button(
            "revoke_links", "Revoke payload links", "Every payload link that it was given opens nothing any more.",
            "link_off", _CHANGE,
            asks="Whoever still follows one of these links gets 404, also from deliveries that have arrived. "
            "This cannot be undone; deliveries from now on carry new links.",
        ),
    )  # fmt: skip

    # --- the list ---------------------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> Rows:
        """Return those that were not deleted."""
        rows: Rows = Destination.objects.present()
        return rows

    def found_by_id(self, request: HttpRequest, term: str) -> Any:
        """Return the destination with that id."""
        key = as_uuid(term)
        return self.get_queryset(request).filter(pk=key).first() if key else None

    @admin.display(description="Name")
    def shown_name(self, row: Destination) -> str:
        """Return the name, which links to the page."""
        return row.name

    @admin.display(description="Type")
    def shown_type(self, row: Destination) -> str:
        """Return the type's label."""
        return dict(type_choices()).get(row.type, row.type)

    @admin.display(description="Target")
    def shown_target(self, row: Destination) -> SafeString:
        """Return where deliveries go, without secrets."""
        return stranger(services.target_of(row))

    @admin.display(description="State")
    def shown_state(self, row: Destination) -> SafeString:
        """Return the state, and its sentence where it is pointed at."""
        state = state_of(row)
        return chip(state.chip, state.sentence)

    @admin.display(description="Last check")
    def shown_check(self, row: Destination) -> SafeString:
        """Return when it was checked last."""
        return when(row.checked_at)

    @admin.display(description="Made")
    def shown_made(self, row: Destination) -> SafeString:
        """Return when it was made."""
        return when(row.created_at)

    # --- the page ---------------------------------------------------------------------------
    def page(self, request: HttpRequest, obj: Destination) -> Mapping[str, Any]:
        """Return the state, the last check, and what to paste on the other side."""
        return {
            "state": state_of(obj),
            "steps": step_rows(obj.check_steps),
            "target": services.target_of(obj),
            "type_label": self.shown_type(obj),
            **self.setup_context(request, obj),
            "facts": [] if self.has_change_permission(request, obj) else _facts(obj),
            "graces": GRACES,
            "deliveries_url": f"{reverse('admin:webhooks_delivery_changelist')}?destination={obj.pk}",
        }

    def press_check(self, request: HttpRequest, obj: Destination) -> str:
        """Check it as it is stored."""
        if passed(services.check_destination(obj)):
            return "The check passed."
        messages.warning(request, "The check did not pass: the steps below say where, and what to change.")
        return ""

    def press_pause(self, request: HttpRequest, obj: Destination) -> str:
        """Pause it."""
        services.pause(obj, by=request.user)
        return "Paused. Deliveries collect until you resume."

    def press_resume(self, request: HttpRequest, obj: Destination) -> str:
        """End a pause."""
        services.resume(obj, by=request.user)
        return "Resumed. What waits is sent now."

    def press_disable(self, request: HttpRequest, obj: Destination) -> str:
        """Disable it."""
        services.disable(obj, by=request.user)
        return "Disabled. New events get no delivery here."

    def press_enable(self, request: HttpRequest, obj: Destination) -> str:
        """Enable it."""
        services.enable(obj, by=request.user)
        return "Enabled. New events are delivered here again."

    def press_rotate_secret(self, request: HttpRequest, obj: Destination) -> HttpResponse:
        """Make a new signing secret and show it, in this answer only."""
        if request.POST.get("version") != str(obj.version):
            raise services.Refused({"": ["It was changed meanwhile. Look at the page again, then press the button."]})
        secret = services.rotate_signing_secret(obj, chosen_grace(request), by=request.user)
        return self.secrets_page(request, obj, f"New signing secret of {obj.name}", {"signing_secret": secret})

    def press_revoke_links(self, request: HttpRequest, obj: Destination) -> str:
        """Revoke the payload links made so far."""
        services.revoke_payload_links(obj, by=request.user)
        return "Revoked. Deliveries from now on carry links that work."

    def delete_model(self, request: HttpRequest, obj: Destination) -> None:
        """Delete it by the use case: the row stays for its deliveries, its secrets do not."""
        services.delete_destination(obj, by=request.user)


def _facts(obj: Destination) -> list[tuple[str, Any]]:
    """Return what the form would show, for those who may only look."""
    spec = adapter_class(obj.type).config_spec
    held = complete(spec, obj.config)
    config = [(field.about.label, held[field.name]) for field in spec_fields(spec) if field.asked_for(held)]
    return [
        *config,
        ("Event types", ", ".join(obj.event_types) or "every type"),
        ("Sources", ", ".join(obj.sources) or "every source"),
        ("Retry waits (s)", ", ".join(f"{wait:g}" for wait in obj.retry_waits)),
        ("Timeout (s)", f"{obj.timeout_s:g}"),
        ("Tries at once", obj.concurrency),
    ]
