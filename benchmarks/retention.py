"""T53: what pruning costs those who post. Ingest with a worker that removes nothing, then with one that prunes."""

from collections.abc import Sequence

from benchmarks import load
from benchmarks.delivery import webhook
from benchmarks.hub import POSTGRES, SECRET, SQLITE, START_SECONDS, BenchmarkFailed, Hub, end, fresh_hub, wait_until
from benchmarks.ingest import NAMES, check_answers
from benchmarks.latency import WORKERS
from benchmarks.load import Plan
from benchmarks.measuring import Case, Figure, Sample, counted, percentile

RATE = 200.0  # events a second
SECONDS, QUICK_SECONDS, WARM_UP_SECONDS = 30, 5, 3
OLD, QUICK_OLD = 60_000, 6_000  # events, deliveries and attempts each
SIZE = 2048
OFF = {f"RETENTION_{what}_DAYS": "0" for what in ("PAYLOAD", "SNAPSHOT", "ATTEMPT", "EVENT", "QUARANTINE")}
PENDING = "SELECT count(*) FROM webhooks_delivery d JOIN webhooks_payload p ON p.event_id = d.event_id " \
    "JOIN webhooks_attempt a ON a.delivery_id = d.id WHERE d.status = 'pending' AND d.attempt_count = 1"  # fmt: skip
REMOVED = "SELECT COALESCE(sum(removed), 0) FROM webhooks_retentionmark"


def cases(quick: bool) -> Sequence[Case]:
    """Return both databases, each with and without pruning in one run."""
    seconds, old = (QUICK_SECONDS, QUICK_OLD) if quick else (SECONDS, OLD)
    parameters = {"events_per_s": RATE, "seconds": seconds, "old_events": old, "body_bytes": SIZE}
    figures = [
        Figure("ratio", "times", below=2.0), Figure("p99_pruning", "ms", below=500), Figure("p99_without", "ms"),
        Figure("removed", "rows/s"),
    ]  # fmt: skip
    return [
        Case(
            f"{NAMES[kind]}, ingest beside pruning", parameters | {"database": kind}, figures,
            lambda kind=kind: measure_once(kind, seconds, old),  # type: ignore[misc]  # binds the loop variable
        )
        for kind in (POSTGRES, SQLITE)
    ]  # fmt: skip


def measure_once(kind: str, seconds: int, old: int) -> Sample:
    """Post at the rate to a hub that is full of what has outlived its days."""
    with fresh_hub(kind, RETENTION_SWEEP="off", **OFF) as hub:
        plan = {"secret": SECRET, "destinations": [webhook(hub)], "events": old, "size": SIZE}
        pending = hub.run_django("benchmarks.aging", plan)["pending"]
        hub.database.settle_down()
        hub.serve()
        without = _posted(hub, seconds)
        if hub.database.value(REMOVED):
            raise BenchmarkFailed("Something was removed while nothing should be.")
        end(hub.processes["worker"])
        for name in OFF:
            del hub.env[name]
        pruning = _posted(hub, seconds)
        removed, left = int(hub.database.value(REMOVED)), hub.database.value(PENDING)
    if not removed or left != pending:
        raise BenchmarkFailed(
            f"{removed} rows were removed; of {pending} pending deliveries {left} have all they need."
        )
    p99 = percentile(pruning, 0.99), percentile(without, 0.99)
    return {
        "ratio": round(p99[0] / p99[1], 2), "p99_pruning": p99[0], "p99_without": p99[1],
        "removed": round(removed / (seconds + WARM_UP_SECONDS), 1), "pruning_ms": counted(pruning),
        "without_ms": counted(without),
    }  # fmt: skip


def _posted(hub: Hub, seconds: int) -> list[float]:
    """Post for so long beside a worker of its own; return how long each event waited for its answer."""
    known = hub.database.value(WORKERS)
    hub.work()
    wait_until(lambda: hub.database.value(WORKERS) > known, START_SECONDS, "the worker runs")
    check_answers(
        load.run(hub.url, SECRET, Plan(int(WARM_UP_SECONDS * RATE), SIZE, rate=RATE)), int(WARM_UP_SECONDS * RATE)
    )
    outcome = load.run(hub.url, SECRET, Plan(int(seconds * RATE), SIZE, rate=RATE))
    check_answers(outcome, int(seconds * RATE))
    return outcome.latencies_ms
