"""``hub doctor`` looks at the database, the host and the surroundings of the worker."""

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.core.checks import run_checks
from django.db import connection
from django.utils import timezone

from destinations.crypto import generate_key
from terra_hub.doctor import databases, places, surroundings
from terra_hub.doctor.catalogue import all_checks
from terra_hub.doctor.running import Check, Skipped, chosen, examine
from terra_hub.healthchecks import Finding, Level
from tests.api_support import make_destination, refused
from tests.hub import Hub, on_postgres, until
from tests.keys_support import new_key
from webhooks.durability import OVERRIDE
from webhooks.models import Worker

pytestmark = pytest.mark.django_db(transaction=True)


def found(*names: str) -> dict[str, Finding]:
    return {one.check: one.finding for one in examine(chosen(all_checks(), names))}


def one(name: str) -> Finding:
    (finding,) = found(name).values()
    return finding


def test_every_check_says_what_it_saw_and_what_is_wrong_how_to_change_it() -> None:
    for name, finding in found().items():
        assert finding.detail, name
        assert finding.fix or finding.level not in (Level.FAILED, Level.WARNING), (name, finding)
        assert "The check itself failed" not in finding.detail, finding


def test_only_and_skip_name_checks() -> None:
    names = [check.name for check in all_checks()]
    assert len(set(names)) == len(names)
    assert [check.name for check in chosen(all_checks(), ("tls", "database"))] == ["database", "tls"]
    assert [check.name for check in chosen(all_checks(), (), names[1:])] == names[:1]
    assert "There is no check fsink" in refused(chosen, all_checks(), ("fsink",)).errors["only"][0]


def test_a_check_that_hangs_or_breaks_hides_nothing_of_the_others() -> None:
    never = threading.Event()

    def broken() -> Finding:
        raise ZeroDivisionError("of this test")

    def skipped() -> Finding:
        raise Skipped("it cannot be tried here")

    def hangs() -> Finding:
        never.wait(60)
        return Finding(Level.OK, "late")

    checks = [
        Check("a", hangs, 0.2),
        Check("b", broken),
        Check("c", skipped),
        Check("d", lambda: Finding(Level.OK, "x")),
    ]
    told = {result.check: result.finding for result in examine(checks)}
    never.set()
    assert [one.level for one in told.values()] == [Level.FAILED, Level.FAILED, Level.SKIPPED, Level.OK]
    assert told["a"].detail == "No result within 0 s."
    assert "ZeroDivisionError: of this test" in told["b"].detail
    assert told["c"].detail == "it cannot be tried here"


# --- the database --------------------------------------------------------------------------------------------------
def test_a_database_that_may_forget_is_failed_whatever_the_operator_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(OVERRIDE, "1")
    with connection.cursor() as cursor:
        if on_postgres():  # of the tests' own server, which flushes nothing
            cursor.execute("SHOW fsync")
            assert cursor.fetchone()[0] == "off"
            told = one("commits")
            assert "fsync is off" in told.detail
        else:
            told = one("commits")
            assert told.level is not Level.FAILED
            monkeypatch.setitem(connection.settings_dict["OPTIONS"], "init_command", "PRAGMA synchronous=NORMAL;")
            told = one("commits")
            assert "synchronous is below FULL" in told.detail
    assert told.level is Level.FAILED
    assert OVERRIDE in told.cause


def test_a_commit_is_timed() -> None:
    if not on_postgres():
        pytest.skip("SQLite's flush is that of its file")
    told = databases._flush_time()
    assert "a commit takes" in told.detail


def test_what_piles_up_is_named_with_its_table(monkeypatch: pytest.MonkeyPatch) -> None:
    if on_postgres():  # where other tests left more dead rows, in five tables, this one's are not told of
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_reset()")
    assert one("bloat").level is Level.OK, one("bloat")
    if on_postgres():
        dead_rows_and_an_old_transaction(monkeypatch)
    else:
        free_pages(monkeypatch)


def dead_rows_and_an_old_transaction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "DEAD_ROWS", 0)
    monkeypatch.setattr(databases, "DEAD_SHARE", 0)
    monkeypatch.setattr(databases, "LONG_TRANSACTION", databases.timedelta(microseconds=1))
    make_destination().delete()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
    with psycopg.connect(os.environ["DATABASE_URL"]) as other:
        other.execute("SELECT 1")
        until(lambda: "destinations_destination has" in one("bloat").detail, what="dead rows are counted")
        told = one("bloat")
    assert told.level is Level.WARNING
    assert "A transaction has been open" in told.detail
    assert "end it" in told.fix


def free_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(databases, "FREE_BYTES", 1024)
    monkeypatch.setattr(databases, "FREE_SHARE", 0)
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE much (a)")
        cursor.execute("INSERT INTO much VALUES (zeroblob(2000000))")
        cursor.execute("DROP TABLE much")
    told = one("bloat")
    assert told.level is Level.WARNING
    assert "are free pages" in told.detail
    assert "VACUUM" in told.fix


# --- keys ----------------------------------------------------------------------------------------------------------
def test_keys_of_the_ring(settings: Any) -> None:
    make_destination(credentials={"signing_secret": "a-secret-of-a-destination"})
    assert "sealed values open with test" in one("keys").detail
    old = settings.CREDENTIAL_KEYS
    settings.CREDENTIAL_KEYS = [*old, generate_key("spare")]
    assert one("keys").detail.endswith("not in use: spare")
    settings.CREDENTIAL_KEYS = [generate_key("new"), *old]
    assert (one("keys").level, one("keys").fix) == (Level.WARNING, "Run: python manage.py rotate_keys")
    settings.CREDENTIAL_KEYS = [generate_key("new")]
    told = one("keys")
    assert told.level is Level.FAILED
    assert "do not open" in told.detail
    settings.CREDENTIAL_KEYS = []
    assert "not set" in one("keys").detail


# --- places --------------------------------------------------------------------------------------------------------
def test_the_payload_folder(settings: Any, tmp_path: Path) -> None:
    settings.PAYLOAD_DIR = str(tmp_path / "not there")
    assert one("payload-folder").level is Level.SKIPPED
    settings.PAYLOAD_DIR = str(tmp_path)
    told = one("payload-folder")
    assert "a flush of 64 KB takes" in told.detail
    assert not list(tmp_path.iterdir())
    settings.PAYLOAD_STORE = "s3"
    assert one("payload-folder").level is Level.SKIPPED


def test_a_payload_folder_in_memory(settings: Any) -> None:
    with in_memory() as folder:
        settings.PAYLOAD_DIR = str(folder)
        told = one("payload-folder")
    assert told.level is Level.WARNING
    assert "on tmpfs, which is memory" in told.detail


@contextmanager
def in_memory() -> Iterator[Path]:
    folder = Path("/dev/shm") / f"hub-test-{os.getpid()}"
    if not Path("/dev/shm").is_dir():
        pytest.skip("this host has no /dev/shm")
    folder.mkdir()
    try:
        if places.file_system_of(folder) != "tmpfs":
            pytest.skip("/dev/shm is no tmpfs here")
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("kind", "shared", "level"),
    [
        ("ext4", False, Level.OK), ("xfs", True, Level.OK), ("overlay", False, Level.WARNING),
        ("nfs4", False, Level.WARNING), ("nfs4", True, Level.FAILED), ("fuse.sshfs", True, Level.FAILED),
    ],
)  # fmt: skip
def test_kinds_of_file_systems(kind: str, shared: bool, level: Level) -> None:
    told = places.judged("a flush", kind, shared=shared)
    assert told.level is level
    assert bool(told.fix) == (level is not Level.OK)


# --- surroundings --------------------------------------------------------------------------------------------------
def test_what_libraries_would_read_is_named_and_its_value_is_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in filter(surroundings._is_a_leak, list(os.environ)):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert one("environment").level is Level.OK, one("environment")
    for name in ("PGPASSWORD", "AWS_SECRET_ACCESS_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "https_proxy", "PGDATA"):
        monkeypatch.setenv(name, "canary-of-a-value")
    (tmp_path / ".pgpass").touch()
    told = one("environment")
    names = "AWS_SECRET_ACCESS_KEY, GOOGLE_APPLICATION_CREDENTIALS, PGPASSWORD, https_proxy, ~/.pgpass."
    assert told.detail.endswith(names)
    assert told.level is Level.WARNING
    assert "canary" not in str(told)


def test_keys_that_somebody_should_look_at_are_named() -> None:
    new_key(name="fresh")
    assert one("api-keys").level is Level.OK
    new_key(name="ending", expires_at=timezone.now() + timedelta(days=3))
    told = one("api-keys")
    assert told.level is Level.WARNING
    assert "ending (hub_live_" in told.detail
    assert "fresh" not in told.detail


def test_a_workers_own_environment_is_read(hub: Hub) -> None:
    hub.worker(AZURE_CLIENT_SECRET="of-the-worker")
    until(Worker.objects.exists, what="the worker is seen")
    told = one("environment")
    assert "the environment of the worker" in told.detail
    assert "AZURE_CLIENT_SECRET" in told.detail
    assert "of-the-worker" not in str(told)
    assert one("worker").level is Level.OK


@pytest.mark.parametrize("url", ["http://localhost:8000", "http://127.0.0.1:8000"])
def test_the_echo_page_of_a_local_demonstration_is_a_note_and_no_failure(settings: Any, url: str) -> None:
    settings.DEMO_ECHO, settings.PUBLIC_URL = True, url
    told = one("settings")
    assert told.level in (Level.OK, Level.WARNING)
    assert "hub.I001" in told.detail
    assert "DEMO_ECHO is on" in told.cause
    settings.SILENCED_SYSTEM_CHECKS = [
        message.id for message in run_checks(include_deployment_checks=True) if message.id != "hub.I001"
    ]
    told = one("settings")
    assert told.level is Level.OK
    assert "DEMO_ECHO is on" in told.detail


def test_settings_that_production_should_not_have(settings: Any) -> None:
    settings.DEMO_ECHO = True
    settings.PUBLIC_URL = "http://localhost.example.com"
    told = one("settings")
    assert told.level is Level.FAILED
    assert "hub.E003" in told.detail
    assert "DEMO_ECHO is on (hub.E003)." in told.cause
    assert "Unset DEMO_ECHO." in told.fix
