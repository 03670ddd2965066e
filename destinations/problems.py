"""Every error of the API as ``application/problem+json`` (RFC 9457), in words that say what to change.

Members: ``title``, ``status``, ``detail``, ``code`` (stable), ``errors`` (``field`` and ``message`` of
each), ``hint``, ``request_id`` (as in ``X-Request-ID`` and in the log). No member ever holds a credential.
"""

import re
import traceback
import uuid
from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from django.conf import settings
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework import exceptions
from rest_framework.response import Response
from rest_framework.views import set_rollback

from destinations.crypto import SealError
from destinations.rules import Refused

log = structlog.get_logger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5

_REFUSED_STATUS = {
    "not_found": 404,
    "destination_deleted": 404,
    "conflict": 409,
    "destination_disabled": 409,
    "no_destination": 409,
    "destination_inactive": 409,
    "nothing_selected": 409,
    "count_not_confirmed": 409,
    "rejected_by_source": 409,
    "source_disabled": 409,
    "too_many_secrets": 409,
    "payload_gone": 410,
    "payload_unavailable": 503,
    "unusable": 409,
    "beyond_sources": 403,
    "beyond_scopes": 403,
    "beyond_expiry": 403,
    "limited_to_sources": 403,
    "erased": 409,
    "version_conflict": 412,
}
_HINTS = {
    "not_authenticated": "Send Authorization: Bearer and an API key, or the cookie of a session of the admin.",
    "authentication_failed": "Make a key in the admin under API keys, or by: manage.py hub keys add.",
    "address_not_allowed": "Private addresses are allowed by EGRESS_ALLOW; for some others there is no setting.",
    "permission_denied": "Ask an administrator for the permission.",
    "scope_missing": "A key's scopes are fixed: make another key that has it, and revoke this one.",
    "rate_limited": "Send less, or ask whoever runs the hub to raise API_RATE_PER_MINUTE.",
    "csrf_failed": "Send the value of the csrftoken cookie in the header X-CSRFToken.",
    "parse_error": "Send a JSON object in UTF-8.",
    "unsupported_media_type": "Send JSON with Content-Type: application/json.",
    "idempotency_key_reused": "Send a new Idempotency-Key with each new request; the same one only to repeat it.",
    "idempotency_in_progress": "Wait, and send the same request again: it is then answered as the first one was.",
    "key_as_user": "Send a key as Authorization: Bearer hub_live_…, not as a user name or a password.",
    "locked_out": "Wait a quarter of an hour, or ask an administrator to unlock the account.",
}


class LockedOut(exceptions.APIException):
    """Too many wrong passwords for one user name from one address."""

    status_code = 429
    default_detail = "Too many wrong passwords: this user name is locked for this address."
    default_code = "locked_out"


class KeyAsUser(exceptions.AuthenticationFailed):
    """An API key where HTTP Basic has a user name and a password: nobody's, and nothing to write down."""

    status_code = 401
    default_detail = "An API key is no user name and no password."
    default_code = "key_as_user"


class KeyReused(exceptions.APIException):
    """An ``Idempotency-Key`` that came before with another request."""

    status_code = 409
    default_detail = "This Idempotency-Key was sent before, with another request."
    default_code = "idempotency_key_reused"


class KeyInUse(exceptions.APIException):
    """An ``Idempotency-Key`` whose first request is not answered yet."""

    status_code = 409
    default_detail = "The first request with this Idempotency-Key is still under way."
    default_code = "idempotency_in_progress"

    def __init__(self, wait: int) -> None:
        """Say in how many seconds to come again."""
        super().__init__()
        self.wait = wait


class TooLarge(exceptions.APIException):
    """A request body above the API's limit."""

    status_code = 413
    default_code = "too_large"


def problem(
    status: int,
    code: str,
    detail: str = "",
    errors: Sequence[Mapping[str, str]] = (),
    hint: str = "",
) -> dict[str, Any]:
    """Return the members of a problem."""
    return {
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "errors": list(errors),
        "hint": hint or _hint(code),
        "request_id": str(structlog.contextvars.get_contextvars().get("request_id", "")),
    }


def _hint(code: str) -> str:
    if code == "not_authenticated" and settings.API_BASIC_AUTH:
        return f"{_HINTS[code]} A user name and a password by HTTP Basic do, too."
    return _HINTS.get(code, "")


def problem_response(error: Exception, context: Mapping[str, Any]) -> Response:
    """Answer any exception of an API view: DRF's ``EXCEPTION_HANDLER``."""
    set_rollback()
    if isinstance(error, Refused):
        return _response(_of_refused(error))
    if isinstance(error, OperationalError | InterfaceError):
        log.error("api_store_unavailable", error=type(error).__name__)
        body = problem(503, "store_unavailable", "The hub's database does not answer.", hint="Try again soon.")
        return _response(body, {"Retry-After": str(RETRY_AFTER_S)})
    if isinstance(error, SealError):  # its message never holds a secret
        return _response(problem(500, "credentials_unreadable", str(error)))
    known = _as_api_exception(error)
    return _response(_of_api_exception(known), _headers(known)) if known else _response(_unforeseen(error, context))


@csrf_exempt  # else a POST to a mistyped path is answered by a page about cookies
def not_found(request: HttpRequest, *_: Any, **__: Any) -> JsonResponse:
    """Answer a path that the API does not have, whatever the method."""
    ends = request.path.endswith("/")
    hint = "Paths of this API have no slash at their end." if ends else "GET /api/v1/schema lists every path."
    body = problem(404, "not_found", "The API has no such path.", hint=hint)
    return JsonResponse(body, status=404, content_type=MEDIA_TYPE)


def _response(body: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    return Response(body, status=body["status"], headers=headers, content_type=MEDIA_TYPE)


def _of_refused(error: Refused) -> dict[str, Any]:
    errors = [{"field": field, "message": text} for field, texts in error.errors.items() for text in texts]
    return problem(_REFUSED_STATUS.get(error.code, 400), error.code, _in_words(errors), errors, error.hint)


def _in_words(errors: Sequence[Mapping[str, str]]) -> str:
    """Return every error with its field: clients that show ``detail`` only show where to change something."""
    return "; ".join(": ".join(filter(None, (one["field"], one["message"]))) for one in errors)


def _as_api_exception(error: Exception) -> exceptions.APIException | None:
    if isinstance(error, exceptions.APIException):
        return error
    if isinstance(error, Http404):
        return exceptions.NotFound("There is nothing with this id.")
    if isinstance(error, PermissionDenied):
        return exceptions.PermissionDenied()
    if isinstance(error, RequestDataTooBig):
        return TooLarge("The request's body is too large.")
    if isinstance(error, SuspiciousOperation):
        return exceptions.ParseError("The request is malformed.")
    return None


def _of_api_exception(error: exceptions.APIException) -> dict[str, Any]:
    code = _code(error)
    if isinstance(error, exceptions.ValidationError):
        errors = list(_flat(error.detail))
        return problem(error.status_code, code, _in_words(errors), errors)
    return problem(error.status_code, code, str(error.detail))


def _code(error: exceptions.APIException) -> str:
    if isinstance(error, exceptions.ValidationError):
        return "invalid"
    if isinstance(error, exceptions.PermissionDenied) and str(error.detail).startswith("CSRF"):
        return "csrf_failed"
    return re.sub(r"\W", "_", str(getattr(error.detail, "code", error.default_code)))


def _flat(detail: Any, path: str = "") -> Iterator[dict[str, str]]:
    """Turn DRF's nested errors into a list with one path per error: ``schedule.2``."""
    if isinstance(detail, Mapping):
        for name, inner in detail.items():
            own = "" if name == "non_field_errors" else str(name)
            yield from _flat(inner, ".".join(filter(None, [path, own])))
    elif isinstance(detail, list):
        for number, inner in enumerate(detail):
            place = str(number) if isinstance(inner, Mapping) else ""
            yield from _flat(inner, ".".join(filter(None, [path, place])))
    else:
        yield {"field": path, "message": str(detail)}


def _headers(error: exceptions.APIException) -> dict[str, str]:
    found = {"WWW-Authenticate": getattr(error, "auth_header", None), "Retry-After": getattr(error, "wait", None)}
    return {name: str(value) for name, value in found.items() if value}


def _unforeseen(error: Exception, context: Mapping[str, Any]) -> dict[str, Any]:
    # The message of an unforeseen error may hold anything: only its kind and places are logged.
    error_id = str(uuid.uuid4())
    places = [f"{frame.filename}:{frame.lineno} {frame.name}" for frame in traceback.extract_tb(error.__traceback__)]
    view = type(context.get("view")).__name__
    log.error("api_failed", error_id=error_id, error=type(error).__name__, view=view, places=places)
    return problem(
        500, "internal_error", f"The hub failed. Its log has the cause under the id {error_id}.", hint="Report the id."
    )
