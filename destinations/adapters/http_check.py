"""The first steps of a check over HTTP: resolve, connect, TLS, as one exchange tells them."""

from collections.abc import Iterator

from destinations.adapters.base import Step, StepFailed, StepStatus, run_step
from destinations.egress import HTTP_REFUSED_PORTS, EgressPolicy, EgressRefused, ResolveFailed, resolve
from destinations.hosts import Endpoint, parse_url, resolved_words
from destinations.http import HttpResponse
from destinations.httperrors import HttpError

_CONNECT_CODES = {"connect_failed", "connect_timeout", "egress_refused", "dns_failed"}
_TLS_CODES = {"tls_failed", "tls_timeout"}


def resolve_step(url: str, policy: EgressPolicy) -> Step:
    """Return the step that looks the URL's host up and judges its addresses."""
    return run_step("resolve", lambda: resolved(url, policy))


def resolved(url: str, policy: EgressPolicy) -> str:
    """Return what a URL's host is, in words; raise ``StepFailed`` where it has no address or may not be dialled."""
    try:
        endpoint = parse_url(url)
        found = resolve(endpoint.host, endpoint.port, policy, refused_ports=HTTP_REFUSED_PORTS)
    except EgressRefused as error:
        raise StepFailed(error.detail, error.hint, code="egress_refused") from error
    except ResolveFailed as error:
        raise StepFailed(error.detail, error.hint, code="dns_failed") from error
    return resolved_words(endpoint.host, found)


def connection_steps(answer: HttpResponse | HttpError, endpoint: Endpoint, next_step: str = "write") -> Iterator[Step]:
    """Yield connect and TLS; the last one has failed where no answer came, under ``next_step`` where both passed."""
    code = answer.code if isinstance(answer, HttpError) else ""
    if isinstance(answer, HttpError) and code in _CONNECT_CODES:
        yield failed_step("connect", answer)
        return
    connect_ms, tls_ms = (answer.connect_ms, answer.tls_ms) if isinstance(answer, HttpResponse) else (0, 0)
    yield Step("connect", StepStatus.PASSED, f"Connected to port {endpoint.port}.", "", connect_ms)
    if isinstance(answer, HttpError) and code in _TLS_CODES:
        yield failed_step("TLS", answer)
        return
    yield _tls_step(endpoint, tls_ms)
    if isinstance(answer, HttpError):
        yield failed_step(next_step, answer)


def failed_step(name: str, error: HttpError) -> Step:
    """Return a step that failed because a request was not answered."""
    return Step(name, StepStatus.FAILED, error.detail, error.hint, error.duration_ms, error.code)


def _tls_step(endpoint: Endpoint, took_ms: int) -> Step:
    if endpoint.scheme == "https":
        return Step("TLS", StepStatus.PASSED, "The certificate is right for the host.", "", took_ms)
    hint = "Use https://, unless the receiver is on the hub's own network."
    return Step("TLS", StepStatus.WARNING, "The URL is http://: health data goes out in clear.", hint)
