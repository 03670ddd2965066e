"""Where ``hub doctor`` posts to itself: what webhooks meet on their way here, told back, and nothing stored.

A body goes the way of Terra's: through every proxy, to this process, under the same limits. Only whoever holds
a token that this hub has signed a moment ago is answered; for all others there is no such page.
"""

import hashlib
import time
from collections.abc import Mapping

from asgiref.typing import ASGI3Application, ASGIReceiveCallable, ASGISendCallable, HTTPScope, Scope
from django.conf import settings
from django.core import signing

from webhooks.receiving.endpoint import BODY_PROBLEMS, Answer, problem, problem_of_body, serve, whole_body
from webhooks.receiving.intake import Rejected, in_thread
from webhooks.receiving.requests import header_dict, let_go, sender

PATH = "/webhooks/doctor"
TOKEN = "x-hub-doctor"  # noqa: S105  # the header's name
TOKEN_SECONDS = 300  # the clocks of two hosts may differ
_SALT = "webhooks.receiving.doctor"
# What proxies say of themselves and of whom they speak for.
_OF_PROXIES = (
    "x-forwarded-for", "x_forwarded_for", "x-forwarded-proto", "x-forwarded-host", "x-real-ip", "forwarded", "via",
)  # fmt: skip
_SENT_BY_TERRA = ("terra-signature", "x-terra-signature", "terra-reference", "x-terra-trace-id")
_LONGEST = 500  # characters of one value that are told back


def make_token() -> str:
    """Return a token for the next minutes."""
    return signing.dumps("doctor", salt=_SALT)


def token_fits(token: str) -> bool:
    """Tell whether this hub has made a token, a moment ago."""
    try:
        return bool(signing.loads(token, salt=_SALT, max_age=TOKEN_SECONDS) == "doctor")
    except signing.BadSignature:
        return False


class DoctorsDoor:
    """Answers the doctor's posts, and hands everything else on."""

    def __init__(self, other: ASGI3Application) -> None:
        """Hand everything else to ``other``."""
        self._other = other

    async def __call__(self, scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
        """Serve one request."""
        if scope["type"] == "http" and scope["path"] == PATH and _is_the_doctor(scope):
            await serve(_answer, scope, receive, send)
        else:
            await self._other(scope, receive, send)


def _is_the_doctor(scope: HTTPScope) -> bool:
    return scope["method"] == "POST" and token_fits(header_dict(scope).get(TOKEN, ""))


async def _answer(scope: HTTPScope, receive: ASGIReceiveCallable) -> Answer:
    headers = header_dict(scope)
    try:
        body = await whole_body(headers, receive)
    except Rejected as rejected:
        return problem(rejected.status, rejected.refusal.code, rejected.refusal.detail)
    except BODY_PROBLEMS as error:
        return problem_of_body(error, settings.MAX_BODY_BYTES)
    try:
        digest = await in_thread(_hex_digest, body)
        return Answer(200, _told(scope, headers) | {"bytes": len(body), "sha256": digest})
    finally:
        let_go(body)


def _hex_digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def _told(scope: HTTPScope, headers: Mapping[str, str]) -> dict[str, object]:
    """Return how the request arrived: whom the hub takes for its sender, and what proxies added to it."""
    found = sender(scope, headers)
    return {
        "sender": str(found) if found else None,
        "peer": scope["client"][0] if scope["client"] else "",
        "via": {name: headers[name][:_LONGEST] for name in _OF_PROXIES if name in headers},
        "arrived": [name for name in _SENT_BY_TERRA if name in headers],
        "chunked": "transfer-encoding" in headers,
        "trusted_proxies": settings.TRUSTED_PROXY_COUNT,
        "clock": time.time(),  # Unix seconds
    }
