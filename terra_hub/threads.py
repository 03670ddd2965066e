"""Django's WSGI application over ASGI: in threads, with limits on how long a client may hold one.

A request's body is read before a thread is taken, so a slow sender holds none; an answer that is not
read in time is given up.
"""

import asyncio
from typing import Any, cast

from a2wsgi import WSGIMiddleware
from django.conf import settings

from webhooks.receiving.endpoint import BODY_PROBLEMS, Answer, answer_with, problem_of_body
from webhooks.receiving.requests import header_dict, let_go, read_body

# Of the admin and the API, per web process; each may hold a connection to the database.
THREADS = 16
SEND_SECONDS = 60.0  # for one piece of an answer


class InThreads:
    """Serves Django's WSGI application. ``/healthz`` is answered without it: it says that the process lives."""

    def __init__(self, django: Any) -> None:
        """Prepare the threads; the first request starts them."""
        # Three sets of types for two standards: what meets here is WSGI and ASGI 3.
        self._django = cast(Any, WSGIMiddleware(django, workers=THREADS))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        if scope["path"] == "/healthz":
            await answer_with(Answer(200, {"status": "ok"}), send)
            return
        try:
            body = await read_body(header_dict(scope), receive, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        except BODY_PROBLEMS as error:
            await answer_with(problem_of_body(error, settings.DATA_UPLOAD_MAX_MEMORY_SIZE), send)
            return
        try:
            await self._django(_measured(scope, body), _read_already(body, receive), _in_time(send))
        finally:
            let_go(body)


def _measured(scope: Any, body: bytes) -> Any:
    """Return a scope that says how long the body is: WSGI takes one whose length was not said for none."""
    others = [(name, value) for name, value in scope["headers"] if name.lower() != b"content-length"]
    return {**scope, "headers": [*others, (b"content-length", str(len(body)).encode())]}


def _read_already(body: bytes, receive: Any) -> Any:
    """Return a ``receive`` that gives the whole body, and then what comes of the connection."""
    given = False

    async def received() -> Any:  # a coroutine: a2wsgi takes no other awaitable, such as granian's
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return received


def _in_time(send: Any) -> Any:
    """Return a ``send`` that drops what a client does not read in time: its thread must get free again."""
    gone = False

    async def sent(message: Any) -> None:
        nonlocal gone
        if gone:
            return
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await send(message)
        except TimeoutError:
            gone = True

    return sent
