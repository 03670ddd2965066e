"""T3 and T6: the database is away or stuck. The sender gets 503 and tries again; nothing is lost."""

import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.hub import ROOT, SECRET, Answer, Server, environment, own_hub, signature, until
from tests.receiving.support import BODY, check_refused, events, writers_waiting
from tests.services import provide
from tests.services.postgres import PostgresServer, start
from webhooks.keeping.payloads import read_body

SLUG = "outage"
PREPARE = (
    "import django; django.setup();"
    "from django.core.management import call_command; call_command('migrate', verbosity=0);"
    "from webhooks.receiving.sources import create_source;"
    f"create_source(slug='{SLUG}', secret='{SECRET}')"
)


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    """A PostgreSQL of the test's own that keeps what it commits, and may be killed."""
    server = provide(lambda: start(fsync=True))
    yield server
    server.stop()


def post(server: Server, number: int) -> Answer:
    body = BODY % number
    headers = {"terra-signature": signature(body), "X-Terra-Trace-Id": f"t-{number}"}
    return server.request("POST", f"/webhooks/terra/{SLUG}", body, headers)


class Senders:
    """Eight threads that post new events until they are told to stop."""

    def __init__(self, server: Server) -> None:
        self.server, self.answers, self._stop = server, list[tuple[int, Answer]](), threading.Event()
        self._numbers, self._lock = iter(range(10**6)), threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(8)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            with self._lock:
                number = next(self._numbers)
            self.answers.append((number, post(self.server, number)))

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def statuses(self, since: int = 0) -> Counter[int]:
        return Counter(answer.status for _, answer in self.answers[since:])


@pytest.mark.databaseless
def test_t3_postgresql_is_killed_and_comes_back(postgres: PostgresServer, tmp_path: Path) -> None:
    url = postgres.url(postgres.create_database())
    env = {"DATABASE_URL": url, "COMMIT_TIMEOUT_SECONDS": "3"}
    subprocess.run([sys.executable, "-c", PREPARE], cwd=ROOT, env=environment(**env), check=True)
    server = Server(tmp_path, 1, **env).start()
    senders = Senders(server)
    try:
        until(lambda: senders.statuses()[200] > 100, what="events are taken")
        assert postgres.process
        postgres.process.send_signal(signal.SIGQUIT)  # what pg_ctl -m immediate does
        postgres.process.wait()
        away = len(senders.answers)
        until(lambda: senders.statuses(away)[503] >= 16, 60, "requests are answered during the outage")
        assert set(senders.statuses()) == {200, 503}
        postgres.launch()
        back = len(senders.answers)
        until(lambda: senders.statuses(back)[200] > 100, 60, "events are taken again")
    finally:
        senders.stop()
        server.kill()
    check_refused(next(answer for _, answer in senders.answers if answer.status == 503), 503, "store_unavailable")
    assert all(answer.headers["retry-after"] == "30" for _, answer in senders.answers if answer.status == 503)
    taken = {answer.json["event_id"]: number for number, answer in senders.answers if answer.status == 200}
    with postgres.connect(url.rsplit("/", 1)[1]) as connection:
        rows = connection.execute("SELECT event_id::text, body FROM webhooks_payload").fetchall()
        twice = connection.execute("SELECT count(*) - count(DISTINCT idempotency_key) FROM webhooks_event").fetchone()
    held = dict(rows)
    assert all(held[event_id] == BODY % number for event_id, number in taken.items())
    assert twice == (0,)


@pytest.mark.django_db(transaction=True)
def test_t6_a_database_that_is_locked_for_long(tmp_path: Path) -> None:
    with own_hub(tmp_path, COMMIT_TIMEOUT_SECONDS="1") as hub:
        assert hub.post(BODY % 0).status == 200
        with writers_waiting(), ThreadPoolExecutor(8) as pool:
            sent = [pool.submit(hub.post, BODY % number, trace=f"t-{number}") for number in range(1, 9)]
            for future in sent:
                check_refused(future.result(), 503, "store_unavailable")
                assert future.result().headers["retry-after"] == "30"
        # Once the lock is gone, Terra's retry is answered, with an event that may have been written meanwhile.
        for number in range(1, 9):
            until(lambda: hub.post(BODY % number, trace=f"t-{number}").status == 200)  # noqa: B023  # used at once
        assert sorted(read_body(event.payload) for event in events(hub)) == [BODY % number for number in range(9)]


@pytest.mark.databaseless
def test_the_first_event_after_a_restart_of_the_database_is_taken(postgres: PostgresServer, tmp_path: Path) -> None:
    """Where events are rare, nobody else tries the broken connections first."""
    env = {"DATABASE_URL": postgres.url(postgres.create_database()), "COMMIT_TIMEOUT_SECONDS": "3"}
    subprocess.run([sys.executable, "-c", PREPARE], cwd=ROOT, env=environment(**env), check=True)
    server = Server(tmp_path, 1, **env).start()
    try:
        with ThreadPoolExecutor(24) as pool:  # as many connections as there may be
            list(pool.map(lambda _: server.request("GET", "/readyz"), range(48)))
        assert post(server, 1).status == 200
        assert postgres.process
        postgres.process.send_signal(signal.SIGINT)
        postgres.process.wait()
        postgres.launch()
        assert [post(server, number).status for number in range(2, 6)] == [200] * 4
    finally:
        server.kill()
