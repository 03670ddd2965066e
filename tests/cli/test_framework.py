"""What is true of every command: help, JSON, exit codes, and what is printed where."""

import io
import json
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import typer

from destinations.adapters.base import StepStatus
from destinations.models import Destination
from terra_hub.cli import main
from terra_hub.cli.base import begin
from terra_hub.cli.output import Column, say, show_rows
from tests.api_support import make_database, make_destination
from tests.cli.support import hub
from tests.cli.terminal import Terminal
from tests.hub import ROOT, environment

pytestmark = pytest.mark.databaseless


class Screen(io.StringIO):
    """An output that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if not getattr(command, "commands", None):
        yield path, command
        return
    for name, inner in command.commands.items():
        yield from commands(inner, (*path, name))


ALL = [(path, command) for path, command in commands(typer.main.get_command(main.app)) if path != ("replays",)]


def test_every_command_says_what_it_does_and_takes_the_common_options() -> None:
    assert len(ALL) > 20
    for path, command in ALL:
        if not hasattr(command, "callback") or command.callback is None:
            continue  # a group that has no command yet
        options = {option for parameter in command.params for option in parameter.opts}
        assert {"--json", "--verbose", "-v", "--debug"} <= options, path
        ran = hub(*path, "--help")
        assert ran.out.startswith(f"Usage: hub {' '.join(path)}"), path
        assert command.help, path


def test_every_command_that_changes_the_set_up_can_be_tried_out() -> None:
    looks = {"list", "show", "check", "setup", "types", "url"}
    for path, command in ALL:
        if path == ("import",) or (path[0] in ("destinations", "sources", "keys") and path[-1] not in looks):
            assert "--dry-run" in {option for parameter in command.params for option in parameter.opts}, path


# --- exit codes -------------------------------------------------------------------------------------
def test_used_wrongly_is_2_and_says_the_usage() -> None:
    assert "No such command 'destnations'. Did you mean 'destinations'?" in hub("destnations", code=2).err
    assert "No such option" in hub("destinations", "list", "--colour", code=2).err
    assert "Usage: hub destinations show" in hub("destinations", "show", code=2).err


@pytest.mark.django_db
def test_not_there_is_3_and_names_what_is() -> None:
    make_destination("orders")

    ran = hub("destinations", "show", "odrers", code=3)

    assert ran.out == ""
    assert ran.err == "Error: There is no destination 'odrers'.\nHint: There is: orders.\n"


@pytest.mark.django_db
def test_refused_is_1_with_field_and_hint_and_without_a_traceback() -> None:
    row = make_database("warehouse")

    ran = hub("destinations", "set", "warehouse", "--set", "host=127.0.0.2", code=1)

    assert "Error: credentials.password: Send this again: config.host changes" in ran.err
    assert "Hint: A stored secret is never sent to a new address." in ran.err
    assert "HUB_SECRET_PASSWORD" in ran.err
    assert "Traceback" not in ran.err
    assert "Traceback" in hub("destinations", "set", row.name, "--set", "host=127.0.0.2", "--debug", code=1).err


@pytest.mark.django_db
def test_with_json_an_error_is_one_line_of_json_on_standard_error() -> None:
    make_database("warehouse")

    ran = hub("destinations", "set", "warehouse", "--set", "host=127.0.0.2", "--json", code=1)

    assert ran.out == ""
    assert ran.problem["code"] == "credentials_needed"
    assert ran.problem["errors"][0]["field"] == "credentials.password"
    assert ran.problem["detail"]
    assert ran.problem["hint"]


@pytest.mark.django_db(transaction=True)
def test_a_check_that_fails_is_4_and_its_steps_are_the_apis() -> None:
    make_destination("orders", config={"url": "http://127.0.0.1:18999/hook"})

    ran = hub("destinations", "check", "orders", code=4)
    assert "✗ connect" in ran.out
    assert "Hint: " in ran.out
    assert "The check failed at “connect”" in ran.err
    found = hub("destinations", "check", "orders", "--json", code=4).json
    assert found["check_passed"] is False
    assert found["check_steps"][-1]["status"] == StepStatus.FAILED


@pytest.mark.databaseless
@pytest.mark.parametrize(
    ("url", "said"),
    [("sqlite:///:memory:", "manage.py migrate"), ("postgres://nobody:x@127.0.0.1:9/none", "DATABASE_URL")],
)
def test_without_the_database_it_is_5(url: str, said: str) -> None:
    ran = process("keys", "list", DATABASE_URL=url)
    assert (ran.returncode, ran.stdout) == (5, "")
    assert said in ran.stderr
    assert "Traceback" not in ran.stderr


def test_what_nobody_foresaw_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("terra_hub.cli.keys.ApiKey", None)
    with pytest.raises(AttributeError):
        hub("keys", "list")


# --- as a process -------------------------------------------------------------------------------------
def process(*arguments: str, program: tuple[str, ...] = ("manage.py", "hub"), **env: str) -> Any:
    return subprocess.run(
        [sys.executable, *program, *arguments], cwd=ROOT, env=environment(**env), capture_output=True, text=True,
        check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.databaseless
def test_a_reader_that_goes_away_is_no_failure_with_a_traceback() -> None:
    line = f"{sys.executable} manage.py hub destinations types --json | true; echo ${{PIPESTATUS[0]}}"
    ran = subprocess.run(
        ["bash", "-c", line], cwd=ROOT, env=environment(), capture_output=True, text=True, check=True
    )  # fmt: skip
    assert ran.stdout == "141\n"
    assert ran.stderr == ""


@pytest.mark.databaseless
def test_it_is_installed_by_a_link_and_runs_from_any_folder(tmp_path: Path) -> None:
    link = tmp_path / "terra-hub"
    link.symlink_to(ROOT / "bin" / "terra-hub")
    ran = process("--help", program=(str(link),))
    assert ran.stdout.startswith("Usage: terra-hub [OPTIONS] COMMAND")
    assert "--install-completion" in ran.stdout
    assert "ln -s /app/bin/terra-hub /usr/local/bin/" in (ROOT / "Dockerfile").read_text()
    assert os.access(ROOT / "bin" / "terra-hub", os.X_OK)


@pytest.mark.databaseless
def test_help_loads_no_driver_and_opens_no_database() -> None:
    script = (
        "import sys, django; django.setup()\n"
        "from django.db import connection\n"
        "from terra_hub.cli.main import run\n"
        "code = run(['--help'], 'hub')\n"
        "slow = ('pymysql', 'pydantic', 'destinations.adapters.s3', 'destinations.adapters.gcs')\n"
        "assert (code, connection.connection) == (0, None)\n"
        "assert [name for name in slow if name in sys.modules] == []"
    )
    ran = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr


# --- tables ---------------------------------------------------------------------------------------------
COLUMNS = [
    Column("Name", lambda row: row["name"]),
    Column("Text", lambda row: row["text"]),
    Column("Id", lambda row: row["id"], whole=True),
]
ID = "0198c3f2-aaaa-7bbb-8ccc-ddddeeeeffff"


def printed(rows: list[dict[str, str]], width: int = 0, monkeypatch: pytest.MonkeyPatch | None = None) -> str:
    begin()
    out = Screen() if width else io.StringIO()
    if monkeypatch:
        monkeypatch.setenv("COLUMNS", str(width))
    with redirect_stdout(out):
        show_rows(rows, COLUMNS, dict, "none")
    return out.getvalue()


def test_through_a_pipe_a_row_is_a_line_without_rules_and_colours() -> None:
    text = printed([{"name": "a", "text": "long " * 60, "id": ID}, {"name": "b\nc", "text": "", "id": ID}])
    lines = text.splitlines()
    assert len(lines) == 3
    assert lines[0].split() == ["NAME", "TEXT", "ID"]
    assert all(line.endswith(ID) for line in lines[1:])
    assert "\x1b" not in text
    assert "─" not in text


@pytest.mark.parametrize("width", [30, 60, 80, 100, 200])
def test_on_a_terminal_no_line_is_wider_and_no_value_is_cut(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    words = " ".join(f"word{number}" for number in range(40))
    text = printed([{"name": "archive", "text": words, "id": ID}], width, monkeypatch)
    plain = "".join(piece.partition("m")[2] if at else piece for at, piece in enumerate(text.split("\x1b[")))
    assert max(len(line) for line in plain.splitlines()) <= width
    assert "…" not in plain
    for word in words.split():
        assert word in plain
    if width >= len(ID) + 6:
        assert ID in plain


def test_what_a_stranger_wrote_moves_no_cursor_and_is_no_markup() -> None:
    text = printed([{"name": "[red]x[/red]", "text": "\x1b[2Jgone \u202etxt", "id": ID}])
    assert "[red]x[/red]" in text
    assert "\\u001b[2Jgone \\u202etxt" in text
    err = io.StringIO()
    with redirect_stderr(err):
        say("\x1b[2J")
    assert "\x1b" not in err.getvalue()


@pytest.mark.django_db
def test_json_is_a_list_for_lists_and_an_object_for_one_thing() -> None:
    assert hub("destinations", "list", "--json").json == []
    row = make_destination("ørders")
    [one] = hub("destinations", "list", "--json").json
    assert one["name"] == "ørders"
    assert hub("destinations", "show", str(row.pk)[:30], "--json").json == one
    assert hub("destinations", "list").out.count("\n") == 2


@pytest.mark.django_db(transaction=True)  # what is logged on commit is logged
def test_log_lines_come_with_v_only() -> None:
    assert "api_key_made" not in logged("keys", "add", "one", "--scopes", "events:read")
    assert "api_key_made" in logged("keys", "add", "two", "--scopes", "events:read", "-v")


def logged(*arguments: str) -> str:
    """Return what the log's handler is given while a command runs in this process."""
    lines: list[str] = []

    class Lines(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(str(record.msg))

    handler = Lines()
    logging.getLogger().addHandler(handler)
    try:
        hub(*arguments)
    finally:
        logging.getLogger().removeHandler(handler)
    return json.dumps(lines)


# --- questions --------------------------------------------------------------------------------------------
@pytest.mark.django_db
def test_without_a_terminal_nothing_is_deleted_unless_yes_is_said() -> None:
    make_destination("orders")
    assert "Add --yes" in hub("destinations", "remove", "orders", code=1, input="y\n").err
    assert Destination.objects.present().count() == 1
    hub("destinations", "remove", "orders", "--yes")
    assert Destination.objects.present().count() == 0


def test_at_a_terminal_no_and_ctrl_c_do_nothing(terminal: Terminal) -> None:
    make_destination("orders")
    assert terminal.run("terra-hub destinations remove orders", ["n"]).endswith("Error: Nothing was done.")
    assert terminal.run("terra-hub destinations remove orders", ["\x03"]).endswith("Interrupted.")
    assert terminal.run("echo $?") == "130"
    assert Destination.objects.present().count() == 1
