"""The hub's HTTP client against a real server: what it sends, and many requests at once."""

import os
import resource
import socket
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from destinations.http import HttpClient, HttpRequest, HttpResponse
from destinations.httperrors import HttpError
from tests.http_support import LOCAL, failure, feed, post, run
from tests.sink import Sink

pytestmark = pytest.mark.databaseless


@pytest.fixture(scope="module")
def server() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture
def sink(server: Sink) -> Sink:
    server.clear()
    return server


@pytest.fixture
def client() -> Iterator[HttpClient]:
    client = HttpClient(LOCAL)
    yield client
    client.close()


# --- what goes out --------------------------------------------------------------------------
def test_a_request_arrives_as_it_was_given_and_with_nothing_else(sink: Sink, client: HttpClient) -> None:
    body = bytes(range(256)) * 1000
    client.fetch(post(sink.url("/a?b=c%20d"), body, headers=["X-One: 1", "Content-Type: application/json"]))
    got = sink.requests()[0]
    assert (got.method, got.target, got.body) == ("POST", "/a?b=c%20d", body)
    assert got.headers == {
        "host": f"127.0.0.1:{sink.port}",
        "user-agent": "terra-destination-hub/1",
        "x-one": "1",
        "content-type": "application/json",
        "content-length": "256000",
    }


@pytest.mark.parametrize(
    ("method", "body", "length"), [("GET", None, None), ("PUT", b"", "0"), ("DELETE", None, None), ("PATCH", b"x", "1")]
)
def test_other_methods(sink: Sink, client: HttpClient, method: str, body: bytes | None, length: str | None) -> None:
    client.fetch(post(sink.url("/before")))
    client.fetch(HttpRequest(method, sink.url("/m"), (), body))
    got = sink.requests("/m")[0]
    assert (got.method, got.body, got.headers.get("content-length")) == (method, body or b"", length)


def test_a_head_request_ends_with_the_headers(sink: Sink, client: HttpClient) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 12345\r\nX-Size: 12345\r\n\r\n"
    sink.behave("/head", mode="raw", bytes=head, keep=True)
    answer = client.fetch(HttpRequest("HEAD", sink.url("/head")))
    assert (answer.status, answer.body, answer.headers["x-size"]) == (200, b"", "12345")
    assert client.fetch(post(sink.url())).body == b"ok"


def test_the_environment_changes_nothing(
    sink: Sink, client: HttpClient, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password canary\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    client.fetch(post(sink.url()))
    assert "authorization" not in sink.requests()[0].headers


def test_redirects_are_answers_and_not_followed(sink: Sink, client: HttpClient) -> None:
    for status in (301, 302, 303, 307, 308):
        sink.behave("/moved", status=status, headers={"Location": sink.url("/elsewhere")})
        assert client.fetch(post(sink.url("/moved"))).status == status
    assert sink.count("/elsewhere") == 0


def test_received_header_values_are_sent_on_byte_for_byte(sink: Sink, client: HttpClient) -> None:
    client.fetch(post(sink.url(), headers=["terra-reference: caf\xe9"]))
    assert b"terra-reference: caf\xe9\r\n" in sink.requests()[0].head


# --- many at once ----------------------------------------------------------------------------
def test_connections_are_kept_and_never_more_than_allowed(sink: Sink) -> None:
    client = HttpClient(LOCAL, concurrency=4)
    before = sink.connections()
    done = run(client, [post(sink.url(f"/{number}")) for number in range(200)])
    assert len(done) == 200
    assert all(isinstance(answer, HttpResponse) and answer.status == 200 for _, answer in done)
    assert sink.count() == 200
    assert sink.connections() - before <= 4
    client.close()


def test_each_answer_comes_with_its_own_request(sink: Sink, client: HttpClient) -> None:
    for status in range(200, 206):
        sink.behave(f"/{status}", status=status, body="" if status == 204 else f"body {status}")
    requests = [post(sink.url(f"/{200 + number % 6}"), tag=200 + number % 6) for number in range(120)]
    for request, answer in run(client, requests):
        assert isinstance(answer, HttpResponse)
        assert answer.status == request.tag
        assert answer.body.decode() == ("" if answer.status == 204 else f"body {answer.status}")


def test_a_slow_answer_holds_up_no_other(sink: Sink, client: HttpClient) -> None:
    sink.behave("/slow", delay=0.5)
    requests = [post(sink.url("/slow"), tag="slow"), *(post(sink.url("/fast"), tag="fast") for _ in range(50))]
    groups = [[exchange.request.tag for exchange in group] for group in client.stream(feed(requests))]
    assert groups[-1] == ["slow"]
    assert len(groups) > 2


def test_requests_that_come_while_others_are_under_way_are_sent_at_once(sink: Sink, client: HttpClient) -> None:
    sink.behave("/slow", delay=1.0)
    late = iter([[post(sink.url("/slow"), tag="slow")], [], [], [post(sink.url("/late"), tag="late")]])
    order = [exchange.request.tag for group in client.stream(lambda most: next(late, [])) for exchange in group]
    assert order == ["late", "slow"]


def test_a_stream_that_is_left_early_leaves_a_usable_client(sink: Sink, client: HttpClient) -> None:
    sink.behave("/hang", mode="hang")
    stream = client.stream(feed([post(sink.url("/hang")), post(sink.url("/ok"))]))
    assert next(stream)[0].request.url.endswith("/ok")
    stream.close()  # type: ignore[attr-defined]  # a generator
    assert client.fetch(post(sink.url())).status == 200


def test_it_works_beyond_a_thousand_open_files(sink: Sink, client: HttpClient) -> None:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, limits[1]), limits[1]))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
    sink.behave("/slow", delay=0.3)
    used = resource.getrusage(resource.RUSAGE_SELF)
    try:
        done = run(client, [post(sink.url("/slow")) for _ in range(16)])
    finally:
        for number in held:
            os.close(number)
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert [answer.status for _, answer in done if isinstance(answer, HttpResponse)] == [200] * 16
    # libcurl's own wait spins here, from one end of the wait to the other.
    now = resource.getrusage(resource.RUSAGE_SELF)
    assert now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime < 0.2


# --- what is kept ----------------------------------------------------------------------------
@pytest.mark.parametrize(("mode", "status"), [("answer", 200), ("close", None)])
def test_a_request_that_is_done_is_let_go_of(sink: Sink, client: HttpClient, mode: str, status: int | None) -> None:
    """A body may be 64 MiB, and a handle waits for its next request for as long as the worker lives."""
    sink.behave("/kept", mode=mode)
    tags = [_Tag() for _ in range(16)]
    held = [weakref.ref(tag) for tag in tags]
    done = run(client, [post(sink.url("/kept"), tag=tags.pop()) for _ in range(16)])
    assert {getattr(answer, "status", None) for _, answer in done} == {status}
    assert all(reference() for reference in held)
    del done
    assert [reference() for reference in held if reference()] == []


def test_a_request_that_was_given_up_is_let_go_of(sink: Sink, client: HttpClient) -> None:
    sink.behave("/hang", mode="hang")
    tag = _Tag()
    held = weakref.ref(tag)
    stream = client.stream(feed([post(sink.url("/hang"), tag=tag), post(sink.url("/quick"))]))
    next(stream)
    del tag
    assert held()
    stream.close()
    assert held() is None


def test_an_answer_keeps_its_headers_and_body_after_the_next_request(sink: Sink, client: HttpClient) -> None:
    sink.behave("/one", headers={"X-One": "1"}, body="one")
    first = client.fetch(post(sink.url("/one")))
    client.fetch(post(sink.url("/two")))
    assert (first.headers["x-one"], first.body) == ("1", b"one")


class _Tag:
    """Something that can be referred to weakly."""


# --- connections that break --------------------------------------------------------------------
def test_a_connection_that_the_server_dropped_while_idle_is_replaced(sink: Sink, client: HttpClient) -> None:
    sink.behave("/bye", headers={"Connection": "keep-alive"})
    assert client.fetch(post(sink.url("/bye"))).status == 200
    sink.stop()
    sink.start()
    assert client.fetch(post(sink.url("/again"))).status == 200


def test_a_server_that_drops_connections_unannounced_still_gets_every_request(sink: Sink, client: HttpClient) -> None:
    raw = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
    sink.behave("/rude", mode="raw", bytes=raw)
    done = run(client, [post(sink.url("/rude")) for _ in range(200)])
    lost = [answer for _, answer in done if isinstance(answer, HttpError)]
    assert len(lost) <= 16  # what was under way when it first showed
    assert sink.count("/rude") == 200 - len(lost)


@pytest.mark.parametrize("mode", ["close", "reset"])
def test_a_request_is_never_sent_twice_behind_the_logs_back(sink: Sink, client: HttpClient, mode: str) -> None:
    sink.behave("/lost", mode=mode)
    assert client.fetch(post(sink.url())).status == 200
    assert failure(client, post(sink.url("/lost"))).code == "connection_closed"
    assert sink.count("/lost") == 1
    assert client.fetch(post(sink.url())).status == 200


def test_an_answer_that_is_cut_short_is_no_answer(sink: Sink, client: HttpClient) -> None:
    sink.behave("/cut", mode="raw", bytes=b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc")
    assert failure(client, post(sink.url("/cut"))).code == "connection_closed"


def test_nobody_listens(client: HttpClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    error = failure(client, post(f"http://127.0.0.1:{port}/"))
    assert error.code == "connect_failed"
    assert "port" in error.hint
