"""SQS: the destination against boto3 alone, and one worker with the hub around it, in the same run.

The server is MiniStack behind the tests' gate, which checks signatures; both are slower than AWS and
share the machine with what is measured. So the figure that counts is the ratio.
"""

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from benchmarks.delivery import RATE, deliver, fill
from benchmarks.hub import POSTGRES, ROOT, BenchmarkFailed, fresh_hub
from benchmarks.measuring import Case, Figure, Sample
from destinations.adapters.sqs_message import MAX_ENTRIES
from tests.services.ministack import Queue, SqsServer, start

THREADS = 4  # requests at once
ROUNDS = 4  # the two take turns, so that a slow moment of the machine meets both


def cases(quick: bool) -> Sequence[Case]:
    """Return the one case; its samples hold the three rates."""
    messages = 4_000 if quick else 20_000
    parameters = {"messages": messages, "requests_at_once": THREADS, "entries": MAX_ENTRIES}
    figures = [
        Figure("ratio", "of boto3 alone", at_least=0.8),
        Figure("destination", "messages/s"),
        Figure("boto3", "messages/s"),
        Figure(RATE, "messages/s by one worker"),
    ]
    return [Case("SQS, ten messages in a request", parameters, figures, lambda: measure(messages))]


def measure(messages: int) -> Sample:
    """Send ``messages`` three times: bare, through the destination, through a worker; count them in the queue."""
    with sqs() as server:
        seconds = {"bare": 0.0, "adapter": 0.0}
        for number in range(ROUNDS):
            for kind in sorted(seconds, reverse=bool(number % 2)):
                seconds[kind] += _alone(server, kind, messages // ROUNDS)
        rates = {kind: messages / took for kind, took in seconds.items()}
        sample = _by_a_worker(server, messages)
    return sample | {
        "ratio": round(rates["adapter"] / rates["bare"], 3),
        "destination": round(rates["adapter"], 1),
        "boto3": round(rates["bare"], 1),
    }


@contextmanager
def sqs() -> Iterator[SqsServer]:
    """Start the server; its gate runs in this process, which does nothing else meanwhile."""
    server = start()
    try:
        yield server
    finally:
        server.stop()


def _alone(server: SqsServer, kind: str, messages: int) -> float:
    """Return the seconds that sending took."""
    queue = server.create_queue()
    plan = {"kind": kind, "messages": messages, "threads": THREADS, **_destination(server, queue)}
    command = [sys.executable, "-m", "benchmarks.sqs_client"]
    done = subprocess.run(command, cwd=ROOT, input=json.dumps(plan), capture_output=True, text=True)
    if done.returncode:
        raise BenchmarkFailed(f"{kind} failed:\n{done.stderr[-3000:]}")
    return float(json.loads(done.stdout)["seconds"])


def _by_a_worker(server: SqsServer, messages: int) -> Sample:
    queue = server.create_queue()
    plan = {"type": "sqs", "name": "queue", "concurrency": THREADS * MAX_ENTRIES, **_destination(server, queue)}
    with fresh_hub(POSTGRES) as hub:
        fill(hub, plan, messages)
        sample = deliver(hub, messages)
    if (found := _count(queue)) != messages:
        raise BenchmarkFailed(f"{messages} messages were delivered; the queue has {found}.")
    return sample


def _destination(server: SqsServer, queue: Queue) -> dict[str, Any]:
    return {
        "config": {"queue": queue.url, "region": server.region, "endpoint_url": server.url},
        "credentials": {"access_key_id": server.access_key, "secret_access_key": server.secret},
    }


def _count(queue: Queue) -> int:
    name = "ApproximateNumberOfMessages"  # MiniStack's is exact
    answer = queue.client.get_queue_attributes(QueueUrl=queue.url, AttributeNames=[name])
    return int(answer["Attributes"][name])
