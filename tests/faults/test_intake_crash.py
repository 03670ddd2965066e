"""T1 and T2: the web server is killed, and nothing that was answered with 2XX is lost or doubled."""

import http.client
import json
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub import Answer, Hub, own_hub, until
from tests.receiving.support import BODY, at_once, events
from webhooks.keeping.payloads import read_body
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)

POSTS, SENDERS, KILLS = 2000, 16, 3
LOST = (OSError, http.client.HTTPException)


class Ledger:
    """What the hub answered, in a file of the test's own."""

    def __init__(self, path: Path) -> None:
        self._file, self._lock, self.path = path.open("w"), threading.Lock(), path
        self.count = 0

    def add(self, trace: str, answer: Answer) -> None:
        with self._lock:
            self._file.write(json.dumps([trace, answer.json["event_id"], answer.json["duplicate"]]) + "\n")
            self._file.flush()
            self.count += 1

    def read(self) -> Iterator[tuple[str, str, bool]]:
        yield from map(json.loads, self.path.read_text().splitlines())


def send_until_taken(hub: Hub, number: int, ledger: Ledger) -> int:
    """Post one event as Terra does, again until it is answered with 200; return how many tries it took."""
    for tries in range(1, 400):
        try:
            answer = hub.post(BODY % number, trace=f"t-{number}", timeout=20)
        except LOST:
            time.sleep(0.05)
            continue
        if answer.status == 200:
            ledger.add(f"t-{number}", answer)
            return tries
        assert answer.status == 503, answer.body
        time.sleep(0.05)
    raise AssertionError(f"event {number} was never taken")


def kill_now_and_then(hub: Hub, ledger: Ledger) -> None:
    chance = random.Random(1)
    for number in range(1, KILLS + 1):
        wanted = number * POSTS // (KILLS + 2)
        until(lambda: ledger.count >= wanted, 60, "events are taken")  # noqa: B023  # used at once
        time.sleep(chance.random() / 20)
        hub.server.kill()
        hub.server.start()


def test_t1_kill_9_at_random_moments(transactional_db: None, tmp_path: Path) -> None:
    with own_hub(tmp_path) as hub:
        hub.webhook("http://127.0.0.1:8099/hook")
        ledger = Ledger(tmp_path / "ledger")
        killer = threading.Thread(target=kill_now_and_then, args=(hub, ledger))
        killer.start()
        tries = at_once(lambda number: send_until_taken(hub, number, ledger), range(POSTS), SENDERS)
        killer.join()
        held = {str(event.pk): event for event in events(hub)}
        answered = list(ledger.read())
        # One 200 for each trace id; each names an event with the bytes that were sent.
        assert {trace for trace, _, _ in answered} == {f"t-{number}" for number in range(POSTS)}
        for trace, event_id, _ in answered:
            assert read_body(held[event_id].payload) == BODY % int(trace[2:])
        # What was sent again because its answer was lost gave no second event.
        assert len(held) == POSTS == Delivery.objects.count()
        assert sum(tries) > POSTS, "no request was hit by a kill"


@pytest.mark.parametrize(("place", "on_disk"), [("before_commit", 0), ("after_commit", 1)])
def test_t2_killed_round_the_commit(transactional_db: None, tmp_path: Path, place: str, on_disk: int) -> None:
    with own_hub(tmp_path, HUB_FAILPOINT=f"{place}:6") as hub:
        for number in range(5):
            assert hub.post(BODY % number, trace=f"t-{number}").status == 200
        with pytest.raises(LOST):
            hub.post(BODY % 5, trace="t-5")
        assert len(events(hub)) == 5 + on_disk
        until(hub.server.answers, what="the server starts its process again")
        again = hub.post(BODY % 5, trace="t-5")
        assert (again.status, again.json["duplicate"]) == (200, bool(on_disk))
        assert sorted(read_body(event.payload) for event in events(hub)) == [BODY % number for number in range(6)]
