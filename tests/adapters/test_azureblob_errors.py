"""What Azure's answers mean: outcome, code, effect and hint; servers that misbehave; what is never shown; the page."""

import re
import threading
from pathlib import Path
from typing import Any

import pytest

from destinations.adapters.azureblob import AzureBlobAdapter
from destinations.adapters.azureblob_config import AzureBlobConfig, AzureBlobCredentials
from destinations.adapters.azureblob_errors import VERDICTS
from destinations.adapters.azureblob_secrets import read_token
from destinations.adapters.base import Effect, Limits, Outcome, Result, StepStatus
from destinations.egress import EgressPolicy
from destinations.specs import load
from tests.adapters.azureblob_support import LOCAL, Place
from tests.adapters.contract import CANARY, event, text_of
from tests.services.azurite import new_key
from tests.services.proxy import FaultProxy
from tests.sink import Sink

pytestmark = pytest.mark.databaseless
R, D, X = Outcome.RETRY, Outcome.DELIVERED, Outcome.REJECTED
F, N, P = Effect.FAILURE, Effect.NONE, Effect.PAUSE
SIGNATURE = f"{CANARY}+/0123456789abcdefghijklmnopqrstuvw="
TOKEN = read_token(f"?sv=2021-12-02&sr=c&sp=rcw&se=2099-01-01T00%3A00%3A00Z&sig={SIGNATURE}")
PAGE = Path(__file__).parents[2] / "docs" / "destinations" / "azureblob.md"
WORDS = {(R, F): "retried, counts as a failure", (R, N): "retried", (X, N): "rejected"}


def at(store: Sink, limits: Limits | None = None, policy: EgressPolicy = LOCAL, **config: Any) -> AzureBlobAdapter:
    known = {"account": "acme", "container": "events", "endpoint_url": store.url(""), "ca_certificate": store.ca_pem}
    held = AzureBlobCredentials(sas_token=TOKEN, account_key=config.pop("key", ""))
    made = load(AzureBlobConfig, {**known, **({"auth": "account_key"} if held.account_key else {}), **config})
    return AzureBlobAdapter(made, held, limits, policy)


def delivered(adapter: AzureBlobAdapter) -> Result:
    (result,) = adapter.deliver([event()])
    adapter.close()
    return result


def say(store: Sink, status: int, code: str = "", words: str = "Words.", more: str = "", **headers: str) -> None:
    """Let a receiver answer as Azure does."""
    body = (
        f'\ufeff<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{words}\n'
        f"RequestId:00000000-0000-0000-0000-000000000000\nTime:2026-01-01T00:00:00Z</Message>{more}</Error>"
    )
    named = {"x-ms-error-code": code} if code else {}
    headers = {name.replace("_", "-"): text for name, text in headers.items()}
    store.behave("*", status=status, body=body, headers={"x-ms-request-id": "1", **named, **headers})


# --- the table (T44, T58, T59) -------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("status", "code", "expected", "hint"),
    [
        (403, "AuthenticationFailed", (R, F), "a new SAS token"),
        (403, "AuthorizationFailure", (R, F), "network rules"),
        (403, "AuthorizationFailure", (R, F), "the container exists"),
        (403, "AuthorizationPermissionMismatch", (R, F), "rcw"),
        (403, "UnauthorizedBlobOverwrite", (R, F), "rcw"),
        (403, "AuthorizationSourceIPMismatch", (R, F), "another address"),
        (403, "AuthorizationProtocolMismatch", (R, F), "https://"),
        (403, "KeyBasedAuthenticationNotPermitted", (R, F), "--name acme --allow-shared-key-access"),
        (403, "AccountIsDisabled", (R, F), "acme"),
        (404, "ContainerNotFound", (R, F), "container create --account-name acme --name events"),
        (409, "ContainerBeingDeleted", (R, F), "container create"),
        (409, "BlobImmutableDueToPolicy", (X, N), "immutability"),
        (412, "LeaseIdMissing", (R, N), "lease"),
        (400, "Md5Mismatch", (R, N), "proxy"),
        (400, "InvalidHeaderValue", (R, F), "endpoint_url"),
        (413, "RequestBodyTooLarge", (X, N), "limit"),
        (500, "InternalError", (R, F), "status"),
        (500, "OperationTimedOut", (R, F), "status"),
        (503, "ServerBusy", (R, P), "concurrency"),
        (429, "TooManyRequests", (R, P), "concurrency"),
        (418, "Teapot", (R, F), "endpoint_url"),
    ],
)  # fmt: skip
def test_an_answer_means(sink: Sink, status: int, code: str, expected: tuple[Outcome, Effect], hint: str) -> None:
    say(sink, status, code)
    result = delivered(at(sink))
    assert (result.outcome, result.effect) == expected
    assert (result.code, result.status_code) == (code, status)
    assert result.detail.startswith(f"Azure answered {status}: ")
    assert result.detail.endswith("Words.")
    assert hint in result.hint
    assert result.response["status"] == status


@pytest.mark.parametrize(
    ("words", "more", "says", "hint"),
    [
        ("Server failed to authenticate the request.",
         "Signature not valid in the specified time frame: Start [x] - Expiry [y]", "has ended", "new SAS"),
        ("Server failed to authenticate the request.",
         "Request date header too old: 'Wed, 25 Nov 2026 01:00:00 GMT'", "clocks differ", "NTP"),
        ("Server failed to authenticate the request.",
         "The MAC signature found in the HTTP request 'x' is not the same", "is wrong", "account's key"),
    ],
)  # fmt: skip
def test_what_is_said_beside_a_failed_authentication_tells_what_to_do(
    sink: Sink, words: str, more: str, says: str, hint: str
) -> None:
    more = f"<AuthenticationErrorDetail>{more}</AuthenticationErrorDetail>"
    say(sink, 403, "AuthenticationFailed", words, more)
    result = delivered(at(sink))
    assert (result.outcome, result.code, result.effect) == (R, "AuthenticationFailed", F)
    assert says in result.detail
    assert hint in result.hint


@pytest.mark.parametrize(("status", "told", "wait"), [(503, "77", 77.0), (503, "", 5.0), (429, "9", 9.0)])
def test_a_server_that_is_too_busy_pauses_the_destination(sink: Sink, status: int, told: str, wait: float) -> None:
    say(sink, status, "ServerBusy", Retry_After=told)
    result = delivered(at(sink))
    assert (result.outcome, result.effect, result.retry_after) == (R, P, wait)


@pytest.mark.parametrize(
    ("status", "headers", "body", "code"),
    [
        (200, {}, "<html>log in to the hotel</html>", "http_200"),
        (201, {}, "", "http_201"),
        (201, {"ETag": '"0x1"'}, "", "http_201"),
        (201, {"x-ms-request-id": "1"}, "", "http_201"),
        (301, {"Location": "https://elsewhere.example"}, "", "http_301"),
        (403, {}, "Forbidden", "http_403"),
        (404, {}, "Not Found", "http_404"),
        (400, {}, "<html>Bad Request</html>", "http_400"),
        (502, {}, "<html>Bad Gateway</html>", "http_502"),
        (500, {"x-ms-error-code": "a b\x7f"}, "<Error><Message>" * 1000, "http_500"),
    ],
)
def test_an_answer_that_is_not_azures_is_no_success(
    sink: Sink, status: int, headers: dict[str, str], body: str, code: str
) -> None:
    sink.behave("*", status=status, headers=headers, body=body)
    result = delivered(at(sink))
    assert (result.outcome, result.code, result.effect) == (R, code, F)
    assert result.hint


def test_a_look_that_is_answered_with_nonsense_overwrites_nothing(sink: Sink) -> None:
    """Without the metadata's versions a write could not be held to what was seen."""
    sink.behave("*", status=200, headers={"x-ms-request-id": "1"})
    large = event(b'{"type": "daily", "filler": "%s"}' % (b"x" * 300_000))
    (result,) = at(sink).deliver([large])
    assert (result.outcome, result.code) == (R, "http_200")
    assert [one.method for one in sink.requests()] == ["HEAD"]


# --- connections -----------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ({"mode": "hang"}, "timeout"),
        ({"mode": "close"}, "connection_closed"),
        ({"mode": "reset"}, "connection_closed"),
        ({"mode": "drip", "start": b"HTTP/1.1 201 Created\r\n", "bytes": b"x-a: b\r\n"}, "deadline"),
        ({"mode": "raw", "bytes": b"SSH-2.0-OpenSSH\r\n"}, "bad_response"),
    ],
)
def test_a_server_that_misbehaves_is_given_up_on(sink: Sink, rule: dict[str, Any], code: str) -> None:
    sink.behave("*", **rule)
    result = delivered(at(sink, Limits(timeout_s=0.5)))
    assert (result.outcome, result.code, result.effect) == (R, code, F)


def test_an_endless_answer_is_cut(sink: Sink) -> None:
    sink.flood("*", start=b"HTTP/1.1 500 No\r\n\r\n", filler=b"x" * 1000, size=50_000_000)
    result = delivered(at(sink))
    assert (result.code, result.response["truncated"]) == ("http_500", True)
    assert len(result.response["body"]) <= 4096


def test_all_requests_of_a_try_share_its_time(azure_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The write is refused at once, the look hangs: together they may take what one may."""
    message = event()
    azure_place.deliver(message)
    asked: list[float] = []
    with FaultProxy(azure_place.server.address) as proxy:
        adapter = azure_place.through(proxy, limits=Limits(timeout_s=1.0))
        look = adapter._container.look

        def slow(key: str) -> Any:
            threading.Event().wait(0.6)
            signed = look(key)
            asked.append(signed.request.timeout_s)
            proxy.fall_silent()
            requests.append(signed.request)
            return signed

        requests: list[Any] = []
        monkeypatch.setattr(adapter._container, "look", slow)
        result = delivered_one(adapter, message)
    assert (result.outcome, result.code) == (R, "timeout")
    assert requests[0].timeout_s < 0.5


def delivered_one(adapter: AzureBlobAdapter, message: Any) -> Result:
    (result,) = adapter.deliver([message])
    adapter.close()
    return result


def test_a_place_that_goes_and_comes_back_loses_nothing(azure_place: Place) -> None:
    """T59. A container of the same name cannot be made at once at Azure; Azurite lets one."""
    adapter, message, client = azure_place.adapter(), event(), azure_place.server.client
    client.delete_container(azure_place.container)
    assert adapter.deliver([message])[0].code == "ContainerNotFound"
    client.create_container(azure_place.container)
    assert adapter.deliver([message])[0].outcome is D
    adapter.close()
    assert [one.event_id for one in azure_place.stored()] == [message.event_id]


def test_a_name_that_resolves_into_a_private_network_is_not_dialled(sink: Sink) -> None:
    result = delivered(at(sink, policy=EgressPolicy(), endpoint_url=sink.url("", host="localhost")))
    assert (result.outcome, result.code) == (R, "egress_refused")
    assert "EGRESS_ALLOW" in result.hint
    assert sink.count() == 0


def test_a_redirect_takes_no_token_elsewhere(sink: Sink) -> None:
    sink.behave("*", status=307, headers={"Location": sink.url("/elsewhere")})
    assert delivered(at(sink)).code == "http_307"
    assert sink.count("/elsewhere") == 0


def test_a_certificate_that_cannot_be_trusted_is_a_step_of_its_own(tls_sink: Sink) -> None:
    tls_sink.clear()
    steps = list(at(tls_sink, ca_certificate="").check())
    assert [(step.name, step.status.value) for step in steps[-2:]] == [("connect", "passed"), ("TLS", "failed")]
    assert "ca_certificate" in steps[-1].hint
    assert tls_sink.count() == 0
    steps = list(at(tls_sink).check())
    assert ("TLS", StepStatus.PASSED) in [(step.name, step.status) for step in steps]


# --- secrets -----------------------------------------------------------------------------------------------
def test_what_a_server_echoes_of_a_token_is_not_stored(sink: Sink) -> None:
    for said in (TOKEN, SIGNATURE, TOKEN.replace("&", "&amp;")):
        say(sink, 403, "AuthenticationFailed", said, f"<AuthenticationErrorDetail>{said}</AuthenticationErrorDetail>")
        adapter = at(sink)
        shown = text_of([delivered(adapter)]) + text_of(at(sink).check())
        assert "****" in shown
        assert CANARY not in shown


def test_the_signature_of_a_request_is_not_stored(azure_place: Place) -> None:
    """Azure's own words about a wrong key repeat it: who has it may make the same request for 15 minutes."""
    key = new_key()
    with Sink() as echo:
        adapter = at(echo, key=key)
        adapter.deliver([event()])
        signature = echo.requests()[0].headers["authorization"].rpartition(":")[2]
        assert len(signature) == 44
        signed = adapter._container.write("x", {}, b"", "")
        say(echo, 403, "AuthenticationFailed", f"The MAC signature found in the HTTP request '{signed.secret}' is not")
        adapter._container.write = lambda *_: signed  # type: ignore[method-assign]
        shown = text_of([delivered(adapter)])
    assert "in the HTTP request '****'" in shown
    assert signed.secret not in shown


def test_no_key_is_shown_anywhere(azure_place: Place, sink: Sink) -> None:
    key = new_key()
    say(sink, 500, "InternalError", f"{key} and {key[:60]}")
    for adapter in (azure_place.adapter({"account_key": key}), at(sink, key=key)):
        shown = [adapter.target(), repr(adapter), repr(adapter.config), repr(adapter.credentials)]
        shown += [adapter.setup(adapter.config), text_of(adapter.check()), text_of([delivered(adapter)])]
        assert [text for text in shown if key[:40] in text and "****" not in text] == []
        assert key not in "".join(shown)


# --- the page ------------------------------------------------------------------------------------------------
def test_the_page_lists_every_code_and_what_becomes_of_it() -> None:
    lines = PAGE.read_text().splitlines()
    names = {"account": "your-account", "container": "your-container"}
    for code, verdict in VERDICTS.items():
        what = f"retried, pauses {verdict.wait_s:g} s" if verdict.wait_s else WORDS[verdict.outcome, verdict.effect]
        line = f"| `{code}` | {what} | {verdict.says} | {verdict.hint.format_map(names)} |"
        assert re.sub(r"  \|$", " |", line) in lines, line
