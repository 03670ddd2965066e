"""One command runs server and worker, and stops both."""

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from urllib.request import Request, urlopen

import pytest

from terra_hub.demo import SLUG
from tests.admin_support import Person
from tests.hub import ROOT, SECRET, Hub, environment, spawn, until
from tests.services import free_port
from webhooks.models import Event
from webhooks.receiving.sources import create_source


def local(folder: Path, port: int, **more: str) -> "subprocess.Popen[bytes]":
    """Start ``make run``'s command in a group of its own, as a terminal would, on a database of its own."""
    env = environment(
        PORT=str(port), DATABASE_URL=f"sqlite:///{folder / 'hub.sqlite3'}", DEMO_SIGNING_SECRET="demo-secret-1", **more
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


@pytest.mark.databaseless
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


@pytest.mark.databaseless
def test_without_the_demo_the_hub_is_empty_but_for_its_admin_user(tmp_path: Path) -> None:
    port = free_port()
    hub = local(tmp_path, port, DEMO="0")
    try:
        until(lambda: "It is empty" in said(tmp_path, port), timeout=60)
        with closing(sqlite3.connect(tmp_path / "hub.sqlite3")) as database:
            tables = ("auth_user", "webhooks_source", "destinations_destination", "webhooks_event")
            counts = [database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0] for table in tables]
        assert counts == [1, 0, 0, 0]
        assert "user admin, password" in said(tmp_path, port)
        assert "static_files_not_collected" not in said(tmp_path, port)
        style = f"http://localhost:{port}/static/unfold/css/styles.css"
        asked = Request(style, headers={"Accept-Encoding": "gzip"})
        with urlopen(asked) as answer:
            assert answer.headers["Content-Encoding"] == "gzip"
        hub.terminate()
        assert hub.wait(45) == 0
    finally:
        if hub.poll() is None:
            os.killpg(hub.pid, signal.SIGKILL)


@pytest.mark.databaseless
def test_serve_says_that_static_files_are_not_collected(tmp_path: Path) -> None:
    port = free_port()
    arguments = ["manage.py", "serve", "--port", str(port), "--workers", "0"]
    hub = spawn(arguments, tmp_path / "serve.log", STATIC_ROOT=str(tmp_path / "static"))
    try:
        until(lambda: listening(port), timeout=60, what="it listens")
        assert hub.output().count("static_files_not_collected") == 1
        assert "python manage.py collectstatic --noinput" in hub.output()
    finally:
        hub.stop()


@pytest.mark.databaseless
def test_serve_logs_once_that_the_secret_key_is_short(tmp_path: Path) -> None:
    port = free_port()
    hub = spawn(["manage.py", "serve", "--port", str(port)], tmp_path / "serve.log", SECRET_KEY="too-short-canary")
    try:
        until(lambda: listening(port), timeout=60, what="it listens")
        assert hub.output().count('"secret_key_short"') == 1
        assert "canary" not in hub.output()
    finally:
        hub.stop()


def test_a_demo_event_leads_to_its_own_page(hub: Hub) -> None:
    create_source(slug=SLUG, secret=SECRET)
    env = environment(PORT=str(hub.server.port), DEMO_SIGNING_SECRET=SECRET, PUBLIC_URL="https://hub.example.com")

    done = subprocess.run(
        [sys.executable, "-m", "terra_hub.local", "demo-event"], cwd=ROOT, env=env, capture_output=True, text=True,
        timeout=60, check=True,
    )  # fmt: skip

    event = Event.objects.get()
    address = done.stdout.split()[-1]
    assert address.startswith("https://hub.example.com/admin/")
    page = Person().get(address.removeprefix("https://hub.example.com"))
    assert str(event.pk) in page.text
    assert event.type in page.text
