"""A worker's host whose clock is wrong removes nothing early, where the database has a clock of its own."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from terra_hub.payload_store import file_store
from tests.retention.support import all_day, days_ago, kept_events, next_round, old_event
from webhooks.keeping.retention import chore, clock
from webhooks.keeping.retention.chore import Retention
from webhooks.keeping.retention.state import state
from webhooks.models import Payload, RetentionMark

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def own_store(settings: Any, tmp_path: Path) -> None:
    """A folder without what other tests have left: it all is old where the clock jumps."""
    settings.STORAGES = settings.STORAGES | {"payloads": file_store(str(tmp_path / "payloads"))}


class Ahead:
    """A clock more than a year ahead of the database's."""

    @staticmethod
    def now() -> datetime:
        return timezone.now() + timedelta(days=500)


def test_a_host_whose_clock_is_ahead_of_the_databases_removes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    young = old_event(0.1)
    monkeypatch.setattr(chore, "timezone", Ahead)
    all_day()
    assert kept_events() == {young.pk}
    assert Payload.objects.count() == 1


Jump = Callable[[float, float], None]


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Jump:
    """Set every clock so many hours ahead, after so many hours in which the worker ran."""

    def set_clocks(hours: float, after: float = 0.0) -> None:
        real = timezone.now
        monkeypatch.setattr(chore, "_certain_now", lambda: real() + timedelta(hours=hours + after))
        monkeypatch.setattr(clock, "monotonic", lambda: time.monotonic() + after * 3600)

    return set_clocks


@pytest.mark.parametrize("hours", [24 * 500, -2])
def test_a_clock_that_jumps_removes_nothing_for_a_day_and_says_so(jump: Jump, hours: float) -> None:
    running, young = all_day(), old_event(0.1)
    jump(hours, 0)
    all_day(running=next_round(running))
    assert kept_events() == {young.pk}
    [told] = state().problems
    assert "payloads, " in told
    assert f"The clock jumped by {'-2:00' if hours < 0 else '500 days'}" in told
    jump(hours, 23.9)
    all_day(running=next_round(running))
    assert kept_events() == {young.pk}
    jump(hours, 24.1)
    all_day(running=next_round(running))
    assert state().problems == []
    assert kept_events() == (set() if hours > 0 else {young.pk})


def test_removal_goes_on_at_once_when_a_jump_is_taken_back(jump: Jump) -> None:
    running = all_day()
    young = old_event(0.1)
    jump(24 * 500, 0)
    all_day(running=next_round(running))
    assert state().problems
    jump(0, 0.1)
    old_event(500)
    all_day(running=next_round(running))
    assert (kept_events(), state().problems) == ({young.pk}, [])


def test_time_that_passes_while_a_worker_runs_is_no_jump(jump: Jump) -> None:
    running = all_day()
    old_event(500)
    jump(0.9, 100)
    all_day(running=next_round(running))
    assert (kept_events(), state().problems) == (set(), [])


@pytest.mark.parametrize(("last", "held"), [(2.1, True), (1.9, False), (-0.1, True), (-0.02, False)])
def test_a_worker_that_starts_compares_its_clock_with_the_last_step(last: float, held: bool, jump: Jump) -> None:
    all_day()
    RetentionMark.objects.update(step_at=days_ago(last), claimed_by="")
    old = old_event(500)
    all_day(running=Retention("another"))
    assert kept_events() == ({old.pk} if held else set())
    assert [told for told in state().problems if "The clock jumped" in told] == state().problems
    assert bool(state().problems) == held
    running = all_day(running=Retention("a third"))  # no step was made: it judges alike
    assert bool(state().problems) == held
    jump(0, 24.1)
    all_day(running=next_round(running))
    assert (kept_events(), state().problems) == (set(), [])
