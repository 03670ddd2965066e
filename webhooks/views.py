"""Payload links. Thin: ``keeping.links`` decides."""

from http import HTTPStatus

from django.conf import settings
from django.db import connection
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, JsonResponse, StreamingHttpResponse

from webhooks.keeping.links import LinkExpired, LinkRefused, payload_of
from webhooks.keeping.payloads import PayloadMissing, PayloadStoreDown, fresh_link, open_body
from webhooks.models import Payload

REDIRECT_SECONDS = 60  # time to follow a redirect; the download itself may take longer
_LATER = {"Retry-After": "30"}
_PAYLOAD_HEADERS = {
    "Cache-Control": "private, no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def problem(status: int, code: str, detail: str, **headers: str) -> JsonResponse:
    """Answer with problem+json (RFC 9457)."""
    body = {"title": HTTPStatus(status).phrase, "status": status, "code": code, "detail": detail}
    return JsonResponse(body, status=status, content_type="application/problem+json", headers=headers)


def payload(request: HttpRequest, token: str) -> HttpResponseBase:
    """Stream the exact bytes that a payload link stands for, or lead on to the payload store."""
    if request.method not in ("GET", "HEAD"):
        return problem(405, "method_not_allowed", "A payload link is read with GET.", Allow="GET, HEAD")
    try:
        return _opened(payload_of(token), request.method == "GET" and settings.PAYLOAD_REDIRECT)
    except (LinkRefused, PayloadMissing):
        return problem(404, "unknown_link", "This link opens nothing: it is wrong, revoked, or its payload is gone.")
    except LinkExpired:
        return problem(410, "link_expired", "This link was made for a limited time, which is over. Ask for a new one.")
    except PayloadStoreDown:  # why is in the log: the one who holds a link is not the operator
        return problem(503, "payload_unavailable", "The payload cannot be read at this moment. Try again.", **_LATER)


def _opened(held: Payload, may_redirect: bool) -> HttpResponseBase:
    link = fresh_link(held, REDIRECT_SECONDS) if may_redirect else ""
    if link:
        return HttpResponseRedirect(link, headers=_PAYLOAD_HEADERS)
    own = {"Content-Type": "application/json", "Content-Length": str(held.event.size)}
    pieces = open_body(held)
    if not connection.in_atomic_block:  # a reader may take its time, and others need the connection
        connection.close()
    return StreamingHttpResponse(pieces, headers=_PAYLOAD_HEADERS | own)
