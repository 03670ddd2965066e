"""What a receiver's answers mean, and what the operator sees of them."""

import base64
from datetime import UTC, datetime

import pytest

from destinations.adapters.base import Effect, Limits, ListFeed, Outcome
from destinations.adapters.webhook import WebhookAdapter
from destinations.adapters.webhook_config import WebhookConfig, WebhookCredentials
from destinations.adapters.webhook_results import hint_of
from destinations.retryafter import MAX_RETRY_AFTER_S, retry_after
from tests.adapters.contract import event
from tests.adapters.webhook_support import SECRET, deliver, make
from tests.sink import Sink

pytestmark = pytest.mark.databaseless

# --- what an answer means: T56 ------------------------------------------------------------------
EXPECTED_EFFECTS = {410: Effect.DISABLE, 429: Effect.FAILURE}


@pytest.mark.parametrize(
    "status", [*range(200, 600, 7), 204, 301, 304, 307, 400, 401, 403, 404, 408, 410, 425, 429, 500, 503]
)
def test_every_status_means_delivered_or_a_retry(sink: Sink, status: int) -> None:
    headers = {"Location": sink.url("/elsewhere")} if 300 <= status < 400 else {}
    sink.behave("/status", status=status, headers=headers)
    result = deliver(sink, "/status")
    assert result.status_code == status
    assert sink.count("/elsewhere") == 0
    if status < 300:
        assert (result.outcome, result.effect) == (Outcome.DELIVERED, Effect.NONE)
        return
    assert (result.outcome, result.code) == (Outcome.RETRY, f"http_{status}")
    assert result.effect is EXPECTED_EFFECTS.get(status, Effect.FAILURE if status >= 500 else Effect.NONE)
    assert result.detail == f"The receiver answered {status}."
    assert result.hint
    assert result.retry_after is None


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (304, "set the URL to the final address"), (401, "compare its secret"), (403, "compare its secret"),
        (404, "path of the URL"), (408, "time limit"), (413, "limit for bodies"), (422, "refuses what it got"),
        (429, "fewer requests"), (500, "its own log says why"), (502, "its own log says why"),
        (600, "Check that the URL"),
    ],
)  # fmt: skip
def test_a_hint_says_what_to_change_after_such_an_answer(status: int, said: str) -> None:
    assert said in hint_of(status)


@pytest.mark.parametrize(
    ("status", "effect"), [(429, Effect.PAUSE), (503, Effect.PAUSE), (500, Effect.FAILURE), (400, Effect.NONE)]
)
def test_retry_after_is_heeded(sink: Sink, status: int, effect: Effect) -> None:
    sink.behave("/later", status=status, headers={"Retry-After": "77"})
    result = deliver(sink, "/later")
    assert (result.effect, result.retry_after) == (effect, 77.0)


NOON = datetime(2026, 7, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0.0), ("120", 120.0), (" 120 ", 120.0), ("86401", MAX_RETRY_AFTER_S), ("9" * 4000, MAX_RETRY_AFTER_S),
        ("Wed, 01 Jul 2026 12:01:00 GMT", 60.0), ("Wednesday, 01-Jul-26 12:01:00 GMT", 60.0),
        ("Wed, 01 Jul 2026 11:00:00 GMT", 0.0), ("Fri, 01 Jan 2100 00:00:00 GMT", MAX_RETRY_AFTER_S),
        ("", None), ("soon", None), ("-5", None), ("1.5", None), ("12 seconds", None), ("１２", None), ("0x10", None),
        ("Wed, 99 Jul 2026 12:01:00 GMT", None), ("120, 60", None), ("\xff", None),
    ],
)  # fmt: skip
def test_retry_after_in_seconds_as_a_date_and_as_garbage(value: str, seconds: float | None) -> None:
    assert retry_after(value, NOON) == seconds


def test_a_slow_answer_ends_at_the_timeout(sink: Sink) -> None:
    """T22: the time is by the wall clock, however the server drips."""
    sink.behave("/hang", mode="hang")
    sink.behave("/drip", mode="drip", start=b"HTTP/1.1 200 OK\r\n", bytes=b"X-A: b\r\n", interval=0.05)
    for path, code in (("/hang", "timeout"), ("/drip", "deadline")):
        result = deliver(sink, path, Limits(timeout_s=0.5))
        assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, code, Effect.FAILURE)
        assert 500 <= result.duration_ms < 10_000
        assert result.hint


def test_a_slow_receiver_of_one_event_holds_up_no_other(sink: Sink) -> None:
    adapter = make(sink, limits=Limits(concurrency=4))
    sink.behave("/hook", delay=0.5, times=1)
    batch = [event() for _ in range(40)]
    groups = [[message.event_id for message, _ in group] for group in adapter.stream(ListFeed(batch))]
    adapter.close()
    assert sum(map(len, groups)) == 40
    assert groups[-1] == [sink.requests()[0].headers["webhook-id"]]


def test_no_more_tries_are_under_way_than_the_limit_says(sink: Sink) -> None:
    before = sink.connections()
    sink.behave("/hook", delay=0.02)
    adapter = make(sink, limits=Limits(concurrency=3))
    adapter.deliver([event() for _ in range(30)])
    adapter.close()
    assert sink.connections() - before <= 3


# --- what the operator sees ---------------------------------------------------------------------
def test_the_log_shows_what_was_sent_and_what_came_back(sink: Sink) -> None:
    sink.behave("/hook", status=422, headers={"X-Reason": "why"}, body="no \u00e4")
    values = {"auth": "bearer", "token": "tok-123456", "headers": {"X-Team": "blue", "X-Api-Key": "k-123456"}}
    result = deliver(sink, "/hook?a=1&token=abc", **values)
    got = sink.requests()[0]
    assert result.request["method"] == "POST"
    assert result.request["url"] == sink.url("/hook?a=****&token=****")
    shown = {name.lower(): value for name, value in result.request["headers"].items()}
    masked = {**{name: got.headers[name] for name in shown}, "authorization": "****", "x-api-key": "****"}
    assert shown == masked
    assert shown["x-team"] == "blue"
    assert shown["terra-signature"] == got.headers["terra-signature"]
    assert result.response == {
        "status": 422,
        "headers": {"x-reason": "why", "content-length": "5"},
        "body": "no \u00e4",
        "truncated": False,
    }


@pytest.mark.parametrize(("status", "kept"), [(200, 4096), (500, 65536)])
def test_long_answers_are_cut(sink: Sink, status: int, kept: int) -> None:
    for size, truncated in ((kept, False), (kept + 1, True)):
        sink.behave("/long", status=status, body="x" * size)
        response = deliver(sink, "/long").response
        assert (len(response["body"]), response["truncated"]) == (kept, truncated)


def test_bytes_that_a_database_cannot_hold_are_replaced(sink: Sink) -> None:
    raw = b"HTTP/1.1 200 \xff\r\nX-A: \xe9\r\nContent-Length: 4\r\n\r\n\xff\x00ab"
    sink.behave("/odd", mode="raw", bytes=raw)
    response = deliver(sink, "/odd").response
    assert (response["body"], response["headers"]["x-a"]) == ("\ufffd\ufffdab", "\xe9")


ECHOED = ["tok/en-987654", "tok%2Fen-987654", "tok\\/en-987654", SECRET]


@pytest.mark.parametrize("echoed", ECHOED)
@pytest.mark.parametrize("status", [200, 500])
def test_a_receiver_that_echoes_a_secret_does_not_put_it_into_the_log(sink: Sink, echoed: str, status: int) -> None:
    sink.behave("/echo", status=status, headers={"X-Echo": echoed}, body=f"you sent {echoed}, ok")
    result = deliver(sink, "/echo", auth="bearer", token="tok/en-987654")
    assert result.response["body"] == "you sent ****, ok"
    assert result.response["headers"]["x-echo"] == "****"


def test_a_secret_across_the_cut_of_an_answer_leaves_no_half(sink: Sink) -> None:
    token = "tok-" + "0123456789" * 3
    for limit, status in ((4096, 200), (65536, 500)):
        sink.behave("/echo", status=status, body="x" * (limit - 20) + token + "x" * 100)
        body = deliver(sink, "/echo", auth="bearer", token=token).response["body"]
        assert "tok-" not in body
        assert body.rstrip("*x") == ""


def test_values_in_the_urls_query_and_basic_credentials_are_secrets_too(sink: Sink) -> None:
    pair = base64.b64encode(b"hub:passw0rd").decode()
    sink.behave("/echo", body=f"{pair} passw0rd k3y-in-the-url short")
    values = {"auth": "basic", "username": "hub", "password": "passw0rd"}
    result = deliver(sink, "/echo?sig=k3y-in-the-url&mode=short", **values)
    assert result.response["body"] == "**** **** **** short"


@pytest.mark.parametrize("url", ["https://user:canary@a.example/", "not a url canary"])
def test_a_url_that_cannot_be_read_is_not_shown(url: str) -> None:
    assert WebhookAdapter(WebhookConfig(url), WebhookCredentials("s")).target() == "****"


def test_hostile_answers_are_attempts_like_any_other(sink: Sink) -> None:
    """T45 in small: endless bodies and headers, 1XX, protocol switches, garbage."""
    sink.flood("/body", start=b"HTTP/1.1 200 OK\r\n\r\n", filler=b"x", size=10**10)
    sink.flood("/headers", start=b"HTTP/1.1 200 OK\r\n", filler=b"X-A: b\r\n", size=10**7)
    sink.behave("/switch", mode="raw", bytes=b"HTTP/1.1 101 Switching\r\n\r\n", keep=True)
    sink.behave("/raw", mode="raw", bytes=b"SSH-2.0-x\r\n\r\n")
    sink.behave("/cut", mode="raw", bytes=b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")
    expected = {
        "/body": "",
        "/headers": "response_headers_too_large",
        "/switch": "http_101",
        "/raw": "bad_response",
        "/cut": "connection_closed",
    }
    for path, code in expected.items():
        result = deliver(sink, path)
        assert (result.code, result.outcome is Outcome.DELIVERED) == (code, not code)
    assert deliver(sink, "/body").response["truncated"]
