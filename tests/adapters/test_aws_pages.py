"""The pages of the destinations on AWS: every code that can be in the log, and what becomes of the delivery."""

import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from destinations.adapters import aws, s3_errors, sqs_errors
from destinations.adapters.aws_errors import COMMON, ROLE, Failure, bad_response
from destinations.adapters.base import Effect, Outcome
from destinations.adapters.s3_errors import s3_failure
from destinations.adapters.sqs_errors import request_failure

pytestmark = pytest.mark.databaseless

PAGES = Path(__file__).parents[2] / "docs" / "destinations"
WORDS = {
    (Outcome.RETRY, Effect.FAILURE): "retried, counts as a failure",
    (Outcome.RETRY, Effect.NONE): "retried",
    (Outcome.REJECTED, Effect.NONE): "rejected",
}
HUB = {"hub_arn": "the hub's user", "external_id": "of this destination"}
S3_NAMES = {"bucket": "your-bucket", "arn": "arn:aws:s3:::your-bucket/*", **HUB}
SQS_NAMES = {"queue": "terra", "arn": "arn:aws:sqs:eu-west-1:123456789012:terra", **HUB}
# What no table of codes is about, and is written by hand.
BY_HAND = {
    "s3": {"superseded", "unprocessable"},
    "sqs": {"unprocessable", "queue_unreadable", "queue_url_refused", "NoSuchBucket", "PermanentRedirect"},
}
NETWORK = {
    "timeout", "deadline", "connect_timeout", "connect_failed", "connection_closed", "dns_failed", "tls_failed",
    "egress_refused", "client_failed",
}  # fmt: skip


def refused(code: str, operation: str) -> ClientError:
    status = int(code.removeprefix("http_")) if code.startswith("http_") else 400
    known: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(known, operation)


def failures(
    table: Mapping[str, Any], operation: str, failure: Callable[[Exception], Failure]
) -> Iterator[tuple[Failure, str]]:
    """Yield (failure, the operation that its detail begins with) for all that a service or STS may say."""
    for code in {**COMMON, **table}:
        yield failure(refused(code, operation)), operation
    for code in ROLE:
        yield failure(refused(code, "AssumeRole")), "AssumeRole"
    for known in vars(aws).values():
        if isinstance(known, Failure):
            yield known, ""
    yield bad_response(), ""


def of_s3() -> Iterator[tuple[Failure, str]]:
    yield from failures(s3_errors.TABLE, "PutObject", lambda error: s3_failure(error, S3_NAMES, str))


def of_sqs() -> Iterator[tuple[Failure, str]]:
    yield from failures(sqs_errors.TABLE, "SendMessageBatch", lambda error: request_failure(error, SQS_NAMES, str))


def line_of(failure: Failure, operation: str) -> str:
    """Return a line of the page's table."""
    paused = failure.effect is Effect.PAUSE
    what = f"retried, pauses {failure.retry_after:g} s" if paused else WORDS[failure.outcome, failure.effect]
    reason = failure.detail.removeprefix(f"{operation}: ").rstrip(".")
    return f"| `{failure.code}` | {what} | {reason} | {failure.hint} |".replace("  |", " |")


def lines_of(found: Iterator[tuple[Failure, str]]) -> list[str]:
    """Return the lines that the page has to have; one code may stand for two of the service's own."""
    lines: dict[str, str] = {}
    for failure, operation in found:
        lines.setdefault(failure.code, line_of(failure, operation))
    return list(lines.values())


@pytest.mark.parametrize(("page", "found"), [("s3", of_s3), ("sqs", of_sqs)])
def test_the_page_lists_every_code_and_what_becomes_of_it_and_no_other(
    page: str, found: Callable[[], Iterator[tuple[Failure, str]]]
) -> None:
    table = (PAGES / f"{page}.md").read_text().partition("| code | outcome | reason | what to do |")[2]
    lines = [line.replace("  |", " |") for line in table.partition("\n\n")[0].splitlines() if line.startswith("| `")]
    expected = lines_of(found())
    assert [line for line in expected if line not in lines] == []
    others = {code for line in lines if line not in expected for code in re.findall(r"`([^`]+)`", line.split("|")[1])}
    assert others == BY_HAND[page] | NETWORK
