"""What the admin classes of the hub have in common. They hold no rule: use cases decide."""

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import ShowFacets
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ERROR_FLAG, IGNORED_PARAMS, PAGE_VAR
from django.core.exceptions import ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from simple_history.admin import SimpleHistoryAdmin
from unfold.admin import ModelAdmin as UnfoldAdmin
from unfold.views import ChangeList

from destinations.admin.buttons import ButtonsAdmin, tell_refused
from destinations.admin.empty import Empty
from destinations.admin.history import Changes
from destinations.admin.lean import LeanAdmin
from destinations.ids import parsed_uuid as as_uuid
from destinations.paging import CappedPaginator
from destinations.services import Refused
from destinations.texts import visible

__all__ = [
    "HubAdmin", "OlderFilter", "ReadOnlyAdmin", "Rows", "UseCaseAdmin", "ValueFilter", "as_uuid", "refusal_of",
]  # fmt: skip

Rows = QuerySet[Any]
_REFUSED = "hub_refused"
_OF_DJANGO = (*IGNORED_PARAMS, ERROR_FLAG, PAGE_VAR)  # what an address may have beside filters
MOST_NAMED = 5  # unknown filters of an address


class ValueFilter(admin.SimpleListFilter):
    """A list filter over one indexed column, which takes only values that it offers."""

    column: ClassVar[str]

    def queryset(self, request: HttpRequest, queryset: Rows) -> Rows:
        """Keep the rows with the chosen value."""
        value = self.value()
        return queryset if value is None else self.narrowed(queryset, value)

    def narrowed(self, queryset: Rows, value: str) -> Rows:
        """Keep the rows with ``value``; refuse one that is not offered."""
        if value not in {str(choice) for choice, _ in self.lookup_choices}:
            raise IncorrectLookupParameters(f"Unknown value of {self.parameter_name}.")
        return queryset.filter(**{self.column: value})


class OlderFilter(ValueFilter):
    """Goes on where a list's last page ended: rows with a smaller primary key, which follows the time."""

    title = "place in the list"
    parameter_name = "before"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Offer the one place that the address names."""
        key = request.GET.get(self.parameter_name)
        return [(key, f"Before {key}")] if key else []

    def narrowed(self, queryset: Rows, value: str) -> Rows:
        """Keep the rows before ``value``."""
        try:
            key = queryset.model._meta.pk.to_python(value)
        except ValidationError as error:
            raise IncorrectLookupParameters("Not a place in this list.") from error
        return queryset.filter(pk__lt=key)


class CappedChangeList(ChangeList):
    """A list that shows its count once, at its end, where it can say ``1,000+``."""

    def get_results(self, request: HttpRequest) -> None:
        """Leave out the second count, which Unfold would offer to lift ("Show all"), and bound a list of one page."""
        super().get_results(request)
        self.full_result_count = self.result_count
        self.result_list = self.result_list[: min(self.result_count, self.list_per_page)]


class _OutsideTransaction(admin.ModelAdmin):  # type: ignore[type-arg]  # generic in the stubs only
    """Serves forms without Django's transaction round them, and puts refusals on their fields.

    Use cases have transactions of their own, and look up names before them: inside one, SQLite's
    only write lock would be held meanwhile.
    """

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> Any:
        """Serve the form; where the use case refuses, serve it again with what to change."""
        try:
            return self._changeform_view(request, object_id, form_url, extra_context)  # type: ignore[attr-defined]  # not in the stubs
        except Refused as refused:
            vars(request)[_REFUSED] = refused
            return self._changeform_view(request, object_id, form_url, extra_context)  # type: ignore[attr-defined]  # not in the stubs


def refusal_of(request: HttpRequest) -> Refused | None:
    """Return what the use case refused of this very request, for its form."""
    return vars(request).get(_REFUSED)


class HubAdmin(LeanAdmin, UnfoldAdmin, ButtonsAdmin, _OutsideTransaction):  # type: ignore[misc]  # the bases differ in the stubs only
    """Lists that cost the same at any size, and pages whose parts are templates of the hub."""

    paginator = CappedPaginator
    list_per_page = 50
    list_max_show_all = 0
    show_full_result_count = False
    show_facets = ShowFacets.NEVER
    list_disable_select_all = True  # an action is for what was ticked, never for millions of rows
    list_fullwidth = True
    goes_on: ClassVar[bool] = False  # older rows than the pages hold are reached with OlderFilter
    list_filter: ClassVar[Any] = ()
    empty: ClassVar[Empty | None] = None  # what the list says where it has no rows
    actions: Any = ()
    change_form_template = "hub/object.html"
    # Templates of an object's page: "top" above the form, "form_top" and "form_end" in it, "bottom" below it.
    parts: ClassVar[Mapping[str, str]] = {}

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow the list's own filters only: Django would take any column, with or without an index."""
        return lookup in self.filter_names()

    def get_changelist(self, request: HttpRequest, **_: Any) -> Any:
        """Return the list that says its count once."""
        return CappedChangeList

    def get_actions(self, request: HttpRequest) -> Any:
        """Leave out Django's own deletion, which goes past the use cases."""
        return {name: one for name, one in super().get_actions(request).items() if name != "delete_selected"}

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Show the list, or at once the object whose id was pasted into the search."""
        if ERROR_FLAG in request.GET:  # where Django leads on from a filter that was refused
            messages.warning(request, "A filter in the address was not understood. This is the whole list.")
        found = self.found_by_id(request, request.GET.get("q", "").strip())
        if found is not None and self.has_view_permission(request, found):
            return HttpResponseRedirect(self.url_of(found))
        try:
            return super().changelist_view(request, extra_context)
        except DisallowedModelAdminLookup:
            unknown = [name for name in request.GET if name not in (*self.filter_names(), *_OF_DJANGO)]
            if not unknown:
                raise
            return self._without(request, unknown)

    def _without(self, request: HttpRequest, unknown: list[str]) -> HttpResponse:
        """Lead to the list without the filters that it does not have, and say which ones it has."""
        known, query = self.filter_names(), request.GET.copy()
        for name in unknown:
            del query[name]
        named = ", ".join(f"“{visible(name[:80])}”" for name in unknown[:MOST_NAMED])
        offered = f"Those of the address can be: {', '.join(known)}." if known else "It has none in its address."
        messages.warning(request, f"This list has no filter {named}: it is shown without. {offered}")
        return HttpResponseRedirect(f"?{query.urlencode()}")

    def filter_names(self) -> list[str]:
        """Return what the list can be filtered by, as an address names it."""
        return [one.parameter_name for one in self.list_filter]

    def found_by_id(self, request: HttpRequest, term: str) -> Any:
        """Return the object that a search term is the id of, if any."""
        return None

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        """Add what the hub's own parts of the page show."""
        if obj is not None:
            context["subtitle"] = visible(obj)
            context |= {"buttons": list(self.shown_buttons(request, obj)), **self.page(request, obj)}
        context |= {"parts": self.parts, "show_save_and_add_another": False, "show_save_and_continue": False}
        return super().render_change_form(request, context, add, change, form_url, obj)

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        """Show who did what; the title does not repeat the object's own text."""
        return super().history_view(request, object_id, {"title": "History", **(extra_context or {})})

    def page(self, request: HttpRequest, obj: Any) -> Mapping[str, Any]:
        """Return what the templates of an object's page show."""
        return {}


class ReadOnlyAdmin(HubAdmin):
    """Rows that nobody makes, changes or deletes by hand."""

    change_form_show_cancel_button = True
    fieldsets = ()

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show nothing by Django's own means: the page's templates show it."""
        return ()


class UseCaseAdmin(SimpleHistoryAdmin, HubAdmin):  # type: ignore[misc]  # the bases differ in the stubs only
    """Objects that are made and changed through use cases, with the history of their changes."""

    object_history_list_template = "hub/history_list.html"
    warn_unsaved_form = True

    def answer(self, request: HttpRequest, template: str, **context: Any) -> HttpResponse:
        """Return a page of the admin that no cache keeps."""
        everywhere = {**self.admin_site.each_context(request), "opts": self.opts}
        page = TemplateResponse(request, template, everywhere | context)
        page["Cache-Control"] = "no-store"
        return page

    def keep(self, request: HttpRequest, form: Any) -> Model:
        """Call the use case that makes or changes the object; it may raise ``Refused``."""
        raise NotImplementedError

    def save_form(self, request: HttpRequest, form: forms.Form, change: bool) -> Model:
        """Return what the use case returned."""
        return self.keep(request, form)

    def save_model(self, request: HttpRequest, obj: Model, form: Any, change: bool) -> None:
        """Do nothing: the use case has saved it, with its history."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Do nothing: there is nothing else to save."""

    def response_change(self, request: HttpRequest, obj: Any) -> HttpResponse:
        """Stay on the object's page: its state and its buttons are there."""
        messages.success(request, f"{obj} was saved.")
        return HttpResponseRedirect(self.url_of(obj))

    def get_historical_record_context_helper(self, request: HttpRequest, historical_record: Any) -> Changes:
        """Return what says a change in words."""
        return Changes(self.model, historical_record)

    def revert_disabled(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never go back to an old row: credentials have no history."""
        return True

    def history_form_view(self, request: HttpRequest, object_id: str, version_id: str, *_: Any, **__: Any) -> Any:
        """Show the list of changes instead of one old row."""
        return HttpResponseRedirect("../")

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name the objects only; Django would collect every row that refers to them."""
        return [str(one) for one in objs], {}, set(), []

    def delete_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        """Ask for the object's name, typed, and delete; or say why not."""
        if request.method == "POST" and not self._is_typed(request, object_id):
            messages.error(request, "Nothing was deleted: the name that you typed is another one.")
            return HttpResponseRedirect(request.path)
        try:
            return super().delete_view(request, object_id, extra_context)
        except Refused as refused:
            tell_refused(request, refused)
            return HttpResponseRedirect("../change/")

    def _is_typed(self, request: HttpRequest, object_id: str) -> bool:
        obj = self.get_object(request, unquote(object_id))
        if obj is None or not self.has_delete_permission(request, obj):
            return True  # there is nothing to type for, and Django says why
        return _plain(request.POST.get("typed", "")) == _plain(visible(obj))


def _plain(text: str) -> str:
    """Return a text as it is compared with what was typed: browsers and people differ in spaces."""
    return " ".join(text.split())
