"""What the tests of receiving share: raw requests, many at once, and what an answer and a refusal must hold."""

import http.client
import socket
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from django.conf import settings
from django.db import connection, transaction

from tests.hub import Answer, Hub, Server, on_postgres, signature, until
from webhooks.models import Event, QuarantinedRequest

S = TypeVar("S")
T = TypeVar("T")
ESTABLISHED = "01"
BODY = b'{"type":"daily","user":{"user_id":"u-1","provider":"GARMIN","reference_id":"r-1"},"data":[],"n":%d}'


def body_of_size(size: int) -> bytes:
    """Return a valid body of exactly this many bytes."""
    start, end = b'{"type":"daily","pad":"', b'"}'
    return start + b"x" * (size - len(start) - len(end)) + end


def raw(server: Server, path: str, headers: Mapping[str, str], sent: bytes, *, ends: bool = False) -> Answer:
    """Send a head and then these bytes as they are; ``ends``: say that nothing more comes."""
    head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as link:
        link.sendall(f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n".encode("latin-1") + sent)
        if ends:
            link.shutdown(socket.SHUT_WR)
        answer = http.client.HTTPResponse(link, method="POST")
        answer.begin()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())


def in_chunks(body: bytes, size: int) -> bytes:
    """Return a body in HTTP/1.1's chunked form."""
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\n\r\n"


def post_chunked(hub: Hub, body: bytes, size: int = 8192) -> Answer:
    headers = {"terra-signature": signature(body), "Transfer-Encoding": "chunked"}
    return raw(hub.server, hub.path, headers, in_chunks(body, size))


def at_once(call: Callable[[S], T], items: Iterable[S], threads: int = 32) -> list[T]:
    """Call with each item, from many threads; return what came of each, in order."""
    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(call, items))


def check_refused(answer: Answer, status: int, code: str) -> None:
    """Check an answer that refuses: problem+json with this code and a text for people."""
    assert (answer.status, answer.json["code"]) == (status, code), answer.body
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json["status"] == status
    assert answer.json["detail"]


def events(hub: Hub) -> list[Event]:
    return list(Event.objects.filter(source=hub.source).select_related("payload"))


def kept(hub: Hub, reason: str) -> QuarantinedRequest:
    """Return the one request of the test's source that was refused, for this reason."""
    found: list[QuarantinedRequest] = list(QuarantinedRequest.objects.filter(source=hub.source))
    assert [item.reason for item in found] == [reason]
    return found[0]


def body_kept(item: QuarantinedRequest) -> bytes:
    assert item.body is not None
    return bytes(item.body)


def stored_files() -> set[Path]:
    """Return every file of the payload store."""
    return {path for path in Path(settings.PAYLOAD_DIR).rglob("*") if path.is_file()}


def until_read(server: Server, count: int) -> None:
    """Wait until the server has read what came on so many connections, and was free for another request after that."""
    until(lambda: _read_connections(server.port) >= count, what=f"{count} requests are read")
    server.request("GET", "/healthz")


def _read_connections(port: int) -> int:
    """Return how many connections the server has open of which it has read all (see proc_net_tcp(5))."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(
        local.endswith(f":{port:04X}") and state == ESTABLISHED and queues.endswith(":00000000")
        for _, local, _, state, queues, *_ in lines
    )


def until_in_commit() -> None:
    """Wait until a commit of the server waits for ``writers_waiting``. SQLite does not show it: it gets a second."""
    if on_postgres():
        until(_a_commit_waits, what="the commit waits")
    else:
        time.sleep(1)


def _a_commit_waits() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'webhooks_event'::regclass")
        return cursor.fetchone() is not None


@contextmanager
def writers_waiting() -> Iterator[None]:
    """Hold up every commit of an event; what comes meanwhile is then written as one group."""
    with transaction.atomic():  # on SQLite this takes the only write lock
        if on_postgres():
            with connection.cursor() as cursor:
                cursor.execute("LOCK TABLE webhooks_event IN SHARE ROW EXCLUSIVE MODE")
        yield
        time.sleep(0.5)  # lets the requests reach the committer; the results do not depend on it
