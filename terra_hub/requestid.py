"""An id for each request: it stands in the answer, in each log line of the request, and on error pages."""

from collections.abc import Callable
from uuid import uuid4

import structlog
from django.http import HttpRequest
from django.http.response import HttpResponseBase

HEADER = "X-Request-ID"
_NAME = "request_id"


class RequestIdMiddleware:
    """Gives each request an id of the hub's own; nobody can send one that forges another's."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request, with its id at hand for whatever is logged meanwhile."""
        made = uuid4().hex[:16]
        vars(request)[_NAME] = made
        with structlog.contextvars.bound_contextvars(request_id=made):
            answer = self.get_response(request)
        answer[HEADER] = made
        return answer


def request_id(request: HttpRequest) -> str:
    """Return the request's id; empty where it never came to the middleware."""
    return str(vars(request).get(_NAME, ""))
