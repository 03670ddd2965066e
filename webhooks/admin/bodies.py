"""Pages that show the bytes of a request to those who may see them, and log that they did."""

import codecs
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django.contrib.admin.utils import unquote
from django.core import signing
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.template.response import TemplateResponse

from destinations.admin.base import as_uuid
from destinations.texts import visible
from webhooks.admin.lists import KeysetAdmin
from webhooks.keeping.payload_views import FETCHED, note_view, views_of

SHOWN_BYTES = 256 * 1024
PERMISSION = "webhooks.view_payload"
_TICKET_SECONDS = 900


class SeenAdmin(KeysetAdmin):
    """Rows with bytes: their history also has who saw these without being a user of the admin."""

    def history_view(self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None) -> Any:
        """Show who did what, and which keys and command lines saw the payload."""
        key = as_uuid(unquote(object_id))
        return super().history_view(request, object_id, {"payload_views": views_of(key) if key else []})


def _tickets() -> signing.TimestampSigner:
    """Return what signs tickets, made when it is needed: ``generate_key`` runs before there is a SECRET_KEY."""
    return signing.TimestampSigner(salt="hub.payload-view")


def require_permission(request: HttpRequest) -> None:
    """Refuse those who may not see what events carry."""
    if not request.user.has_perm(PERMISSION):
        raise PermissionDenied


def ticket_of(request: HttpRequest, obj: Any) -> str:
    """Return what the page of a payload fetches its bytes with: that view is written down already."""
    return _tickets().sign_object([request.user.pk, str(obj.pk)])


def is_of_a_view(request: HttpRequest, obj: Any) -> bool:
    """Tell whether the bytes are asked for by a page that this person has just opened."""
    try:
        held = _tickets().unsign_object(request.GET.get("view", ""), max_age=_TICKET_SECONDS)
    except signing.BadSignature:
        return False
    return bool(held == [request.user.pk, str(obj.pk)])


def note_unless_noted(request: HttpRequest, obj: Any, how: str) -> None:
    """Write down who saw it, once for each view: a page and the bytes that its script fetches are one."""
    if how != FETCHED or not is_of_a_view(request, obj):
        note_view(obj, request.user, how)


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
        "bytes_url": "bytes/?" + urlencode({"view": ticket_of(request, obj)}),
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
