"""The hub's HTTP client against servers that are slow, broken or hostile, and against forbidden ones."""

import gzip
import resource
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from time import monotonic

import pytest
import time_machine

from destinations.egress import EgressPolicy
from destinations.http import MAX_BODY, MAX_HEADERS, HttpClient
from tests.http_support import LOCAL, failure, post
from tests.nameserver import in_process
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


# --- time: T22, T23 -----------------------------------------------------------------------------
DRIPS = {
    "status line": {"bytes": b"HTTP/1.1 200 OK" * 9},
    "headers": {"start": b"HTTP/1.1 200 OK\r\n", "bytes": b"X-A: b\r\n"},
    "informational": {"bytes": b"HTTP/1.1 103 Early Hints\r\n\r\n"},
    "body": {"start": b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n", "bytes": b"x"},
}


@pytest.mark.parametrize("part", DRIPS)
def test_a_dripping_server_is_cut_off_at_the_deadline(sink: Sink, client: HttpClient, part: str) -> None:
    sink.behave("/drip", mode="drip", interval=0.05, **DRIPS[part])
    started = monotonic()
    error = failure(client, post(sink.url("/drip"), timeout_s=1.0))
    assert error.code == "deadline"
    assert 1000 <= error.duration_ms <= (monotonic() - started) * 1000 + 1


def test_a_silent_server_is_a_timeout_also_on_a_kept_connection(sink: Sink, client: HttpClient) -> None:
    sink.behave("/hang", mode="hang")
    assert failure(client, post(sink.url("/hang"), timeout_s=1.0)).code == "timeout"
    client.fetch(post(sink.url()))
    assert failure(client, post(sink.url("/hang"), timeout_s=1.0)).code == "timeout"


def test_a_handshake_that_stalls_and_a_port_without_tls(sink: Sink, client: HttpClient) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"https://127.0.0.1:{listener.getsockname()[1]}/"
        assert failure(client, post(url, timeout_s=1.0)).code == "tls_timeout"
    assert failure(client, post(sink.url().replace("http:", "https:"), timeout_s=1.0)).code == "tls_timeout"


def test_a_server_that_takes_no_connection_is_a_connect_timeout(client: HttpClient) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(8)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        error = failure(client, post(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout_s=0.5))
        for one in waiting:
            one.close()
    assert error.code == "connect_timeout"


# --- hostile answers: T45 -----------------------------------------------------------------------
def rss_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def test_an_endless_body_is_cut_and_still_an_answer(sink: Sink, client: HttpClient) -> None:
    client.fetch(post(sink.url()))
    before = rss_kb()
    sink.flood("/big", start=b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n", filler=b"x", size=10**10)
    answer = client.fetch(post(sink.url("/big"), timeout_s=30))
    assert (answer.status, len(answer.body), answer.truncated) == (200, MAX_BODY, True)
    assert rss_kb() - before < 20_000
    assert client.fetch(post(sink.url())).body == b"ok"


def test_a_body_of_just_the_limit_is_whole(sink: Sink, client: HttpClient) -> None:
    for size, truncated in ((MAX_BODY, False), (MAX_BODY + 1, True)):
        sink.behave("/limit", body="x" * size)
        answer = client.fetch(post(sink.url("/limit")))
        assert (len(answer.body), answer.truncated) == (MAX_BODY, truncated)


def test_a_compressed_answer_is_kept_as_it_came(sink: Sink, client: HttpClient) -> None:
    bomb = gzip.compress(bytes(20 * 1024 * 1024))
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n".encode()
    sink.behave("/bomb", mode="raw", bytes=head + bomb)
    answer = client.fetch(post(sink.url("/bomb")))
    assert answer.body == bomb[:MAX_BODY]
    assert "accept-encoding" not in sink.requests()[0].headers


FLOODS = {
    "many headers": (b"HTTP/1.1 200 OK\r\n", b"X-A: bbbbbbbbbbbbbbbbbbbb\r\n"),
    "one header": (b"HTTP/1.1 200 OK\r\nX-A: ", b"b"),
    "informational answers": (b"", b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_headers_without_end(sink: Sink, client: HttpClient, kind: str) -> None:
    start, filler = FLOODS[kind]
    sink.flood("/headers", start=start, filler=filler, size=5_400_000)
    assert failure(client, post(sink.url("/headers"))).code == "response_headers_too_large"


def test_headers_of_just_the_limit(sink: Sink, client: HttpClient) -> None:
    for size, fits in ((MAX_HEADERS, True), (MAX_HEADERS + 1, False)):
        head = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + f"X-A: {'b' * 1000}\r\n" * 64
        head += f"X-B: {'b' * (size - len(head) - 9)}\r\n\r\n"
        assert len(head) == size
        sink.behave("/headers", mode="raw", bytes=head.encode())
        if fits:
            assert client.fetch(post(sink.url("/headers"))).status == 200
        else:
            assert failure(client, post(sink.url("/headers"))).code == "response_headers_too_large"


@pytest.mark.parametrize(
    "raw",
    [
        b"hello\r\n\r\n",
        b"HTTP/9.9 200 OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\x00b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
    ],
)
def test_what_is_not_http_is_a_bad_response(sink: Sink, client: HttpClient, raw: bytes) -> None:
    sink.behave("/raw", mode="raw", bytes=raw)
    assert failure(client, post(sink.url("/raw"))).code == "bad_response"


def test_a_switch_to_another_protocol_is_not_waited_for(sink: Sink, client: HttpClient) -> None:
    raw = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    sink.behave("/switch", mode="raw", bytes=raw, keep=True)
    assert client.fetch(post(sink.url("/switch"))).status == 101


def test_odd_bytes_in_reason_headers_and_body_do_no_harm(sink: Sink, client: HttpClient) -> None:
    raw = b"HTTP/1.1 200 \xff\xfe\r\nX-A: \xe9\r\nX-A: two\r\nContent-Length: 3\r\n\r\n\xff\x00a"
    sink.behave("/odd", mode="raw", bytes=raw)
    answer = client.fetch(post(sink.url("/odd")))
    assert (answer.status, answer.body, answer.headers["x-a"]) == (200, b"\xff\x00a", "\xe9, two")


def test_informational_answers_come_before_the_real_one(sink: Sink, client: HttpClient) -> None:
    raw = b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\nHTTP/1.1 201 Created\r\nX-A: b\r\nContent-Length: 0\r\n\r\n"
    sink.behave("/early", mode="raw", bytes=raw)
    answer = client.fetch(post(sink.url("/early")))
    assert answer.status == 201
    assert answer.headers == {"x-a": "b", "content-length": "0"}


# --- TLS ----------------------------------------------------------------------------------------
def test_a_private_ca_is_trusted_where_it_was_given_and_nowhere_else(client: HttpClient) -> None:
    with Sink(tls=True) as sink:
        untrusted = failure(client, post(sink.url()))
        assert untrusted.code == "tls_failed"
        assert "ca_certificate" in untrusted.hint
        assert client.fetch(post(sink.url(), ca_pem=sink.ca_pem)).status == 200
        assert failure(client, post(sink.url())).code == "tls_failed"
        assert [got.path for got in sink.requests()] == ["/hook"]


def test_a_certificate_for_another_name(client: HttpClient) -> None:
    with Sink(tls=True, names=("other.example",)) as sink:
        error = failure(client, post(sink.url(), ca_pem=sink.ca_pem))
        assert error.code == "tls_failed"
        assert error.hint == "Use a host name that the server's certificate is for."
        assert sink.count() == 0


def test_an_expired_certificate(client: HttpClient) -> None:
    with time_machine.travel(datetime.now(UTC) - timedelta(days=90)):
        sink = Sink(tls=True)
    with sink:
        error = failure(client, post(sink.url(), ca_pem=sink.ca_pem))
    assert (error.code, error.hint) == ("tls_failed", "Renew the server's certificate.")


# --- egress --------------------------------------------------------------------------------------
def test_a_private_address_is_refused_unless_allowed(sink: Sink) -> None:
    error = failure(HttpClient(), post(sink.url()))
    assert error.code == "egress_refused"
    assert "EGRESS_ALLOW" in error.hint
    assert sink.count() == 0
    assert (
        HttpClient(EgressPolicy(allow=(f"localhost:{sink.port}",))).fetch(post(sink.url(host="localhost"))).status
        == 200
    )


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "gopher://127.0.0.1/", "http://169.254.169.254/", "http://127.0.0.1:22/"]
)
def test_urls_that_are_never_fetched(client: HttpClient, url: str) -> None:
    assert failure(client, post(url)).code == "egress_refused"


def test_the_address_that_is_dialled_is_judged_by_itself(sink: Sink) -> None:
    """Where everything before it were wrong, this is what stands between a name and this machine."""
    client = HttpClient()
    client._judge._known["public.test", sink.port] = (monotonic() + 60, ["127.0.0.1"])
    assert failure(client, post(sink.url(host="public.test"))).code == "egress_refused"
    assert sink.connections() == sink.connections()
    assert sink.count() == 0


def test_a_name_is_looked_up_once_by_the_hub_and_never_by_libcurl() -> None:
    script = """
from destinations.egress import EgressPolicy
from destinations.http import HttpClient, HttpRequest
from tests.sink import Sink
client = HttpClient(EgressPolicy(allow=("127.0.0.0/8",)))
with Sink() as sink:
    found["statuses"] = [client.fetch(HttpRequest("GET", sink.url(host="api.test"))).status for _ in range(3)]
    found["hosts"] = sorted({got.headers["host"].partition(":")[0] for got in sink.requests()})
found["queries"] = sorted(kind for name, kind in queries if name == "api.test")
"""
    found = in_process({"api.test": ["127.0.0.1"]}, script)
    assert found == {"statuses": [200, 200, 200], "hosts": ["api.test"], "queries": [1, 28]}


def test_a_name_that_does_not_exist_is_not_asked_for_again_at_once() -> None:
    script = """
from destinations.http import HttpClient, HttpError, HttpRequest
client = HttpClient()
found["codes"] = []
for _ in range(3):
    try:
        client.fetch(HttpRequest("GET", "http://missing.test/"))
    except HttpError as error:
        found["codes"].append(error.code)
found["queries"] = len({kind for name, kind in queries if name == "missing.test"})
found["asked"] = len([name for name, kind in queries if kind == 1])
"""
    found = in_process({}, script)
    assert found["codes"] == ["dns_failed"] * 3
    assert found["asked"] <= 2  # with and without the final dot
