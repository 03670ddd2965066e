"""Pages that show the bytes of a request to those who may see them, and log that they did."""

import codecs
from collections.abc import Iterable
from typing import Any

import structlog
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.template.response import TemplateResponse

from destinations.texts import visible

log = structlog.get_logger(__name__)

SHOWN_BYTES = 256 * 1024
PERMISSION = "webhooks.view_payload"
# What the API logs too: one name finds every look at a payload.
_LOGGED = "payload_viewed"


def require_permission(request: HttpRequest) -> None:
    """Refuse those who may not see what events carry."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied


def note_view(model_admin: Any, request: HttpRequest, obj: Any, how: str) -> None:
    """Write down who saw it: in the object's history and in the log. Called before a byte is sent."""
    model_admin.log_change(request, obj, f"Payload {how}.")
    log.info(_LOGGED, **{f"{obj._meta.model_name}_id": str(obj.pk)}, user=request.user.pk, how=how)


def beginning(pieces: Iterable[bytes], most: int = SHOWN_BYTES) -> tuple[str, bool]:
    """Return the first ``most`` bytes as text that hides nothing, and whether that is all."""
    data = bytearray()
    for piece in pieces:
        data += piece
        if len(data) > most:
            break
    whole = len(data) <= most
    # A character that the cut goes through is left out; bytes that are no UTF-8 show as U+FFFD.
    text = codecs.getincrementaldecoder("utf-8")("replace").decode(bytes(data[:most]), final=whole)
    return visible(text), whole


def body_page(model_admin: Any, request: HttpRequest, obj: Any, pieces: Iterable[bytes], size: int) -> HttpResponse:
    """Return the page that shows a body as text."""
    text, whole = beginning(pieces)
    context = {
        **model_admin.admin_site.each_context(request),
        "title": "Payload",
        "subtitle": str(obj.pk),
        "opts": model_admin.opts,
        "original": obj,
        "text": text,
        "whole": whole,
        "size": size,
        "shown_bytes": SHOWN_BYTES,
        "back_url": model_admin.url_of(obj),
    }
    page = TemplateResponse(request, "hub/payload.html", context)
    keep_private(page)
    return page


def body_download(obj: Any, pieces: Iterable[bytes], size: int) -> StreamingHttpResponse:
    """Return the exact bytes, as a file that no browser opens as a page."""
    answer = StreamingHttpResponse(pieces, content_type="application/octet-stream")
    answer["Content-Length"] = str(size)
    answer["Content-Disposition"] = f'attachment; filename="{obj.pk}.json"'
    keep_private(answer)
    return answer


def keep_private(answer: HttpResponseBase) -> None:
    """Keep an answer out of caches and away from guesses of its type."""
    answer["Cache-Control"] = "no-store"
    answer["X-Content-Type-Options"] = "nosniff"
