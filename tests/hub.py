"""A running hub: its real server and workers, as processes, on the test's own database."""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.conf import settings

from destinations.models import Destination, RoutingVersion
from destinations.services import create_destination
from destinations.signatures import terra_hmac
from terra_hub.management.commands.serve import server_command
from tests.services import free_port
from webhooks.models import Source
from webhooks.receiving.sources import create_source

ROOT = Path(__file__).resolve().parent.parent
SECRET = "test-signing-secret-0123456789"
SAMPLES = {path.stem: path.read_bytes() for path in sorted((ROOT / "tests" / "samples").glob("*.json"))}


@dataclass
class Answer:
    """What the hub answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def signature(body: bytes, secret: str = SECRET, at: float | None = None) -> str:
    """Return a terra-signature header for a body, as Terra makes it."""
    stamp = str(int(time.time() if at is None else at))
    return f"t={stamp},v1={terra_hmac(secret.encode(), stamp, body)}"


def environment(**more: str) -> dict[str, str]:
    """Return the environment of a hub process that works on the test's own database."""
    base = {**os.environ, "DJANGO_SETTINGS_MODULE": "terra_hub.settings", "ALLOW_UNSAFE_DB": "1"}
    return base | {"LOG_LEVEL": "WARNING", "PYTHONUNBUFFERED": "1"} | more


PATIENCE = 60.0  # seconds; what is waited for comes in far less, but on a busy machine


def until(condition: Callable[[], Any], timeout: float = PATIENCE, what: str = "") -> Any:
    """Wait until ``condition`` gives something true; fail, saying what was waited for."""
    ends = time.monotonic() + timeout
    while not (held := condition()):
        assert time.monotonic() < ends, f"not within {timeout} s: {what or condition}"
        time.sleep(0.02)
    return held


@dataclass
class Process:
    """A process of the hub that a test started."""

    popen: "subprocess.Popen[bytes]"
    log: Path

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to the process and everything that it started."""
        if self.popen.poll() is None or number == signal.SIGKILL:
            try:
                os.killpg(self.popen.pid, number)
            except ProcessLookupError:
                return

    def stop(self, timeout: float = PATIENCE) -> int:
        """Ask it to end; return its exit code."""
        if self.popen.poll() is None:
            self.popen.terminate()
        try:
            return self.popen.wait(timeout)
        finally:
            self.kill()

    @property
    def alive(self) -> bool:
        return self.popen.poll() is None

    def output(self) -> str:
        return self.log.read_text(errors="replace")


def spawn(arguments: list[str], log: Path, **env: str) -> Process:
    """Start a process of the hub in a group of its own, its output in ``log``."""
    with log.open("ab") as file:
        popen = subprocess.Popen(
            [sys.executable, *arguments], cwd=ROOT, env=environment(**env), stdout=file, stderr=file,
            start_new_session=True,
        )  # fmt: skip
    return Process(popen, log)


class Server:
    """The web server alone, without a worker."""

    def __init__(self, folder: Path, processes: int = 1, **env: str) -> None:
        self.folder, self.processes, self.env = folder, processes, env
        self.port = free_port()
        self.process: Process | None = None

    def start(self) -> "Server":
        arguments = server_command("127.0.0.1", self.port, self.processes)[1:]
        env = {"PUBLIC_URL": f"http://127.0.0.1:{self.port}"} | self.env
        self.process = spawn(arguments, self.folder / f"server-{self.port}.log", **env)
        until(self.answers, what="the server answers")
        return self

    def answers(self) -> bool:
        try:
            return self.request("GET", "/healthz", timeout=5).status == 200
        except OSError:
            return False

    def stop(self) -> None:
        if self.process:
            self.process.stop()

    def kill(self) -> None:
        """Kill -9, the server and its children."""
        assert self.process
        self.process.kill()
        self.process.popen.wait()

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None,
        timeout: float = 30,
    ) -> Answer:  # fmt: skip
        """Send one request on a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()


@dataclass
class Hub:
    """A source of this test's own on a running server, and workers as the test wants them."""

    server: Server
    folder: Path
    source: Source = field(init=False)
    workers: list[Process] = field(default_factory=list)

    def __post_init__(self) -> None:
        # The server outlives the test: caches of an earlier test's rows must not fit this one's.
        RoutingVersion.objects.update_or_create(id=1, defaults={"version": time.time_ns() // 1000})
        self.source = create_source(slug=f"s-{uuid.uuid4().hex[:12]}", secret=SECRET)

    @property
    def path(self) -> str:
        return f"/webhooks/terra/{self.source.slug}"

    def post(
        self, body: bytes, headers: Mapping[str, str] | None = None, *, trace: str | None = "", **more: Any
    ) -> Answer:
        """Post a signed body; ``trace`` is its trace id (a new one where empty, none where None)."""
        sent = {"Content-Type": "application/json", "terra-signature": signature(body)}
        if trace is not None:
            sent["X-Terra-Trace-Id"] = trace or uuid.uuid4().hex
        return self.server.request("POST", self.path, body, sent | dict(headers or {}), **more)

    def webhook(self, url: str, name: str = "", config: Mapping[str, Any] | None = None, **more: Any) -> Destination:
        """Make a webhook destination for this test's source."""
        made = create_destination(
            type="webhook", name=name or f"webhook {uuid.uuid4().hex[:8]}", config={"url": url, **(config or {})},
            credentials=more.pop("credentials", {"signing_secret": SECRET}), sources=[self.source.slug], **more,
        )  # fmt: skip
        return made.destination

    def worker(self, **env: str) -> Process:
        """Start a worker process."""
        process = spawn(["manage.py", "worker"], self.folder / f"worker-{len(self.workers)}.log", **env)
        self.workers.append(process)
        return process

    def stop_workers(self) -> None:
        for process in self.workers:
            process.kill()
            process.popen.wait()


@contextmanager
def own_hub(folder: Path, processes: int = 1, **env: str) -> Iterator[Hub]:
    """Run a web server of the test's own, with settings of its own, on the test's database."""
    server = Server(folder, processes, **env).start()
    try:
        yield Hub(server, folder)
    finally:
        server.kill()


def on_postgres() -> bool:
    return "postgresql" in settings.DATABASES["default"]["ENGINE"]
