"""The check of a webhook destination: a marked test event, and how far it came."""

from collections.abc import Callable, Iterator

from destinations.adapters.base import Result, Step, StepStatus
from destinations.adapters.http_check import connection_steps, resolve_step
from destinations.adapters.webhook_config import NONE, WebhookConfig
from destinations.adapters.webhook_results import hint_of
from destinations.egress import EgressPolicy
from destinations.hosts import parse_url
from destinations.http import HttpResponse
from destinations.httperrors import HttpError

TEST_HEADER = "X-Terra-Hub-Test"


def check_steps(
    config: WebhookConfig, policy: EgressPolicy, unusable: Result | None, post: Callable[[], HttpResponse]
) -> Iterator[Step]:
    """Yield resolve, connect, TLS, authenticate and write; end after the first that fails."""
    step = resolve_step(config.url, policy)
    yield step
    if step.status is StepStatus.FAILED:
        return
    if unusable:
        yield Step("authenticate", StepStatus.FAILED, unusable.detail, unusable.hint, code=unusable.code)
        return
    try:
        answer: HttpResponse | HttpError = post()
    except HttpError as error:
        answer = error
    yield from connection_steps(answer, parse_url(config.url))
    if isinstance(answer, HttpResponse):
        yield from _answered(answer, config)


def _answered(answer: HttpResponse, config: WebhookConfig) -> Iterator[Step]:
    refused = answer.status in (401, 403)
    said = f"The receiver answered {answer.status}."
    took = max(0, answer.duration_ms - answer.connect_ms - answer.tls_ms)
    if refused:
        yield Step("authenticate", StepStatus.FAILED, said, hint_of(answer.status), took, f"http_{answer.status}")
        return
    if config.auth == NONE:
        yield Step("authenticate", StepStatus.SKIPPED, "No authentication beside the signature.")
    else:
        yield Step("authenticate", StepStatus.PASSED, "The receiver did not refuse the credentials.")
    good = 200 <= answer.status < 300
    status = StepStatus.PASSED if good else StepStatus.FAILED
    hint, code = ("", "") if good else (hint_of(answer.status), f"http_{answer.status}")
    yield Step("write", status, said, hint, took, code)
