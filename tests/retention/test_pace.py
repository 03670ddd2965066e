"""Pruning rests for nine times as long as it works, and takes fewer rows where they take long."""

from datetime import timedelta
from typing import Any

import pytest

from tests.api_support import make_delivery, make_destination, make_event
from tests.retention.support import kind, old_event
from webhooks.delivering import outbox
from webhooks.keeping.retention import chore, pace
from webhooks.keeping.retention.chore import Retention
from webhooks.keeping.retention.steps import Step


def test_a_tenth_of_the_time_is_worked_and_less_while_the_hub_is_busy() -> None:
    assert pace.rest(0.1, busy=False, behind=False) == pytest.approx(0.9)
    assert pace.rest(0.1, busy=True, behind=False) == pytest.approx(3.6)
    assert pace.rest(0.1, busy=False, behind=True) == pytest.approx(0.3)
    assert pace.rest(0.0, busy=False, behind=False) > 0


def test_a_step_grows_and_shrinks_with_its_time() -> None:
    most = pace.FIRST
    for _ in range(12):
        most = pace.resized(most, most, most * 0.0001)  # a tenth of a millisecond for each row
    assert most == pytest.approx(pace.TARGET_S / 0.0001, rel=0.1)
    for _ in range(12):
        most = pace.resized(most, most, most * 0.01)
    assert most == pace.LEAST
    assert pace.resized(400, 3, 0.001) == 400  # few rows say nothing


@pytest.mark.django_db
def test_deliveries_that_are_late_make_the_hub_busy() -> None:
    to = make_destination()
    assert not pace.Busy()()
    make_delivery(make_event(), to, next_attempt_at=outbox.now() - timedelta(seconds=2))
    assert not pace.Busy()()
    make_delivery(make_event(), to, next_attempt_at=outbox.now() - timedelta(seconds=20))
    assert pace.Busy()()


@pytest.mark.django_db(transaction=True)
def test_a_worker_waits_for_as_long_as_its_step_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    old_event(31)
    taken = chore.step

    def slowly(*args: Any) -> Step | None:
        done = taken(*args)
        return done and Step(done.page, done.removed, 0.5, 0.5)

    monkeypatch.setattr(chore, "step", slowly)
    monkeypatch.setattr(chore, "KINDS", (kind("payloads"),))
    running = Retention("me")
    assert running() == pytest.approx(4.5)
    assert running() > 50  # caught up: not looked at again for a minute
    assert running._turns["payloads"].most == pace.LEAST
