"""Objects in a Google Cloud Storage emulator on this machine: the destination beside bare clients, in the same run.

All write the same bodies with the same number of requests at once into one fake-gcs-server, without the
tests' gate before it, which would be slower than they are. One bare client sends requests that were
made before over the hub's HTTP client: nothing can be faster. The other is Google's own, in a pool
of threads, as a script of one's own would use it.
"""

import json
import secrets
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path

from google.cloud import storage

from benchmarks.delivery import RATE, deliver, fill
from benchmarks.hub import POSTGRES, BenchmarkFailed, fresh_hub
from benchmarks.load import body_of
from benchmarks.measuring import Case, Figure, Sample
from destinations.adapters.base import Limits, ListFeed, Message, Outcome
from destinations.adapters.gcs import GcsAdapter
from destinations.adapters.gcs_api import Bucket
from destinations.adapters.gcs_config import GcsConfig, GcsCredentials
from destinations.adapters.gcs_key import rebuilt
from destinations.adapters.object_writes import ABSENT
from destinations.adapters.objects import object_of
from destinations.egress import EgressPolicy
from destinations.http import HttpClient, HttpResponse
from destinations.identity import HubIdentity
from destinations.ids import uuid7
from tests.services.gcs import GcsServer, anonymous_client, start

SIZE = 2048
SHARED_MEMORY = Path("/dev/shm")  # a disk would be measured in place of the clients
CONCURRENCY = 16
LOCAL = EgressPolicy(allow=("127.0.0.0/8",))
SHARE = "share of the bare client's rate"
DESTINATION, BARE, GOOGLES = "destination", "bare client", "Google's client"


def cases(quick: bool) -> Sequence[Case]:
    """Return the destination beside the bare clients, and a whole worker."""
    events = 500 if quick else 5_000
    parameters = {
        "events": events,
        "body_bytes": SIZE,
        "concurrency": CONCURRENCY,
        "store": "fake-gcs-server, files in memory, no TLS",
    }
    beside = [
        Figure(SHARE, "", at_least=0.8),
        Figure(DESTINATION, "objects/s"),
        Figure(BARE, "objects/s"),
        Figure(GOOGLES, "objects/s"),
    ]
    worker = [Figure(RATE, "objects/s")]
    return [
        Case("GCS destination beside bare clients, 2 KB", parameters, beside, lambda: measure_beside(events)),
        Case("GCS destination, 2 KB, one worker", parameters, worker, lambda: measure_worker(events)),
    ]


def measure_beside(events: int) -> Sample:
    """Write the same events in each way; which of the ways is first is left to chance."""
    ways: dict[str, Callable[[GcsServer, str, int], float]] = {
        DESTINATION: by_destination, BARE: by_bare_client, GOOGLES: by_googles_client,
    }  # fmt: skip
    with _store() as server:
        by_bare_client(server, server.make_bucket(), 500)  # warms the server up
        order = secrets.SystemRandom().sample(list(ways), len(ways))
        sample: Sample = {name: round(ways[name](server, server.make_bucket(), events), 1) for name in order}
    return sample | {SHARE: round(sample[DESTINATION] / sample[BARE], 3), "order": order}


def measure_worker(events: int) -> Sample:
    """Let one worker of a hub on PostgreSQL write everything."""
    with _store() as server, fresh_hub(POSTGRES, GCS_ENDPOINT=server.raw, GCS_TOKEN_ENDPOINT=server.token) as hub:
        bucket = server.make_bucket()
        destination = {
            "type": "gcs", "name": "gcs", "config": {"bucket": bucket}, "concurrency": CONCURRENCY,
            "credentials": {"service_account_key": json.dumps(server.make_key())},
        }  # fmt: skip
        fill(hub, destination, events, different=events)
        sample = deliver(hub, events)
        check(server, bucket, events)
    return sample


def by_destination(server: GcsServer, bucket: str, events: int) -> float:
    """Return the destination's rate, in objects per second."""
    key = GcsCredentials(rebuilt(server.make_key()))
    adapter = GcsAdapter(GcsConfig(bucket), key, Limits(concurrency=CONCURRENCY), LOCAL)
    adapter.identity = HubIdentity(gcs_endpoint=server.raw, gcs_token_endpoint=server.token)
    with closing(adapter):
        adapter.deliver([message(events)])  # connects, and fetches the token
        batch = [message(number) for number in range(events)]
        started = time.perf_counter()
        results = [result for group in adapter.stream(ListFeed(batch)) for _, result in group]
        took = time.perf_counter() - started
    if {result.outcome for result in results} != {Outcome.DELIVERED}:
        raise BenchmarkFailed("Not every event was delivered.")
    check(server, bucket, events + 1)
    return events / took


def by_bare_client(server: GcsServer, bucket: str, events: int) -> float:
    """Return the rate of the HTTP client alone, with requests that were made before the clock started."""
    makes = Bucket(server.raw, bucket, 30.0)
    made = (message(number) for number in range(events))
    requests = [makes.upload("none", (to := object_of(one)).key, to.metadata, one.body, ABSENT) for one in made]
    left = iter(requests)
    with closing(HttpClient(LOCAL, concurrency=CONCURRENCY)) as client:
        started = time.perf_counter()
        groups = client.stream(lambda most: list(islice(left, most)))
        good = sum(isinstance(answer, HttpResponse) and answer.status == 200 for group in groups for _, answer in group)
        took = time.perf_counter() - started
    if good != events:
        raise BenchmarkFailed(f"{good} of {events} uploads were answered with 200.")
    check(server, bucket, events)
    return events / took


def by_googles_client(server: GcsServer, bucket: str, events: int) -> float:
    """Return the rate of Google's own client in a pool of threads, for a tenth of the events: it is slow."""
    client: storage.Client = anonymous_client(server.raw)
    batch = [(object_of(one), one.body) for one in map(message, range(events // 10))]

    def put(number: int) -> None:
        to, body = batch[number]
        blob = client.bucket(bucket).blob(to.key)
        blob.metadata = dict(to.metadata)
        blob.upload_from_string(body, content_type="application/json", if_generation_match=0)

    with ThreadPoolExecutor(CONCURRENCY) as pool:
        started = time.perf_counter()
        list(pool.map(put, range(len(batch))))
        took = time.perf_counter() - started
    check(server, bucket, len(batch))
    return len(batch) / took


def message(number: int) -> Message:
    """Return an event whose key is its own."""
    return Message(str(uuid7()), "activity", body_of(SIZE, number), datetime.now(UTC))


def check(server: GcsServer, bucket: str, events: int) -> None:
    """Fail unless every object is there."""
    found = sum(1 for _ in server.client.list_blobs(bucket, fields="items(name),nextPageToken"))
    if found != events:
        raise BenchmarkFailed(f"{events} objects were written; {found} are there.")


@contextmanager
def _store() -> Iterator[GcsServer]:
    memory = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="hub-gcs-", dir=memory) as folder:
        server = start(Path(folder))
        try:
            yield server
        finally:
            server.stop()
