"""Objects in an S3 store on this machine: the destination beside the bare client, in the same run.

All put the same bodies with the same number of threads, one after the other, into one SeaweedFS.
The bare client does what a script of one's own would: ``put_object`` in a pool of threads. A second
one does not ask for "100 Continue" first, as the destination does not; the faster of them counts.
"""

import random
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial

import boto3
from botocore.config import Config

from benchmarks.delivery import RATE, deliver, fill
from benchmarks.hub import POSTGRES, BenchmarkFailed, fresh_hub
from benchmarks.load import body_of
from benchmarks.measuring import Case, Figure, Sample
from destinations.adapters.base import Limits, ListFeed, Message, Outcome
from destinations.adapters.objects import object_of
from destinations.adapters.s3 import S3Adapter
from destinations.adapters.s3_config import S3Config, S3Credentials
from destinations.egress import EgressPolicy
from destinations.ids import uuid7
from tests.services.seaweedfs import REGION, SeaweedServer, start

SIZE = 2048
CONCURRENCY = 16
SHARE = "share of the bare client's rate"


def cases(quick: bool) -> Sequence[Case]:
    """Return the destination beside the bare client, and a whole worker."""
    events = 500 if quick else 2_000
    parameters = {"events": events, "body_bytes": SIZE, "concurrency": CONCURRENCY, "store": "SeaweedFS, no TLS"}
    beside = [
        Figure(SHARE, "", at_least=0.8),
        Figure("destination", "objects/s"),
        Figure("bare client", "objects/s"),
        Figure("bare client without Expect", "objects/s"),
    ]
    return [
        Case("S3 destination beside boto3, 2 KB", parameters, beside, lambda: measure_beside(events)),
        Case(
            "S3 destination, 2 KB, one worker", parameters, [Figure(RATE, "objects/s")], lambda: measure_worker(events)
        ),
    ]


def measure_beside(events: int) -> Sample:
    """Put the same events by the destination and by the bare clients, in an order that is left to chance."""
    with _store() as server:
        bucket = server.create_bucket()
        warm_up(server, bucket)
        ways = {
            "destination": by_destination,
            "bare client": by_client,
            "bare client without Expect": partial(by_client, expects=False),
        }
        order = random.sample(list(ways), len(ways))
        sample: Sample = {name: round(ways[name](server, bucket, events), 1) for name in order}
    fastest = max(rate for name, rate in sample.items() if name != "destination")
    return sample | {SHARE: round(sample["destination"] / fastest, 3), "order": order}


def measure_worker(events: int) -> Sample:
    """Let one worker of a hub on PostgreSQL put everything."""
    with _store() as server, fresh_hub(POSTGRES) as hub:
        bucket = server.create_bucket()
        warm_up(server, bucket)
        credentials = {"access_key_id": server.admin.id, "secret_access_key": server.admin.secret}
        config = {"bucket": bucket, "region": REGION, "endpoint_url": server.endpoint, "prefix": "worker"}
        fill(
            hub,
            {"type": "s3", "name": "s3", "config": config, "credentials": credentials, "concurrency": CONCURRENCY},
            events,
            different=events,
        )
        sample = deliver(hub, events)
        check(server, bucket, "worker", events)
    return sample


def by_destination(server: SeaweedServer, bucket: str, events: int) -> float:
    """Return the destination's rate, in objects per second."""
    adapter = S3Adapter(
        S3Config(bucket=bucket, region=REGION, endpoint_url=server.endpoint, prefix="destination"),
        S3Credentials(access_key_id=server.admin.id, secret_access_key=server.admin.secret),
        Limits(concurrency=CONCURRENCY),
        EgressPolicy(allow=("127.0.0.0/8",)),
    )
    with closing(adapter):
        adapter.deliver([message(events)])  # connects
        batch = [message(number) for number in range(events)]
        started = time.perf_counter()
        results = [result for group in adapter.stream(ListFeed(batch)) for _, result in group]
        took = time.perf_counter() - started
    if {result.outcome for result in results} != {Outcome.DELIVERED}:
        raise BenchmarkFailed("Not every event was delivered.")
    check(server, bucket, "destination", events + 1)
    return events / took


def by_client(server: SeaweedServer, bucket: str, events: int, expects: bool = True) -> float:
    """Return the bare client's rate, in objects per second."""
    prefix = f"client-{expects}"
    client = boto3.client(
        "s3",
        endpoint_url=server.endpoint,
        aws_access_key_id=server.admin.id,
        aws_secret_access_key=server.admin.secret,
        region_name=REGION,
        config=Config(max_pool_connections=CONCURRENCY, s3={"addressing_style": "path"}),
    )
    if not expects:
        client.meta.events.register_last(
            "before-call.s3", lambda params, **_: params["headers"].pop("Expect", None) and None
        )
    batch = [(object_of(one).key, one.body) for one in map(message, range(events))]

    def put(item: tuple[str, bytes]) -> None:
        client.put_object(
            Bucket=bucket, Key=f"{prefix}/{item[0]}", Body=item[1], ContentType="application/json",
            Metadata={"terra-event-id": "0"},
        )  # fmt: skip

    put(("connects", b""))
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        started = time.perf_counter()
        list(pool.map(put, batch))
        took = time.perf_counter() - started
    check(server, bucket, prefix, events + 1)
    return events / took


def message(number: int) -> Message:
    """Return an event whose key is its own."""
    return Message(str(uuid7()), "activity", body_of(SIZE, number), datetime.now(UTC))


def warm_up(server: SeaweedServer, bucket: str) -> None:
    """Let the store make its volumes: the first writes wait for that."""
    for number in range(20):
        server.client().put_object(Bucket=bucket, Key=f"warm-up/{number}", Body=b"")


def check(server: SeaweedServer, bucket: str, prefix: str, events: int) -> None:
    """Fail unless every object is there."""
    pages = server.client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    found = sum(len(page.get("Contents", ())) for page in pages)
    if found != events:
        raise BenchmarkFailed(f"{events} objects were put under {prefix}/; {found} are there.")


@contextmanager
def _store() -> Iterator[SeaweedServer]:
    server = start()
    try:
        yield server
    finally:
        server.stop()
