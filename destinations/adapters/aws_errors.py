"""What the errors of AWS and of its client mean for a delivery. Each service adds its own codes to the table.

Codes: https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html and
https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any

from destinations.adapters.base import Effect, Outcome, Result, StepFailed
from destinations.hosts import EgressRefused, ResolveFailed
from destinations.httperrors import tls_hint

BUSY_S = 5.0  # how long a destination is left alone that says that it is too busy


@dataclass(frozen=True, slots=True)
class Failure:
    """Why one request did not do its work, in words that hold no secret."""

    code: str
    detail: str
    hint: str = ""
    outcome: Outcome = Outcome.RETRY
    effect: Effect = Effect.FAILURE
    retry_after: float | None = None
    status_code: int | None = None

    def result(self, **about: Any) -> Result:
        """Return it as what a message gets; ``about`` is the rest of ``Result``."""
        return Result(
            self.outcome,
            self.code,
            self.detail,
            self.hint,
            retry_after=self.retry_after,
            effect=self.effect,
            status_code=self.status_code,
            **about,
        )

    def step(self) -> StepFailed:
        """Return it as what fails a step of a check."""
        return StepFailed(f"{self.code}: {self.detail}", self.hint, code=self.code)


class BadAnswer(Exception):
    """A success without what a success of this service always has: something else answered."""


class Blame(Enum):
    """Whose fault an error is, as (outcome, effect)."""

    EVENT = Outcome.REJECTED, Effect.NONE  # this event will never be taken
    MOMENT = Outcome.RETRY, Effect.NONE  # the next try may well succeed
    DESTINATION = Outcome.RETRY, Effect.FAILURE  # every delivery fails until somebody changes something
    BUSY = Outcome.RETRY, Effect.PAUSE  # it asks for fewer requests


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of a table: whose fault, why, and what to change; ``{names}`` in the hint are filled in."""

    blame: Blame
    reason: str
    hint: str = ""


_D, _M, _B = Blame.DESTINATION, Blame.MOMENT, Blame.BUSY
_CHECK_KEY = "Check access_key_id and secret_access_key, or make a new key and fill it in."
_CLOCK = "Set the clock of the hub's machine (use NTP): AWS allows 15 minutes."
_SLOWER = "Lower the destination's concurrency, or raise the limits on the other side."
_SERVER = "Nothing to do unless it stays: the service has trouble of its own."

COMMON: Mapping[str, Verdict] = {
    "AccessDenied": Verdict(_D, "a permission is missing", "Give the user or role the rights of the set-up text."),
    "InvalidAccessKeyId": Verdict(_D, "the access key is not known, or was deleted", _CHECK_KEY),
    "InvalidClientTokenId": Verdict(_D, "the access key is not known, or was deleted", _CHECK_KEY),
    "UnrecognizedClientException": Verdict(_D, "the access key is not known, or was deleted", _CHECK_KEY),
    "SignatureDoesNotMatch": Verdict(
        _D, "the secret access key is wrong", _CHECK_KEY + " A proxy that changes the Host header also does this."
    ),
    "IncompleteSignature": Verdict(_D, "the signature is not complete", _CHECK_KEY),
    "ExpiredToken": Verdict(_M, "the temporary credentials have ended", "They are renewed; look at the hub's clock."),
    "ExpiredTokenException": Verdict(
        _M, "the temporary credentials have ended", "They are renewed; look at the hub's clock."
    ),
    "InvalidToken": Verdict(_D, "the session token is not taken", "Check that STS and the service belong together."),
    "OptInRequired": Verdict(_D, "the account has not signed up for the service", "Sign up in the AWS console."),
    "AccountProblem": Verdict(_D, "the account has a problem", "Look into the AWS console."),
    "RequestTimeTooSkewed": Verdict(_D, "the hub's clock is wrong", _CLOCK),
    "RequestExpired": Verdict(_D, "the hub's clock is wrong", _CLOCK),
    "SlowDown": Verdict(_B, "it asks for fewer requests", _SLOWER),
    "Throttling": Verdict(_B, "it asks for fewer requests", _SLOWER),
    "ThrottlingException": Verdict(_B, "it asks for fewer requests", _SLOWER),
    "RequestThrottled": Verdict(_B, "it asks for fewer requests", _SLOWER),
    "RequestLimitExceeded": Verdict(_B, "it asks for fewer requests", _SLOWER),
    "ServiceUnavailable": Verdict(_B, "it is overloaded or down", _SERVER),
    "InternalError": Verdict(_D, "it had an internal error", _SERVER),
    "InternalFailure": Verdict(_D, "it had an internal error", _SERVER),
    "RequestTimeout": Verdict(_M, "the request came in too slowly", "Look at the hub's network."),
}
_ROLE_REFUSED = (
    "Let the role's trust policy name {hub_arn} and the external id {external_id}, as the set-up text has it, "
    "and let the hub's user call sts:AssumeRole."
)
ROLE: Mapping[str, Verdict] = {
    "AccessDenied": Verdict(_D, "the role does not let the hub in", _ROLE_REFUSED),
    "InvalidClientTokenId": Verdict(_D, "the hub's own access key is not known", "Check HUB_AWS_ACCESS_KEY_ID."),
    "InvalidAccessKeyId": Verdict(_D, "the hub's own access key is not known", "Check HUB_AWS_ACCESS_KEY_ID."),
    "SignatureDoesNotMatch": Verdict(_D, "the hub's own secret is wrong", "Check HUB_AWS_SECRET_ACCESS_KEY."),
    "http_403": Verdict(
        _D, "STS does not let the hub in", "Check HUB_AWS_ACCESS_KEY_ID and its secret. " + _ROLE_REFUSED
    ),
    "RegionDisabledException": Verdict(_D, "STS is off in this region", "Activate STS there in the AWS console."),
    "ValidationError": Verdict(_D, "STS does not take the request", "Let the role's sessions last an hour or more."),
    "MalformedPolicyDocument": Verdict(_D, "STS does not take the session policy", "Please report this."),
}


def failure_of(error: Exception, table: Mapping[str, Verdict], names: Mapping[str, Any], clean: Any = str) -> Failure:
    """Return what an error of a client means. ``table`` goes before ``COMMON``; ``names`` fill in hints.

    ``clean`` takes secrets out of the service's own words.
    """
    from botocore.exceptions import ClientError

    if isinstance(error, ClientError):
        return _answered(error, table, names, clean)
    if isinstance(error, EgressRefused):
        return Failure("egress_refused", error.detail, error.hint)
    if isinstance(error, ResolveFailed):
        return Failure("dns_failed", error.detail, error.hint)
    return _unanswered(error, clean)


def _answered(error: Any, table: Mapping[str, Verdict], names: Mapping[str, Any], clean: Any) -> Failure:
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
    code, message = code_of(error), one_line(clean(str(error.response.get("Error", {}).get("Message") or "")))
    is_role = error.operation_name == "AssumeRole"
    verdict = (ROLE.get(code) if is_role else table.get(code)) or COMMON.get(code) or _by_status(status)
    outcome, effect = verdict.blame.value
    failure = Failure(
        f"AssumeRole.{code}" if is_role else code,
        f"{error.operation_name}: {verdict.reason}" + (f": {message}" if message else "."),
        verdict.hint.format_map(names),
        outcome,
        effect,
        status_code=status,
    )
    return replace(failure, retry_after=BUSY_S) if verdict.blame is Blame.BUSY else failure


def code_of(error: Any) -> str:
    """Return the stable code of a ``ClientError``: AWS's own, or ``http_403`` where the answer had no body."""
    code = str(error.response.get("Error", {}).get("Code") or "")
    if not code.startswith("KMS."):  # a namespace that tells, where those of SQS do not
        code = code.rpartition(".")[2].rpartition("#")[2]
    if code.isdigit() or not code:
        return f"http_{error.response.get('ResponseMetadata', {}).get('HTTPStatusCode') or code or 'unknown'}"
    return "".join(letter for letter in code if letter.isascii() and (letter.isalnum() or letter in "._-"))[:100]


def _by_status(status: Any) -> Verdict:
    if status in (429, 503):
        return Verdict(Blame.BUSY, "it asks for fewer requests, or is overloaded", _SLOWER)
    return Verdict(Blame.DESTINATION, f"it answered {status}")


def _unanswered(error: Exception, clean: Any) -> Failure:
    from botocore import exceptions as known
    from botocore.parsers import ResponseParserError

    from destinations.adapters.aws_guard import AnswerTooLarge, DeadlinePassed

    slow = "Look at the network and at the other side's load, or raise this destination's timeout."
    cause = one_line(clean(_cause(error)))
    if isinstance(error, DeadlinePassed):
        return Failure("deadline", str(error), slow)
    if isinstance(error, known.ConnectTimeoutError):
        return Failure("connect_timeout", "No connection in time.", "Check the host, the port and the firewalls.")
    if isinstance(error, known.ReadTimeoutError):
        return Failure("timeout", "No answer in time.", slow)
    if isinstance(error, known.SSLError):
        return Failure("tls_failed", f"TLS failed: {cause}", tls_hint(cause))
    if isinstance(error, known.EndpointConnectionError):
        return Failure("connect_failed", f"Could not connect: {cause}", "Check the host and the port.")
    if isinstance(error, ResponseParserError | AnswerTooLarge | BadAnswer):
        return bad_response()
    if isinstance(error, known.HTTPClientError):
        return Failure("connection_closed", f"The connection broke: {cause}", "Look at the other side's log.")
    # The words of an unforeseen error may hold anything: only its kind is kept.
    return Failure("client_failed", f"The client failed: {type(error).__name__}.", "Please report this.")


def bad_response() -> Failure:
    """Return what an answer means that is not one of the service: it proves nothing to be stored."""
    hint = "Check endpoint_url: something else than this service answers there, such as a proxy or a log-in page."
    return Failure("bad_response", "The answer is not one of this service.", hint)


def _cause(error: Exception) -> str:
    """Return the words of the innermost error: botocore wraps those of urllib3, which wrap the system's."""
    inner: Any = getattr(error, "kwargs", {}).get("error") or error
    while inner.args and isinstance(inner.args[-1], Exception):
        inner = inner.args[-1]
    return str(inner).rpartition("): ")[2] or type(inner).__name__


def one_line(text: str) -> str:
    """Return the first line of a message, without characters that could forge a log line."""
    first = text.strip().partition("\n")[0]
    return "".join(letter for letter in first if letter.isprintable())[:300]
