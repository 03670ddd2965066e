"""Error pages: what was wrong, what to do next, and the id under which the log has more. They need no database."""

import sys
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from django.core.exceptions import (
    DisallowedHost,
    RequestDataTooBig,
    TooManyFieldsSent,
)
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string

from terra_hub.requestid import request_id

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Trouble:
    """An error in words: a title, its cause, and what to do next."""

    status: int
    code: str
    title: str
    cause: str
    steps: tuple[str, ...]


_BAD = Trouble(
    400,
    "bad_request",
    "The hub could not read this request",
    "Something in it is not as a browser sends it.",
    ("Go back, load the page again, and try once more.",),
)
_HOST = Trouble(
    400,
    "unknown_host",
    "The hub is not known by this name",
    "The host name of the address is not in the setting ALLOWED_HOSTS.",
    ("Use the address of the setting PUBLIC_URL, or add this name to ALLOWED_HOSTS and start the hub anew.",),
)
_LARGE = Trouble(
    400,
    "form_too_large",
    "The form is too large",
    "It has more than 10 MiB or more than 20,000 fields. Nothing of it was saved.",
    ("Go back: what you typed is still there. Shorten it, then send it again.",),
)
_DENIED = Trouble(
    403,
    "permission_denied",
    "Your account may not do this",
    "It needs a permission that your account does not have. Nothing was changed.",
    (
        "Ask an administrator of the hub for the role that may: viewer, operator or admin.",
        "Or log out, and log in with another account.",
    ),
)
_STALE = Trouble(
    403,
    "csrf_failed",
    "This form is out of date",
    "It was opened before you logged in anew, or the browser keeps no cookies. Nothing was changed.",
    (
        "Go back: what you typed is still there. Copy what is long, load the page again, and send it once more.",
        "If that does not help: allow cookies for this address, and check that CSRF_TRUSTED_ORIGINS names it.",
    ),
)
_MISSING = Trouble(
    404,
    "not_found",
    "There is no such page",
    "The address is mistyped, or what it led to was deleted.",
    ("Look for it from the overview, or press Ctrl and K there and paste its id.",),
)
_DATABASE = Trouble(
    500,
    "database_down",
    "The database does not answer",
    "The hub cannot read or write at this moment. What it acknowledged is safe; Terra sends again what it did not.",
    ("Try again in a moment.", "Look at /readyz, which says what is missing, and at the database's own log."),
)
_BROKEN = Trouble(
    500,
    "internal_error",
    "The hub failed at this",
    "It is an error of the hub's own. An event that was acknowledged is safe, and delivering goes on.",
    (
        "Go back and try once more.",
        "Search the log for the id below: the line has the cause. Report it with that line.",
    ),
)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 400, with what can be told of the cause."""
    if isinstance(exception, DisallowedHost):
        return answer(request, _HOST)
    return answer(request, _LARGE if isinstance(exception, RequestDataTooBig | TooManyFieldsSent) else _BAD)


def permission_denied(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 403."""
    return answer(request, _DENIED)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """Answer 403 to a form without its token; the log has Django's reason."""
    log.warning("csrf_failed", reason=reason)
    return answer(request, _STALE)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """Answer 404."""
    return answer(request, _MISSING)


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer 500; Django has logged the traceback, with the request's id."""
    return answer(request, _DATABASE if isinstance(sys.exc_info()[1], DatabaseError | InterfaceError) else _BROKEN)


def answer(request: HttpRequest, trouble: Trouble) -> HttpResponse:
    """Return the page, or to a client of the API the problem, that says it."""
    if request.path.startswith("/api/"):
        return _problem(request, trouble)
    context = {"trouble": trouble, "request_id": request_id(request)}
    page = HttpResponse(render_to_string("hub/error.html", context), status=trouble.status)
    page["Cache-Control"] = "no-store"
    return page


def _problem(request: HttpRequest, trouble: Trouble) -> JsonResponse:
    body: dict[str, Any] = {
        "title": HTTPStatus(trouble.status).phrase,
        "status": trouble.status,
        "detail": f"{trouble.title}. {trouble.cause}",
        "code": trouble.code,
        "errors": [],
        "hint": trouble.steps[0],
    }
    return JsonResponse(body, status=trouble.status, content_type="application/problem+json")
