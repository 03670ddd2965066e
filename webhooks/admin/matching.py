"""What a destination's filter lets through, as its boxes are ticked."""

from collections.abc import Collection
from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse

from webhooks.matching import matching

VIEW_EVENT = "webhooks.view_event"
_MOST = 500  # names that are looked for


def matching_view(request: HttpRequest) -> HttpResponse:
    """Return how many of the latest events the ticked boxes let through, and three of them. Nothing is kept."""
    if request.method != "POST":
        return HttpResponseNotAllowed(["POST"])
    if not request.user.has_perm(VIEW_EVENT):
        raise PermissionDenied
    sent = request.POST
    typed = [line.strip() for line in sent.get("more_event_types", "").splitlines()]
    types = [*sent.getlist("event_types"), *filter(None, typed)]
    found = matching(_storable(types), _storable(sent.getlist("sources")))
    return TemplateResponse(request, "hub/matching_events.html", {"matching": found})


def matching_words(user: Any, event_types: Collection[str], sources: Collection[str]) -> str:
    """Return how many of the latest events a filter lets through, for somebody who may see events."""
    return f"Its filter: {matching(event_types, sources).sentence}" if user.has_perm(VIEW_EVENT) else ""


def _storable(names: list[str]) -> list[str]:
    """Leave out what no database holds, and so no event has."""
    return [name for name in names if "\x00" not in name][:_MOST]
