"""Every page of the admin, found by the URL conf, the lists' filters, and what the pages link to.

So a page that is added later is measured and tested without a line here. What cannot be asked for by itself is
named in ``Found.left_out``, with the reason.
"""

import html
import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from django.contrib import admin
from django.db.models import Model
from django.test import RequestFactory
from django.urls import NoReverseMatch, URLPattern, URLResolver, get_resolver, reverse

import terra_hub.urls  # noqa: F401  # loads what the admin's site registers

# Not the admin's: the API has tests of its own, the others answer senders and machines.
OUTSIDE = ("api/", "webhooks/", "demo/")
# They change something, lead away, or are for machines.
NEVER = {"logout", "password_change_done", "view_on_site", "jsi18n", "home", "readyz", "payload"}
LARGE_LISTS = ("webhooks_event_changelist", "webhooks_delivery_changelist")
OBJECTS = 2  # looked at of each model: the newest and the oldest
PER_FORM = 2  # links that are followed of each form: the same page with the same names in its query
_LINK = re.compile(r'\s(?:href|hx-get|data-[\w-]*url)="([?/][^"]*)"')


@dataclass(frozen=True)
class Page:
    """A page, by the name of its URL with the names of its query, and its address."""

    name: str
    url: str


@dataclass
class Found:
    """Pages, and the names of URLs that were left out, with the reason."""

    pages: list[Page] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


def bare_pages() -> Found:
    """Return every page without a query: of each model's pages, those of a few objects."""
    found = Found()
    for name, arguments in routes():
        short = name.rpartition(":")[2]
        if short in NEVER:
            found.left_out[name] = "changes something, leads away, or is for machines"
            continue
        given = list(_values(short, arguments))
        if not given:
            found.left_out[name] = f"nobody knows {', '.join(arguments)}" if arguments else "no object to look at"
        for values in given:
            try:
                found.pages.append(Page(short, reverse(name, kwargs=values)))
            except NoReverseMatch:
                found.left_out[name] = "its address cannot be made"
    return found


def routes() -> Iterator[tuple[str, list[str]]]:
    """Yield the name of each URL, and the names of its arguments."""
    yield from dict(_walk(get_resolver().url_patterns, "", "", [])).items()


def _walk(patterns: Iterable[Any], prefix: str, space: str, known: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    for one in patterns:
        text = prefix + str(one.pattern)
        if text.startswith(OUTSIDE):
            continue
        arguments = [*known, *one.pattern.regex.groupindex]
        if isinstance(one, URLResolver):
            inner = f"{space}{one.namespace}:" if one.namespace else space
            yield from _walk(one.url_patterns, text, inner, arguments)
        elif isinstance(one, URLPattern) and one.name:
            yield space + one.name, arguments


def _values(name: str, arguments: Sequence[str]) -> Iterator[dict[str, Any]]:
    if not arguments:
        yield {}
    elif arguments == ["app_label"]:
        yield from ({"app_label": label} for label in sorted({model._meta.app_label for model in admin.site._registry}))
    elif len(arguments) == 1 and (model := model_of(name)):
        yield from ({arguments[0]: pk} for pk in keys_of(model))


def model_of(name: str) -> type[Model] | None:
    """Return the model whose admin has a URL of that name: ``webhooks_event_change``."""
    for model in admin.site._registry:
        if name.startswith(f"{model._meta.app_label}_{model._meta.model_name}_"):
            return model
    return None


def keys_of(model: type[Model]) -> list[str]:
    """Return the keys of a few objects; of destinations the first ones by name, which a benchmark makes special."""
    rows: Any = model._default_manager.order_by("pk")
    if hasattr(model, "secrets_about"):
        return [str(pk) for pk in model._default_manager.order_by("name").values_list("pk", flat=True)[:4]]
    ends = [rows.reverse().values_list("pk", flat=True).first(), rows.values_list("pk", flat=True).first()]
    return [str(pk) for pk in dict.fromkeys(ends) if pk is not None][:OBJECTS]


# --- lists and their filters ------------------------------------------------------------------
def filtered_pages(request_user: Any) -> list[Page]:
    """Return every list with each of its filters, and with whatever this project's lists are filtered by."""
    return [
        Page(f"{name} ?{key}", f"{url}?{urlencode({key: value})}")
        for name, url, offered in _lists(request_user)
        for key, values in offered.items()
        for value in values
    ]


def combined_pages(request_user: Any, taken: Collection[str]) -> list[Page]:
    """Return the large lists with each pair of filters, each with its worst values, and with all at once.

    ``taken`` are names of pages with one filter, ``webhooks_event_changelist ?type``, that the list has.
    """
    found = []
    for name, url, every in _lists(request_user):
        offered = {key: values for key, values in every.items() if f"{name} ?{key}" in taken}
        if name not in LARGE_LISTS or not offered:
            continue
        worst = [(key, value) for key, values in offered.items() if key not in ("q", "p") for value in values[:2]]
        for one, other in combinations(worst, 2):
            if one[0] != other[0]:
                found.append(Page(f"{name} ?{one[0]}&{other[0]}", f"{url}?{urlencode([one, other])}"))
        everything = {key: values[0] for key, values in offered.items() if key not in ("q", "p")}
        found.append(Page(f"{name} ?all", f"{url}?{urlencode(everything)}"))
    return found


def _lists(user: Any) -> Iterator[tuple[str, str, dict[str, list[str]]]]:
    """Yield each list with values of its filters, those that find most first."""
    for model, model_admin in admin.site._registry.items():
        name = f"{model._meta.app_label}_{model._meta.model_name}_changelist"
        try:
            url = reverse(f"admin:{name}")
        except NoReverseMatch:
            continue
        offered = _offered(model_admin, user)
        if name in LARGE_LISTS:
            offered |= usual_filters()
        if getattr(model_admin, "goes_on", False):
            offered["before"] = [key for key in [_middle(model)] if key]
        yield name, url, offered | {"q": ["nobody"], "p": ["2"]}


def _offered(model_admin: Any, user: Any) -> dict[str, list[str]]:
    request: Any = RequestFactory().get("/")
    request.user = user
    found: dict[str, list[str]] = {}
    for kind in model_admin.get_list_filter(request):
        if isinstance(kind, type):
            made = kind(request, {}, model_admin.model, model_admin)
            values = [str(value) for value, _ in getattr(made, "lookup_choices", [])]
            found[made.parameter_name] = list(dict.fromkeys([*values[:3], *values[-1:]]))
    return found


def _middle(model: type[Model]) -> str:
    """Return a key below which a list's second round begins, or one of a small table."""
    newest = model._default_manager.order_by("-pk").values_list("pk", flat=True)
    return str(next(iter([*newest[1000:1001], *newest[1:2]]), ""))


def usual_filters() -> dict[str, list[str]]:
    """Return values for each filter that lists of events and deliveries have; what finds most comes first."""
    from destinations.models import Destination
    from webhooks.models import Event, Replay

    now = datetime.now(UTC)
    event = Event.objects.order_by("-pk").first()
    named: Mapping[str, Any] = event.__dict__ if event else {}
    destinations = [str(pk) for pk in Destination.objects.order_by("name").values_list("pk", flat=True)[:4]]
    return {
        "type": ["daily", "menstruation", "never"],
        "user_id": [named.get("user_id", "u"), "nobody"],
        "reference_id": [named.get("reference_id", "r"), "nobody"],
        "terra_reference": [named.get("terra_reference", "t"), "nothing"],
        "trace_id": [str(named.get("idempotency_key", "")).partition(":")[2], "nothing"],
        "source": ["bench", "staging"],
        "destination": destinations or ["00000000-0000-7000-8000-000000000000"],
        "outcome": ["delivered", "pending", "dead", "cancelled"],
        "status": ["pending", "dead", "delivered", "cancelled"],
        "error_code": ["http_503", "http_422", "no_such_code"],
        "status_code": ["503", "200"],
        "event": [str(named.get("id", ""))],
        "replay": [str(pk) for pk in Replay.objects.values_list("pk", flat=True)[:1]] or ["1"],
        "since": [(now - timedelta(days=9)).isoformat(), (now - timedelta(hours=1)).isoformat()],
        "until": [(now - timedelta(hours=1)).isoformat(), (now - timedelta(days=9)).isoformat()],
        "hours": ["720", "24", "1"],
    }


def replay_dialogs() -> list[Page]:
    """Return the dialog that starts a replay, for each kind; none where there is no such dialog."""
    from destinations.models import Destination

    try:
        url = reverse("admin:webhooks_replay_add")
    except NoReverseMatch:
        return []
    kinds: tuple[dict[str, str], ...] = ({"kind": "failed"}, {"kind": "missing"}, {"kind": "matching", "type": "daily"})
    return [
        Page(f"webhooks_replay_add ?{query['kind']}", f"{url}?{urlencode({**query, 'destination': str(pk)})}")
        for pk in Destination.objects.order_by("name").values_list("pk", flat=True)[:4]
        for query in kinds
    ]


# --- what pages link to -------------------------------------------------------------------------
def links_of(source: str, base: str) -> Iterator[str]:
    """Yield the addresses in the hub that a page names: what its links and its fragments ask for."""
    for found in _LINK.findall(source):
        link = html.unescape(found)
        parts = urlsplit(link if link.startswith("/") else urlsplit(base).path + link)
        if not parts.netloc and not parts.path.startswith("/static/"):
            yield parts._replace(fragment="").geturl()


class Links:
    """Pages that links lead to and that are not known yet: a few of each form."""

    def __init__(self, known: Iterable[Page]) -> None:
        self._forms: dict[tuple[str, ...], int] = {}
        self._seen = {page.url for page in known}
        for page in known:
            self._count(page.url)

    def new(self, source: str, base: str) -> list[Page]:
        """Return the pages that a page's links add."""
        found = []
        for url in links_of(source, base):
            name, form = _name_of(url)
            if url in self._seen or not name or name in NEVER:
                continue
            self._seen.add(url)
            if self._count(url) <= PER_FORM:
                keys = "&".join(form[1:])
                found.append(Page(f"{name} ?{keys}" if keys else name, url))
        return found

    def _count(self, url: str) -> int:
        form = _name_of(url)[1]
        self._forms[form] = self._forms.get(form, 0) + 1
        return self._forms[form]


def _name_of(url: str) -> tuple[str, tuple[str, ...]]:
    """Return the name of the URL that an address fits, and its form: that name with the names of its query."""
    from django.urls import Resolver404, resolve

    parts = urlsplit(url)
    try:
        name = resolve(parts.path).url_name or ""
    except Resolver404:
        return "", ()
    if parts.path.lstrip("/").startswith(OUTSIDE):
        return "", ()
    return name, (name, *sorted({key for key, _ in parse_qsl(parts.query, keep_blank_values=True)}))
