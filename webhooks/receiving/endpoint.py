"""Terra's webhooks over HTTP: an ASGI application that stands in front of Django's.

Requests wait for their commit without a thread of their own. With one thread each, as under WSGI,
more than half of the time went to threads that handed the interpreter to one another
(docs/decisions/0005-asgi-at-intake.md). Thin: ``intake.accept`` decides.
"""

import json
import traceback
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, NamedTuple

import structlog
from asgiref.typing import (
    ASGI3Application,
    ASGIReceiveCallable,
    ASGIReceiveEvent,
    ASGISendCallable,
    HTTPScope,
    Scope,
)
from django.conf import settings
from django.db import DatabaseError, InterfaceError

from destinations.crypto import SealError
from webhooks.receiving.groupcommit import StoreUnavailable
from webhooks.receiving.intake import Incoming, Rejected, accept, in_thread, refuse_unread
from webhooks.receiving.requests import (
    BodyBroken,
    BodyTooLarge,
    BodyTooSlow,
    declared_length,
    drop_body,
    header_dict,
    let_go,
    read_body,
    sender,
)
from webhooks.receiving.sources import PREFIX, live_source, recent_source

log = structlog.get_logger(__name__)

RETRY_AFTER_SECONDS = "30"
ERASED = "This person was erased from the hub: nothing was stored."


class Answer(NamedTuple):
    """What a request is answered."""

    status: int
    body: dict[str, Any]
    headers: tuple[tuple[str, str], ...] = ()


def problem(status: int, code: str, detail: str, **headers: str) -> Answer:
    """Answer with problem+json (RFC 9457)."""
    body = {"title": HTTPStatus(status).phrase, "status": status, "code": code, "detail": detail}
    return Answer(status, body, (("content-type", "application/problem+json"), *headers.items()))


class Endpoint:
    """Takes in what is posted under ``PREFIX``: 200 means that the event and its deliveries are on disk."""

    def __init__(self, other: ASGI3Application) -> None:
        """Hand everything else to ``other``."""
        self._other = other

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not scope["path"].startswith(PREFIX):
            await self._other(scope, receive, send)
            return
        await serve(_answer, scope, receive, send)


class Request:
    """A request whose body may or may not be read to its end."""

    def __init__(self, receive: ASGIReceiveCallable) -> None:
        """Read nothing yet."""
        self._receive = receive
        self.ended = False

    async def receive(self) -> ASGIReceiveEvent:
        """Return what comes next."""
        message = await self._receive()
        self.ended = message["type"] != "http.request" or not message.get("more_body", False)
        return message


async def serve(
    answering: Callable[[HTTPScope, ASGIReceiveCallable], Awaitable[Answer]],
    scope: HTTPScope,
    receive: ASGIReceiveCallable,
    send: ASGISendCallable,
) -> None:
    """Answer one request, and let its sender find the answer: what it still sends is read and dropped."""
    request = Request(receive)
    answer = await answering(scope, request.receive)
    await answer_with(answer, send)
    if not request.ended and answer.status != 408:
        await drop_body(header_dict(scope), request.receive)


async def answer_with(answer: Answer, send: ASGISendCallable) -> None:
    """Send a whole answer."""
    body = json.dumps(answer.body).encode()
    headers = (*(answer.headers or (("content-type", "application/json"),)), ("content-length", str(len(body))))
    lines = [(name.encode(), value.encode()) for name, value in headers]
    await send({"type": "http.response.start", "status": answer.status, "headers": lines, "trailers": False})
    await send({"type": "http.response.body", "body": body, "more_body": False})


async def _answer(scope: HTTPScope, receive: ASGIReceiveCallable) -> Answer:
    slug = scope["path"][len(PREFIX) :].rstrip("/")
    try:
        return await _receive(scope, receive, slug)
    except Rejected as rejected:
        return problem(rejected.status, rejected.refusal.code, rejected.refusal.detail)
    except (BodyBroken, BodyTooSlow) as error:
        return problem_of_body(error, settings.MAX_BODY_BYTES)
    except (StoreUnavailable, DatabaseError, InterfaceError, SealError) as error:
        # A source whose secrets do not open (a key is missing) can be mended too: the sender tries again.
        why = str(error) if isinstance(error, StoreUnavailable) else ""
        log.error("event_refused_for_now", source=slug[:64], error=type(error).__name__, why=why)
        return _later("The event could not be stored. Send it again.")
    except Exception as error:
        return _unforeseen(error, slug)


BODY_PROBLEMS = (BodyBroken, BodyTooSlow, BodyTooLarge, StoreUnavailable)


def problem_of_body(error: Exception, limit: int) -> Answer:
    """Answer a request whose body could not be read whole, for one of ``BODY_PROBLEMS``."""
    if isinstance(error, BodyTooLarge):
        return problem(413, "body_too_large", f"The body is larger than {limit} bytes.")
    if isinstance(error, BodyTooSlow):
        return problem(408, "body_too_slow", str(error), connection="close")
    if isinstance(error, BodyBroken):
        return problem(400, "body_incomplete", str(error))
    return _later(str(error))


def _later(detail: str) -> Answer:
    return problem(503, "store_unavailable", detail, **{"retry-after": RETRY_AFTER_SECONDS})


def _unforeseen(error: Exception, slug: str) -> Answer:
    """Log a defect of the hub by its kind and place: its message may hold anything. The sender tries again."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{place.filename.rsplit('/', 1)[-1]}:{place.lineno}"
    log.error("receiving_failed", source=slug[:64], error=type(error).__name__, place=where)
    return problem(500, "internal_error", "The hub failed on this request; its log says where. Send it again.")


async def _receive(scope: HTTPScope, receive: ASGIReceiveCallable, slug: str) -> Answer:
    if scope["method"] != "POST":
        return problem(405, "method_not_allowed", "Webhooks are sent with POST.", allow="POST")
    source = recent_source(slug) or await in_thread(live_source, slug)
    if source is None:
        return problem(404, "unknown_source", "No active source has this address.")
    headers = header_dict(scope)
    try:
        body = await whole_body(headers, receive)
    except Rejected as rejected:
        await in_thread(refuse_unread, source, headers, sender(scope, headers), rejected, declared_length(headers))
        raise
    try:
        written = await accept(source, Incoming(headers, body, sender(scope, headers)))
    finally:
        let_go(body)
    if written.erased:
        return Answer(200, {"erased": True, "detail": ERASED})
    return Answer(200, {"event_id": str(written.event_id), "duplicate": written.duplicate})


async def whole_body(headers: dict[str, str], receive: ASGIReceiveCallable) -> bytes:
    """Return the body's exact bytes; raise ``Rejected`` where it is not to be read."""
    encoding = headers.get("content-encoding", "identity").strip().lower()
    try:
        if (declared_length(headers) or 0) > settings.MAX_BODY_BYTES:
            raise BodyTooLarge
        if encoding not in ("", "identity"):
            detail = f"Content-Encoding {encoding!r} is not taken: send the body as it is."
            raise Rejected(415, "content_encoding", detail)
        return await read_body(headers, receive, settings.MAX_BODY_BYTES)
    except BodyTooLarge:
        detail = f"The body is larger than {settings.MAX_BODY_BYTES} bytes (MAX_BODY_BYTES)."
        raise Rejected(413, "body_too_large", detail) from None
