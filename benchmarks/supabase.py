"""A Supabase destination against a bare client that does the same writing, in one run.

The project is the tests' own: PostgREST's and Storage's routes in a process of their own, over a PostgreSQL with
fsync on. It answers fewer requests than Supabase does, so the figures say how much the hub adds to what the
bare client needs, and not how fast Supabase is.
"""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pycurl

from benchmarks import delivery
from benchmarks.hub import POSTGRES, ROOT, BenchmarkFailed, fresh_hub, postgres_server
from benchmarks.load import body_of
from benchmarks.measuring import Case, Figure, Sample
from destinations.adapters.base import Limits, ListFeed, Message, Outcome
from destinations.adapters.supabase import SupabaseAdapter
from destinations.adapters.supabase_config import SupabaseConfig, SupabaseCredentials
from destinations.egress import EgressPolicy
from destinations.ids import uuid7
from tests.services.postgres import PostgresServer

CONCURRENCY = 16
ROWS = 500  # of one request of the bare client
METADATA = base64.b64encode(b'{"terra-event-id": "019e", "terra-ordering-timestamp": "1782900000123"}').decode()
UPLOADED = ("x-upsert: true", f"x-metadata: {METADATA}")
STORAGE, REST = "/storage/v1/object/terra-payloads", "/rest/v1"


def cases(quick: bool) -> Sequence[Case]:
    """Return the cases: a project that answers at once, and one behind a network."""
    return [_case(1_000 if quick else 6_000, delay_ms) for delay_ms in (0, 20)]


def _case(events: int, delay_ms: int) -> Case:
    parameters = {
        "events": events, "body_bytes": delivery.SIZE, "workers": 1, "concurrency": CONCURRENCY,
        "answers_delayed_by_ms": delay_ms,
    }  # fmt: skip
    name = f"Supabase, 2 KB, one worker, answers {delay_ms} ms late" if delay_ms else "Supabase, 2 KB, one worker"
    figures = [
        Figure("ratio", "times the bare client's rate", at_least=0.8),
        Figure("bare", "events/s"),
        Figure("adapter", "events/s"),
        Figure(delivery.RATE, "events/s by a whole hub"),
    ]
    return Case(name, parameters, figures, lambda: measure(events, delay_ms / 1000))


def measure(events: int, delay_s: float) -> Sample:
    """Write ``events`` with the bare client, the adapter alone, and a hub, each to a project of its own."""
    with postgres_server() as server:
        rates = {}
        for name, write in (("bare", bare_client), ("adapter", adapter_alone)):
            with project(server, events, delay_s) as made:
                rates[name] = round(events / write(made, events), 1)
        with project(server, events, delay_s) as made, fresh_hub(POSTGRES) as hub:
            delivery.fill(hub, destination(made), events, different=events)
            sample = delivery.deliver(hub, events)
    return {**rates, "ratio": round(rates["adapter"] / rates["bare"], 3), **sample}


def destination(made: dict[str, str]) -> dict[str, Any]:
    """Return the destination in a project."""
    return {
        "type": "supabase", "name": "supabase", "config": {"project_url": made["url"]},
        "credentials": {"api_key": made["key"]}, "concurrency": CONCURRENCY,
    }  # fmt: skip


@contextmanager
def project(server: PostgresServer, events: int, delay_s: float) -> Iterator[dict[str, str]]:
    """Give a new project with its tables and its bucket; check at the end that all events are in it."""
    command = [sys.executable, "-m", "tests.services.supabase", server.superuser_dsn, str(delay_s)]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    try:
        yield json.loads(process.stdout.readline())
        held = json.loads(process.communicate(timeout=30)[0])
    finally:
        process.kill()
        process.wait()
    if set(held.values()) != {events}:
        raise BenchmarkFailed(f"{events} events were delivered; the project holds {held}.")


def adapter_alone(made: dict[str, str], events: int) -> float:
    """Deliver as a worker's lane does, without claiming and settling; return the seconds."""
    config, credentials = SupabaseConfig(project_url=made["url"]), SupabaseCredentials(made["key"])
    limits, policy = Limits(timeout_s=30, concurrency=CONCURRENCY), EgressPolicy(("127.0.0.0/8",))
    now = datetime.now(UTC)
    bodies = [body_of(delivery.SIZE, number) for number in range(events)]
    messages = [Message(str(uuid7()), "activity", body, now) for body in bodies]
    adapter = SupabaseAdapter(config, credentials, limits, policy)
    started = time.perf_counter()
    results = [result for group in adapter.stream(ListFeed(messages)) for _, result in group]
    took = time.perf_counter() - started
    adapter.close()
    if {result.outcome for result in results} != {Outcome.DELIVERED}:
        raise BenchmarkFailed(f"The adapter did not deliver: {results[0].detail}")
    return took


def bare_client(made: dict[str, str], events: int) -> float:
    """Upload and insert what a hub would, with as little as that takes; return the seconds."""
    bodies = [body_of(delivery.SIZE, number) for number in range(events)]
    client = _Bare(made)
    started = time.perf_counter()
    for start in range(0, events, ROWS):
        numbers = range(start, min(start + ROWS, events))
        client.send([(f"{STORAGE}/{number}.json", bodies[number], UPLOADED) for number in numbers])
        users = [_user_row(number) for number in {number % 1000 for number in numbers}]
        payloads = [_payload_row(made["url"], number) for number in numbers]
        merge = ("Prefer: resolution=merge-duplicates,return=minimal",)
        client.send([(f"{REST}/terra_users?on_conflict=user_id", json.dumps(users).encode(), merge)])
        client.send([(f"{REST}/terra_data_payloads?on_conflict=payload_id", json.dumps(payloads).encode(), merge)])
    return time.perf_counter() - started


def _user_row(number: int) -> dict[str, Any]:
    return {
        "user_id": f"user-{number}", "reference_id": f"ref-{number}", "created_at": None, "granted_scopes": None,
        "provider": "GARMIN", "state": "active",
    }  # fmt: skip


def _payload_row(url: str, number: int) -> dict[str, Any]:
    moment = "2026-07-01T06:04:11+00:00"
    return {
        "payload_id": f"019e0000-0000-7000-8000-{number:012}", "user_id": f"user-{number % 1000}",
        "data_type": "activity", "created_at": moment, "start_time": moment, "end_time": moment,
        "payload_url": f"{url}{STORAGE}/{number}.json",
    }  # fmt: skip


class _Bare:
    """libcurl's multi interface and nothing else."""

    def __init__(self, made: dict[str, str]) -> None:
        key = made["key"]
        self.url = made["url"]
        self.headers = [f"apikey: {key}", f"Authorization: Bearer {key}", "Content-Type: application/json", "Expect:"]
        self.multi = pycurl.CurlMulti()
        self.idle = [pycurl.Curl() for _ in range(CONCURRENCY)]

    def send(self, posts: Sequence[tuple[str, bytes, Sequence[str]]]) -> None:
        """Post everything, ``CONCURRENCY`` at once, and check each answer."""
        waiting, under_way = list(reversed(posts)), 0
        while waiting or under_way:
            while waiting and self.idle:
                self._start(self.idle.pop(), *waiting.pop())
                under_way += 1
            self.multi.perform()
            _, good, bad = self.multi.info_read()
            for easy in good:
                self.multi.remove_handle(easy)
                self.idle.append(easy)
                if easy.getinfo(pycurl.RESPONSE_CODE) >= 300:
                    raise BenchmarkFailed(f"The bare client was answered {easy.getinfo(pycurl.RESPONSE_CODE)}.")
            if bad:
                raise BenchmarkFailed(f"The bare client failed: {bad[0][2]}.")
            under_way -= len(good)
            if not good:
                self.multi.select(1.0)

    def _start(self, easy: pycurl.Curl, path: str, body: bytes, headers: Sequence[str]) -> None:
        easy.setopt(pycurl.URL, self.url + path)
        easy.setopt(pycurl.POSTFIELDS, body)
        easy.setopt(pycurl.HTTPHEADER, [*self.headers, *headers])
        easy.setopt(pycurl.WRITEFUNCTION, lambda data: len(data))
        self.multi.add_handle(easy)
