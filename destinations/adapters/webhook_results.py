"""What a receiver's answer, or the lack of one, means for a delivery and for its destination."""

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from destinations.adapters.base import Effect, Outcome, Result
from destinations.http import HttpResponse
from destinations.httperrors import HttpError
from destinations.scrubbing import Scrubber

MAX_RETRY_AFTER_S = 24 * 3600.0
STORED_OF_2XX = 4 * 1024  # bytes of the body that are kept of a good answer
STORED = 64 * 1024

_HINTS = {
    400: "The receiver takes the request for malformed: look into its log.",
    401: "Check the authentication of this destination.",
    403: "Check the authentication of this destination, and the receiver's list of allowed addresses.",
    404: "Check the path of the URL.",
    405: "Let the receiver accept POST at this URL.",
    410: "The receiver is gone for good. Correct the URL and enable the destination again.",
    413: "Raise the receiver's limit for bodies: Terra's can be tens of megabytes. Or choose the delivery ping.",
    415: "Let the receiver accept application/json.",
    421: "Check the host of the URL.",
    429: "The receiver asks for fewer requests: lower the destination's concurrency.",
}
_REDIRECT = "Redirects are not followed: set the URL to the final address."
_SERVER = "Look into the receiver's log."


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
    if status in _HINTS:
        return _HINTS[status]
    return _SERVER if status >= 500 else _REDIRECT if 300 <= status < 400 else ""


def _effect_of(status: int, wait: float | None) -> Effect:
    if status == 410:
        return Effect.DISABLE
    if status in (429, 503) and wait:
        return Effect.PAUSE
    return Effect.FAILURE if status >= 500 or status == 429 else Effect.NONE


def retry_after(value: str, now: datetime) -> float | None:
    """Return the seconds that a Retry-After header asks for, at most 24 h; ``None`` for garbage.

    Seconds or an HTTP date: https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3.
    """
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text), MAX_RETRY_AFTER_S)
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return min(max((moment - now).total_seconds(), 0.0), MAX_RETRY_AFTER_S)


def snapshot(answer: HttpResponse, scrubber: Scrubber) -> dict[str, Any]:
    """Return what is kept of an answer: status, headers, the body as text, and whether it was cut.

    The body is scrubbed before it is cut, so that the cut leaves no half of a secret.
    """
    most = STORED_OF_2XX if 200 <= answer.status < 300 else STORED
    headers, body = answer.headers, answer.body
    if answer.truncated or scrubber.is_in(body):
        body = scrubber.text(body.decode(errors="replace"), answer.truncated).encode()
    if scrubber.is_in(b"".join(answer.lines)):
        headers = {name: scrubber.text(value) for name, value in headers.items()}
    text = body[:most].decode(errors="replace")
    return {
        "status": answer.status,
        "headers": headers,
        "body": text.replace("\x00", "\ufffd") if "\x00" in text else text,
        "truncated": answer.truncated or len(body) > most,
    }
