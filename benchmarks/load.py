"""A load generator: signed Terra webhooks over keep-alive connections, from one process.

Raw asyncio protocols, because it shares two cores with what it measures. It signs each body anew
(fresh time and trace id) and keeps the latency of every request.
"""

import asyncio
import hmac
import json
import secrets
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from urllib.parse import urlsplit

FILLER = "abcdefghijklmnopqrstuvwxyz0123456789"
TICK_SECONDS = 0.001
MOST_BODIES_BYTES = 16 * 1024 * 1024  # of different bodies that are kept to be sent in turn


@dataclass
class Outcome:
    """What a run gave."""

    seconds: float = 0.0
    statuses: Counter[int] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)
    errors: int = 0  # requests whose connection ended before their answer

    @property
    def rate(self) -> float:
        """Accepted events per second."""
        return self.statuses[200] / self.seconds if self.seconds else 0.0


@dataclass(frozen=True)
class Plan:
    """What a run sends: as fast as it is answered, or at ``rate`` events a second."""

    total: int
    size: int = 2048  # bytes of a body
    connections: int = 64
    rate: float = 0.0
    timeout_s: float = 300.0


def body_of(size: int, number: int) -> bytes:
    """Return an ``activity`` body of ``size`` bytes (600 at least), different for every number."""
    who = {"user_id": f"user-{number % 1000}", "provider": "GARMIN", "reference_id": f"ref-{number % 1000}"}
    day = f"2026-07-{1 + number // 1000 % 28:02}"  # buckets have one object per user and start
    times = {"start_time": f"{day}T07:04:11+01:00", "end_time": f"{day}T07:52:48+01:00"}
    data = [{"metadata": {**times, "summary_id": f"n{number}"}, "samples": "?"}]
    text = json.dumps({"type": "activity", "version": "2022-03-16", "user": who, "data": data})
    missing = max(1, size - len(text) + 1)
    return text.replace("?", (FILLER * (missing // len(FILLER) + 1))[:missing]).encode()


class Client(asyncio.Protocol):
    """One connection that sends its next request when the last one is answered."""

    transport: asyncio.Transport

    def __init__(self, load: "Load") -> None:
        self.load = load
        self.buffer = b""
        self.started: float | None = None  # of the request that is under way

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.load.free(self)

    def send(self, started: float, request: bytes) -> None:
        """Send a request whose latency counts from ``started``."""
        self.started = started
        self.transport.write(request)

    def data_received(self, data: bytes) -> None:
        """Count an answer once it is whole."""
        self.buffer += data
        head, separator, rest = self.buffer.partition(b"\r\n\r\n")
        if not separator or len(rest) < _content_length(head) or self.started is None:
            return
        latency_ms = (time.perf_counter() - self.started) * 1000
        self.buffer, self.started = b"", None
        self.load.answered(int(head[9:12]), latency_ms)
        self.load.free(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the request that was under way as failed."""
        self.load.lost(self.started is not None)


def _content_length(head: bytes) -> int:
    lower = head.lower()
    at = lower.find(b"content-length:")
    return int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0


class Load:
    """A bounded run against one URL."""

    def __init__(self, url: str, secret: str, plan: Plan) -> None:
        """Prepare the bodies; ``run`` sends them in turn."""
        parts = urlsplit(url)
        self.host, self.port, self.path = parts.hostname or "", parts.port or 80, parts.path
        self.secret, self.plan = secret.encode(), plan
        self.outcome = Outcome()
        self.sent = self.open = 0
        self.started = 0.0
        self.run_id = secrets.token_hex(6)
        different = max(1, min(plan.total, 64, MOST_BODIES_BYTES // plan.size))
        self.bodies = [body_of(plan.size, number) for number in range(different)]
        self.idle: deque[Client] = deque()
        self.done = asyncio.Event()

    def free(self, client: Client) -> None:
        """Give a connection its next request: now, or when the rate allows it."""
        if self.sent >= self.plan.total:
            client.transport.close()
        elif self.plan.rate:
            self.idle.append(client)
        else:
            client.send(time.perf_counter(), self.next_request())

    def send_due(self) -> None:
        """Send what the rate allows by now. Latency counts from the moment that a request was due."""
        now = time.perf_counter()
        while self.idle and self.sent < self.plan.total:
            due = self.started + self.sent / self.plan.rate
            if due > now:
                return
            self.idle.popleft().send(due, self.next_request())

    def next_request(self) -> bytes:
        """Return the next request, signed now."""
        number = self.sent
        self.sent += 1
        body = self.bodies[number % len(self.bodies)]
        now = str(int(time.time()))
        digest = hmac.digest(self.secret, now.encode() + b"." + body, "sha256").hex()
        head = (
            f"POST {self.path} HTTP/1.1\r\nHost: {self.host}:{self.port}\r\nContent-Type: application/json\r\n"
            f"terra-signature: t={now},v1={digest}\r\nX-Terra-Trace-Id: {self.run_id}-{number}\r\n"
            f"terra-reference: {self.run_id}\r\nX-Terra-Ordering-Timestamp: {time.time_ns() // 1_000_000}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def answered(self, status: int, latency_ms: float) -> None:
        """Count an answer."""
        self.outcome.statuses[status] += 1
        self.outcome.latencies_ms.append(latency_ms)
        if self.finished():
            self.done.set()

    def finished(self) -> bool:
        """Tell whether every request was answered or lost."""
        return len(self.outcome.latencies_ms) + self.outcome.errors >= self.plan.total

    def lost(self, under_way: bool) -> None:
        """Count the end of a connection."""
        self.outcome.errors += under_way
        self.open -= 1
        if self.open == 0 or self.finished():
            self.done.set()

    async def run(self) -> Outcome:
        """Send everything and return what became of it; raise ``TimeoutError``."""
        loop = asyncio.get_running_loop()
        self.started = time.perf_counter()
        async with asyncio.timeout(self.plan.timeout_s):
            for _ in range(self.plan.connections):
                self.open += 1
                await loop.create_connection(lambda: Client(self), self.host, self.port)
            while self.plan.rate and not self.done.is_set():
                self.send_due()
                await asyncio.sleep(TICK_SECONDS)
            await self.done.wait()
        self.outcome.seconds = time.perf_counter() - self.started
        return self.outcome


def run(url: str, secret: str, plan: Plan) -> Outcome:
    """Run a load from this process and return its outcome; raise ``TimeoutError``."""

    async def go() -> Outcome:
        return await Load(url, secret, plan).run()

    return asyncio.run(go())
