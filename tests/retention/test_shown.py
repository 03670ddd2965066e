"""What operators are told: how long things are kept, what was removed, and what is behind or in trouble."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from tests.admin_support import Person
from tests.api_support import Api, make_destination, refused
from tests.retention.support import all_day, days_ago, kind, mark, old_event
from webhooks.keeping.replay import resend_event
from webhooks.keeping.retention import chore
from webhooks.keeping.retention.kinds import KINDS
from webhooks.models import RetentionMark

pytestmark = pytest.mark.django_db


def health() -> Any:
    answer = Person().client.get("/health", headers={"Accept": "application/json"}).json()
    (one,) = [check for check in answer["checks"] if check["check"] == "retention"]
    return one


def test_health_tells_what_is_kept_and_what_was_removed(settings: Any) -> None:
    settings.RETENTION_QUARANTINE_DAYS = 0
    assert health()["level"] == "ok"
    old_event(31, make_destination(), body=b"x" * 2048)
    all_day()
    said = health()
    assert said["level"] == "ok"
    assert "payloads 30 days" in said["detail"]
    assert "refused requests for ever" in said["detail"]
    assert "1 payloads (2.0 KiB)" in said["detail"]


def test_health_tells_what_has_not_caught_up_for_a_day() -> None:
    old_event(31, make_destination())
    all_day()
    RetentionMark.objects.filter(pk="events").update(caught_up_at=days_ago(1.1))
    assert (health()["level"], "events" in health()["detail"]) == ("warning", True)
    RetentionMark.objects.filter(pk="events").update(caught_up_at=None, began_at=days_ago(1.1))
    assert health()["level"] == "warning"


def test_a_sweep_that_comes_once_a_day_is_not_behind_before_the_next() -> None:
    all_day()
    RetentionMark.objects.filter(pk="orphans").update(caught_up_at=days_ago(1.5))
    assert health()["level"] == "ok"
    RetentionMark.objects.filter(pk="orphans").update(caught_up_at=days_ago(2.5))
    assert health()["level"] == "warning"


@pytest.mark.django_db(transaction=True)  # a step that fails lets go of its connection
def test_health_tells_a_problem_until_it_is_gone(monkeypatch: pytest.MonkeyPatch, settings: Any) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("a secret")

    others = [one for one in KINDS if one.name != "payloads"]
    monkeypatch.setattr(chore, "KINDS", (replace(kind("payloads"), look=broken), *others))
    old_event(500, make_destination())
    running = all_day()
    said = health()
    assert (said["level"], "payloads: RuntimeError" in said["detail"]) == ("failed", True)
    assert "secret" not in said["detail"]
    assert mark("events").removed == 1  # the others go on
    monkeypatch.setattr(chore, "KINDS", KINDS)
    running._turns["payloads"].ready_at = 0.0
    all_day(running=running)
    assert health()["level"] == "ok"


def test_everybody_is_told_when_and_why_a_payload_is_gone() -> None:
    to = make_destination()
    event = old_event(31, to, "dead")
    all_day()
    day = f"{event.received_at + timedelta(days=30):%Y-%m-%d}"
    told = f"payloads are removed after 30 days, this one on {day}"
    assert told in Person().look(event).text
    api = Api("webhooks.view_event", "webhooks.view_payload")
    problem = api.get(f"events/{event.pk}/payload", 410)
    assert (problem["code"], told in problem["detail"]) == ("payload_gone", True)
    assert refused(resend_event, event.pk, [to.pk]).code == "payload_gone"


def test_a_payload_that_went_before_its_time_is_told_without_a_reason(settings: Any) -> None:
    event = old_event(3)
    event.payload.delete()
    assert "the payload is no longer kept." in Person().look(event).text.lower()
    assert "removed after" not in Person().look(event).text
    assert timezone.now() - event.received_at < timedelta(days=30)
