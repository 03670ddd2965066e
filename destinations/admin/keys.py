"""API keys in the admin: made and shown once, looked at, revoked."""

# mypy: disable-error-code="no-untyped-call"
# simple_history has no types.

from collections.abc import Mapping
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.db.models import Exists, OuterRef, Q
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from destinations.access.keys import make_key, revoke_key, warning_of
from destinations.access.scopes import SCOPES, words_of
from destinations.admin.base import Rows, UseCaseAdmin, ValueFilter, refusal_of
from destinations.admin.buttons import Button
from destinations.admin.empty import Empty
from destinations.admin.key_form import ONCE, ApiKeyForm
from destinations.models import ApiKey
from destinations.shown import NOTHING, Chip, Tone, chip, stranger, when

_STATES: Mapping[str, Chip] = {
    "active": Chip("Active", "check_circle", Tone.GOOD),
    "expired": Chip("Expired", "timer_off", Tone.QUIET),
    "revoked": Chip("Revoked", "block", Tone.QUIET),
}
_LOOK = Chip("Look", "warning", Tone.WARN)
_MAKER_OFF = Chip("Account off", "person_off", Tone.WARN)
_MADE = "hub_made_key"
_SENT = "hub_sent_key_forms"  # of a session: the last forms that made a key
_MOST_SENT = 20


class StateFilter(ValueFilter):
    """Keys that open something, and those that do not any more."""

    title = "state"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer every state."""
        return [(name, state.label) for name, state in _STATES.items()]

    def narrowed(self, queryset: Rows, value: str) -> Rows:
        """Keep the keys in that state."""
        ended = Q(expires_at__lte=timezone.now())
        chosen = {
            "active": Q(revoked_at=None) & ~ended,
            "expired": Q(revoked_at=None) & ended,
            "revoked": Q(revoked_at__isnull=False),
        }
        return queryset.filter(chosen[value]) if value in chosen else queryset.none()


@admin.register(ApiKey)
class ApiKeyAdmin(UseCaseAdmin):
    """Keys of the API. What a key may do is fixed: another one is made, and this one is revoked."""

    list_display = (
        "shown_name", "shown_state", "shown_scopes", "shown_sources", "shown_used", "shown_end",
        "shown_maker",
    )  # fmt: skip
    list_display_links = ("shown_name",)
    list_filter: ClassVar[Any] = (StateFilter,)
    search_fields = ("name", "prefix")
    search_help_text = "Name, or how a key begins"
    empty = Empty(
        "key", "No API key yet.",
        "A key lets a script do over the API what you do here, and no more than you allow it.",
        "Make an API key", "destinations_apikey_add", "destinations.add_apikey",
    )  # fmt: skip
    parts: ClassVar[Mapping[str, str]] = {"top": "hub/api_key.html"}
    buttons: ClassVar[tuple[Button, ...]] = (
        Button(
            "revoke", "Revoke", "It opens nothing any more, from now on.", "block", "destinations.change_apikey",
            applies=lambda row: row.revoked_at is None,
            asks="Whatever still uses it gets 401 at once. This cannot be undone: make another key first.",
        ),
    )  # fmt: skip

    # --- the list ---------------------------------------------------------------------------
    def get_queryset(self, request: HttpRequest) -> Rows:
        """Return every key, with whether the account of its maker is switched off."""
        off = get_user_model().objects.filter(username=OuterRef("created_by"), is_active=False)
        rows: Rows = ApiKey.objects.annotate(maker_off=Exists(off))
        return rows

    @admin.display(description="Name")
    def shown_name(self, row: ApiKey) -> SafeString:
        """Return the name, which links to the page, and how the key begins."""
        second = format_html('<span class="hub-second">{}…</span>', row.prefix)
        return format_html('<span class="hub-two">{}{}</span>', stranger(row.name, 40), second)

    @admin.display(description="State")
    def shown_state(self, row: ApiKey) -> SafeString:
        """Return whether it opens anything, and whether somebody should look at it."""
        now = timezone.now()
        state, warning = chip(_STATES[row.state(now)]), warning_of(row, now)
        return format_html("{} {}", state, chip(_LOOK, warning)) if warning else state

    @admin.display(description="Scopes")
    def shown_scopes(self, row: ApiKey) -> str:
        """Return what it may do, by the names of the scopes."""
        return "everything" if set(row.scopes) >= set(SCOPES) else ", ".join(row.scopes)

    @admin.display(description="Sources")
    def shown_sources(self, row: ApiKey) -> SafeString:
        """Return what it is limited to."""
        return stranger(", ".join(row.sources) or "every source", 40)

    @admin.display(description="Last used")
    def shown_used(self, row: ApiKey) -> SafeString:
        """Return when it was used last, to the minute."""
        return when(row.last_used_at)

    @admin.display(description="Expires")
    def shown_end(self, row: ApiKey) -> SafeString | str:
        """Return when it ends by itself."""
        return when(row.expires_at) if row.expires_at else "never"

    @admin.display(description="Made by")
    def shown_maker(self, row: Any) -> SafeString:
        """Return who made it, and whether they can still log in."""
        name = stranger(row.created_by or NOTHING, 20)
        return format_html("{} {}", name, chip(_MAKER_OFF)) if row.maker_off else name

    # --- rights: a key is made and revoked, never changed ------------------------------------
    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: histories name it."""
        return False

    # --- making one ---------------------------------------------------------------------------
    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **_: Any) -> Any:
        """Return the form, with what was refused of this request."""
        return type("ApiKeyForm", (ApiKeyForm,), {"refused": refusal_of(request), "by": request.user})

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return the form's parts; none where there is a key, which its page shows."""
        if obj is not None:
            return []
        return [
            (None, {"fields": [ONCE, "name", "scopes"]}),
            ("Limits", {"fields": ["sources", "expires_at", "day"]}),
        ]

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None) -> Any:
        """Serve the form; make no second key where the page that shows the first one is loaded again."""
        if request.POST.get(ONCE) in request.session.get(_SENT, ()):
            messages.warning(
                request,
                "This form was sent already, and no other key was made. Lost the key? Revoke it, and make another one.",
            )
            return HttpResponseRedirect(reverse("admin:destinations_apikey_changelist"))
        return super().add_view(request, form_url, extra_context)

    def keep(self, request: HttpRequest, form: ApiKeyForm) -> ApiKey:
        """Make the key."""
        made = make_key(by=request.user, **form.values())
        if form.cleaned_data[ONCE]:
            request.session[_SENT] = [*request.session.get(_SENT, ()), form.cleaned_data[ONCE]][-_MOST_SENT:]
        vars(request)[_MADE] = made.text
        return made.row

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """Show the key, in this answer only: it is in no address, no session, and no message."""
        key = vars(request)[_MADE]
        return self.answer(
            request, "hub/key_once.html", title=f"{obj.name} was made", key=key, next_url=self.url_of(obj)
        )

    # --- its page ---------------------------------------------------------------------------------
    def page(self, request: HttpRequest, obj: Any) -> Mapping[str, Any]:
        """Return what is known of the key: all but its text."""
        return {
            "chip": _STATES[obj.state(timezone.now())],
            "warning": warning_of(obj, timezone.now()),
            "look": _LOOK,
            "scopes": [(scope, words_of(scope)) for scope in obj.scopes],
            "maker_off": _MAKER_OFF if obj.maker_off else None,
        }

    def press_revoke(self, request: HttpRequest, obj: ApiKey) -> str:
        """Revoke it."""
        revoke_key(obj, by=request.user)
        return "The key was revoked: it opens nothing any more."
