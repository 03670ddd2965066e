"""Where a pasted id leads: a page that lists what it is, or straight to the only thing that it is."""

from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

from django.contrib.admin import site
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from unfold.dataclasses import SearchResult

from destinations.texts import visible
from webhooks.finding.anything import Found, find_anything

SEARCH_HELP = (
    "It takes a whole id: of an event, a delivery, a destination, a refused request or a replay; a user id, a "
    "reference id, a Terra reference or a trace id. Searching inside bodies is not there."
)


class _Kind(NamedTuple):
    label: str
    icon: str
    permission: str
    page: str  # of the admin
    filters: bool = False


_KINDS: Mapping[str, _Kind] = {
    "event": _Kind("Event", "bolt", "webhooks.view_event", "webhooks_event_change"),
    "delivery": _Kind("Delivery", "local_shipping", "webhooks.view_delivery", "webhooks_delivery_change"),
    "destination": _Kind(
        "Destination", "output", "destinations.view_destination", "destinations_destination_change"
    ),
    "quarantine": _Kind(
        "Refused request", "gpp_bad", "webhooks.view_quarantinedrequest", "webhooks_quarantinedrequest_change"
    ),
    "replay": _Kind("Replay", "replay", "webhooks.view_replay", "webhooks_replay_change"),
    "source": _Kind("Source", "input", "webhooks.view_source", "webhooks_source_change"),
    "user_id": _Kind("Events of user", "person", "webhooks.view_event", "webhooks_event_changelist", True),
    "reference_id": _Kind(
        "Events with reference id", "badge", "webhooks.view_event", "webhooks_event_changelist", True
    ),
    "terra_reference": _Kind(
        "Events with Terra reference", "stacks", "webhooks.view_event", "webhooks_event_changelist", True
    ),
    "trace_id": _Kind("Events with trace id", "route", "webhooks.view_event", "webhooks_event_changelist", True),
}  # fmt: skip


class Hit(NamedTuple):
    """Something that was found, as the admin shows it."""

    kind: str
    title: str
    icon: str
    url: str


def hits(user: Any, term: str) -> list[Hit]:
    """Return what a term is the id of, as far as this person may see it."""
    return [hit for found in find_anything(term) if (hit := _hit(user, found))]


def _hit(user: Any, found: Found) -> Hit | None:
    kind = _KINDS[found.kind]
    if not user.has_perm(kind.permission):
        return None
    url = reverse(f"admin:{kind.page}", args=[] if kind.filters else [found.key])
    named = found.key if kind.filters else " ".join(map(str, filter(None, (found.name, found.key))))
    query = "?" + urlencode({found.kind: found.key}) if kind.filters else ""
    return Hit(found.kind, f"{kind.label} {visible(named)}", kind.icon, url + query)


def first_url(user: Any, term: str, kind: str = "") -> str:
    """Return where a term leads: to the only thing that it is, or the one of ``kind``; else empty.

    Where it is several others, that is the page that lists them.
    """
    if not term.strip():
        return ""
    found = hits(user, term)
    own = [hit for hit in found if hit.kind == kind]
    if len(own) == 1 or len(found) == 1:
        return (own or found)[0].url
    return reverse("admin:find") + "?" + urlencode({"q": term.strip()}) if found else ""


def find(request: HttpRequest) -> HttpResponse:
    """Lead to what the term is, or list all that it is, or say what can be found."""
    term = request.GET.get("q", "").strip()
    found = hits(request.user, term)
    if len(found) == 1:
        return HttpResponseRedirect(found[0].url)
    context = {**site.each_context(request), "title": "Find", "term": term, "hits": found, "help": SEARCH_HELP}
    return TemplateResponse(request, "hub/find.html", context)


def command_results(request: HttpRequest, term: str) -> list[SearchResult]:
    """Return what a term is, for Unfold's command palette (UNFOLD["COMMAND"]["search_callback"])."""
    found = hits(request.user, term)
    return [SearchResult(title=hit.title, description=hit.kind, link=hit.url, icon=hit.icon) for hit in found]
