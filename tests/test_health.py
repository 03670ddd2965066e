"""Health: the page, its JSON and /readyz say the same, with the cause and what to do."""

import base64
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from terra_hub import disk, healthchecks
from tests.admin_support import Person
from tests.api_support import make_delivery, make_destination, make_event, make_source
from tests.stats.support import tally_events
from webhooks import durability
from webhooks.delivering import outbox
from webhooks.models import Worker

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def database_of_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """It flushes nothing, and so do not the processes that tests start."""
    monkeypatch.setenv(durability.OVERRIDE, "1")


def as_json(person: Person | None = None) -> Any:
    client = (person or Person()).client
    return client.get("/health", headers={"Accept": "application/json"}).json()


def found(name: str) -> dict[str, str]:
    """Return what one check says in JSON."""
    (one,) = [check for check in as_json()["checks"] if check["check"] == name]
    return dict(one)


def run_a_worker() -> None:
    Worker.objects.create(name="w", started_at=timezone.now(), seen_at=outbox.now())


def test_page_json_and_readyz_say_the_same() -> None:
    make_delivery(make_event(), make_destination(), next_attempt_at=timezone.now() - timedelta(hours=1))
    ana = Person()

    said, page, ready = as_json(ana), ana.get("/health"), Client().get("/readyz")

    assert said["status"] == "failed"
    text = page.text
    for check in said["checks"]:
        assert check["check"].capitalize() in text
        for part in ("detail", "cause", "fix"):
            words = check[part]
            if "late" not in words and " ago" not in words and "free" not in words:  # moves on while we look
                assert words[1:] in text, words
    assert ready.status_code == 503
    by_name = {check["check"]: check for check in said["checks"]}
    for name, one in ready.json()["checks"].items():
        assert one["ok"] == (by_name[name]["level"] != "failed"), name
    assert by_name["worker"]["fix"] == "Start one: python manage.py worker"
    assert "python manage.py worker" in ready.json()["checks"]["worker"]["detail"]
    assert page.find("a", href="/health")  # in the sidebar


def test_a_hub_that_is_well_says_so() -> None:
    run_a_worker()
    make_event()
    said = as_json()
    assert {check["check"]: check["level"] for check in said["checks"] if check["level"] != "ok"}.keys() <= {"disk"}
    assert Client().get("/readyz").status_code == 200


def test_only_people_of_the_admin_see_it() -> None:
    assert Client().get("/health").status_code == 302
    refused = Client().get("/health?format=json")
    assert (refused.status_code, refused.json()) == (401, {"status": "not logged in"})


def test_a_program_may_come_with_a_password_where_the_api_takes_one(settings: Any) -> None:
    User.objects.create_user("bot", password="a-long-enough-password-1", is_staff=True)

    def answer(password: str) -> int:
        token = base64.b64encode(f"bot:{password}".encode()).decode()
        headers = {"Accept": "application/json", "Authorization": f"Basic {token}"}
        return Client().get("/health", headers=headers).status_code

    assert answer("a-long-enough-password-1") == 401
    settings.API_BASIC_AUTH = True
    assert answer("a-long-enough-password-1") == 200
    assert answer("wrong") == 401


def test_secrets_whose_key_is_gone_are_counted(settings: Any) -> None:
    make_source()
    make_destination()
    assert found("stored secrets")["level"] == "ok"
    settings.CREDENTIAL_KEYS = ["new:" + base64.b64encode(b"n" * 32).decode()]
    lost = found("stored secrets")
    assert (lost["level"], "stored secrets do not open." in lost["detail"]) == ("failed", True)
    assert "Put the old key back" in lost["fix"]


def test_egress_that_is_open_is_a_warning_and_a_malformed_entry_fails(settings: Any) -> None:
    settings.EGRESS_ALLOW = []
    assert found("egress") == {
        "check": "egress", "level": "ok", "detail": "public addresses only", "cause": "", "fix": "",
    }  # fmt: skip
    settings.EGRESS_ALLOW = ["0.0.0.0/0"]
    assert (found("egress")["level"], "opens too much" in found("egress")["detail"]) == ("warning", True)
    settings.EGRESS_ALLOW = ["not an entry"]
    assert found("egress")["level"] == "failed"


def test_silence_of_a_day_is_a_warning() -> None:
    assert found("last event")["level"] == "waiting"
    make_event(timezone.now() - timedelta(hours=25))
    assert found("last event")["level"] == "warning"
    make_event()
    assert found("last event")["level"] == "ok"


def test_clocks_that_differ_are_said(monkeypatch: pytest.MonkeyPatch) -> None:
    if healthchecks.connection.vendor != "postgresql":
        assert "host's clock" in found("clocks")["detail"]
        return
    assert found("clocks")["level"] == "ok"
    real = outbox.now
    monkeypatch.setattr(outbox, "now", lambda: real() - timedelta(seconds=90))
    assert (found("clocks")["level"], "by 90" in found("clocks")["detail"]) == ("warning", True)


@pytest.mark.parametrize(
    ("per_day", "free", "level"), [(1, 50, "ok"), (10, 50, "warning"), (40, 50, "failed"), (1, 2, "failed")]
)
def test_a_disk_that_fills_is_said_in_days(
    per_day: int, free: int, level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    tally_events(make_source(), now - timedelta(days=1), 1, bytes=per_day * 10**9)
    monkeypatch.setattr(disk.shutil, "disk_usage", lambda _: Usage(free))
    assert found("disk")["level"] == level
    assert "at the last week's rate" in found("disk")["detail"]


class Usage:
    """A disk of 100 GB."""

    def __init__(self, free: int) -> None:
        self.total, self.free = 100 * 10**9, free * 10**9


def test_a_database_that_may_lose_events_is_said_and_the_rest_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    run_a_worker()
    monkeypatch.setattr(healthchecks, "unsafe_settings", lambda: ["PostgreSQL's fsync is off."])
    assert (found("database")["level"], found("worker")["level"]) == ("failed", "ok")
    assert "answered with 200" in found("database")["cause"]


def test_a_database_that_is_away_is_the_one_thing_to_mend(monkeypatch: pytest.MonkeyPatch) -> None:
    from django.db import OperationalError

    def away(*_: Any) -> Any:
        raise OperationalError

    ana = Person()
    monkeypatch.setattr(healthchecks, "unsafe_settings", away)
    said = {check["check"]: check for check in as_json(ana)["checks"]}
    assert said["database"]["detail"] == "The database does not answer (OperationalError)."
    assert said["migrations"]["detail"] == "Not asked: the database is away."
