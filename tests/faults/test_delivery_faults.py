"""Workers that die, hang, stop and come back: what was accepted is delivered, and the log is whole.

Test numbers (T8, T9, …) are those of docs/testing.md.
"""

import random
import signal
import sqlite3
import time
from collections import Counter
from functools import partial

import psycopg
import pytest
from django.db import connection

from destinations import services
from destinations.models import Destination
from tests.delivering.log import attempts, numbers_are_whole, post_many, statuses, until_seen_by_workers
from tests.hub import PATIENCE, Hub, Process, until
from tests.services.postgres import Login, PostgresServer
from tests.sink import Sink
from webhooks.delivering import outbox
from webhooks.models import Attempt, Delivery

pytestmark = pytest.mark.django_db(transaction=True)

LEASE = "2"


def has_reported(worker: Process) -> bool:
    return bool(attempts(worker__contains=f"-{worker.popen.pid}-")) or not worker.alive


def all_delivered(count: int) -> bool:
    return statuses() == {"delivered": count}


def put_to_sleep(worker: Process) -> None:
    """Stop a worker between its writes: whoever is stopped with the one write lock of SQLite holds up everybody."""
    worker.kill(signal.SIGSTOP)
    while write_lock_is_held():
        worker.kill(signal.SIGCONT)
        time.sleep(0.02)
        worker.kill(signal.SIGSTOP)


def write_lock_is_held() -> bool:
    if connection.vendor != "sqlite":
        return False
    other = sqlite3.connect(connection.settings_dict["NAME"], timeout=0.2, isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        other.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return True
    finally:
        other.close()
    return False


def test_t8_killed_workers_lose_nothing_and_repeat_only_what_was_in_hand(
    hub: Hub,
    sink: Sink,
    postgres_server: PostgresServer,
    postgres_login: Login,
) -> None:
    hub.webhook(sink.url("/hook"), concurrency=16)
    services.create_destination(
        type="postgres", name="rows", sources=[hub.source.slug], credentials={"password": postgres_login.password},
        config={"host": "127.0.0.1", "port": postgres_server.port, "database": postgres_login.database,
                "username": postgres_login.user, "ssl_mode": "disable"},
    )  # fmt: skip
    sink.behave("/hook", delay=0.05)
    events = post_many(hub, 400)
    kills = 0
    while statuses().get("delivered", 0) < 700 and kills < 12:
        worker = hub.worker(CLAIM_LEASE_SECONDS=LEASE)
        until(partial(has_reported, worker))
        time.sleep(random.uniform(0, 0.6))
        worker.kill()
        kills += 1
    hub.worker(CLAIM_LEASE_SECONDS=LEASE)
    until(lambda: all_delivered(800), what="everything is delivered after the last kill")

    sent = Counter(one.headers["webhook-id"] for one in sink.requests("/hook"))
    assert set(sent) == set(events)
    # What was sent again had been in the hands of a worker that lost it: nothing whose success was written.
    assert len(attempts(outcome="delivered", late=False)) == 800
    assert {one.error_code for one in attempts(outcome="unknown")} == {"worker_lost"}
    with psycopg.connect(postgres_server.dsn(postgres_login.database)) as connection:
        rows = connection.execute("SELECT payload_id FROM terra_data_payloads").fetchall()
    assert sorted(row[0] for row in rows) == sorted(events)
    assert numbers_are_whole()
    # No request at the sink without an attempt in the log.
    assert Attempt.objects.filter(delivery__destination__type="webhook").count() >= sum(sent.values())


@pytest.mark.parametrize(
    ("place", "sent_twice"), [("claimed", False), ("taken", False), ("answered", True), ("settled", False)]
)
def test_t9_a_worker_killed_at_any_place_of_a_delivery(hub: Hub, sink: Sink, place: str, sent_twice: bool) -> None:
    hub.webhook(sink.url("/hook"))
    post_many(hub, 1)
    worker = hub.worker(CLAIM_LEASE_SECONDS=LEASE, HUB_FAILPOINT=place)
    until(lambda: not worker.alive, what=f"the worker dies at {place}")
    hub.worker(CLAIM_LEASE_SECONDS=LEASE)
    until(lambda: all_delivered(1))
    assert sink.count("/hook") == (2 if sent_twice else 1)
    outcomes = [(a.outcome, a.error_code) for a in attempts()]
    lost = [] if place == "settled" else [("unknown", "worker_lost")]
    assert outcomes == [*lost, ("delivered", "")]
    assert numbers_are_whole()


def test_t10_a_worker_that_slept_past_its_lease_changes_nothing_when_it_wakes(hub: Hub, sink: Sink) -> None:
    hub.webhook(sink.url("/hook"), timeout_s=120)
    sink.behave("/hook", mode="hold", times=1)
    post_many(hub, 1)
    sleeper = hub.worker(CLAIM_LEASE_SECONDS=LEASE)
    until(lambda: sink.count("/hook") == 1)
    put_to_sleep(sleeper)
    hub.worker(CLAIM_LEASE_SECONDS=LEASE)
    until(lambda: all_delivered(1))
    settled_at = Delivery.objects.get().settled_at

    sink.release()
    sleeper.kill(signal.SIGCONT)
    until(lambda: [a.late for a in attempts()] == [True, False], what="the late result is logged as late")
    assert [(a.number, a.outcome) for a in attempts()] == [(1, "delivered"), (2, "delivered")]
    row = Delivery.objects.get()
    assert (row.status, row.attempt_count, row.settled_at) == ("delivered", 2, settled_at)
    assert sink.count("/hook") == 2


def test_t15_an_event_whose_wake_up_nobody_heard_is_delivered(hub: Hub, sink: Sink) -> None:
    hub.webhook(sink.url("/hook"))
    post_many(hub, 3)  # no worker was there to be woken
    hub.worker()
    until(lambda: all_delivered(3))


def told_to_stop(worker: Process) -> None:
    """Ask a worker to end, and wait until it has heard that; its log level must be INFO."""
    worker.popen.terminate()
    until(lambda: "worker_stopping" in worker.output())


def test_t16_sigterm_finishes_what_is_under_way_and_takes_nothing_new(hub: Hub, sink: Sink) -> None:
    hub.webhook(sink.url("/hook"), concurrency=16, timeout_s=120)
    sink.behave("/hook", mode="hold")
    post_many(hub, 40)
    worker = hub.worker(LOG_LEVEL="INFO")
    until(lambda: sink.count("/hook") == 16)
    told_to_stop(worker)
    sink.release()
    assert worker.popen.wait(PATIENCE) == 0
    assert sink.count("/hook") == 16
    assert statuses() == {"delivered": 16, "pending": 24}
    assert not Delivery.objects.exclude(claimed_by="")
    assert not Delivery.objects.filter(status="pending", next_attempt_at__gt=outbox.now())
    assert Attempt.objects.count() == 16


def test_t16_a_second_sigterm_gives_leases_back_at_once_and_fails_nothing(hub: Hub, sink: Sink) -> None:
    hub.webhook(sink.url("/hook"), timeout_s=120)
    sink.behave("/hook", mode="hang")
    post_many(hub, 3)
    worker = hub.worker(CLAIM_LEASE_SECONDS="600", LOG_LEVEL="INFO")
    until(lambda: sink.count("/hook") == 3)
    told_to_stop(worker)
    assert worker.stop() == 0
    assert statuses() == {"pending": 3}

    sink.behave("/hook")
    hub.worker()
    until(lambda: all_delivered(3))
    assert [a.error_code for a in attempts()] == ["worker_lost", ""] * 3


def test_t19_a_destination_deleted_while_deliveries_are_under_way(hub: Hub, sink: Sink) -> None:
    destination = hub.webhook(sink.url("/hook"), concurrency=4, timeout_s=120)
    sink.behave("/hook", mode="hold")
    post_many(hub, 40)
    worker = hub.worker()
    until(lambda: sink.count("/hook") == 4)
    services.delete_destination(Destination.objects.get(pk=destination.pk))
    until_seen_by_workers(hub, sink)
    sink.release()
    assert worker.stop() == 0
    assert sink.count("/hook") == 4
    assert len(attempts(delivery__destination=destination)) == 4, "each request has its attempt in the log"
    assert set(statuses(destination=destination)) <= {"cancelled", "delivered"}
    assert numbers_are_whole()


def test_two_workers_share_the_work_without_doing_it_twice(hub: Hub, sink: Sink) -> None:
    hub.webhook(sink.url("/hook"), concurrency=2)
    sink.behave("/hook", delay=0.02)
    events = post_many(hub, 150)
    hub.worker()
    hub.worker()
    until(lambda: all_delivered(150))
    assert Counter(one.headers["webhook-id"] for one in sink.requests("/hook")) == Counter(events)


def test_a_claim_is_nobody_elses_until_its_lease_ends(hub: Hub, sink: Sink) -> None:
    destination = hub.webhook(sink.url("/hook"))
    post_many(hub, 10)
    mine = outbox.claim(destination.pk, "mine:1", 6, lease_s=600)
    theirs = outbox.claim(destination.pk, "theirs:1", 10, lease_s=600)
    assert (len(mine), len(theirs)) == (6, 4)
    assert outbox.claim(destination.pk, "third:1", 10, lease_s=60) == []
    in_hand = [row.delivery_id for row in mine]
    outbox.extend(in_hand, ["mine:1"], 0.1)
    lost = until(lambda: outbox.claim(destination.pk, "third:2", 10, lease_s=600), what="the lease ends")
    assert {row.delivery_id for row in lost} == set(in_hand)
    assert [a.error_code for a in attempts()] == ["worker_lost"] * 6
    assert numbers_are_whole()


def test_released_deliveries_are_due_at_once_and_count_no_attempt(hub: Hub, sink: Sink) -> None:
    destination = hub.webhook(sink.url("/hook"))
    post_many(hub, 3)
    rows = outbox.claim(destination.pk, "mine:1", 3, lease_s=60)
    outbox.release([row.delivery_id for row in rows], ["mine:1"])
    assert len(outbox.claim(destination.pk, "mine:2", 3, lease_s=60)) == 3
    assert Attempt.objects.count() == 0


def test_a_destination_whose_health_cannot_be_written_stops_no_other(hub: Hub, sink: Sink) -> None:
    odd = hub.webhook(sink.url("/odd"))
    sink.behave("/odd", status=500)
    # PostgreSQL refuses to count further; SQLite would not mind.
    Destination.objects.filter(pk=odd.pk).update(consecutive_failures=2**31 - 1)
    hub.worker()
    post_many(hub, 1)
    until(lambda: attempts(delivery__destination=odd), what="the failing one was tried")
    fine = hub.webhook(sink.url("/fine"))
    post_many(hub, 3)
    until(lambda: statuses(destination=fine) == {"delivered": 3}, what="the other is settled")
