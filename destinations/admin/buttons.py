"""Buttons on an object's page: each is a POST of its own that calls one use case."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin.utils import quote, unquote
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html

from destinations.services import Refused
from destinations.texts import visible

_SURE = "sure"


@dataclass(frozen=True, slots=True)
class Button:
    """What stands on a button, what it does in words, and who may press it.

    ``name`` says which method of the admin class it calls: ``press_<name>(request, obj)``, which returns
    what to tell the person (nothing where it has told them), or a whole answer.
    """

    name: str
    label: str
    says: str
    icon: str
    permission: str  # app.codename
    also: str = ""  # another permission that is as good
    main: bool = False
    fields: str = ""  # a template with the form's own inputs
    applies: Callable[[Any], bool] = lambda _: True
    undo: str = ""  # the button that takes it back, which the message offers
    asks: str = ""  # what cannot be taken back: it is asked, in these words, before it is done

    def allowed(self, user: Any) -> bool:
        """Tell whether somebody may press it."""
        return any(user.has_perm(name) for name in (self.permission, self.also) if name)


# How long a replaced secret goes on working: seconds, and in words.
GRACES = (("86400", "1 day"), ("3600", "1 hour"), ("604800", "7 days"), ("0", "not at all"))


def chosen_grace(request: HttpRequest) -> int:
    """Return the seconds that were chosen; a day where nothing that is offered was."""
    chosen = request.POST.get("grace_s", "")
    return int(chosen if chosen in dict(GRACES) else GRACES[0][0])


def tell_refused(request: HttpRequest, refused: Refused) -> None:
    """Show why nothing was done and what to change."""
    for texts in refused.errors.values():
        messages.error(request, " ".join(filter(None, [*texts, refused.hint])))


class ButtonsAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Puts ``buttons`` on the pages of a model's objects."""

    buttons: ClassVar[tuple[Button, ...]] = ()

    def get_urls(self) -> list[URLPattern]:
        """Add the address that buttons post to."""
        own = path(
            "<path:object_id>/do/<slug:name>/",
            self.admin_site.admin_view(self.button_view),
            name=f"{self.opts.app_label}_{self.opts.model_name}_do",
        )
        return [own, *super().get_urls()]

    def button_view(self, request: HttpRequest, object_id: str, name: str) -> HttpResponse:
        """Do what a button says, note who did it, and go back to the object's page."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        button = next((one for one in self.buttons if one.name == name), None)
        obj = self.get_object(request, unquote(object_id)) if button else None
        if button is None or obj is None:
            raise Http404
        if not (button.allowed(request.user) and self.has_view_permission(request, obj)):
            raise PermissionDenied
        if button.asks and request.POST.get(_SURE) != "yes":
            return self._ask(request, button, obj)
        return self._press(request, button, obj) or HttpResponseRedirect(self.url_of(obj))

    def _ask(self, request: HttpRequest, button: Button, obj: Any) -> HttpResponse:
        everywhere = {**self.admin_site.each_context(request), "opts": self.opts, "original": obj}
        page = {"title": f"{button.label}?", "subtitle": visible(obj), "button": button, "back_url": self.url_of(obj)}
        return TemplateResponse(request, "hub/ask.html", everywhere | page)

    def _press(self, request: HttpRequest, button: Button, obj: Any) -> HttpResponse | None:
        try:
            answer = getattr(self, f"press_{button.name}")(request, obj)
        except Refused as refused:
            tell_refused(request, refused)
            return None
        self.log_change(request, obj, f"{button.label}.")
        if isinstance(answer, HttpResponse):
            return answer
        if answer:
            messages.success(request, self._with_undo(request, button, obj, answer))
        return None

    def _with_undo(self, request: HttpRequest, button: Button, obj: Any, text: str) -> str:
        """Add to what was done the button that takes it back; the form that it posts is on every page."""
        back = next((one for one in self.buttons if one.name == button.undo), None)
        if back is None or not back.allowed(request.user):
            return text
        return format_html(
            '{} <button type="submit" form="hub-post" formaction="{}" class="hub-undo">Undo</button>',
            text,
            self.url("do", obj, back.name),
        )

    def url_of(self, obj: Any) -> str:
        """Return the address of an object's page."""
        return self.url("change", obj)

    def url(self, page: str, obj: Any = None, *more: str) -> str:
        """Return the address of a page of this model: ``change``, ``changelist``, ``add``, ``do``."""
        name = f"admin:{self.opts.app_label}_{self.opts.model_name}_{page}"
        return reverse(name, args=[quote(obj.pk), *more] if obj else [])

    def shown_buttons(self, request: HttpRequest, obj: Any) -> Iterator[tuple[Button, str]]:
        """Yield each button that this person may press now, with the address it posts to."""
        for button in self.buttons:
            if button.allowed(request.user) and button.applies(obj):
                yield button, self.url("do", obj, button.name)
