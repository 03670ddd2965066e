"""Clients of AWS that dial only what the egress policy permits, and take nothing from the machine they run on.

botocore by itself looks for keys, endpoints, proxies and CAs in variables, files and metadata
services, follows names to any address, and measures time from byte to byte. Here it is told
everything; each address is judged and dialled as a literal, so no second look at the name can
differ; and each exchange ends at its deadline. This module imports boto3, so it is imported late.
"""

import math
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from functools import lru_cache, partial
from time import monotonic, sleep
from typing import Any

import boto3.session
import botocore.session
from botocore.awsrequest import (
    AWSHTTPConnection,
    AWSHTTPConnectionPool,
    AWSHTTPSConnection,
    AWSHTTPSConnectionPool,
    AWSResponse,
)
from botocore.config import Config
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

from destinations.egress import HTTP_REFUSED_PORTS, EgressPolicy, EgressRefused, ResolveFailed, resolve

CONNECT_TIMEOUT_S = 10.0
MAX_ANSWER = 1024 * 1024  # bytes of an answer that is read at once; AWS's are a few kilobytes
_TICK_S = 0.1
_SHORTEST_S = 0.001  # of a wait: none at all would mean not to wait for an answer
_CHUNK = 64 * 1024


class DeadlinePassed(Exception):
    """An exchange that was ended because its time was up."""


class AnswerTooLarge(Exception):
    """An answer that went on after ``MAX_ANSWER`` bytes."""


# --- the one session --------------------------------------------------------------------------
class _Session(botocore.session.Session):  # type: ignore[misc]  # botocore is untyped
    """A session that reads no variable and no file, and has only the keys that it is lent for one client."""

    lent: Any = None

    def __init__(self) -> None:
        known = botocore.session.Session.SESSION_VARIABLES
        blank = {name: (None, None, default, cast) for name, (_, _, default, cast) in known.items()}
        for name in ("config_file", "credentials_file"):
            blank[name] = (None, None, os.devnull, None)
        super().__init__(session_vars=blank)

    def get_credentials(self) -> Any:
        return self.lent


_lock = threading.Lock()


@lru_cache(maxsize=1)
def _sessions() -> tuple[_Session, boto3.session.Session]:
    """Return the process's session: one takes 0.1 s and 12 MB, and ``client()`` is not safe among threads."""
    core = _Session()
    return core, boto3.session.Session(botocore_session=core)


def make_client(service: str, guard: "Guard", credentials: Any, *, region: str, endpoint_url: str, **about: Any) -> Any:
    """Return a client that signs with ``credentials`` (botocore's) and sends through ``guard``; it never retries.

    ``about`` is for botocore's ``Config``. An empty ``endpoint_url`` is AWS's own, in ``region``.
    """
    config = Config(
        retries={"mode": "standard", "total_max_attempts": 1},
        ignore_configured_endpoint_urls=True,
        parameter_validation=True,
        **about,
    )
    with _lock:
        core, session = _sessions()
        core.lent = credentials
        try:
            client = session.client(service, region_name=region, endpoint_url=endpoint_url or None, config=config)
        finally:
            core.lent = None
    client.meta.events.register("before-send", guard.answer)
    return client


# --- connections ------------------------------------------------------------------------------
class Guard(URLLib3Session):  # type: ignore[misc]  # botocore is untyped
    """botocore's own HTTP session, over connections that are judged, and with a deadline for each exchange."""

    def __init__(self, policy: EgressPolicy, *, timeout_s: float, connections: int, ca_pem: str = "") -> None:
        """Dial what ``policy`` permits; keep up to ``connections``; trust ``ca_pem`` instead of the public CAs."""
        self._policy, self._time_s, self._ca_pem = policy, timeout_s, ca_pem.strip()
        times = (min(timeout_s, CONNECT_TIMEOUT_S), timeout_s)
        super().__init__(verify=True, proxies={}, timeout=times, max_pool_connections=max(1, connections))
        self._manager.pool_classes_by_scheme = {
            "http": partial(_pool, AWSHTTPConnectionPool, _Connection, self.dial),
            "https": partial(_pool, AWSHTTPSConnectionPool, _TlsConnection, self.dial),
        }

    def answer(self, request: Any, **_: Any) -> Any:
        """Send a signed request and return its answer; botocore's event ``before-send`` calls this."""
        with _watch.over(self._time_s) as exchange:
            try:
                if exchange.ends <= monotonic():
                    exchange.is_cut = True
                    raise TimeoutError
                return self._exchanged(request)
            except Exception as error:
                if exchange.is_cut:
                    raise DeadlinePassed(f"The exchange was not over within {self._time_s:g} s.") from error
                raise

    def dial(self, host: str, port: int) -> socket.socket:
        """Return a connection to the first address of ``host`` that answers; all of them are judged before.

        They share what is left of the exchange's time: silent ones leave some for those that come after.
        """
        ends = min(monotonic() + min(self._time_s, CONNECT_TIMEOUT_S), _watch.ends)
        left_s = max(ends - monotonic(), _SHORTEST_S)
        addresses = resolve(host, port, self._policy, refused_ports=HTTP_REFUSED_PORTS, timeout_s=left_s)
        for position, address in enumerate(addresses[:-1]):
            share_s = (ends - monotonic()) / (len(addresses) - position)
            with suppress(OSError):
                return socket.create_connection((address, port), max(share_s, _SHORTEST_S))
        return socket.create_connection((addresses[-1], port), max(ends - monotonic(), _SHORTEST_S))

    def _exchanged(self, request: Any) -> Any:
        streams, request.stream_output = request.stream_output, True
        try:
            raw = self.send(request)
        except HTTPClientError as error:
            cause = error.kwargs.get("error")
            if isinstance(cause, EgressRefused | ResolveFailed):
                raise cause from None
            raise
        answer = AWSResponse(raw.url, raw.status_code, raw.headers, _Capped(raw.raw))
        if not streams or answer.status_code >= 300:
            _ = answer.content  # read while the deadline stands
        return answer

    def _get_ssl_context(self) -> ssl.SSLContext:
        context: ssl.SSLContext = super()._get_ssl_context()
        if self._ca_pem:
            context.load_verify_locations(cadata=self._ca_pem)
        return context

    def _setup_ssl_cert(self, conn: Any, url: str, verify: Any) -> None:
        super()._setup_ssl_cert(conn, url, verify)
        if self._ca_pem:
            conn.ca_certs = None


def _pool(kind: Any, connection: Any, dial: Any, *args: Any, **about: Any) -> Any:
    made = kind(*args, **about)
    made.ConnectionCls = partial(connection, dial=dial)
    return made


class _Dialled:
    """A connection whose socket comes from the guard, and which the watch can cut at any moment."""

    def __init__(self, *args: Any, dial: Any, **about: Any) -> None:
        super().__init__(*args, **about)
        self._dial = dial
        # A second handle on the same connection: the first one changes hands when TLS begins.
        self._handle: socket.socket | None = None

    def _new_conn(self) -> socket.socket:
        connection: Any = self
        try:
            made = self._dial(connection._dns_host, connection.port)
        except TimeoutError as error:
            raise ConnectTimeoutError(connection, "No connection.") from error
        except OSError as error:
            raise NewConnectionError(connection, error.strerror or type(error).__name__) from error
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._handle = made.dup()
        _watch.follows(self._handle)
        return made  # type: ignore[no-any-return]  # the dial is the guard's

    def request(self, *args: Any, **about: Any) -> Any:
        _watch.follows(self._handle)
        return super().request(*args, **about)  # type: ignore[misc]  # a mixin: the next class has it

    def close(self) -> None:
        handle, self._handle = self._handle, None
        if handle:
            handle.close()
        super().close()  # type: ignore[misc]  # a mixin: the next class has it


class _Connection(_Dialled, AWSHTTPConnection):  # type: ignore[misc]  # botocore is untyped
    """Without TLS."""


class _TlsConnection(_Dialled, AWSHTTPSConnection):  # type: ignore[misc]  # botocore is untyped
    """With TLS; the name stays the one that the certificate has to be for."""


class _Capped:
    """A raw answer that gives up after ``MAX_ANSWER`` bytes where it is read as a whole."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self, *_: Any, **__: Any) -> Iterator[bytes]:
        total = 0
        for chunk in self._raw.stream(_CHUNK):
            total += len(chunk)
            if total > MAX_ANSWER:
                self._raw.close()
                raise AnswerTooLarge(f"The answer is larger than {MAX_ANSWER} bytes.")
            yield chunk


# --- deadlines --------------------------------------------------------------------------------
@dataclass(slots=True, eq=False)
class _Exchange:
    """One request on its way, in one thread."""

    ends: float
    is_cut: bool = False
    handle: socket.socket | None = None


@dataclass
class _Watch:
    """Cuts connections at the deadlines of their exchanges, in one thread for the process."""

    _running: set[_Exchange] = field(default_factory=set)
    _some: threading.Condition = field(default_factory=threading.Condition)
    _own: threading.local = field(default_factory=threading.local)
    _thread: threading.Thread | None = None

    @contextmanager
    def over(self, time_s: float) -> Iterator[_Exchange]:
        """Watch what this thread sends meanwhile; an exchange inside another one (STS) has its own time."""
        outer = getattr(self._own, "exchange", None)
        ends = min(monotonic() + time_s, getattr(self._own, "ends", math.inf))
        exchange = self._own.exchange = _Exchange(ends)
        with self._some:
            self._running.add(exchange)
            if not self._thread or not self._thread.is_alive():  # also after a fork
                self._thread = threading.Thread(target=self._run, name="aws deadlines", daemon=True)
                self._thread.start()
            self._some.notify()
        try:
            yield exchange
        finally:
            self._own.exchange = outer
            with self._some:
                self._running.discard(exchange)

    @property
    def ends(self) -> float:
        """Return when this thread's exchange has to be over, by the monotonic clock."""
        exchange = getattr(self._own, "exchange", None)
        return exchange.ends if exchange else math.inf

    @contextmanager
    def bound(self, time_s: float) -> Iterator[None]:
        """Let all exchanges of this thread be over within ``time_s`` together."""
        self._own.ends = monotonic() + time_s
        try:
            yield
        finally:
            del self._own.ends

    def follows(self, handle: socket.socket | None) -> None:
        """Say which connection this thread's exchange goes over."""
        exchange = getattr(self._own, "exchange", None)
        if exchange and handle:
            exchange.handle = handle

    def _run(self) -> None:
        while True:
            with self._some:
                while not self._running:
                    self._some.wait()
                for exchange in self._running:
                    if exchange.ends <= monotonic():
                        _cut(exchange)
            sleep(_TICK_S)


def _cut(exchange: _Exchange) -> None:
    exchange.is_cut = True
    if exchange.handle:
        with suppress(OSError):
            exchange.handle.shutdown(socket.SHUT_RDWR)


_watch = _Watch()
within = _watch.bound  # of a try that takes several requests, the time for all of them


def until(ends: float) -> AbstractContextManager[None]:
    """Let all exchanges of this thread be over at ``ends``, by the monotonic clock; later ones are not begun."""
    return within(max(0.0, ends - monotonic()))
