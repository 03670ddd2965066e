"""Adding and changing a destination in the admin: its type, its form, the set-up beside it, the check before saving."""

# mypy: disable-error-code="no-untyped-call"
# simple_history has no types.

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.contrib import messages
from django.contrib.admin.utils import unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from destinations import drafts, services
from destinations.adapters.base import Step
from destinations.admin.base import UseCaseAdmin, refusal_of
from destinations.checking import as_row, summary_of
from destinations.forms import CONFIG, CREDENTIALS, DestinationForm, what_matches
from destinations.models import Destination
from destinations.registry import UnknownType, adapter_class, adapter_classes
from destinations.rules import Kind
from destinations.setups import Setup, setup_of
from destinations.states import step_rows

_MADE = "hub_made_secrets"
_DRAFT = "hub_draft"


class DestinationFormAdmin(UseCaseAdmin):
    """What leads to a destination that is saved."""

    def get_urls(self) -> list[URLPattern]:
        """Add the check, and the set-up text, of what is typed."""
        view = self.admin_site.admin_view
        return [
            path("add/check/", view(self.draft_check_view), name="destinations_destination_draft_check"),
            path("add/setup/", view(self.draft_setup_view), name="destinations_destination_draft_setup"),
            path("<path:object_id>/setup/", view(self.setup_view), name="destinations_destination_setup"),
            *super().get_urls(),
        ]

    # --- choosing a type, and its form ----------------------------------------------------------
    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        """Ask for the type first, then for the fields of that type only."""
        try:
            kind = adapter_class(request.GET.get("type", ""))
        except UnknownType as error:
            return self._types_page(request, str(error))
        context = {"title": f"Add a destination: {kind.label}", "kind": _about(kind), **(extra_context or {})}
        return super().add_view(request, form_url, context | self._draft_context(request, kind))

    def _draft_context(self, request: HttpRequest, kind: Kind) -> dict[str, Any]:
        form = self.get_form(request)(request.POST if request.method == "POST" else None)
        return {
            "draft": self._draft(request),
            "setup_url": f"{self.url('draft_setup')}?{urlencode({'type': kind.type})}",
            "setup": self._typed_setup(kind, form, str(self._draft_id(request) or "")),
        }

    def _types_page(self, request: HttpRequest, problem: str) -> HttpResponse:
        if not self.has_add_permission(request):
            raise PermissionDenied
        if request.GET.get("type"):
            messages.error(request, problem)
        kinds = [_about(kind) for kind in adapter_classes()]
        return self.answer(request, "hub/destination_types.html", title="Add a destination", kinds=kinds)

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **_: Any) -> Any:
        """Return the form of the object's type, or of the type that was chosen."""
        kind = adapter_class(obj.type if obj else request.GET.get("type", ""))
        stale = obj is None and bool(request.POST.get("draft")) and not self._sent_id(request)
        about = {"kind": kind, "refused": refusal_of(request), "stale": drafts.STALE if stale else ""}
        return type("DestinationForm", (DestinationForm,), about)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the form's parts; none for those who may only look."""
        if obj is not None and not self.has_change_permission(request, obj):
            return []
        parts = self.get_form(request, obj).fieldsets(obj)
        for _, options in parts:
            if "event_types" in options["fields"]:
                options["description"] = render_to_string("hub/matching.html", request=request).strip()
        return parts

    # --- saving ---------------------------------------------------------------------------------
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
            id=self._sent_id(request),
            **form.settings(),
        )
        vars(request)[_MADE] = created.secrets
        return created.destination

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Show the secrets that were made, in this answer only; else go to the new destination's page."""
        made = vars(request).get(_MADE)
        if made:
            self._tell_what_matches(request, obj)
            return self.secrets_page(request, obj, f"{obj.name} was made", made)
        return self.response_change(request, obj)

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """Stay on the object's page, and say how many of the latest events its filter lets through."""
        answer = super().response_change(request, obj)
        self._tell_what_matches(request, obj)
        return answer

    def _tell_what_matches(self, request: HttpRequest, obj: Destination) -> None:
        filtered = obj.event_types or obj.sources
        if filtered and (said := what_matches(request.user, obj.event_types, obj.sources)):
            messages.info(request, said)

    def secrets_page(self, request: HttpRequest, obj: Destination, title: str, secrets: dict[str, str]) -> HttpResponse:
        """Show secrets that the hub made, in this answer only."""
        labels = {name: name.replace("_", " ").capitalize() for name in secrets}
        shown = [(labels[name], value) for name, value in secrets.items()]
        return self.answer(request, "hub/secrets_once.html", title=title, secrets=shown, next_url=self.url_of(obj))

    # --- the id that a draft is going to have -----------------------------------------------------
    def _sent_id(self, request: HttpRequest) -> UUID | None:
        """Return the id that the form carries; ``None`` where it carries none, or none that is good."""
        return drafts.draft_id(request.POST.get("draft", ""), request.user)

    def _draft(self, request: HttpRequest) -> str:
        """Return the signed id that the form is to carry: the one that it came with, if that is good."""
        known = vars(request)
        if _DRAFT not in known:
            known[_DRAFT] = request.POST["draft"] if self._sent_id(request) else drafts.new_draft(request.user)
        draft: str = known[_DRAFT]
        return draft

    def _draft_id(self, request: HttpRequest) -> UUID | None:
        return drafts.draft_id(self._draft(request), request.user)

    # --- what to set up on the other side ---------------------------------------------------------
    def setup_context(self, request: HttpRequest, obj: Destination) -> Mapping[str, Any]:
        """Return what the panel on a saved destination's page shows, and where it asks as its form changes."""
        change = self.has_change_permission(request, obj)
        return {
            "setup": setup_of(adapter_class(obj.type), obj.config, str(obj.pk)),
            "setup_url": self.url("setup", obj) if change else "",
        }

    def draft_setup_view(self, request: HttpRequest) -> HttpResponse:
        """Return the panel for what is typed into the form of a new destination. Nothing is kept."""
        if not self.has_add_permission(request):
            raise PermissionDenied
        try:
            kind = adapter_class(request.GET.get("type", ""))
        except UnknownType as error:
            raise Http404 from error
        return self._setup_answer(
            request, kind, self.get_form(request)(request.POST), str(self._sent_id(request) or "")
        )

    def setup_view(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Return the panel for what is typed into the form of a destination that is saved."""
        obj = self.get_object(request, unquote(object_id))
        if obj is None:
            raise Http404
        if not self.has_change_permission(request, obj):
            raise PermissionDenied
        form = self.get_form(request, obj)(request.POST, instance=obj)
        return self._setup_answer(request, form.kind, form, str(obj.pk))

    def _setup_answer(
        self, request: HttpRequest, kind: Kind, form: DestinationForm, destination_id: str
    ) -> HttpResponse:
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        context = {"setup": self._typed_setup(kind, form, destination_id), "chosen": request.POST.get("setup_tab", "")}
        return TemplateResponse(request, "hub/setup_parts.html", context)

    def _typed_setup(self, kind: Kind, form: DestinationForm, destination_id: str) -> Setup:
        return setup_of(kind, form.typed_config(), destination_id)

    # --- the check before saving ------------------------------------------------------------------
    def draft_check_view(self, request: HttpRequest) -> HttpResponse:
        """Check what is typed into the form, without saving it."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not (self.has_add_permission(request) and request.user.has_perm("destinations.check_destination")):
            raise PermissionDenied
        try:
            steps, problems = self._check_draft(request)
        except UnknownType as error:
            steps, problems = [], [str(error)]
        rows = step_rows([as_row(step) for step in steps])
        return self.answer(
            request, "hub/draft_check.html", title="Check", steps=rows, problems=problems, summary=summary_of(steps)
        )

    def _check_draft(self, request: HttpRequest) -> tuple[list[Step], list[str]]:
        form: DestinationForm = self.get_form(request)(request.POST, request.FILES)
        # Name and limits are not needed for a check.
        wrong = {name: texts for name, texts in form.errors.items() if name.startswith((CONFIG, CREDENTIALS))}
        if wrong:
            return [], [_at_field(form, name, " ".join(map(str, texts))) for name, texts in wrong.items()]
        try:
            draft = str(self._sent_id(request) or "")
            return services.check_draft(form.kind.type, form.config(), form.credentials(), draft), []
        except services.Refused as refused:
            told = [_at_field(form, path, text) for path, texts in refused.errors.items() for text in texts]
            return [], [*told, *filter(None, [refused.hint])]


def _about(kind: Kind) -> dict[str, str]:
    """Return what a template shows of a type (it would call the class itself)."""
    return {"type": kind.type, "label": kind.label, "summary": kind.summary, "icon": kind.icon}


def _at_field(form: DestinationForm, path: str, text: str) -> str:
    return f"{form.fields[path].label}: {text}" if path in form.fields else text
