"""The command line beside ``make run``: it works as the pages write it, with nothing set in the shell."""

import json
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from terra_hub import entry, local
from tests.hub import ROOT, until
from tests.services import free_port

pytestmark = pytest.mark.databaseless
SOURCES = ("terra_hub", "destinations", "webhooks", "templates", "bin")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the hub's sources, in which nothing was set up or run."""
    copy = tmp_path_factory.mktemp("copy")
    for name in SOURCES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("manage.py", "requirements.txt"):
        shutil.copy(ROOT / name, copy)
    return copy


def shell(**more: str) -> dict[str, str]:
    """Return the environment of a shell in which nothing of a hub is set."""
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **more}


def typed(folder: Path, *words: str, **env: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, *words]
    return subprocess.run(command, cwd=folder, env=shell(**env), capture_output=True, text=True, timeout=60)


@pytest.fixture
def running(folder: Path, tmp_path: Path) -> Iterator[int]:
    """An empty hub of ``make run``'s; yields its port."""
    with make_run(folder, tmp_path, DEMO="0") as port:
        yield port


@contextmanager
def make_run(folder: Path, tmp_path: Path, **env: str) -> Iterator[int]:
    """Run what ``make run`` runs, in that folder; yields its port."""
    port, log = free_port(), tmp_path / "run.log"
    with log.open("wb") as file:
        hub = subprocess.Popen(
            [sys.executable, "-m", "terra_hub.local", "run"], cwd=folder, env=shell(PORT=str(port), **env),
            stdout=file, stderr=file, start_new_session=True,
        )  # fmt: skip
    try:
        until(lambda: "The hub runs." in log.read_text(), timeout=60)
        yield port
        hub.terminate()
        assert hub.wait(45) == 0
    finally:
        if hub.poll() is None:
            os.killpg(hub.pid, signal.SIGKILL)


ENTRIES = (("manage.py", "hub"), ("bin/terra-hub",))


@pytest.mark.parametrize("words", ENTRIES)
def test_without_settings_one_line_says_what_to_set(folder: Path, words: tuple[str, ...]) -> None:
    told = typed(folder, *words, "keys", "list")
    as_json = typed(folder, *words, "keys", "list", "--json")

    assert (told.returncode, told.stdout, as_json.returncode, as_json.stdout) == (5, "", 5, "")
    assert told.stderr.startswith("Error: SECRET_KEY is not set.")
    assert "DATABASE_URL" in told.stderr
    assert told.stderr.count("\n") == as_json.stderr.count("\n") == 1
    assert json.loads(as_json.stderr)["code"] == "not_configured"


def test_a_settings_file_that_is_not_there_is_told_in_one_line(folder: Path) -> None:
    told = typed(folder, "manage.py", "hub", "keys", "list", SECRET_KEY_FILE="/nowhere/key")

    assert told.returncode == 5
    assert "/nowhere/key" in told.stderr
    assert told.stderr.count("\n") == 1


def test_the_doctor_finds_nothing_to_fail_in_a_fresh_demonstration(folder: Path, tmp_path: Path) -> None:
    with make_run(folder, tmp_path, DEMO="1"):
        told = typed(folder, "manage.py", "hub", "doctor", "--json")
        checks = {one["check"]: one for one in json.loads(told.stdout)["checks"]}
        assert [one for one in checks.values() if one["level"] == "failed"] == []
        assert told.returncode == 0
        assert "DEMO_ECHO is on" in checks["settings"]["cause"]


def test_beside_make_run_the_command_line_works_on_its_hub(folder: Path, running: int) -> None:
    file = folder / ".run" / "environment"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600

    for words in ENTRIES:
        made = typed(folder, *words, "keys", "add", f"first {words[0]}", "--scopes", "events:read")
        assert made.stdout.startswith("hub_live_"), made.stderr
        assert str(file) not in made.stderr
    added = typed(folder, "manage.py", "hub", "sources", "add", "terra", "-v", HUB_SECRET_SECRET="a secret of Terras")
    assert added.returncode == 0, added.stderr
    assert f"http://localhost:{running}/webhooks/terra/terra" in added.stdout
    assert f"The environment is that of make run: {file}.\n" in added.stderr
    assert typed(folder, "manage.py", "hub", "keys", "list", SECRET_KEY="another", DATABASE_URL="sqlite://:memory:"
                 ).returncode == 5  # fmt: skip  # what is set in the shell wins


def test_nothing_that_somebody_brought_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "environment"
    monkeypatch.setattr(local, "ENVIRONMENT_FILE", file)
    own = {"SECRET_KEY": "made here", "DATABASE_URL": "sqlite:///here"}

    local.write_environment(own)
    assert file.read_text() == "SECRET_KEY=made here\nDATABASE_URL=sqlite:///here\n"
    local.write_environment({"DATABASE_URL": "sqlite:///elsewhere"})  # keys of their own: another hub's run
    assert "sqlite:///here" in file.read_text()
    local.write_environment({"SECRET_KEY": "made here"})  # a database of their own
    assert not file.exists()


@pytest.mark.parametrize("words", ENTRIES)
def test_ctrl_c_while_it_is_still_importing_is_silent(folder: Path, words: tuple[str, ...]) -> None:
    command = [sys.executable, *words, "keys", "list"]
    env = shell(SECRET_KEY="x", PYTHONVERBOSE="1")  # says on standard error what it imports
    ran = subprocess.Popen(command, cwd=folder, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert ran.stderr
    said = []
    for line in ran.stderr:
        said.append(line)
        if line.startswith("import 'django.conf'"):
            ran.send_signal(signal.SIGINT)
            break
    rest = ran.stderr.read()
    assert ran.wait(30) == entry._INTERRUPTED
    assert "KeyboardInterrupt" not in rest
    ran.communicate()
