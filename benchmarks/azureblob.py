"""Blobs in an Azurite on this machine: the destination beside Microsoft's own client, in the same run.

All put the same bodies, as many at once, each into a server of its own: Azurite takes the longer for a write the
more blobs it has. They take turns, so that a slow moment of the machine meets all of them. The bare client does what a
script of one's own would: ``upload_blob`` in a pool of threads. Azurite needs most of the processor, for all alike.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from functools import partial

from azure.storage.blob import BlobServiceClient, ContentSettings

from benchmarks.delivery import RATE, deliver, fill
from benchmarks.hub import POSTGRES, BenchmarkFailed, fresh_hub
from benchmarks.measuring import Case, Figure, Sample
from benchmarks.objects import CONCURRENCY, SHARE, SIZE, message
from destinations.adapters.azureblob import AzureBlobAdapter
from destinations.adapters.azureblob_config import ACCOUNT_KEY, SAS_TOKEN, AzureBlobConfig, AzureBlobCredentials
from destinations.adapters.azureblob_secrets import read_token
from destinations.adapters.base import Limits, ListFeed, Outcome
from destinations.adapters.objects import object_of
from destinations.egress import EgressPolicy
from destinations.specs import load
from tests.services.azurite import API_VERSION, AzureServer, start

ROUNDS = 5
Way = Callable[[AzureServer, str, int], float]


def cases(quick: bool) -> Sequence[Case]:
    """Return the destination beside the bare client, and a whole worker."""
    events = 500 if quick else 2_000
    parameters = {"events": events, "body_bytes": SIZE, "concurrency": CONCURRENCY, "store": "Azurite, no TLS"}
    beside = [
        Figure(SHARE, "", at_least=0.8),
        Figure("SAS token", "blobs/s"),
        Figure("account key", "blobs/s"),
        Figure("bare client", "blobs/s"),
    ]
    return [
        Case("Azure Blob beside azure-storage-blob, 2 KB", parameters, beside, lambda: measure_beside(events)),
        Case("Azure Blob, 2 KB, one worker", parameters, [Figure(RATE, "blobs/s")], lambda: measure_worker(events)),
    ]


def measure_beside(events: int) -> Sample:
    """Put the same events by each way, in turns whose order is left to chance; the slower way to sign in counts."""
    ways: dict[str, Way] = {
        "SAS token": partial(by_destination, SAS_TOKEN),
        "account key": partial(by_destination, ACCOUNT_KEY),
        "bare client": by_client,
    }
    seconds = dict.fromkeys(ways, 0.0)
    with ExitStack() as stack:
        servers = {name: stack.enter_context(_azurite()) for name in ways}
        for _ in range(ROUNDS):
            for name in random.sample(list(ways), len(ways)):
                server, share = servers[name], events // ROUNDS
                seconds[name] += share / ways[name](server, server.make_container(), share)
    sample: Sample = {name: round(events / took, 1) for name, took in seconds.items()}
    slower = min(sample["SAS token"], sample["account key"])
    return sample | {SHARE: round(slower / sample["bare client"], 3)}


def measure_worker(events: int) -> Sample:
    """Let one worker of a hub on PostgreSQL put everything."""
    with _azurite() as server, fresh_hub(POSTGRES) as hub:
        container = server.make_container()
        config = {"account": server.account, "container": container, "endpoint_url": server.endpoint}
        credentials = {"sas_token": server.token(container)}
        plan = {"type": "azureblob", "name": "blobs", "config": config, "credentials": credentials}
        fill(hub, plan | {"concurrency": CONCURRENCY}, events, different=events)
        sample = deliver(hub, events)
        check(server, container, events)
    return sample


def by_destination(auth: str, server: AzureServer, container: str, events: int) -> float:
    """Return the destination's rate, in blobs per second."""
    config = {"account": server.account, "container": container, "endpoint_url": server.endpoint, "auth": auth}
    secrets = {"sas_token": read_token(server.token(container)), "account_key": server.key}
    adapter = AzureBlobAdapter(
        load(AzureBlobConfig, config),
        load(AzureBlobCredentials, {auth: secrets[auth]}),
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
    check(server, container, events + 1)
    return events / took


def by_client(server: AzureServer, container: str, events: int) -> float:
    """Return the bare client's rate, in blobs per second."""
    client = BlobServiceClient(
        server.endpoint,
        credential={"account_name": server.account, "account_key": server.key},
        api_version=API_VERSION,
    ).get_container_client(container)
    settings = ContentSettings(content_type="application/json")
    batch = [(object_of(one).key, one.body) for one in map(message, range(events))]

    def put(item: tuple[str, bytes]) -> None:
        client.upload_blob(*item, content_settings=settings, metadata={"terra_event_id": "0"})

    put(("connects", b""))
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        started = time.perf_counter()
        list(pool.map(put, batch))
        took = time.perf_counter() - started
    check(server, container, events + 1)
    return events / took


def check(server: AzureServer, container: str, events: int) -> None:
    """Fail unless every blob is there."""
    found = sum(1 for _ in server.client.get_container_client(container).list_blob_names())
    if found != events:
        raise BenchmarkFailed(f"{events} blobs were put into {container}; {found} are there.")


@contextmanager
def _azurite() -> Iterator[AzureServer]:
    server = start()
    try:
        by_client(server, server.make_container(), 200)  # Node.js compiles what it runs often
        yield server
    finally:
        server.stop()
