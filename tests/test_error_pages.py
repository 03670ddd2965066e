"""Error pages say the cause, the next step, and an id that the log has too."""

import io
import json
import logging
import re
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from django.conf import LazySettings
from django.conf import settings as django_settings
from django.db import OperationalError
from django.test import Client

from tests.admin_support import Person
from webhooks.admin.events import EventAdmin

_FORMATTER = {key: value for key, value in django_settings.LOGGING["formatters"]["json"].items() if key != "()"}

pytestmark = pytest.mark.django_db


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the hub's own handler would print of failed requests."""
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(**_FORMATTER))
    logging.getLogger("django.request").addHandler(handler)
    yield text
    logging.getLogger("django.request").removeHandler(handler)


def check(response: Any, status: int, *words: str) -> str:
    """Check what is true of every error page; return the request's id."""
    text = response.content.decode()
    assert response.status_code == status
    assert "wrong" not in text.lower().replace("wrong signature", "")
    for word in (*words, "What you can do", "To the overview"):
        assert word in text, word
    shown = re.findall(r"<code>([0-9a-f]{16})</code>", text)
    assert shown == [response["X-Request-ID"]]
    assert "Content-Security-Policy" in response
    return shown[0]


def test_a_page_that_is_not_there() -> None:
    check(Person().client.get("/admin/webhooks/nothing/"), 404, "There is no such page", "deleted")
    check(Client().get("/nowhere"), 404, "There is no such page")


def test_a_page_that_somebody_may_not_see_or_use() -> None:
    ben = Person("webhooks.view_event")
    check(ben.client.get("/admin/auth/user/"), 403, "Your account may not do this", "Ask an administrator")


def test_a_form_that_is_out_of_date() -> None:
    ana = Person()
    client = Client(enforce_csrf_checks=True)
    client.force_login(ana.user)
    check(client.post("/admin/webhooks/source/add/", {"slug": "main"}), 403, "out of date", "what you typed is still")


def test_a_host_name_that_the_hub_does_not_know() -> None:
    check(Client().get("/admin/", headers={"host": "elsewhere.example"}), 400, "ALLOWED_HOSTS", "PUBLIC_URL")


def test_a_form_that_is_too_large(settings: LazySettings) -> None:
    settings.DATA_UPLOAD_MAX_NUMBER_FIELDS = 5
    values = {f"field-{number}": "1" for number in range(9)}
    check(Person().client.post("/admin/webhooks/source/add/", values), 400, "too large", "Shorten it")


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OperationalError("no"), ("The database does not answer", "/readyz")),
        (KeyError("x"), ("failed at this", "id below")),
    ],
)
def test_a_failure_says_its_cause_and_the_log_has_its_id(
    error: Exception, words: tuple[str, str], monkeypatch: pytest.MonkeyPatch, log: io.StringIO
) -> None:
    ana = Person()
    ana.client.raise_request_exception = False

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr(EventAdmin, "get_queryset", fail)
    shown = check(ana.client.get("/admin/webhooks/event/"), 500, *words)

    assert "Traceback" not in ana.client.get("/admin/webhooks/event/").text
    lines = [json.loads(line) for line in log.getvalue().splitlines()]
    assert shown in {line.get("request_id") for line in lines}


def test_the_api_is_told_of_an_unknown_path_in_its_own_form() -> None:
    answer = Client().get("/api/v2/events")

    assert (answer.status_code, answer["Content-Type"]) == (404, "application/problem+json")
    assert answer.json()["code"] == "not_found"
    assert answer["X-Request-ID"]


def test_an_id_that_a_client_sends_is_not_taken_over() -> None:
    first = Client().get("/nowhere", headers={"X-Request-ID": "forged"})
    second = Client().get("/nowhere", headers={"X-Request-ID": "forged"})
    assert "forged" not in {first["X-Request-ID"], second["X-Request-ID"]}
    assert first["X-Request-ID"] != second["X-Request-ID"]


def test_a_filter_that_is_not_understood_is_said() -> None:
    page = Person().client.get("/admin/destinations/destination/?type=nonsense", follow=True)
    assert "A filter in the address was not understood" in page.text
