"""Long lists in the admin: keyset pages, filters in the address, and a search box that knows every id."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from unfold.views import ChangeList

from destinations.admin.base import ReadOnlyAdmin, Rows
from destinations.shown import NOTHING, exact
from destinations.texts import visible
from webhooks.admin.filterforms import TimesForm
from webhooks.admin.finding import SEARCH_HELP, first_url
from webhooks.finding.places import key_at, place_of
from webhooks.finding.scans import CAP, MOST_LOOKED_AT, Key, Page, Scan, page_of

PLACES = ("before", "after")


class _Pages:
    """Stands where Django's list has its paginator: the hub's pages have no numbers."""

    template_name = "hub/keyset.html"

    def __init__(self, count: int) -> None:
        self.count = count


class KeysetChangeList(ChangeList):
    """A list of one page, and the places to go on from."""

    model_admin: "KeysetAdmin"

    def get_queryset(self, request: HttpRequest, exclude_parameters: Any = None) -> Rows:
        """Return every row, for actions on the ticked ones; refuse filters that are none."""
        self.form = self.model_admin.filter_form(request.GET.dict())
        for name in self.get_filters_params():
            if name not in self.model_admin.filter_names():
                raise DisallowedModelAdminLookup(f"Filtering by {name} not allowed")
        rows: Rows = self.root_queryset
        return rows

    def get_results(self, request: HttpRequest) -> None:
        """Read one page."""
        self.problem = ""
        self.may_replay = request.user.has_perm("webhooks.add_replay")
        self.scan: Scan | None = None
        self.found = Page()
        if self.query:
            self.problem = f"Nothing is known by “{visible(self.query)}”. {SEARCH_HELP}"
        elif self.form.is_valid():
            self.scan = self.model_admin.scan(self.form.wanted())
            before, after = (self._place_in(self.scan, name) for name in PLACES)
            self.found = page_of(self.scan, before, after, self.list_per_page)
        self.result_list = self.model_admin.rows_of([row["pk"] for row in self.found.rows])
        self.result_count = self.full_result_count = len(self.result_list)
        self.paginator = _Pages(self.result_count)
        self.show_full_result_count = self.can_show_all = self.multi_page = False
        self.show_admin_actions = True

    def _place_in(self, scan: Scan, name: str) -> Key | None:
        """Return a place that the address names; what is none is left out, with a word about it."""
        text = str(self.params.get(name, ""))
        try:
            return key_at(text, self.model, scan.order.columns) if text else None
        except ValueError:
            self.problem = f"“{visible(text[:80])}” is no place in this list: this is its beginning."
            return None

    # --- what the templates show --------------------------------------------------------------
    def url(self, **changes: Any) -> str:
        """Return this list's address with other values; ``None`` leaves one out."""
        kept = {name: value for name, value in self.params.items() if name not in PLACES} | changes
        return "?" + urlencode({name: value for name, value in kept.items() if value is not None})

    @property
    def chosen(self) -> list[tuple[str, str, str]]:
        """Return each filter that is set: label, words, and the address without it."""
        return [(label, words, self.url(**{name: None})) for name, label, words in self.form.chosen()]

    @property
    def newer_url(self) -> str:
        """Return the address of the page before, if there is one."""
        return self.url(after=place_of(self.found.newer)) if self.found.newer else ""

    @property
    def older_url(self) -> str:
        """Return the address of the page after, if there is one."""
        return self.url(before=place_of(self.found.older)) if self.found.older else ""

    @property
    def first_url(self) -> str:
        """Return the address of the first page, from any other one."""
        return self.url() if any(name in self.params for name in PLACES) else ""

    @property
    def words(self) -> tuple[str, str]:
        """Return what the pages before and after this one are called."""
        falling = self.scan is None or self.scan.order.falling
        return ("Newer", "Older") if falling else ("Due earlier", "Due later")

    @property
    def newer_word(self) -> str:
        """Return what the page before this one is called."""
        return self.words[0]

    @property
    def older_word(self) -> str:
        """Return what the page after this one is called."""
        return self.words[1]

    @property
    def replay_url(self) -> str:
        """Return the address of the dialog that replays all that the list's filter matches."""
        chosen = {name: str(self.form.data[name]) for name, _, _ in self.form.chosen()}
        return self.model_admin.replay_url(chosen) if self.may_replay and chosen and self.form.is_valid() else ""

    @property
    def count_text(self) -> str:
        """Return how many rows there are in words: ``37 events``, ``1,000+ events``."""
        count = self.found.count
        if count is None:
            return f"{self._named(self.result_count)} on this page"
        return f"{CAP:,}+ {self.opts.verbose_name_plural}" if count > CAP else self._named(count)

    def _named(self, count: int) -> str:
        return f"{count:,} {self.opts.verbose_name if count == 1 else self.opts.verbose_name_plural}"

    @property
    def stopped_text(self) -> str:
        """Return how far the search came, where it ended before the page was full."""
        if self.found.stopped is None:
            return ""
        moment = self.model_admin.moment_of(self.found.stopped)
        reached = exact(moment) if moment else NOTHING
        return f"Searched {MOST_LOOKED_AT:,} rows, as far as {reached}. There may be more beyond."


class KeysetAdmin(ReadOnlyAdmin):
    """Rows of one of the large tables: their list never reads more than a bounded number of them."""

    filter_form: ClassVar[type[TimesForm]]
    list_before_template: Any = "hub/filters.html"
    search_fields = ("pk",)  # that there are some shows the box; what it finds is in ``webhooks.finding``
    search_help_text = "Any id: event, delivery, user, trace …"
    own_kind: ClassVar[str]  # what an id is taken for first in this list's search box
    replay_kind: ClassVar[str] = ""  # of the replay that sends what the list shows

    def scan(self, wanted: Any) -> Scan:
        """Return how the rows that are wanted are found."""
        raise NotImplementedError

    def moment_of(self, key: Key) -> datetime | None:
        """Return the time of a place in the list."""
        raise NotImplementedError

    def rows_of(self, keys: Sequence[Any]) -> list[Any]:
        """Return the rows of a page with all that the list shows of them, in its order."""
        found: Mapping[Any, Any] = self.get_listed().in_bulk(list(keys))
        return [found[key] for key in keys if key in found]

    def get_listed(self) -> Rows:
        """Return rows with the columns that the list shows."""
        raise NotImplementedError

    def replay_url(self, chosen: Mapping[str, str]) -> str:
        """Return the address of the replay dialog for what the list shows; empty where no replay sends that."""
        query = urlencode({"kind": self.replay_kind, **chosen})
        return f"{reverse('admin:webhooks_replay_add')}?{query}" if self.replay_kind else ""

    def filter_names(self) -> list[str]:
        """Return the names of the form's fields, and of the places in the list."""
        return [*self.filter_form.base_fields, *PLACES]

    def get_changelist(self, request: HttpRequest, **_: Any) -> Any:
        """Return the list with keyset pages."""
        return KeysetChangeList

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Show the list, without what a form sent empty, or at once what was pasted into the search box."""
        if request.method == "GET" and "" in request.GET.dict().values():
            asked = {name: value for name, value in request.GET.dict().items() if str(value).strip()}
            return HttpResponseRedirect("?" + urlencode(asked))
        url = first_url(request.user, request.GET.get("q", ""), self.own_kind)
        return HttpResponseRedirect(url) if url else super().changelist_view(request, extra_context)
