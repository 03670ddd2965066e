"""One command runs server and worker, and stops both."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hub import ROOT, environment, until
from tests.services import free_port

pytestmark = pytest.mark.databaseless


def local(folder: Path, port: int) -> "subprocess.Popen[bytes]":
    """Start ``make run``'s command in a group of its own, as a terminal would, on a database of its own."""
    env = environment(
        PORT=str(port), DATABASE_URL=f"sqlite:///{folder / 'hub.sqlite3'}", DEMO_SIGNING_SECRET="demo-secret-1"
    )
    env |= {"PUBLIC_URL": f"http://localhost:{port}", "PAYLOAD_DIR": str(folder / "payloads"), "DEMO_ECHO": "true"}
    with (folder / f"run-{port}.log").open("ab") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "terra_hub.local", "run"], cwd=ROOT, env=env, stdout=file, stderr=file,
            start_new_session=True,
        )  # fmt: skip


def listening(port: int) -> bool:
    """Tell whether anything listens on a port of this machine (in hexadecimal in /proc/net/tcp, state 0A)."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in lines)


def said(folder: Path, port: int) -> str:
    return (folder / f"run-{port}.log").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_stops_server_and_worker_and_leaves_nothing_behind(tmp_path: Path, number: int) -> None:
    port = free_port()
    hub = local(tmp_path, port)
    try:
        until(lambda: "The hub runs." in said(tmp_path, port), timeout=60)
        second = local(tmp_path, port)
        assert second.wait(60) != 0
        assert "Cannot listen" in said(tmp_path, port)

        if number == signal.SIGINT:
            os.killpg(hub.pid, number)  # as a terminal does: the whole group
        else:
            hub.send_signal(number)
        assert hub.wait(45) == 0
        until(lambda: not listening(port), what="nobody listens any more")
    finally:
        if hub.poll() is None:
            os.killpg(hub.pid, signal.SIGKILL)
