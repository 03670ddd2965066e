"""What can be known of Dockerfile, compose.yaml and their secrets without an engine that runs containers."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from destinations.reserved import HUB
from terra_hub import settings as production
from terra_hub.environment import Environment
from terra_hub.management.commands.serve import STOP_SECONDS

pytestmark = pytest.mark.databaseless

ROOT = Path(__file__).resolve().parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())
OURS = {name: service for name, service in COMPOSE["services"].items() if service["image"] == "terra-hub"}


def copied() -> set[str]:
    """Return what the Dockerfile copies into the image."""
    lines = re.findall(r"^COPY (.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    return {source for line in lines for source in line.split()}


def bare(**more: str) -> dict[str, str]:
    """Return this process's environment without any setting of a hub, and with others."""
    kept = {name: value for name, value in os.environ.items() if name.removesuffix("_FILE") not in HUB}
    return kept | {"DJANGO_SETTINGS_MODULE": "terra_hub.settings"} | more


def manage(*arguments: str, env: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, timeout=60
    )


def test_a_builder_is_sent_what_the_image_copies_and_nothing_else() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    assert lines[0] == "*"  # secrets/, .env, .run, .git, .venv, tests and what nobody has thought of
    assert {line[1:] for line in lines if line.startswith("!")} == copied()
    assert [name for name in sorted(copied()) if not (ROOT / name).exists()] == []
    assert {"**/__pycache__", "**/*.pyc"} <= set(lines)


def test_the_image_says_its_version() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert f'image.version="{version}"' in (ROOT / "Dockerfile").read_text()


def test_compose_sets_what_the_hub_reads_and_each_secret_has_a_file() -> None:
    for service in OURS.values():
        names = {name.removesuffix("_FILE") for name in service["environment"]}
        assert names <= HUB
        files = {path.removeprefix("/run/secrets/") for path in service["environment"].values()}
        assert files == set(service["secrets"])
    assert {secret for service in COMPOSE["services"].values() for secret in service["secrets"]} == set(
        COMPOSE["secrets"]
    )


def test_a_stop_reaches_the_hub_and_leaves_it_time() -> None:
    for service in OURS.values():
        assert service["command"].startswith("python ")  # a shell as the first process would keep SIGTERM for itself
        assert service["init"] is True
        assert int(service["stop_grace_period"].removesuffix("s")) >= production.SHUTDOWN_GRACE_SECONDS + STOP_SECONDS


def test_containers_of_the_hub_have_no_rights_that_they_do_not_need() -> None:
    for service in OURS.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    assert re.search(r"^USER (?!0|root)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A folder in which scripts/compose-secrets ran."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/compose-secrets", tmp_path / "scripts")
    subprocess.run([tmp_path / "scripts/compose-secrets"], check=True, capture_output=True)
    return tmp_path


def contents(folder: Path) -> dict[str, str]:
    return {file.name: file.read_text() for file in [*(folder / "secrets").iterdir(), folder / ".env"]}


def test_secrets_are_made_once_and_others_of_the_host_cannot_reach_them(made: Path) -> None:
    before = contents(made)
    assert set(before) == {*COMPOSE["secrets"], ".env"}
    assert (made / "secrets").stat().st_mode & 0o077 == 0
    assert {file.stat().st_mode & 0o777 for file in (made / "secrets").iterdir()} == {0o644}  # for the image's user
    subprocess.run([made / "scripts/compose-secrets"], check=True, capture_output=True)
    assert contents(made) == before
    assert {"/secrets/", "/.env"} <= set((ROOT / ".gitignore").read_text().splitlines())


def test_the_hub_takes_these_secrets(made: Path) -> None:
    files = {f"{name}_FILE": str(made / "secrets" / name.lower()) for name in ("SECRET_KEY", "CREDENTIAL_KEYS")}
    password = (made / "secrets/database_password").read_text().strip()
    assert f":{password}@database:" in (made / "secrets/database_url").read_text()

    done = manage("check", "--deploy", "--tag", "security", env=bare(**files, PUBLIC_URL="https://hub.example.com"))

    assert done.returncode == 0, done.stderr
    assert "security.W009" not in done.stderr  # the key is long and random


def test_the_line_break_that_ends_a_file_is_no_part_of_its_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "hosts").write_text("hub.example.com,localhost\r\n")
    (tmp_path / "flag").write_text("true\n")
    monkeypatch.setenv("ALLOWED_HOSTS", "other.example.com")
    monkeypatch.setenv("ALLOWED_HOSTS_FILE", str(tmp_path / "hosts"))
    monkeypatch.setenv("API_BASIC_AUTH_FILE", str(tmp_path / "flag"))
    assert Environment().listed("ALLOWED_HOSTS") == ["hub.example.com", "localhost"]
    assert Environment().switch("API_BASIC_AUTH", default=False) is True
    assert Environment().text("PUBLIC_URL_OF_NOBODY", "none") == "none"


def test_a_key_can_be_made_before_there_is_any_setting() -> None:
    done = manage("generate_key", env=bare())
    assert re.fullmatch(r"k\w+:[A-Za-z0-9+/]{43}=\n", done.stdout), done.stderr
