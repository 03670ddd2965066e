"""The check of a webhook destination: a marked test event, and how far it came."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from destinations.adapters.base import Message, Result, Step, StepFailed, StepStatus, run_step
from destinations.adapters.webhook_config import NONE, WebhookConfig
from destinations.adapters.webhook_results import hint_of
from destinations.egress import HTTP_REFUSED_PORTS, EgressPolicy, EgressRefused, ResolveFailed, resolve
from destinations.hosts import Endpoint, parse_url
from destinations.http import HttpResponse
from destinations.httperrors import HttpError
from destinations.ids import uuid7

TEST_HEADER = "X-Terra-Hub-Test"
_CONNECT_CODES = {"connect_failed", "connect_timeout", "egress_refused", "dns_failed"}
_TLS_CODES = {"tls_failed", "tls_timeout"}


def test_message() -> Message:
    """Return an event in the shape of Terra's ``healthcheck`` that says that it is a test."""
    now = datetime.now(UTC)
    body = {
        "type": "healthcheck",
        "status": "normal",
        "creation_timestamp": now.isoformat(sep=" "),
        "trend_percentage": 0.0,
        "sent_webhooks_last_hour": 0,
        "message": "A test of the Terra destination hub; no data of anybody.",
    }
    return Message(str(uuid7()), "healthcheck", json.dumps(body).encode(), now)


def check_steps(
    config: WebhookConfig, policy: EgressPolicy, unusable: Result | None, post: Callable[[], HttpResponse]
) -> Iterator[Step]:
    """Yield resolve, connect, TLS, authenticate and write; end after the first that fails."""
    step = run_step("resolve", lambda: _resolved(config, policy))
    yield step
    if step.status is StepStatus.FAILED:
        return
    if unusable:
        yield Step("authenticate", StepStatus.FAILED, unusable.detail, unusable.hint)
        return
    try:
        answer: HttpResponse | HttpError = post()
    except HttpError as error:
        answer = error
    yield from _told_by(answer, parse_url(config.url), config)


def _resolved(config: WebhookConfig, policy: EgressPolicy) -> str:
    try:
        endpoint = parse_url(config.url)
        found = resolve(endpoint.host, endpoint.port, policy, refused_ports=HTTP_REFUSED_PORTS)
    except (EgressRefused, ResolveFailed) as error:
        raise StepFailed(error.detail, error.hint) from error
    return f"{endpoint.host} is {', '.join(found)}."


def _told_by(answer: HttpResponse | HttpError, endpoint: Endpoint, config: WebhookConfig) -> Iterator[Step]:
    """Yield the steps that one exchange went through."""
    code = answer.code if isinstance(answer, HttpError) else ""
    if isinstance(answer, HttpError) and code in _CONNECT_CODES:
        yield _failed("connect", answer)
        return
    yield Step("connect", StepStatus.PASSED, f"Connected to port {endpoint.port}.")
    if isinstance(answer, HttpError) and code in _TLS_CODES:
        yield _failed("TLS", answer)
        return
    yield _tls_step(endpoint)
    if isinstance(answer, HttpError):
        yield _failed("write", answer)
        return
    yield from _answered(answer, config)


def _failed(name: str, error: HttpError) -> Step:
    return Step(name, StepStatus.FAILED, error.detail, error.hint, error.duration_ms)


def _tls_step(endpoint: Endpoint) -> Step:
    if endpoint.scheme == "https":
        return Step("TLS", StepStatus.PASSED, "The certificate is right for the host.")
    hint = "Use https://, unless the receiver is on the hub's own network."
    return Step("TLS", StepStatus.WARNING, "The URL is http://: health data goes out in clear.", hint)


def _answered(answer: HttpResponse, config: WebhookConfig) -> Iterator[Step]:
    refused = answer.status in (401, 403)
    said = f"The receiver answered {answer.status}."
    if refused:
        yield Step("authenticate", StepStatus.FAILED, said, hint_of(answer.status), answer.duration_ms)
        return
    if config.auth == NONE:
        yield Step("authenticate", StepStatus.SKIPPED, "No authentication beside the signature.")
    else:
        yield Step("authenticate", StepStatus.PASSED, "The receiver did not refuse the credentials.")
    good = 200 <= answer.status < 300
    status = StepStatus.PASSED if good else StepStatus.FAILED
    yield Step("write", status, said, "" if good else hint_of(answer.status), answer.duration_ms)
