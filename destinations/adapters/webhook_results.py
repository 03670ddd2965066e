"""What a receiver's answer, or the lack of one, means for a delivery and for its destination."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from destinations.adapters.base import Effect, Outcome, Result
from destinations.http import HttpResponse
from destinations.httperrors import HttpError
from destinations.retryafter import retry_after
from destinations.scrubbing import Scrubber

STORED_OF_2XX = 4 * 1024  # bytes of the body that are kept of a good answer
STORED = 64 * 1024

_COMPARE = "Compare the request that was sent with what it expects."
_SIGNED = "Where the receiver verifies signatures, compare its secret with this destination's."
_HINTS = {
    400: f"The receiver takes the request for malformed. {_COMPARE}",
    401: f"Check the authentication of this destination. {_SIGNED}",
    403: f"Check the authentication of this destination, and the receiver's list of allowed addresses. {_SIGNED}",
    404: "Check the path of the URL: the receiver has nothing there.",
    405: "Let the receiver accept POST at this URL.",
    410: "The receiver is gone for good. Correct the URL and enable the destination again.",
    413: "Raise the receiver's limit for bodies: Terra's can be tens of megabytes. Or choose the delivery ping.",
    415: "Let the receiver accept application/json.",
    421: "Check the host of the URL.",
    408: "The receiver waited too long for the request: raise its time limit, or lower the destination's concurrency.",
    429: "The receiver asks for fewer requests: lower the destination's concurrency.",
}
_REDIRECT = "Redirects are not followed: set the URL to the final address."
_REFUSES = f"The receiver refuses what it got. {_COMPARE} Its answer may say what it misses."
_FAILS = "The receiver failed, or what stands before it: its own log says why. The hub tries again by the schedule."
_ODD = "No receiver should answer so. Check that the URL is the receiver's."


def result_of(answer: HttpResponse, request: Mapping[str, Any], response: Mapping[str, Any]) -> Result:
    """Judge an answer: 2XX is a success, all else is tried again, 410 ends the destination."""
    status = answer.status
    if 200 <= status < 300:
        return Result(
            Outcome.DELIVERED, status_code=status, duration_ms=answer.duration_ms, request=request, response=response
        )
    wait = retry_after(answer.headers.get("retry-after", ""), datetime.now(UTC))
    return Result(
        Outcome.RETRY,
        f"http_{status}",
        f"The receiver answered {status}.",
        hint_of(status),
        retry_after=wait,
        effect=_effect_of(status, wait),
        status_code=status,
        duration_ms=answer.duration_ms,
        request=request,
        response=response,
    )


def error_result(error: HttpError, request: Mapping[str, Any], scrubber: Scrubber) -> Result:
    """Judge a request without an answer: it is tried again, and the destination is unwell."""
    return Result(
        Outcome.RETRY,
        error.code,
        scrubber.text(error.detail),
        error.hint,
        effect=Effect.FAILURE,
        duration_ms=error.duration_ms,
        request=request,
    )


def hint_of(status: int) -> str:
    """Return what to change after an answer that is no success."""
    by_class = {3: _REDIRECT, 4: _REFUSES, 5: _FAILS}
    return _HINTS.get(status) or by_class.get(status // 100, _ODD)


def _effect_of(status: int, wait: float | None) -> Effect:
    if status == 410:
        return Effect.DISABLE
    if status in (429, 503) and wait:
        return Effect.PAUSE
    return Effect.FAILURE if status >= 500 or status == 429 else Effect.NONE


def snapshot(answer: HttpResponse, scrubber: Scrubber) -> dict[str, Any]:
    """Return what is kept of an answer: status, headers, the body as text, and whether it was cut.

    The body is scrubbed before it is cut, so that the cut leaves no half of a secret.
    """
    most = STORED_OF_2XX if 200 <= answer.status < 300 else STORED
    headers, body = answer.headers, answer.body
    if answer.truncated or scrubber.is_in(b"".join([*answer.lines, body])):
        headers = {name: scrubber.text(value) for name, value in headers.items()}
        body = scrubber.text(body.decode(errors="replace"), answer.truncated).encode()
    text = body[:most].decode(errors="replace")
    return {
        "status": answer.status,
        "headers": headers,
        "body": text.replace("\x00", "\ufffd") if "\x00" in text else text,
        "truncated": answer.truncated or len(body) > most,
    }
