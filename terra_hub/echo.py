"""The demonstration's own webhook receiver: shows what arrived. Only where DEMO_ECHO is set."""

from collections import deque
from typing import Any

from django.conf import settings
from django.contrib.admin.views.decorators import staff_member_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt

KEPT = 50
BODY_SHOWN = 4096
CHUNK = 64 * 1024
SHOWN = ("content-", "dev-id", "host", "terra-", "user-agent", "webhook-", "x-terra-")  # beginnings of names

_received: deque[dict[str, Any]] = deque(maxlen=KEPT)


@csrf_exempt
def echo(request: HttpRequest) -> HttpResponse:
    """Take a webhook with POST; show the last ones with GET (log-in needed)."""
    if not settings.DEMO_ECHO:
        raise Http404
    if request.method == "POST":
        _received.appendleft(_seen(request))
        return JsonResponse({"received": True})
    return _page(request)


@csrf_exempt
def fail(request: HttpRequest) -> HttpResponse:
    """Answer 422: the demonstration's failing destination."""
    if not settings.DEMO_ECHO:
        raise Http404
    return JsonResponse({"error": "This page always fails, so that retries can be looked at."}, status=422)


@staff_member_required
def _page(request: HttpRequest) -> HttpResponse:
    shown = request.user.has_perm("webhooks.view_payload")
    return render(request, "echo.html", {"received": list(_received), "shows_bodies": shown})


def _seen(request: HttpRequest) -> dict[str, Any]:
    # Read past Django's limit of a request's body, which is meant for forms: a webhook may have 64 MiB.
    beginning = request.read(BODY_SHOWN)
    return {
        "at": timezone.now(),
        "event_id": request.headers.get("Webhook-Id", ""),
        "headers": sorted((name, _shown(name, value)) for name, value in request.headers.items()),
        "size": len(beginning) + sum(map(len, iter(lambda: request.read(CHUNK), b""))),
        "body": beginning.decode(errors="replace"),
    }


def _shown(name: str, value: str) -> str:
    """Return a header's value where the hub makes it of what is no secret: an operator's own headers may be keys."""
    return value if name.lower().startswith(SHOWN) else "••••"
