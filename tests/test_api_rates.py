"""How often somebody may call the API, and what they are told."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings
from django.test import Client

from destinations.access import rates
from tests.api_support import (
    Api,
    at_once,
    check_problem,
)
from tests.keys_support import client_of, new_key

pytestmark = [pytest.mark.django_db, pytest.mark.databaseless]


@pytest.fixture
def counted(settings: LazySettings) -> Iterator[LazySettings]:
    settings.API_RATE_PER_MINUTE, settings.API_WRONG_KEYS_PER_MINUTE = 3, 2
    rates.calls.clear(), rates.failures.clear()
    yield settings
    rates.calls.clear(), rates.failures.clear()


def standing(answer: Any) -> tuple[int, str, str]:
    assert 1 <= int(answer["RateLimit-Reset"]) <= 60
    return answer.status_code, answer["RateLimit-Limit"], answer["RateLimit-Remaining"]


def test_who_calls_too_often_is_told_when_to_come_back(counted: LazySettings) -> None:
    script, other = client_of(new_key().text), client_of(new_key().text)

    answers = [script.get(f"/api/v1/{path}") for path in ("events", "events/x", "events?bad=1", "events")]

    assert [standing(one) for one in answers] == [
        (200, "3", "2"), (404, "3", "1"), (400, "3", "0"), (429, "3", "0")
    ]  # fmt: skip
    check_problem(answers[-1], answers[-1].json())
    assert answers[-1].json()["code"] == "rate_limited"
    assert answers[-1]["Retry-After"] == answers[-1]["RateLimit-Reset"]
    assert standing(other.get("/api/v1/events")) == (200, "3", "2")
    assert standing(Api(superuser=True).client.get("/api/v1/events")) == (200, "3", "2")


def test_a_minute_later_everything_is_as_before(counted: LazySettings, monkeypatch: pytest.MonkeyPatch) -> None:
    script = client_of(new_key().text)
    statuses = [script.get("/api/v1/events").status_code for _ in range(4)]
    now = rates.time.monotonic()
    monkeypatch.setattr(rates.time, "monotonic", lambda: now + 60)

    assert statuses == [200, 200, 200, 429]
    assert script.get("/api/v1/events").status_code == 200


def test_somebody_who_may_not_is_counted_too(counted: LazySettings) -> None:
    script = client_of(new_key("erase").text)

    assert [script.get("/api/v1/events").status_code for _ in range(4)] == [403, 403, 403, 429]


def test_requests_without_a_key_are_counted_by_address(counted: LazySettings) -> None:
    def ask(address: str) -> int:
        return Client(REMOTE_ADDR=address).get("/api/v1/events").status_code

    assert [ask("192.0.2.1") for _ in range(4)] == [401, 401, 401, 429]
    assert ask("192.0.2.2") == 401
    assert [ask(f"2001:db8::{number}") for number in range(1, 5)] == [401, 401, 401, 429]  # one network is one customer
    assert ask("2001:db8:0:1::1") == 401


def test_wrong_keys_are_counted_by_address_and_hinder_no_right_one(counted: LazySettings) -> None:
    counted.TRUSTED_PROXY_COUNT = 1
    right = new_key().text

    def ask(text: str, address: str) -> Any:
        headers = {"Authorization": f"Bearer {text}", "X-Forwarded-For": f"203.0.113.9, {address}"}
        return Client(headers=headers).get("/api/v1/events")

    answers = [ask("hub_live_wrong", "192.0.2.1") for _ in range(3)]

    assert [standing(one)[0] for one in answers] == [401, 401, 429]
    assert answers[-1].json()["code"] == "rate_limited"
    assert ask("hub_live_wrong", "192.0.2.2").status_code == 401
    assert ask(right, "192.0.2.1").status_code == 200


def test_without_limits_nothing_is_counted_and_nothing_is_said(counted: LazySettings) -> None:
    counted.API_RATE_PER_MINUTE = counted.API_WRONG_KEYS_PER_MINUTE = 0
    answers = [client_of("hub_live_wrong").get("/api/v1/events") for _ in range(5)]

    assert [one.status_code for one in answers] == [401] * 5
    assert "RateLimit-Limit" not in answers[0]


def test_counting_is_exact_with_many_at_once_and_fills_no_memory() -> None:
    minutes = rates.Minutes()

    found = at_once(8, lambda: [minutes.count("one", 100).remaining for _ in range(10)])
    for number in range(rates.MOST + 100):
        minutes.count(str(number), 1)

    assert sorted(value for some in found for value in some) == list(range(20, 100))
    assert len(minutes._open) == rates.MOST
