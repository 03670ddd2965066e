"""What a worker does beside delivering goes on whatever happens to a part of it."""

import threading

import pytest

from webhooks.delivering import chores
from webhooks.delivering.chores import Chores

pytestmark = pytest.mark.databaseless


def test_a_chore_that_fails_or_hangs_neither_ends_nor_holds_up_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chores, "FIRST_WAIT_S", 0.01)
    monkeypatch.setattr(chores, "JOIN_S", 0.1)
    failed, went_well, hung, ends = threading.Semaphore(0), threading.Semaphore(0), threading.Event(), threading.Event()

    def fails() -> float:
        failed.release()
        raise RuntimeError("no")

    def goes_well() -> float:
        went_well.release()
        return 0.01

    def hangs() -> float:
        hung.set()
        ends.wait()
        return 0.0

    running = Chores([hangs, fails, goes_well])
    running.start()
    assert hung.wait(60)
    for _ in range(3):
        assert failed.acquire(timeout=60)
        assert went_well.acquire(timeout=60)
    running.stop()  # does not wait for the one that hangs
    ends.set()
