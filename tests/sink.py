"""A real HTTP or HTTPS receiver in a process of its own, for tests and benchmarks.

with Sink(tls=True) as sink:
    sink.behave("/hook", status=503, headers={"Retry-After": "7"})
    ...  # send to sink.url("/hook"), trusting sink.ca_pem
    assert sink.requests("/hook")[0].body == b"..."
"""

import base64
import http.client
import json
import ssl
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.services import free_port
from tests.services.authority import Authority
from tests.sink_server import HEADER

SERVER = Path(__file__).with_name("sink_server.py")


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came in."""

    at: float  # Unix time
    connection: int  # counts the sink's connections, from 1
    method: str
    target: str  # path and query
    headers: dict[str, str]  # names in lower case; the last one of a name that came twice
    head: bytes  # the request line and the headers, as sent
    body: bytes

    @property
    def path(self) -> str:
        """Return the target without its query."""
        return self.target.partition("?")[0]


class Sink:
    """Starts the server, tells it what to do, and reads what it recorded."""

    def __init__(
        self,
        *,
        tls: bool = False,
        names: tuple[str, ...] = ("127.0.0.1", "localhost"),
        fsync: bool = False,
        port: int = 0,
        directory: str | None = None,
        keeps: bool = True,
    ) -> None:
        """With ``tls``, its certificate is for ``names``, from a CA made now: ``ca_pem``.

        One that ``keeps`` nothing counts requests, and has none to show.
        """
        self.tls, self.fsync, self.port = tls, fsync, port or free_port()
        self._temporary = None if directory else tempfile.TemporaryDirectory(prefix="sink-")
        self.directory = Path(directory or self._temporary.name)  # type: ignore[union-attr]
        self.ledger = self.directory / "ledger"
        self.keeps = keeps
        self.ca_pem = self._make_certificate(names) if tls else ""
        self._process: subprocess.Popen[str] | None = None
        self._control: http.client.HTTPConnection | None = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()
        if self._temporary:
            self._temporary.cleanup()

    def start(self) -> Self:
        """Start the server on its port, or on a free one; after ``stop`` it keeps its port."""
        command = [sys.executable, "-u", str(SERVER), "--port", str(self.port)]
        command += ["--ledger", str(self.ledger)] * self.keeps
        command += ["--fsync"] * self.fsync
        command += ["--certificate", str(self.directory / "server.pem")] * self.tls
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.port = json.loads(self._process.stdout.readline())["port"]
        return self

    def stop(self) -> None:
        """Stop the server; its ledger stays."""
        if self._control:
            self._control.close()
            self._control = None
        if self._process:
            self._process.communicate(timeout=60)
            self._process = None

    @property
    def pid(self) -> int:
        """Return the process id of the server."""
        assert self._process
        return self._process.pid

    def url(self, path: str = "/hook", host: str = "127.0.0.1") -> str:
        """Return the URL of a path."""
        return f"http{'s' * self.tls}://{host}:{self.port}{path}"

    def behave(self, path: str = "*", *, headers: dict[str, str] | None = None, **rule: Any) -> None:
        """Answer requests to ``path`` (``*``: to any) in another way than ``200 ok``.

        Keys: ``status``, ``reason``, ``headers``, ``body``, ``delay`` (seconds), ``times`` (then as
        before), ``mode``: answer, hold, hang, close, reset, raw, drip, flood, and what the mode takes.
        """
        for name in ("bytes", "start", "filler"):
            if name in rule:
                rule[name] = base64.b64encode(rule[name]).decode()
        self._tell("rules", {"path": path, "headers": list((headers or {}).items()), **rule})

    def flood(self, path: str, *, start: bytes, filler: bytes, size: int) -> None:
        """Answer with ``start`` and then ``size`` bytes of ``filler``."""
        self.behave(path, mode="flood", start=start, filler=filler, size=size)

    def clear(self) -> None:
        """Forget rules, counts and requests."""
        self._tell("clear")

    def release(self) -> None:
        """Answer what is held now (``mode="hold"``)."""
        self._tell("release")

    def count(self, path: str | None = None) -> int:
        """Return how many requests came, to one path or to all."""
        counts = self._tell("state")["counts"]
        return int(sum(counts.values()) if path is None else counts.get(path, 0))

    def connections(self) -> int:
        """Return how many connections were opened so far, without those of this object."""
        return int(self._tell("state")["connections"]) - 1

    def open_connections(self) -> int:
        """Return how many connections are open now, without that of this object."""
        return int(self._tell("state")["open"]) - 1

    def wait_for(self, count: int, path: str | None = None, timeout: float = 60.0) -> None:
        """Wait until ``count`` requests have come; fail after ``timeout`` seconds."""
        ends = time.monotonic() + timeout
        while self.count(path) < count:
            assert time.monotonic() < ends, f"{self.count(path)} of {count} requests came within {timeout} s"
            time.sleep(0.01)

    def requests(self, path: str | None = None) -> list[Received]:
        """Return what came so far, in the order in which it came."""
        if self._process:
            self._tell("state")  # flushes the ledger
        data = self.ledger.read_bytes()
        found, at = [], 0
        while at < len(data):
            when, connection, head_size, size = HEADER.unpack_from(data, at)
            start = at + HEADER.size
            at = start + size
            found.append(_received(when, connection, data[start : start + head_size], data[start + head_size : at]))
        return [one for one in found if path in (None, one.path)]

    def _make_certificate(self, names: tuple[str, ...]) -> str:
        authority = Authority()
        certificate, key = authority.issue(*names)
        (self.directory / "server.pem").write_bytes(certificate + key)
        return authority.pem

    def _tell(self, command: str, value: Any = None) -> Any:
        if self._control is None:
            self._control = self._connection()
        body = b"" if value is None else json.dumps(value).encode()
        self._control.request("POST", f"/_sink/{command}", body)
        return json.loads(self._control.getresponse().read())

    def _connection(self) -> http.client.HTTPConnection:
        if not self.tls:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        context = ssl.create_default_context(cadata=self.ca_pem)
        context.check_hostname = False  # the certificate may be for another name on purpose
        context.verify_mode = ssl.CERT_NONE
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=60, context=context)


def _received(at: float, connection: int, head: bytes, body: bytes) -> Received:
    first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    pairs = (line.partition(":") for line in lines)
    return Received(
        at, connection, method, target, {name.lower(): value.strip() for name, _, value in pairs}, head, body
    )
