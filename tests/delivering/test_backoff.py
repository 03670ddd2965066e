"""When a failed delivery is tried again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destinations.adapters.base import Effect, Outcome, Result
from destinations.models import DEFAULT_SCHEDULE
from webhooks.delivering.backoff import MAX_RETRY_AFTER_S, next_wait
from webhooks.delivering.breaker import tally

pytestmark = pytest.mark.databaseless


def test_the_default_schedule_is_eight_retries_over_just_over_a_day() -> None:
    assert DEFAULT_SCHEDULE == (30, 90, 270, 810, 2430, 7290, 21870, 65610)
    assert 27 * 3600 < sum(DEFAULT_SCHEDULE) < 28 * 3600
    assert next_wait(DEFAULT_SCHEDULE, 8) is None


@given(st.integers(min_value=0, max_value=7))
def test_waits_stay_within_ten_per_cent_of_the_schedule(retry: int) -> None:
    wait = next_wait(DEFAULT_SCHEDULE, retry)
    assert wait is not None
    assert DEFAULT_SCHEDULE[retry] * 0.9 <= wait <= DEFAULT_SCHEDULE[retry] * 1.1


def test_deliveries_that_failed_together_come_back_apart() -> None:
    assert len({next_wait(DEFAULT_SCHEDULE, 0) for _ in range(50)}) > 40


@pytest.mark.parametrize(("asked", "at_least"), [(5.0, 27.0), (600.0, 600.0), (10**9, MAX_RETRY_AFTER_S)])
def test_retry_after_is_a_lower_bound_of_at_most_a_day(asked: float, at_least: float) -> None:
    wait = next_wait(DEFAULT_SCHEDULE, 0, asked)
    assert wait is not None
    assert at_least <= wait <= MAX_RETRY_AFTER_S


FAILURE = Result(Outcome.RETRY, "http_500", effect=Effect.FAILURE)
SUCCESS = Result(Outcome.DELIVERED)


def test_only_failures_after_the_last_success_count_against_a_destination() -> None:
    assert tally([FAILURE, FAILURE, SUCCESS, FAILURE]).failures == 1
    assert not tally([FAILURE, SUCCESS]).unsuccessful


def test_a_rejected_message_says_nothing_about_its_destination() -> None:
    total = tally([SUCCESS, Result(Outcome.REJECTED, "22P02")])
    assert not total.unsuccessful
    assert total.failures == 0


def test_a_pause_holds_although_other_tries_succeeded_meanwhile() -> None:
    total = tally([Result(Outcome.RETRY, "http_429", effect=Effect.PAUSE, retry_after=60.0), SUCCESS])
    assert total.pause_s == 60.0
