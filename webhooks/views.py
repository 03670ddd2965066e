"""Receiving over HTTP, and payload links. Thin: ``receiving.intake`` and ``keeping.links`` decide."""

from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt

from destinations.crypto import SealError
from webhooks.keeping.links import LinkRefused, payload_of
from webhooks.keeping.payloads import PayloadMissing, open_body
from webhooks.receiving.groupcommit import StoreUnavailable
from webhooks.receiving.intake import Incoming, Rejected, accept, refuse_unread
from webhooks.receiving.requests import BodyBroken, BodyTooLarge, declared_length, header_dict, read_body, sender
from webhooks.receiving.sources import LiveSource, live_source

log = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = "30"
INGEST_PREFIX = "/webhooks/terra/"


def problem(status: int, code: str, detail: str, **headers: str) -> JsonResponse:
    """Answer with problem+json (RFC 9457)."""
    body = {"title": HTTPStatus(status).phrase, "status": status, "code": code, "detail": detail}
    return JsonResponse(body, status=status, content_type="application/problem+json", headers=headers)


@csrf_exempt
def receive(request: HttpRequest, slug: str) -> HttpResponse:
    """Take in one webhook of Terra: 200 means that the event and its deliveries are on disk."""
    if request.method != "POST":
        return problem(405, "method_not_allowed", "Webhooks are sent with POST.", Allow="POST")
    try:
        source = live_source(slug)
        if source is None:
            return problem(404, "unknown_source", "No active source has this address.")
        return _take_in(request, source)
    except Rejected as rejected:
        return problem(rejected.status, rejected.refusal.code, rejected.refusal.detail)
    except BodyBroken as error:
        return problem(400, "body_incomplete", str(error))
    except (StoreUnavailable, DatabaseError, InterfaceError, SealError) as error:
        # A source whose secrets do not open (a key is missing) can be mended too: the sender tries again.
        log.error("event_refused_for_now", source=slug, error=type(error).__name__)
        return problem(
            503, "store_unavailable", "The event could not be stored. Send it again.",
            **{"Retry-After": RETRY_AFTER_SECONDS},
        )  # fmt: skip


def _take_in(request: HttpRequest, source: LiveSource) -> HttpResponse:
    headers = header_dict(request)
    try:
        if declared_length(request) > settings.MAX_BODY_BYTES:
            raise BodyTooLarge
        _check_encoding(headers)
        body = read_body(request, settings.MAX_BODY_BYTES)
    except BodyTooLarge:
        detail = f"The body is larger than {settings.MAX_BODY_BYTES} bytes (MAX_BODY_BYTES)."
        raise _refused_unread(request, source, headers, Rejected(413, "body_too_large", detail)) from None
    except Rejected as rejected:
        raise _refused_unread(request, source, headers, rejected) from None
    written = accept(source, Incoming(headers, body, sender(request)))
    return JsonResponse({"event_id": str(written.event_id), "duplicate": written.duplicate})


def _check_encoding(headers: dict[str, str]) -> None:
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        raise Rejected(415, "content_encoding", f"Content-Encoding {encoding!r} is not taken: send the body as it is.")


def _refused_unread(request: HttpRequest, source: LiveSource, headers: dict[str, str], rejected: Rejected) -> Rejected:
    refuse_unread(source, headers, sender(request), rejected, declared_length(request))
    return rejected


def payload(request: HttpRequest, token: str) -> HttpResponseBase:
    """Stream the exact bytes that a payload link stands for."""
    if request.method not in ("GET", "HEAD"):
        return problem(405, "method_not_allowed", "A payload link is read with GET.", Allow="GET, HEAD")
    try:
        held = payload_of(token)
        pieces = open_body(held)
    except (LinkRefused, PayloadMissing):
        return problem(404, "unknown_link", "This link opens nothing: it is wrong, revoked, or its payload is gone.")
    return StreamingHttpResponse(pieces, headers=_payload_headers(held.event.size))


def _payload_headers(size: int) -> dict[str, str]:
    return {
        "Content-Type": "application/json",
        "Content-Length": str(size),
        "Cache-Control": "private, no-store",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }


def ingest_first(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Middleware: webhooks go straight to their view, past sessions, CSRF and the rest.

    None of that applies to them, and it would halve the rate at which events are taken in.
    """

    def middleware(request: HttpRequest) -> Any:
        if request.path_info.startswith(INGEST_PREFIX):
            response = receive(request, request.path_info[len(INGEST_PREFIX) :].rstrip("/"))
            response["Content-Length"] = str(len(response.content))  # else the server answers in chunks
            return response
        return get_response(request)

    return middleware
