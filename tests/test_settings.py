"""What is said of a setting that cannot be used: its name, what is wrong, an example, and never a secret."""

import os
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from django.core.checks import run_checks

from destinations.reserved import HUB
from terra_hub.environment import BadSetting, Environment
from terra_hub.management.commands.serve import server_command
from tests.hub import spawn, until
from tests.services import free_port

pytestmark = pytest.mark.databaseless

ROOT = Path(__file__).resolve().parent.parent
BASE = {"SECRET_KEY": "s" * 60, "CREDENTIAL_KEYS": "k:" + "bGxs" * 10 + "bGw=", "DATABASE_URL": "sqlite:///:memory:"}
NUMBERS = (
    "API_RATE_PER_MINUTE", "API_WRONG_KEYS_PER_MINUTE", "BODY_TIMEOUT_SECONDS", "CLAIM_LEASE_SECONDS",
    "COMMIT_TIMEOUT_SECONDS", "DATABASE_POOL_SIZE", "ERASE_AFTER_DEAUTH_HOURS", "GROUP_COMMIT_MAX", "HELD_BODY_BYTES",
    "INLINE_BODY_BYTES", "MAX_BODY_BYTES", "QUARANTINE_BODY_BYTES", "QUARANTINE_ROWS_PER_SOURCE", "RETRY_TIME_SCALE",
    "RETENTION_ATTEMPT_DAYS", "RETENTION_EVENT_DAYS", "RETENTION_PAYLOAD_DAYS", "RETENTION_QUARANTINE_DAYS",
    "RETENTION_SNAPSHOT_DAYS", "SECURE_HSTS_SECONDS", "SHUTDOWN_GRACE_SECONDS", "TRUSTED_PROXY_COUNT", "WORKER_LANES",
)  # fmt: skip
SWITCHES = ("API_BASIC_AUTH", "DEBUG", "DEMO_ECHO", "PAYLOAD_REDIRECT", "SECURE_SSL_REDIRECT")
CHOICES = ("LOG_LEVEL", "PAYLOAD_STORE", "RETENTION_SWEEP")
URLS = (
    "GCS_ENDPOINT", "GCS_TOKEN_ENDPOINT", "HUB_AWS_STS_ENDPOINT", "PAYLOAD_GCS_ENDPOINT", "PAYLOAD_S3_ENDPOINT",
    "PUBLIC_URL",
)  # fmt: skip
BAD_URLS = (
    "hub.example.com",
    "ftp://a.example",
    "https://u:canary@a.example",
    "https://a.example/?k=canary",
    "https://[a",
)
# What the system checks say of these, tests of their own show; the last two are any text, and only "1" allows anything.
CHECKED = {
    "CREDENTIAL_KEYS", "CSRF_TRUSTED_ORIGINS", "EGRESS_ALLOW", "EMAIL_URL", "HUB_AWS_ACCESS_KEY_ID", "HUB_AWS_AMBIENT",
    "HUB_AWS_ARN", "HUB_AWS_SECRET_ACCESS_KEY", "NOTIFY_EMAIL_FROM", "NOTIFY_EMAIL_TO", "NOTIFY_WEBHOOK_URL",
    "PAYLOAD_GCS_BUCKET", "PAYLOAD_GCS_KEY", "PAYLOAD_S3_ACCESS_KEY_ID", "PAYLOAD_S3_BUCKET", "PAYLOAD_S3_REGION",
    "PAYLOAD_S3_SECRET_ACCESS_KEY", "SECRET_KEY",
}  # fmt: skip
ANY_TEXT = {"PAYLOAD_DIR", "PAYLOAD_GCS_PREFIX", "PAYLOAD_S3_PREFIX", "STATIC_ROOT", "ALLOW_UNSAFE_DB"}


def settings_of(**variables: str) -> dict[str, Any]:
    """Return the settings that an environment gives."""
    with mock.patch.dict(os.environ, {**BASE, **variables}, clear=True):
        return runpy.run_path(str(ROOT / "terra_hub" / "settings.py"))


def said_of(name: str, value: str) -> str:
    """Return what is said of a value that cannot be used."""
    with pytest.raises(BadSetting) as caught:
        settings_of(**{name: value})
    text = str(caught.value)
    assert text.startswith(f"{name} ")
    assert "\n" not in text
    assert "canary" not in text
    assert caught.value.__cause__ is None
    return text


def test_every_setting_of_the_table_is_judged() -> None:
    judged = {*NUMBERS, *SWITCHES, *CHOICES, *URLS, "DATABASE_URL", "ALLOWED_HOSTS"}
    assert judged | CHECKED | ANY_TEXT == HUB


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_is_none_is_refused_with_its_name_and_an_example(name: str) -> None:
    for value in ("many", "-1", "nan", "inf", "1_0x"):
        said = said_of(name, value)
        assert f"is '{value}', which is no " in said
        assert f"Example: {name}=" in said


@pytest.mark.parametrize("name", ["DATABASE_POOL_SIZE", "GROUP_COMMIT_MAX", "MAX_BODY_BYTES", "WORKER_LANES"])
def test_nothing_where_something_is_needed_is_refused(name: str) -> None:
    assert "of 1 or more" in said_of(name, "0")


@pytest.mark.parametrize("name", [*SWITCHES, *CHOICES])
def test_a_word_that_means_nothing_is_refused(name: str) -> None:
    assert f"{name} is 'ture', which is n" in said_of(name, "ture")


@pytest.mark.parametrize("name", URLS)
def test_a_web_address_that_is_none_is_refused_without_showing_it(name: str) -> None:
    for value in BAD_URLS:
        assert f"Example: {name}=https://" in said_of(name, value)


@pytest.mark.parametrize(("url", "why"), [
    ("", "does not begin with"), ("hub:canary@host/hub", "does not begin with"),
    ("postgres//u:canary@h/d", "does not begin"),
    ("oracle://u:canary@h/d", "does not begin with"), ("mysql://u:canary@h/d", "does not begin with"),
    ("postgres://u:canary@h:54x2/d", "malformed host or port"), ("postgres://u:can/ary@h/d", "malformed host or port"),
    ("postgres://u:canary@[h/d", "malformed host or port"),
    ("postgres://u:12/canary@h/d", "has an @ after the host"), ("postgres://u:canary#x@h/d", "such as %23 for #"),
    ("postgres://u:1234#canary@h/d", "has a #"),
    ("postgres://u:canary@h", "names no database"), ("postgres://u:canary@h/", "names no database"),
    ("sqlite://", "names no file"), ("sqlite:///", "names no file"), ("sqlite://hub.sqlite3", "names no file"),
])  # fmt: skip
def test_a_database_url_that_is_none_is_refused_without_its_password(url: str, why: str) -> None:
    said = said_of("DATABASE_URL", url)
    assert why in said
    assert said.endswith("Example: DATABASE_URL=postgres://hub:password@db.example.com:5432/hub")


@pytest.mark.parametrize(
    "url", ["postgres://u:p%23w@h:5432/d", "postgresql://h/d?sslmode=require", "sqlite:////a/b.sqlite3"]
)
def test_a_database_url_that_is_one_is_taken(url: str) -> None:
    database = settings_of(DATABASE_URL=url)["DATABASES"]["default"]
    assert database["NAME"] in ("d", "/a/b.sqlite3")
    assert database.get("PASSWORD") in ("p#w", "", None)


@pytest.mark.parametrize("value", ["https://hub.example.com", "hub.example.com:8000", "a/b"])
def test_a_host_that_is_more_than_one_is_refused(value: str) -> None:
    assert "more than a host name" in said_of("ALLOWED_HOSTS", value)
    assert settings_of(ALLOWED_HOSTS="a.example, .b.example,[::1],*")["ALLOWED_HOSTS"] == [
        "a.example", ".b.example", "[::1]", "*",
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "value", "code"), [
    ("EGRESS_ALLOW", ["10.0.0.0/33"], "hub.E012"), ("EGRESS_ALLOW", ["foo"], "hub.E012"),
    ("HUB_AWS_ARN", "me", "hub.E006"),
    ("CSRF_TRUSTED_ORIGINS", ["hub.example.com"], "4_0.E001"), ("CREDENTIAL_KEYS", ["k:canary"], "hub.E001"),
])  # fmt: skip
def test_the_checks_name_what_no_process_may_start_with(settings: Any, name: str, value: Any, code: str) -> None:
    setattr(settings, name, value)
    found = [one for one in run_checks() if one.id == code]
    assert found
    assert "canary" not in str(found)


def test_what_is_empty_is_as_good_as_unset_and_spaces_do_no_harm() -> None:
    empty = settings_of(**dict.fromkeys([*NUMBERS, *SWITCHES, *CHOICES, "PUBLIC_URL"], ""))
    plain = settings_of()
    names = [name for name in (*NUMBERS, *SWITCHES, *CHOICES, "PUBLIC_URL") if name in plain]
    assert {name: empty[name] for name in names} == {name: plain[name] for name in names}
    assert settings_of(WORKER_LANES=" 7 ", DEBUG="Yes", LOG_LEVEL="debug")["WORKER_LANES"] == 7


def test_a_value_may_come_from_a_file_and_what_looks_like_a_variable_is_none(tmp_path: Path) -> None:
    file = tmp_path / "value"
    file.write_text("from-the-file\n")
    env = Environment({"A_FILE": str(file), "A": "plain", "B": "$A", "C_FILE": "/none/c", "D_FILE": "canary"})
    assert (env.text("A"), env.text("B"), env.text("E", "default")) == ("from-the-file", "$A", "default")
    with pytest.raises(BadSetting, match="C_FILE names a file that cannot be read: /none/c: No such file or directory"):
        env.text("C")
    with pytest.raises(BadSetting, match="D_FILE names a file that cannot be read: No such file or directory"):
        env.text("D")


def test_make_run_ends_with_one_line_too() -> None:
    for variables, said in (
        ({"PORT": "many"}, "PORT is 'many'"),
        ({"DATABASE_URL": "x"}, "DATABASE_URL does not begin"),
    ):
        env = {**BASE, "PATH": os.environ["PATH"], **variables}
        ran = subprocess.run(
            [sys.executable, "-m", "terra_hub.local", "demo-event"], cwd=ROOT, env=env, capture_output=True, text=True
        )
        assert (ran.returncode, ran.stderr.startswith(said), ran.stderr.count("\n")) == (1, True, 1), ran.stderr


@pytest.mark.parametrize(("command", "code"), [(["check"], 1), (["worker"], 1), (["hub", "sources", "list"], 5)])
def test_a_command_ends_with_one_line_and_no_traceback(command: list[str], code: int) -> None:
    env = {**BASE, "PATH": os.environ["PATH"], "DATABASE_URL": "postgres//hub:canary@db/hub"}
    ran = subprocess.run([sys.executable, "manage.py", *command], cwd=ROOT, env=env, capture_output=True, text=True)
    assert ran.returncode == code
    assert ran.stdout == ""
    assert ran.stderr.startswith("Error: DATABASE_URL does not begin with postgres:// or sqlite:///")
    assert len(ran.stderr.splitlines()) == 1
    assert "canary" not in ran.stderr


def begun(command: list[str], without: str = "", **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run a process of the hub that is to end by itself, without a setting or with others."""
    env = {**BASE, "PATH": os.environ["PATH"], **variables}
    env.pop(without, None)
    return subprocess.run([sys.executable, *command], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("name", ["serve", "worker", "migrate", "check"])
@pytest.mark.parametrize("variables", [{}, {"SECRET_KEY": " "}, {"SECRET_KEY_FILE": "/dev/null"}])
def test_nothing_begins_without_a_secret_key(name: str, variables: dict[str, str]) -> None:
    ran = begun(["manage.py", name], without="" if "SECRET_KEY" in variables else "SECRET_KEY", **variables)
    assert (ran.returncode, ran.stdout, len(ran.stderr.splitlines())) == (1, "", 1)
    assert ran.stderr.startswith("Error: SECRET_KEY is not set")
    assert "secrets.token_urlsafe(50)" in ran.stderr


def test_the_web_server_alone_does_not_begin_without_a_secret_key() -> None:
    alone = server_command("127.0.0.1", free_port(), 1)[1:-2]  # nothing starts it anew
    ran = begun([*alone, "terra_hub.asgi:application"], without="SECRET_KEY")
    assert ran.returncode != 0
    assert "Error: SECRET_KEY is not set" in ran.stderr
    assert "Traceback" not in ran.stderr


@pytest.mark.parametrize("arguments", [["generate_key"], ["serve", "--help"], ["--help"], ["help", "worker"]])
def test_help_and_new_keys_need_no_secret_key(arguments: list[str]) -> None:
    assert begun(["manage.py", *arguments], "SECRET_KEY").returncode == 0


@pytest.mark.parametrize(("command", "code"), [
    (["migrate"], 1), (["serve"], 1), (["createsuperuser", "--noinput"], 1), (["rotate_keys"], 1),
    (["hub", "sources", "list"], 5),
])  # fmt: skip
@pytest.mark.parametrize(("url", "place", "reason"), [
    ("postgres://hub:canary@127.0.0.1:1/hub", "127.0.0.1:1", "Connection refused"),
    ("sqlite:////nonexistent/dir/x", "/nonexistent/dir/x", "there is no folder /nonexistent/dir"),
])  # fmt: skip
def test_a_database_that_cannot_be_reached_is_named(
    command: list[str], code: int, url: str, place: str, reason: str
) -> None:
    ran = begun(["manage.py", *command], DATABASE_URL=url)
    error, *hint = ran.stderr.splitlines()
    assert (ran.returncode, ran.stdout) == (code, "")
    assert error.startswith("Error: ")
    assert all(part in error for part in ("DATABASE_URL", place, reason))
    assert all(line.startswith("Hint: ") for line in hint)
    assert "canary" not in ran.stderr


def test_a_worker_does_not_wait_for_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database" * 100)
    for path, reason in (("/nonexistent/dir/x", "there is no folder"), (str(tmp_path / "text"), "not a database")):
        ran = begun(["manage.py", "worker"], DATABASE_URL=f"sqlite:///{path}")
        assert (ran.returncode, len(ran.stderr.splitlines())) == (1, 1)
        assert f"DATABASE_URL: {path} cannot be opened" in ran.stderr
        assert reason in ran.stderr


def test_a_worker_waits_for_a_server_that_is_away(tmp_path: Path) -> None:
    worker = spawn(["manage.py", "worker"], tmp_path / "worker.log", DATABASE_URL="postgres://hub:pw@127.0.0.1:1/hub")
    try:
        until(lambda: "worker_waits_for_database" in worker.output())
        assert worker.alive
    finally:
        worker.kill()
        worker.popen.wait()


def warned(code: str) -> list[str]:
    return [f"{one.msg} {one.hint}" for one in run_checks() if one.id == code]


def test_a_short_secret_key_is_warned_of_without_showing_it(settings: Any) -> None:
    settings.SECRET_KEY = "canary" + "x" * 25
    (said,) = warned("hub.W007")
    assert "SECRET_KEY has fewer than 32 characters" in said
    assert "canary" not in said
    settings.SECRET_KEY += "x"
    assert warned("hub.W007") == []


@pytest.mark.parametrize(("url", "hosts", "allowed"), [
    ("https://hub.example.com", ["localhost", "127.0.0.1"], False), ("https://hub.example.com", [], False),
    ("https://hub.example.com:8443/x", ["hub.example.com"], True), ("https://hub.example.com", [".example.com"], True),
    ("https://hub.example.com", ["*"], True), ("http://[::1]:8000", ["[::1]"], True),
    ("https://Hub.example.com", ["HUB.example.com"], True),
])  # fmt: skip
def test_a_public_host_that_is_not_allowed_is_warned_of(
    settings: Any, url: str, hosts: list[str], allowed: bool
) -> None:
    settings.PUBLIC_URL, settings.ALLOWED_HOSTS = url, hosts
    said = warned("hub.W008")
    assert (said == []) is allowed
    assert all("PUBLIC_URL has the host hub.example.com" in one and "ALLOWED_HOSTS" in one for one in said)


@pytest.mark.parametrize(("entry", "shown"), [
    ("k2:canary", "Entry 2 (id 'k2') of"), ("canary", "Entry 2 of"), ("canary" * 7 + "==:k2", "Entry 2 of"),
    (":canary", "Entry 2 of"),
])  # fmt: skip
def test_a_malformed_key_is_named_by_its_number_and_id_only(settings: Any, entry: str, shown: str) -> None:
    settings.CREDENTIAL_KEYS = [BASE["CREDENTIAL_KEYS"], entry]
    (said,) = warned("hub.E001")
    assert said.startswith(f"{shown} CREDENTIAL_KEYS")
    assert "python manage.py generate_key" in said
    assert "canary" not in said
