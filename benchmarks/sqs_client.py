"""Sends messages in a process of its own: ``python -m benchmarks.sqs_client``, with a plan as JSON on standard input.

{"kind": "bare" or "adapter", "messages": how many, "threads": requests at once, "config": …, "credentials": …}
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any

from benchmarks.hub import BenchmarkFailed
from destinations.adapters.base import Limits, ListFeed, Message, Outcome
from destinations.adapters.sqs_message import MAX_ENTRIES, Entry, pointer_body
from destinations.egress import EgressPolicy
from destinations.ids import uuid7

LINK = "https://hub.example.com/payloads/" + "x" * 100  # as long as one of the hub's own
LIFETIME_S = 600
WARM_UP = 20
SWITCH_SECONDS = 0.001  # as the hub's worker sets it (webhooks/management/commands/worker.py); here for both ways


def main() -> None:
    """Send what the plan says, and say how many seconds it took."""
    sys.setswitchinterval(SWITCH_SECONDS)
    plan = json.load(sys.stdin)
    messages = [message(number) for number in range(plan["messages"] + WARM_UP)]
    send = {"bare": bare, "adapter": adapter}[plan["kind"]](plan)
    send(messages[:WARM_UP])
    started = time.perf_counter()
    send(messages[WARM_UP:])
    print(json.dumps({"seconds": time.perf_counter() - started}))


def message(number: int) -> Message:
    """Return an event as a worker hands it to an adapter."""
    now = datetime.now(UTC)
    return Message(str(uuid7()), "daily", b"{}", now, f"user-{number % 1000}", "reference", payload_url=LINK)


def adapter(plan: dict[str, Any]) -> Callable[[Sequence[Message]], None]:
    """Send through the destination, without a hub around it."""
    from destinations.adapters.sqs import SqsAdapter
    from destinations.specs import load

    config = load(SqsAdapter.config_spec, plan["config"])
    credentials = load(SqsAdapter.credentials_spec, plan["credentials"])
    limits = Limits(concurrency=plan["threads"] * MAX_ENTRIES)
    made = SqsAdapter(config, credentials, limits, EgressPolicy(("127.0.0.0/8",)))

    def send(messages: Sequence[Message]) -> None:
        for group in made.stream(ListFeed(messages)):
            if any(result.outcome is not Outcome.DELIVERED for _, result in group):
                raise BenchmarkFailed(f"Not delivered: {group[0][1]}")

    return send


def bare(plan: dict[str, Any]) -> Callable[[Sequence[Message]], None]:
    """Send with boto3 as its documentation shows it: full requests from several threads, and nothing else."""
    import boto3
    from botocore.config import Config

    client = boto3.client(
        "sqs",
        endpoint_url=plan["config"]["endpoint_url"],
        region_name=plan["config"]["region"],
        aws_access_key_id=plan["credentials"]["access_key_id"],
        aws_secret_access_key=plan["credentials"]["secret_access_key"],
        config=Config(max_pool_connections=plan["threads"]),
    )

    def request(entries: Sequence[dict[str, Any]]) -> int:
        return len(client.send_message_batch(QueueUrl=plan["config"]["queue"], Entries=entries)["Successful"])

    def send(messages: Sequence[Message]) -> None:
        made = [
            Entry(number % MAX_ENTRIES, one.event_id, pointer_body(one, one.payload_url, LIFETIME_S)).as_request()
            for number, one in enumerate(messages)
        ]
        groups = [made[start : start + MAX_ENTRIES] for start in range(0, len(made), MAX_ENTRIES)]
        with ThreadPoolExecutor(plan["threads"]) as threads:
            taken = sum(threads.map(request, groups))
        if taken != len(messages):
            raise BenchmarkFailed(f"{len(messages)} messages were sent; {taken} were taken.")

    return send


if __name__ == "__main__":
    main()
