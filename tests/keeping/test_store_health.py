"""A store that gives no answer is left alone for a moment: not every thread of a server comes to wait for it."""

from contextlib import suppress

import pytest

from webhooks.keeping import storehealth
from webhooks.keeping.storehealth import PayloadStoreDown, note_written, probed, watched
from webhooks.keeping.stores.base import StoreFailed

pytestmark = pytest.mark.databaseless

SILENT, REFUSING = StoreFailed("It gives no answer.", unreachable=True), StoreFailed("It refuses.")


class Asked:
    """Counts how often a store is asked, and fails as it is told."""

    def __init__(self, failure: OSError | None = None) -> None:
        self.times, self.failure = 0, failure

    def __call__(self) -> None:
        self.times += 1
        if self.failure:
            raise self.failure

    def for_a_body(self) -> None:
        with suppress(PayloadStoreDown), watched(lambda: "s3://b", "test"):
            self()

    def whether_it_takes_bodies(self) -> bool:
        try:
            probed(lambda: "s3://b", self)
        except PayloadStoreDown:
            return False
        return True


def test_one_that_gives_no_answer_is_left_alone_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked(SILENT)
    for _ in range(3):
        asked.for_a_body()
    assert asked.times == 1
    monkeypatch.setattr(storehealth, "LEFT_ALONE_S", 0.0)
    asked.for_a_body()
    assert asked.times == 2


def test_one_that_refuses_is_asked_each_time() -> None:
    asked = Asked(REFUSING)
    for _ in range(3):
        asked.for_a_body()
    assert asked.times == 3


def test_readiness_follows_what_bodies_met(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = Asked()
    note_written()
    assert asked.whether_it_takes_bodies()
    Asked(REFUSING).for_a_body()
    assert not asked.whether_it_takes_bodies()
    assert asked.times == 0  # what bodies met was enough to know
    monkeypatch.setattr(storehealth, "FAILED_COUNTS_S", 0.0)
    assert asked.whether_it_takes_bodies()
    assert asked.times == 1
