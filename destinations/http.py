"""The hub's own HTTP client: many requests at once on one thread, over libcurl's multi interface.

Every address that is dialled has passed ``egress``: the whole answer of a name before the request,
and the very address at the moment of the dial. Proxies, redirects, cookies, .netrc and compressed
answers are off, and answers are capped. One request makes one attempt on the wire at most.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from socket import socket
from typing import Any, NamedTuple

import certifi
import pycurl

from destinations.egress import HTTP_REFUSED_PORTS, EgressPolicy, EgressRefused
from destinations.hosts import Endpoint
from destinations.httperrors import HttpError, Phase, error_of, timeout, too_large
from destinations.httpjudge import Judge
from destinations.httploop import CurlLoop

MAX_BODY = 64 * 1024  # bytes kept of an answer's body
MAX_HEADERS = 64 * 1024  # bytes of an answer's headers, those of 1XX answers included
CONNECT_TIMEOUT_S = 10.0
UNKEPT_S = 60.0  # connections are not kept for so long after a kept one failed
# Servers drop idle connections, Node.js after 5 s; a request that meets the drop is lost.
IDLE_S = 4
POLL_S = 0.02  # how long a new request may wait in the source while others are under way
USER_AGENT = "terra-destination-hub/1"


@dataclass(slots=True)
class HttpRequest:
    """One request. Headers are whole lines, without CR and LF: who makes them has checked that."""

    method: str
    url: str
    headers: Sequence[str] = ()
    body: bytes | None = None
    timeout_s: float = 30.0  # wall clock, from the dial to the answer's last byte
    ca_pem: str = ""  # certificates that are trusted instead of the public ones
    tag: Any = None  # the caller's own


@dataclass(slots=True)
class HttpResponse:
    """What came back; ``truncated`` says that the body went on after ``MAX_BODY`` bytes."""

    status: int
    body: bytes
    duration_ms: int
    truncated: bool = False
    lines: list[bytes] = field(default_factory=list, repr=False)  # the header lines, as they came
    # Of ``duration_ms``; both 0 where a kept connection was used.
    connect_ms: int = 0
    tls_ms: int = 0

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers, names in lower case; values of a name that came twice are joined."""
        found: dict[str, str] = {}
        for line in self.lines:
            name, colon, value = line.decode("latin-1").partition(":")
            if colon:
                key, value = name.strip().lower(), value.strip()
                found[key] = f"{found[key]}, {value}" if key in found else value
        return found


class Exchange(NamedTuple):
    """A request with what became of it."""

    request: HttpRequest
    answer: HttpResponse | HttpError


# Gives up to so many requests without waiting; none means "none right now".
Source = Callable[[int], Iterable[HttpRequest]]


class HttpClient:
    """Keeps connections and handles from one request to the next. One thread uses it at a time."""

    def __init__(
        self,
        policy: EgressPolicy | None = None,
        *,
        concurrency: int = 16,
        refused_ports: frozenset[int] = HTTP_REFUSED_PORTS,
    ) -> None:
        """Dial what ``policy`` permits, with at most ``concurrency`` requests under way."""
        self._judge = Judge(policy or EgressPolicy(), refused_ports)
        self._concurrency = concurrency
        self._loop = CurlLoop(concurrency)
        self._idle: list[_Transfer] = []
        self._busy: dict[pycurl.Curl, _Transfer] = {}

    def stream(self, source: Source) -> Iterator[list[Exchange]]:
        """Send what ``source`` gives; hand back exchanges in small groups, as they finish.

        Ends when nothing is under way and the source has nothing. Closing the generator early
        ends the requests that are under way.
        """
        self._loop.turn(0.0)  # which connections were closed meanwhile?
        try:
            while True:
                finished = self._fill(source)
                if not self._busy and not finished:
                    return
                if self._busy:
                    has_room = len(self._busy) < self._concurrency
                    self._loop.turn(0.0 if finished else POLL_S if has_room else 1.0, len(self._busy))
                    finished += self._finished()
                if finished:
                    yield finished
        finally:
            self._abandon()

    def fetch(self, request: HttpRequest) -> HttpResponse:
        """Send one request and wait for its answer; raise ``HttpError`` if none came."""
        waiting = [request]

        def source(_most: int) -> Iterable[HttpRequest]:
            return [waiting.pop()] if waiting else ()

        (group,) = self.stream(source)
        answer = group[0].answer
        if isinstance(answer, HttpError):
            raise answer
        return answer

    def close(self) -> None:
        """Close every connection. The client is not used afterwards."""
        self._abandon()
        self._loop.close()
        for transfer in self._idle:
            transfer.easy.close()
        self._idle.clear()

    def _fill(self, source: Source) -> list[Exchange]:
        """Start what the source has; return what ended before it could start."""
        room = self._concurrency - len(self._busy)
        failed = []
        for request in source(room) if room else ():
            try:
                self._start(request)
            except HttpError as error:
                failed.append(Exchange(request, error))
        return failed

    def _start(self, request: HttpRequest) -> None:
        endpoint, addresses = self._judge.addresses(request.url, min(request.timeout_s, CONNECT_TIMEOUT_S))
        transfer = self._idle.pop() if self._idle else _Transfer(self._judge, self._loop)
        transfer.prepare(request, endpoint, addresses)
        self._busy[transfer.easy] = transfer
        self._loop.multi.add_handle(transfer.easy)

    def _finished(self) -> list[Exchange]:
        done: list[Exchange] = []
        left = 1
        while left:
            left, good, bad = self._loop.multi.info_read(256)
            done += [self._release(easy, 0, "") for easy in good]
            done += [self._release(easy, code, text) for easy, code, text in bad]
        return done

    def _release(self, easy: pycurl.Curl, code: int, text: str) -> Exchange:
        self._loop.multi.remove_handle(easy)
        transfer = self._busy.pop(easy)
        exchange = Exchange(transfer.request, transfer.answer(code, text))
        self._rest(transfer)
        return exchange

    def _rest(self, transfer: "_Transfer") -> None:
        """Keep a transfer's handle for another request, and nothing of this one: bodies may be large."""
        transfer.forget()
        self._idle.append(transfer)

    def _abandon(self) -> None:
        for easy, transfer in self._busy.items():
            self._loop.multi.remove_handle(easy)
            self._rest(transfer)
        self._busy.clear()


class _Transfer:
    """One libcurl handle, used for one request after the other. Options are set when they change."""

    __slots__ = (
        "_addresses", "_ca_pem", "_endpoint", "_fresh", "_host", "_judge", "_loop", "_method", "_timeout_s", "chunks",
        "easy", "header_bytes", "left", "lines", "number", "refusal", "request", "sent", "too_large", "truncated",
    )  # fmt: skip

    def __init__(self, judge: Judge, loop: CurlLoop) -> None:
        self._judge, self._loop = judge, loop
        self._endpoint: Endpoint | None = None
        self._addresses: Sequence[str] = ()
        self._host = self._method = self._ca_pem = ""
        self._timeout_s = 0.0
        self._fresh = False
        self.easy = pycurl.Curl()
        self.forget()
        for option, value in _CONSTANT:
            self.easy.setopt(option, value)
        self.easy.setopt(pycurl.CAINFO, certifi.where())
        self.easy.setopt(pycurl.OPENSOCKETFUNCTION, self._open)
        self.easy.setopt(pycurl.SOCKOPTFUNCTION, self._opened)
        # libcurl sends again by itself where a kept connection turns out to be closed. The other side
        # may have read the first one, and the log would show one try for two. A body that comes from
        # a function cannot be rewound, so it cannot be sent again.
        self.easy.setopt(pycurl.READFUNCTION, self._read)
        self.easy.setopt(pycurl.WRITEFUNCTION, self._write)
        self.easy.setopt(pycurl.HEADERFUNCTION, self._header)

    def forget(self) -> None:
        """Let go of a request and of its answer, which whoever asked for it has."""
        self.request = _NOTHING
        self.lines: list[bytes] = []  # not cleared: the answer has the list itself
        self.chunks: list[bytes] = []

    def prepare(self, request: HttpRequest, endpoint: Endpoint, addresses: Sequence[str]) -> None:
        """Get ready to send ``request``."""
        setopt = self.easy.setopt
        self.request = request
        self.left, self.header_bytes, self.sent = MAX_BODY, 0, 0
        self.number = -1  # of the socket, where this request dialled
        self.truncated = self.too_large = False
        self.refusal: EgressRefused | None = None
        if endpoint is not self._endpoint or addresses is not self._addresses:
            self._aim(endpoint, addresses)
        fresh = not self._loop.trusts_kept()
        if fresh != self._fresh:
            self._fresh = fresh
            setopt(pycurl.FRESH_CONNECT, fresh)
        if request.timeout_s != self._timeout_s:
            self._limit(request.timeout_s)
        if request.ca_pem != self._ca_pem:
            self._ca_pem = request.ca_pem
            self._trust(request.ca_pem)
        method = f"{request.method} {request.body is not None}"
        if method != self._method:
            self._method = method
            self._set_method(request)
        if request.body is not None:
            setopt(pycurl.POSTFIELDSIZE_LARGE, len(request.body))
        try:
            setopt(pycurl.HTTPHEADER, [*_NO_HEADERS, *request.headers])
        except UnicodeEncodeError:
            setopt(pycurl.HTTPHEADER, _NO_HEADERS + list(map(_line, request.headers)))

    def answer(self, code: int, text: str) -> HttpResponse | HttpError:
        """Return what became of the request: ``code`` and ``text`` are libcurl's, 0 for no error."""
        easy = self.easy
        duration_ms = round(easy.getinfo(pycurl.TOTAL_TIME) * 1000)
        if code == 0 or (self.truncated and code == pycurl.E_WRITE_ERROR):
            status = easy.getinfo(pycurl.RESPONSE_CODE)
            timed = _connection_ms(easy) if self.number >= 0 else (0, 0)
            return HttpResponse(status, b"".join(self.chunks), duration_ms, self.truncated, self.lines, *timed)
        if self.refusal is not None:
            return HttpError("egress_refused", self.refusal.detail, self.refusal.hint, duration_ms)
        if self.too_large:
            return too_large(duration_ms)
        if code == pycurl.E_OPERATION_TIMEDOUT:
            return timeout(self._phase(duration_ms), duration_ms)
        if self.number < 0:
            self._loop.distrust_kept(UNKEPT_S)
        return error_of(code, text, duration_ms)

    def _phase(self, duration_ms: int) -> Phase:
        """Return how far a request came whose time is up."""
        dialled = self.number >= 0
        if self.refusal is None and dialled and not self.easy.getinfo(pycurl.CONNECT_TIME):
            return Phase.CONNECT
        if (
            dialled
            and self._endpoint
            and self._endpoint.scheme == "https"
            and not self.easy.getinfo(pycurl.APPCONNECT_TIME)
        ):
            return Phase.TLS
        # Less than a line reaches no callback; a server that drips is still heard at the end.
        heard = self.header_bytes or self._loop.silence_s(self.number) < duration_ms / 2000
        return Phase.ANSWER if heard else Phase.SILENCE

    def _aim(self, endpoint: Endpoint, addresses: Sequence[str]) -> None:
        self._endpoint, self._host, self._addresses = endpoint, endpoint.host, addresses
        self.easy.setopt(pycurl.URL, endpoint.url)
        # libcurl dials the addresses that were judged, and asks no resolver of its own.
        listed = ",".join(f"[{one}]" if ":" in one else one for one in addresses)
        host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
        self.easy.setopt(pycurl.RESOLVE, [f"{host}:{endpoint.port}:{listed}"])

    def _limit(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self.easy.setopt(pycurl.TIMEOUT_MS, max(1, round(timeout_s * 1000)))
        self.easy.setopt(pycurl.CONNECTTIMEOUT_MS, max(1, round(min(timeout_s, CONNECT_TIMEOUT_S) * 1000)))

    def _trust(self, ca_pem: str) -> None:
        if ca_pem:
            self.easy.setopt(pycurl.CAINFO_BLOB, ca_pem.encode())
        else:
            self.easy.unsetopt(pycurl.CAINFO_BLOB)

    def _set_method(self, request: HttpRequest) -> None:
        if request.method == "HEAD":
            self.easy.unsetopt(pycurl.CUSTOMREQUEST)
            self.easy.setopt(pycurl.NOBODY, 1)
            return
        self.easy.setopt(pycurl.HTTPGET, 1)  # takes NOBODY and POST back
        if request.body is not None:
            self.easy.setopt(pycurl.POST, 1)
        self.easy.setopt(pycurl.CUSTOMREQUEST, request.method)

    def _open(self, _purpose: int, address: Any) -> Any:
        self.refusal = self._judge.dialled(self._host, address)
        if self.refusal:
            return pycurl.SOCKET_BAD
        return socket(address.family, address.socktype, address.protocol)

    def _opened(self, number: int, _purpose: int) -> int:
        self.number = number
        self._loop.opened(number)
        return pycurl.SOCKOPT_OK

    def _read(self, size: int) -> bytes:
        body = self.request.body or b""
        start = self.sent
        self.sent = start + size
        return body if not start and size >= len(body) else body[start : start + size]

    def _write(self, data: bytes) -> int | None:
        self.chunks.append(data if len(data) <= self.left else data[: self.left])
        self.left -= len(data)
        if self.left >= 0:
            return None
        self.truncated = True
        return 0  # fewer than were given: ends the transfer

    def _header(self, line: bytes) -> int | None:
        self.header_bytes += len(line)
        if self.header_bytes > MAX_HEADERS:
            self.too_large = True
            return 0
        if line.startswith(b"HTTP/"):
            self.lines.clear()  # what came before belongs to a 1XX answer
            if line[9:12] == b"101":  # nobody asked for another protocol
                self.truncated = True
                return 0
        else:
            self.lines.append(line)
        return None


_NOTHING = HttpRequest("", "")
# An empty value takes a header away that libcurl would add by itself.
_NO_HEADERS = ["Expect:", "Accept:", "Content-Type:", "Transfer-Encoding:"]
_CONSTANT: tuple[tuple[int, Any], ...] = (
    (pycurl.NOSIGNAL, 1),  # signals and threads do not go together
    (pycurl.PROXY, ""),  # whatever the environment says
    (pycurl.NETRC, 0),
    (pycurl.FOLLOWLOCATION, 0),
    (pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS),
    (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1),
    (pycurl.MAXAGE_CONN, IDLE_S),
    (pycurl.USERAGENT, USER_AGENT),
)


def _line(header: str) -> str | bytes:
    # A received header reaches Python as Latin-1 text, whatever its bytes meant: so they are given back.
    return header if header.isascii() else header.encode("latin-1", "replace")


def _connection_ms(easy: pycurl.Curl) -> tuple[int, int]:
    """Return how long connecting took, and TLS after it."""
    connected, secured = easy.getinfo(pycurl.CONNECT_TIME), easy.getinfo(pycurl.APPCONNECT_TIME)
    return round(connected * 1000), round(max(0.0, secured - connected) * 1000)
