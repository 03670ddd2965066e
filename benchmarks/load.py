"""A load generator: signed Terra webhooks over keep-alive connections, from one process.

Raw asyncio protocols, because it shares two cores with what it measures. It signs each body anew
(fresh time and trace id) and keeps the latency of every request.
"""

import asyncio
import hashlib
import hmac
import json
import time
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

FILLER = "abcdefghijklmnopqrstuvwxyz0123456789"


@dataclass
class Outcome:
    """What a run gave."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    trace_ids: list[str] = field(default_factory=list)  # of the requests that were answered 200
    errors: int = 0

    @property
    def rate(self) -> float:
        """Accepted events per second."""
        return self.statuses[200] / self.seconds if self.seconds else 0.0

    def percentile(self, share: float) -> float:
        """Return a percentile of the latencies, in milliseconds."""
        ordered = sorted(self.latencies_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))] if ordered else 0.0


def body_of(size: int, number: int) -> bytes:
    """Return an ``activity`` body of about ``size`` bytes, different for every number."""
    body = {
        "type": "activity", "version": "2022-03-16",
        "user": {"user_id": f"user-{number % 1000}", "provider": "GARMIN", "reference_id": f"ref-{number % 1000}"},
        "data": [{"metadata": {"start_time": "2026-07-01T07:04:11+01:00", "end_time": "2026-07-01T07:52:48+01:00",
                               "summary_id": f"n{number}"}, "samples": []}],
    }  # fmt: skip
    text = json.dumps(body)
    missing = max(0, size - len(text))
    body["data"][0]["samples"] = (FILLER * (missing // len(FILLER) + 1))[:missing]  # type: ignore[index]
    return json.dumps(body).encode()


class Client(asyncio.Protocol):
    """One connection that sends its next request when the last one is answered."""

    def __init__(self, load: "Load") -> None:
        self.load = load
        self.buffer = b""
        self.started = 0.0
        self.trace = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.send()

    def send(self) -> None:
        if self.load.sent >= self.load.total:
            self.transport.close()
            return
        if self.load.rate and not self.load.due():
            self.load.idle.append(self)
            return
        request = self.load.next_request()
        self.trace, data = request
        self.started = time.perf_counter()
        self.transport.write(data)  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        head, separator, rest = self.buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        lower = head.lower()
        at = lower.find(b"content-length:")
        length = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
        if len(rest) < length:
            return
        self.buffer = b""
        self.load.answered(int(head[9:12]), (time.perf_counter() - self.started) * 1000, self.trace)
        if self.load.rate:
            self.load.idle.append(self)
        else:
            self.send()

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.load.finished():
            self.load.outcome.errors += 1
        self.load.lost()


class Load:
    """A bounded run against one URL."""

    def __init__(self, url: str, secret: str, total: int, connections: int, size: int, rate: float = 0.0) -> None:
        """Send ``total`` events of ``size`` bytes; as fast as answered, or ``rate`` a second."""
        parts = urlsplit(url)
        self.host, self.port, self.path = parts.hostname, parts.port, parts.path
        self.secret, self.total, self.connections, self.size, self.rate = (
            secret.encode(),
            total,
            connections,
            size,
            rate,
        )
        self.outcome = Outcome()
        self.sent = 0
        self.open = 0
        self.run_id = hashlib.sha256(str(time.time_ns()).encode()).hexdigest()[:12]
        self.bodies = [body_of(size, number) for number in range(min(total, 64))]
        self.idle: list[Client] = []
        self.done: asyncio.Event = asyncio.Event()

    def next_request(self) -> tuple[str, bytes]:
        """Return the next request's trace id and bytes."""
        number = self.sent
        self.sent += 1
        body = self.bodies[number % len(self.bodies)]
        now = str(int(time.time()))
        digest = hmac.digest(self.secret, now.encode() + b"." + body, "sha256").hex()
        trace = f"{self.run_id}-{number}"
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nContent-Type: application/json\r\n"
            f"terra-signature: t={now},v1={digest}\r\nX-Terra-Trace-Id: {trace}\r\nterra-reference: {self.run_id}\r\n"
            f"X-Terra-Ordering-Timestamp: {time.time_ns() // 1_000_000}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return trace, head.encode() + body

    def due(self) -> bool:
        """Tell whether the rate allows one more by now."""
        return self.sent < (time.perf_counter() - self.started) * self.rate

    def answered(self, status: int, latency_ms: float, trace: str) -> None:
        """Count an answer."""
        self.outcome.statuses[status] += 1
        self.outcome.latencies_ms.append(latency_ms)
        if status == 200:
            self.outcome.trace_ids.append(trace)
        if self.finished():
            self.done.set()

    def finished(self) -> bool:
        """Tell whether every request was answered."""
        return sum(self.outcome.statuses.values()) + self.outcome.errors >= self.total

    def lost(self) -> None:
        """A connection ended."""
        self.open -= 1
        if self.open == 0 or self.finished():
            self.done.set()

    async def run(self) -> Outcome:
        """Send everything and return what became of it."""
        loop = asyncio.get_running_loop()
        self.started = time.perf_counter()
        self.open = self.connections
        for _ in range(self.connections):
            await loop.create_connection(lambda: Client(self), self.host, self.port)
        while self.rate and not self.finished() and self.open:
            while self.idle and self.sent < self.total and self.due():
                self.idle.pop(0).send()
            await asyncio.sleep(0.001)
        await self.done.wait()
        self.outcome.seconds = time.perf_counter() - self.started
        return self.outcome


def run(url: str, secret: str, total: int, connections: int = 64, size: int = 2048, rate: float = 0.0) -> Outcome:
    """Run a load from this process and return its outcome."""

    async def go() -> Outcome:
        return await Load(url, secret, total, connections, size, rate).run()

    return asyncio.run(go())
