"""Destinations in the admin."""

# mypy: disable-error-code="no-untyped-call"
# simple_history has no types.

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.safestring import SafeString

from destinations import services
from destinations.adapters.base import Step
from destinations.admin.base import Rows, UseCaseAdmin, ValueFilter, as_uuid, refusal_of
from destinations.admin.buttons import GRACES, Button, chosen_grace
from destinations.checking import as_row, passed
from destinations.forms import CONFIG, CREDENTIALS, DestinationForm
from destinations.models import Destination
from destinations.registry import UnknownType, adapter_class, adapter_classes, type_choices
from destinations.rules import Kind
from destinations.shown import chip, stranger, when
from destinations.specs import spec_fields
from destinations.states import state_of, step_rows

_CHANGE = "destinations.change_destination"
_MADE = "hub_made_secrets"


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
        return [("failing", "Failing"), ("paused", "Paused"), ("disabled", "Disabled")]

    def narrowed(self, queryset: Rows, value: str) -> Rows:
        """Keep the destinations in that state."""
        chosen: Mapping[str, dict[str, Any]] = {
            "failing": {"failing_since__isnull": False, "active": True},
            "paused": {"paused": True, "active": True},
            "disabled": {"active": False},
        }
        return queryset.filter(**chosen[value]) if value in chosen else queryset.none()


def _signs(row: Destination) -> bool:
    return services.has_signing_secret(adapter_class(row.type))


@admin.register(Destination)
class DestinationAdmin(UseCaseAdmin):
    """Where deliveries go: set up, checked, paused, deleted."""

    list_display = ("shown_name", "shown_type", "shown_target", "shown_state", "shown_check", "shown_made")
    list_display_links = ("shown_name",)
    list_filter = (TypeFilter, StateFilter)
    search_fields = ("name",)
    search_help_text = "Name, or an id"
    parts: ClassVar[Mapping[str, str]] = {
        "top": "hub/destination_top.html",
        "form_top": "hub/destination_form_top.html",
        "form_end": "hub/destination_draft.html",
        "bottom": "hub/destination_setup.html",
    }
    delete_confirmation_template = "hub/destination_delete.html"
    buttons: ClassVar[tuple[Button, ...]] = (
        Button(
            "check", "Check", "Tries the set-up step by step, for at most 15 s, and leaves nothing behind.",
            "troubleshoot", "destinations.check_destination", main=True,
        ),
        Button(
            "pause", "Pause", "Sends nothing until you resume. Deliveries collect; nothing is lost.",
            "pause", _CHANGE, applies=lambda row: row.active and not row.paused,
        ),
        Button(
            "resume", "Resume", "Ends the pause. What waits is sent at once.",
            "play_arrow", _CHANGE, applies=lambda row: row.active and (row.paused or bool(row.paused_until)),
        ),
        Button(
            "disable", "Disable", "New events get no delivery here. What waits is kept, and not sent.",
            "block", _CHANGE, applies=lambda row: row.active,
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

    # --- the form ---------------------------------------------------------------------------
    def get_urls(self) -> list[URLPattern]:
        """Add the check of a set-up that is not saved."""
        view = self.admin_site.admin_view(self.draft_check_view)
        return [path("add/check/", view, name="destinations_destination_draft_check"), *super().get_urls()]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        """Ask for the type first, then for the fields of that type only."""
        try:
            kind = adapter_class(request.GET.get("type", ""))
        except UnknownType as error:
            return self._types_page(request, str(error))
        context = {"title": f"Add a {kind.label} destination", "kind": _about(kind), **(extra_context or {})}
        return super().add_view(request, form_url, context)

    def _types_page(self, request: HttpRequest, problem: str) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        if request.GET.get("type"):
            messages.error(request, problem)
        kinds = [_about(kind) for kind in adapter_classes()]
        return self.answer(request, "hub/destination_types.html", title="Add a destination", kinds=kinds)

    def answer(self, request: HttpRequest, template: str, **context: Any) -> HttpResponse:
        """Return a page of the admin that no cache keeps."""
        everywhere = {**self.admin_site.each_context(request), "opts": self.opts}
        page = TemplateResponse(request, template, everywhere | context)
        page["Cache-Control"] = "no-store"
        return page

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **_: Any) -> Any:
        """Return the form of the object's type, or of the type that was chosen."""
        kind = adapter_class(obj.type if obj else request.GET.get("type", ""))
        return type("DestinationForm", (DestinationForm,), {"kind": kind, "refused": refusal_of(request)})

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the form's parts; none for those who may only look."""
        if obj is not None and not self.has_change_permission(request, obj):
            return []
        return self.get_form(request, obj).fieldsets(obj)

    def keep(self, request: HttpRequest, form: DestinationForm) -> Destination:
        """Make or change the destination."""
        if form.editing:
            changes = form.changes()
            return services.update_destination(form.instance, by=request.user, **changes) if changes else form.instance
        created = services.create_destination(
            type=form.kind.type,
            config=form.config(),
            credentials=form.credentials(),
            by=request.user,
            **form.settings(),
        )
        vars(request)[_MADE] = created.secrets
        return created.destination

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Show the secrets that were made, in this answer only; else go to the new destination's page."""
        made = vars(request).get(_MADE)
        if made:
            return self._secrets_page(request, obj, f"{obj.name} was made", made)
        return self.response_change(request, obj)

    def _secrets_page(
        self, request: HttpRequest, obj: Destination, title: str, secrets: dict[str, str]
    ) -> HttpResponse:
        labels = {name: name.replace("_", " ").capitalize() for name in secrets}
        shown = [(labels[name], value) for name, value in secrets.items()]
        return self.answer(request, "hub/secrets_once.html", title=title, secrets=shown, next_url=self.url_of(obj))

    # --- the page ---------------------------------------------------------------------------
    def page(self, request: HttpRequest, obj: Destination) -> Mapping[str, Any]:
        """Return the state, the last check, and what to paste on the other side."""
        return {
            "state": state_of(obj),
            "steps": step_rows(obj.check_steps),
            "target": services.target_of(obj),
            "type_label": self.shown_type(obj),
            "setup": _setup_of(obj),
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
        return self._secrets_page(request, obj, f"New signing secret of {obj.name}", {"signing_secret": secret})

    def press_revoke_links(self, request: HttpRequest, obj: Destination) -> str:
        """Revoke the payload links made so far."""
        services.revoke_payload_links(obj, by=request.user)
        return "Revoked. Deliveries from now on carry links that work."

    def delete_model(self, request: HttpRequest, obj: Destination) -> None:
        """Delete it by the use case: the row stays for its deliveries, its secrets do not."""
        services.delete_destination(obj, by=request.user)

    def draft_check_view(self, request: HttpRequest) -> HttpResponse:
        """Check what is typed into the form, without saving it."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not (self.has_add_permission(request) and request.user.has_perm("destinations.check_destination")):
            raise PermissionDenied
        try:
            steps, problems = self._check_draft(self.get_form(request)(request.POST))
        except UnknownType as error:
            steps, problems = [], [str(error)]
        rows = step_rows([as_row(step) for step in steps])
        return self.answer(request, "hub/draft_check.html", title="Check", steps=rows, problems=problems)

    def _check_draft(self, form: DestinationForm) -> tuple[list[Step], list[str]]:
        # Name and limits are not needed for a check.
        wrong = {name: texts for name, texts in form.errors.items() if name.startswith((CONFIG, CREDENTIALS))}
        if wrong:
            return [], [f"{form[name].label}: {' '.join(map(str, texts))}" for name, texts in wrong.items()]
        try:
            return services.check_draft(form.kind.type, form.config(), form.credentials()), []
        except services.Refused as refused:
            return [], [*(text for texts in refused.errors.values() for text in texts), *filter(None, [refused.hint])]


def _about(kind: Kind) -> dict[str, str]:
    """Return what a template shows of a type (it would call the class itself)."""
    return {"type": kind.type, "label": kind.label, "summary": kind.summary}


def _setup_of(obj: Destination) -> str:
    try:
        return services.setup_text(obj)
    except services.Unusable:
        return ""


def _facts(obj: Destination) -> list[tuple[str, Any]]:
    """Return what the form would show, for those who may only look."""
    config = [
        (spec.about.label, obj.config.get(spec.name, spec.default))
        for spec in spec_fields(adapter_class(obj.type).config_spec)
    ]
    return [
        *config,
        ("Event types", ", ".join(obj.event_types) or "every type"),
        ("Sources", ", ".join(obj.sources) or "every source"),
        ("Retry waits (s)", ", ".join(f"{wait:g}" for wait in obj.retry_waits)),
        ("Timeout (s)", f"{obj.timeout_s:g}"),
        ("Tries at once", obj.concurrency),
    ]
