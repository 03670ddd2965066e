"""Delivery by one worker: claimed, sent, settled and logged. The hub's database is PostgreSQL.

The hub is filled before the worker starts. The time runs from the first settled delivery to the
last, by the database's clock, so the start of the process is no part of it.
"""

import subprocess
import time
from collections.abc import Sequence
from typing import Any

import psycopg

from benchmarks.cpu import resident_mb
from benchmarks.hub import (
    POSTGRES,
    SECRET,
    BenchmarkFailed,
    Hub,
    fresh_hub,
    mariadb_server,
    postgres_server,
    wait_until,
)
from benchmarks.measuring import Case, Figure, Sample
from tests.services import Login
from tests.services.mariadb import MariadbServer
from tests.services.postgres import PostgresServer

SIZE = 2048
CONCURRENCY = 64
RATE = "delivered"
DELIVER_SECONDS = 300.0
SAMPLE_SECONDS = 0.2
ROWS = "SELECT count(*) FROM terra_data_payloads"
# (seconds since the first, how many) for each transaction of the settler
SETTLED = (
    "SELECT extract(epoch FROM settled_at - min(settled_at) OVER ())::float8, count(*) FROM webhooks_delivery "
    "WHERE status = 'delivered' GROUP BY settled_at ORDER BY settled_at"
)
# Numbers of the log are handed out one by one: this tells the progress without counting rows.
ATTEMPTED = "SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM webhooks_attempt_id_seq"
UNSETTLED = "SELECT count(*) FROM webhooks_delivery WHERE status <> 'delivered' OR claimed_by <> ''"
LOGGED = "SELECT count(*) FROM webhooks_attempt WHERE outcome = 'delivered' AND NOT late"


def webhook_cases(quick: bool) -> Sequence[Case]:
    """Return webhooks to a sink on this machine."""
    events = 5_000 if quick else 60_000
    parameters = {"events": events, "body_bytes": SIZE, "workers": 1, "concurrency": CONCURRENCY}
    figures = [Figure(RATE, "deliveries/s", at_least=10_000)]
    return [Case("webhook, 2 KB, one worker", parameters, figures, lambda: measure_webhook(events))]


def postgres_cases(quick: bool) -> Sequence[Case]:
    """Return rows in a PostgreSQL of their own, with fsync on."""
    events = 5_000 if quick else 60_000
    parameters = {"events": events, "body_bytes": SIZE, "workers": 1, "tls": "verify-full"}
    figures = [Figure(RATE, "events/s", at_least=8_000)]
    return [Case("PostgreSQL destination, 2 KB, one worker", parameters, figures, lambda: measure_postgres(events))]


def mysql_cases(quick: bool) -> Sequence[Case]:
    """Return rows in a MariaDB of their own, whose commits are on disk."""
    events = 5_000 if quick else 60_000
    parameters = {"events": events, "body_bytes": SIZE, "workers": 1, "tls": "verify-full"}
    figures = [Figure(RATE, "events/s", at_least=5_000)]
    return [Case("MySQL destination (MariaDB), 2 KB, one worker", parameters, figures, lambda: measure_mysql(events))]


def memory_cases(quick: bool) -> Sequence[Case]:
    """Return the worker's memory while it delivers."""
    events = 20_000 if quick else 100_000
    parameters = {"events": events, "body_bytes": SIZE, "workers": 1, "concurrency": CONCURRENCY}
    figures = [
        Figure("resident", "MB", below=200),
        Figure("growth", "MB in the second half", below=5),
        Figure(RATE, "deliveries/s"),
    ]
    return [Case(f"a worker after {events:,} webhooks", parameters, figures, lambda: measure_webhook(events))]


def measure_webhook(events: int) -> Sample:
    """Deliver ``events`` to the sink, and check that each came."""
    with fresh_hub(POSTGRES) as hub:
        fill(hub, webhook(hub), events)
        sample = deliver(hub, events)
        received = hub.sink.count()
    if received != events:
        raise BenchmarkFailed(f"{events} webhooks were delivered; the sink received {received}.")
    return sample


def measure_postgres(events: int) -> Sample:
    """Deliver ``events`` as rows, and check that each is there."""
    with postgres_server() as server, fresh_hub(POSTGRES) as hub:
        login = server.create_user_with_page_grants()
        fill(hub, _rows_in("postgres", server, login), events)
        sample = deliver(hub, events)
        with psycopg.connect(server.dsn(login.database)) as connection:
            (rows,) = connection.execute(ROWS).fetchone() or (0,)
    return _with_all_rows(sample, events, rows)


def measure_mysql(events: int) -> Sample:
    """Deliver ``events`` as rows, and check that each is there."""
    with mariadb_server() as server, fresh_hub(POSTGRES) as hub:
        login = server.create_user_with_page_grants()
        fill(hub, _rows_in("mysql", server, login), events)
        sample = deliver(hub, events)
        ((rows,),) = server.run(ROWS, database=login.database)
        sample["server"] = server.version
    return _with_all_rows(sample, events, rows)


def _with_all_rows(sample: Sample, events: int, rows: int) -> Sample:
    if rows != events:
        raise BenchmarkFailed(f"{events} events were delivered; the destination has {rows} rows.")
    return sample


def webhook(hub: Hub) -> dict[str, Any]:
    """Return a webhook destination at the sink."""
    return {
        "type": "webhook", "name": "webhook", "config": {"url": hub.sink.url()}, "credentials": {},
        "concurrency": CONCURRENCY,
    }  # fmt: skip


def _rows_in(kind: str, server: PostgresServer | MariadbServer, login: Login) -> dict[str, Any]:
    """Return a destination in a database, with the rights of the page's script and TLS verified."""
    config = {
        "host": server.host, "port": server.port, "database": login.database, "username": login.user,
        "ca_certificate": server.authority.pem if server.authority else "",
    }  # fmt: skip
    return {"type": kind, "name": "rows", "config": config, "credentials": {"password": login.password}}


def fill(hub: Hub, destination: dict[str, Any], events: int, different: int = 1000) -> None:
    """Write due deliveries of so many ``different`` bodies into the hub's database, and let it settle down."""
    plan = {"secret": SECRET, "destinations": [destination], "events": events, "size": SIZE, "different": different}
    hub.run_django("benchmarks.fill", plan)
    hub.database.settle_down()


def deliver(hub: Hub, events: int) -> Sample:
    """Let one worker deliver everything; return the rate, and the worker's memory on the way."""
    started, before = time.monotonic(), hub.cpu()
    worker = hub.work()
    memory = _watch(hub, worker, events)
    wait_until(lambda: not hub.database.value(UNSETTLED), 10, "every delivery is settled")
    logged = hub.database.value(LOGGED)
    if logged != events:
        raise BenchmarkFailed(f"{events} events were delivered; the log has {logged} attempts.")
    settled = hub.database.rows(SETTLED)
    return {
        RATE: round((events - settled[0][1]) / settled[-1][0], 1),
        "seconds_with_start": round(time.monotonic() - started, 2),
        "cpu_seconds": {name: round(seconds - before.get(name, 0.0), 2) for name, seconds in hub.cpu().items()},
        "resident": memory[-1][1],
        "growth": _growth(memory, events),
        "memory": memory,
        "settled": [[round(seconds, 3), count] for seconds, count in settled],
    }


def _watch(hub: Hub, worker: "subprocess.Popen[bytes]", events: int) -> list[tuple[int, float]]:
    """Wait for the last attempt; return (attempts so far, resident MB) now and then."""
    seen: list[tuple[int, float]] = []
    ends = time.monotonic() + DELIVER_SECONDS
    while not seen or seen[-1][0] < events:
        if time.monotonic() > ends:
            raise BenchmarkFailed(f"Not within {DELIVER_SECONDS:.0f} s: {events} attempts; {seen[-1][0]} were made.")
        time.sleep(SAMPLE_SECONDS)
        hub.check_alive()
        seen.append((int(hub.database.value(ATTEMPTED)), resident_mb(worker.pid)))
    return seen


def _growth(memory: Sequence[tuple[int, float]], events: int) -> float:
    """Return the last sample less the first one of the second half, in MB."""
    half = next(held for attempts, held in memory if attempts >= events / 2)
    return round(memory[-1][1] - half, 1)
