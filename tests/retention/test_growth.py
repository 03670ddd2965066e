"""T55, the growth budget: an event takes no more than a fifth more room than what the last benchmark says."""

import pytest

from benchmarks import growing, growth, table
from tests.api_support import make_destination, make_source
from tests.hub import on_postgres

pytestmark = pytest.mark.django_db(transaction=True)


def test_t55_an_event_with_a_delivery_and_an_attempt_stays_within_its_budget() -> None:
    (result,) = [one for one in table.newest() if one["benchmark"] == "growth"]
    committed = growth.committed("postgres" if on_postgres() else "sqlite", result)
    found = growing.grown(make_source().pk, make_destination().pk)
    assert 0.8 * committed < found["bytes"] < growth.ALLOWED * committed, found
