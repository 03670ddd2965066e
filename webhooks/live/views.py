"""The live tail's page, and its rows for browsers whose stream does not come through."""

from typing import Any

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path

from destinations.models import Destination
from destinations.terra import EVENT_TYPES
from webhooks.admin.lookups import received_types, source_slugs
from webhooks.live.endpoint import PATH
from webhooks.live.people import Watcher, as_watcher
from webhooks.live.rows import Cursor, Wanted, look

MOST_DESTINATIONS = 200
ROWS_KEPT = 500  # that the page shows at most


def live_urls(site: Any) -> list[URLPattern]:
    """Return the addresses of the live tail on an admin site."""
    return [
        path("live/", site.admin_view(live_page), {"site": site}, name="live"),
        path("live/rows/", site.admin_view(live_rows), name="live_rows"),
    ]


def live_page(request: HttpRequest, site: Any) -> HttpResponse:
    """Show the page, which its script fills."""
    watcher = _watcher(request)
    context = {
        **site.each_context(request), "title": "Live", "wanted": Wanted.of(request.GET.urlencode()),
        "types": [*EVENT_TYPES, *received_types()], "sources": source_slugs(),
        "destinations": _destinations() if watcher.deliveries else [], "stream_path": PATH, "rows_kept": ROWS_KEPT,
    }  # fmt: skip
    return TemplateResponse(request, "hub/live.html", context)


def live_rows(request: HttpRequest) -> JsonResponse:
    """Return the rows since a place, or the newest ones: what the stream would send."""
    watcher = _watcher(request)
    found = look(Cursor.parse(request.GET.get("after", "")))
    wanted = Wanted.of(request.GET.urlencode())
    rows = [row for row in found.rows if wanted.takes(row) and (watcher.deliveries or not row.of_delivery)]
    body = {"rows": [row.as_json(watcher.deliveries) for row in rows], "left_out": found.left_out}
    return JsonResponse(body | {"cursor": str(found.cursor)}, headers={"Cache-Control": "no-store"})


def _watcher(request: HttpRequest) -> Watcher:
    watcher = as_watcher(request)
    if watcher is None:
        raise PermissionDenied
    return watcher


def _destinations() -> list[tuple[str, str]]:
    rows = Destination.objects.present().order_by("name").values_list("pk", "name")
    return [(str(pk), name) for pk, name in rows[:MOST_DESTINATIONS]]
