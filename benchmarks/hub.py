"""A hub of its own for each run: a fresh database, the web server, a worker, a sink.

Whatever is started here is ended here, by its process id, however the run ends.
"""

import json
import os
import secrets
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.cpu import cpu_seconds, family_cpu_seconds
from terra_hub.management.commands.serve import server_command
from tests.services import free_port, mariadb
from tests.services.mariadb import MariadbServer
from tests.services.postgres import PostgresServer, start
from tests.sink import Sink

ROOT = Path(__file__).resolve().parent.parent
SECRET = secrets.token_hex(16)
SLUG = "bench"
POSTGRES, SQLITE = "postgres", "sqlite"
START_SECONDS = 30.0
STOP_SECONDS = 20.0
POLL_SECONDS = 0.05


class BenchmarkFailed(Exception):
    """The work was not done, or not in time: the figures would mean nothing."""


@dataclass
class Database:
    """The hub's own database, and a way to look into it from outside."""

    kind: str
    folder: Path
    server: PostgresServer | None = None
    name: str = ""

    @property
    def url(self) -> str:
        """Return the setting DATABASE_URL."""
        return self.server.url(self.name) if self.server else f"sqlite:///{self._path}"

    @property
    def _path(self) -> Path:
        return self.folder / "hub.sqlite3"

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return what a query of either database gives."""
        if self.server:
            with self.server.connect(self.name) as connection:
                return connection.execute(sql).fetchall()
        with closing(sqlite3.connect(self._path)) as connection:
            return connection.execute(sql).fetchall()

    def value(self, sql: str) -> Any:
        """Return the first column of the first row."""
        return self.rows(sql)[0][0]

    def settle_down(self) -> None:
        """Do now what a database would otherwise do in the background after a large fill."""
        if self.server:
            with self.server.connect(self.name) as connection:
                connection.execute("VACUUM ANALYZE")
                connection.execute("CHECKPOINT")


@dataclass
class Hub:
    """A hub that is being measured."""

    database: Database
    folder: Path
    stack: ExitStack
    port: int
    env: dict[str, str]
    sink: Sink | None
    processes: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Return where Terra would post."""
        return f"http://127.0.0.1:{self.port}/webhooks/terra/{SLUG}"

    def run_django(self, module: str, plan: Mapping[str, Any], *, quiet: bool = True) -> Any:
        """Run a module of the benchmarks in the hub's environment; give it ``plan``, return its answer."""
        return json.loads(self._run([sys.executable, "-m", module], json.dumps(plan), quiet).splitlines()[-1])

    def manage(self, *command: str) -> None:
        """Run a command of ``manage.py`` in the hub's environment."""
        self._run([sys.executable, "manage.py", *command], "", quiet=True)

    def _run(self, command: Sequence[str], given: str, quiet: bool) -> str:
        """Run a command to its end and return what it printed; unless ``quiet``, its standard error is shown."""
        errors = subprocess.PIPE if quiet else None
        done = subprocess.run(
            command, cwd=ROOT, env=self.env, input=given, stdout=subprocess.PIPE, stderr=errors, text=True
        )
        if done.returncode:
            raise BenchmarkFailed(f"{' '.join(command[1:])} failed:\n{(done.stderr or '')[-3000:]}")
        return done.stdout

    def serve(self, processes: int = 1) -> None:
        """Start the web server as ``manage.py serve`` does, and wait until it answers."""
        self._start("web", server_command("127.0.0.1", self.port, processes))
        wait_until(self._answers, START_SECONDS, "the web server answers")

    def work(self) -> "subprocess.Popen[bytes]":
        """Start a worker."""
        return self._start("worker", [sys.executable, "manage.py", "worker"])

    def cpu(self) -> dict[str, float]:
        """Return the seconds of CPU that each part has used so far."""
        groups = {name: process.pid for name, process in self.processes.items()}
        used = {name: cpu_seconds(session=pid) for name, pid in groups.items()}
        if self.database.server and self.database.server.process:
            used["database"] = family_cpu_seconds(self.database.server.process.pid)
        return used | {"sink": cpu_seconds(pid=self.sink.pid), "benchmark": cpu_seconds(pid=os.getpid())}

    def check_alive(self) -> None:
        """Raise ``BenchmarkFailed`` where a process of the hub has ended by itself."""
        for name, process in self.processes.items():
            if process.poll() is not None:
                raise BenchmarkFailed(f"The {name} ended with code {process.returncode}:\n{self._log(name)}")

    def _start(self, name: str, command: Sequence[str]) -> "subprocess.Popen[bytes]":
        with (self.folder / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                command, cwd=ROOT, env=self.env, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                start_new_session=True,
            )  # fmt: skip
        self.processes[name] = process
        self.stack.callback(end, process)
        return process

    def _answers(self) -> bool:
        self.check_alive()
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def _log(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_text(errors="replace")[-2000:]


def end(process: "subprocess.Popen[bytes]") -> None:
    """End a process that was started here, and its children: asked first, then by force."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
    try:
        os.killpg(process.pid, signal.SIGKILL)  # it leads a group of its own
    except ProcessLookupError:
        return
    finally:
        process.wait()


def wait_until(done: Callable[[], Any], timeout_s: float, what: str) -> None:
    """Wait until ``done`` gives something true; raise ``BenchmarkFailed``."""
    ends = time.monotonic() + timeout_s
    while not done():
        if time.monotonic() > ends:
            raise BenchmarkFailed(f"Not within {timeout_s:.0f} s: {what}.")
        time.sleep(POLL_SECONDS)


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Start a PostgreSQL whose commits are on disk, with Debian's settings otherwise."""
    server = start(fsync=True)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def mariadb_server() -> Iterator[MariadbServer]:
    """Start a MariaDB whose commits are on disk, with its own settings otherwise."""
    server = mariadb.start(fsync=True, settings={"innodb-buffer-pool-size": "128M"})
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def fresh_hub(kind: str, **env: str) -> Iterator[Hub]:
    """Give a hub on an empty database of ``kind``: nothing of it runs yet but its database and a sink."""
    with tempfile.TemporaryDirectory(prefix="hub-benchmark-") as made, ExitStack() as stack:
        folder = Path(made)
        database = Database(kind, folder)
        if kind == POSTGRES:
            database.server = stack.enter_context(postgres_server())
            database.name = database.server.create_database()
        # A ledger on disk would measure the disk: requests are counted, not kept.
        sink = stack.enter_context(Sink(directory=made, keeps=False))
        port = free_port()
        yield Hub(database, folder, stack, port, environment(database, port) | env, sink)


def environment(database: Database, port: int) -> dict[str, str]:
    """Return the environment of the hub's processes: nothing of this shell's settings reaches them."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "VIRTUAL_ENV") if name in os.environ}
    return kept | {
        "DJANGO_SETTINGS_MODULE": "terra_hub.settings",
        "SECRET_KEY": secrets.token_urlsafe(50),
        "CREDENTIAL_KEYS": f"bench:{b64encode(secrets.token_bytes(32)).decode()}",
        "DATABASE_URL": database.url,
        "PAYLOAD_DIR": str(database.folder / "payloads"),
        "PUBLIC_URL": f"http://127.0.0.1:{port}",
        "EGRESS_ALLOW": "127.0.0.0/8",
        "LOG_LEVEL": "WARNING",
    }
