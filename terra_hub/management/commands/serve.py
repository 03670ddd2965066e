"""``manage.py serve``: the web server and a worker under one command."""

import os
import signal
import socket
import subprocess
import sys
import time
from argparse import ArgumentParser
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import structlog
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import connection

from terra_hub.checks import secret_key_is_long, static_files_are_collected
from webhooks.durability import explain, unsafe_settings

# Connections that one web process serves at once. A request that waits for its commit costs little.
CONNECTIONS = 1024
POLL_SECONDS = 0.2
STOP_SECONDS = 5  # beyond SHUTDOWN_GRACE_SECONDS, for a process to end once its work is done
log = structlog.get_logger(__name__)


def server_command(host: str, port: int, processes: int) -> list[str]:
    """Return the command line that serves HTTP: granian, speaking ASGI."""
    return [
        sys.executable, "-m", "granian", "--interface", "asginl", "--host", host, "--port", str(port),
        "--workers", str(processes), "--backpressure", str(CONNECTIONS), "--backlog", str(CONNECTIONS),
        "--http", "1", "--no-ws", "--no-access-log", "--log-level", "error",
        "--respawn-failed-workers", "terra_hub.asgi:application",
    ]  # fmt: skip


def refuse_taken_port(host: str, port: int) -> None:
    """Raise ``CommandError`` where another process listens there.

    The web server shares ports (SO_REUSEPORT), so two hubs would take turns without a word.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CommandError(
                f"Cannot listen on {host}:{port}: {error.strerror}. Stop what listens there, or choose another "
                "port (--port; for make run: PORT=8001 make run)."
            ) from error


class Command(BaseCommand):
    """Run server and worker until either ends or a signal comes."""

    help = "Serve HTTP and deliver, under one command; Ctrl-C or SIGTERM stops both."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take where to listen and how many processes to run."""
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--processes", type=int, default=1, help="web processes; SQLite works with one")
        parser.add_argument("--workers", type=int, default=1, help="worker processes")

    def handle(self, *args: Any, **options: Any) -> None:
        """Start the processes and wait."""
        refuse_taken_port(options["host"], options["port"])
        self._refuse_unsafe(options["processes"])
        self._warn()
        Path(settings.STATIC_ROOT).mkdir(exist_ok=True)  # whitenoise warns where it is missing
        commands = [server_command(options["host"], options["port"], options["processes"])]
        commands += [[sys.executable, sys.argv[0], "worker"]] * options["workers"]
        # In sessions of their own: a terminal's Ctrl-C reaches this process alone, which then stops them in order.
        children = [subprocess.Popen(command, start_new_session=True) for command in commands]  # noqa: S603
        code = _wait(children)
        if code:
            raise CommandError(f"A process of the hub ended by itself with code {code}; the others were stopped.")

    def _warn(self) -> None:
        for message in secret_key_is_long():
            log.warning("secret_key_short", problem=message.msg, hint=message.hint)
        for message in static_files_are_collected():
            log.warning("static_files_not_collected", problem=message.msg, hint=message.hint)

    def _refuse_unsafe(self, processes: int) -> None:
        problems = unsafe_settings()
        if problems:
            raise CommandError(explain(problems))
        if connection.vendor == "sqlite" and processes > 1:
            raise CommandError(f"{processes} web processes need PostgreSQL; SQLite works with one.")
        connection.close()


class Stop(Exception):
    """A signal asked for the end."""


def _wait(children: list["subprocess.Popen[bytes]"]) -> int:
    """Wait until a child ends by itself (return its code) or a signal comes (return 0); stop the rest."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise Stop

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    try:
        while all(child.poll() is None for child in children):
            time.sleep(POLL_SECONDS)
        return next(child.returncode for child in children if child.poll() is not None) or 1
    except Stop:
        return 0
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _stop(children)


def _stop(children: list["subprocess.Popen[bytes]"]) -> None:
    """Ask every child to end, and end those that take longer than the grace time."""
    deadline = time.monotonic() + settings.SHUTDOWN_GRACE_SECONDS + STOP_SECONDS
    for child in children:
        if child.poll() is None:
            child.terminate()
    for child in children:
        with suppress(subprocess.TimeoutExpired):
            child.wait(max(0.1, deadline - time.monotonic()))
        with suppress(ProcessLookupError):  # whatever the child has left behind
            os.killpg(child.pid, signal.SIGKILL)
