"""Ingest: signed webhooks in, 200 out, each with its deliveries on disk. No worker runs."""

from collections.abc import Sequence
from typing import Any

from benchmarks import load
from benchmarks.hub import POSTGRES, SECRET, SQLITE, BenchmarkFailed, Hub, fresh_hub
from benchmarks.load import Outcome, Plan
from benchmarks.measuring import Case, Figure, Sample, counted, percentile

FAN_OUT = 2
RATE = "accepted"
WARM_UP = 200
SIZES = {"2 KB": 2048, "50 KB": 50_000, "2 MB": 2_000_000}
TOTALS = {"2 KB": 15_000, "50 KB": 4_000, "2 MB": 200}
CONNECTIONS = {"2 KB": 64, "50 KB": 64, "2 MB": 8}
NAMES = {POSTGRES: "PostgreSQL", SQLITE: "SQLite"}
TARGETS = {(POSTGRES, "2 KB"): (2400.0, 150.0), (SQLITE, "2 KB"): (1400.0, None)}


def cases(quick: bool) -> Sequence[Case]:
    """Return both databases with every size."""
    return [_case(kind, size, quick) for kind in (POSTGRES, SQLITE) for size in SIZES]


def _case(kind: str, size: str, quick: bool) -> Case:
    plan = Plan(TOTALS[size] // (10 if quick else 1), SIZES[size], CONNECTIONS[size])
    rate, p99 = TARGETS.get((kind, size), (None, None))
    figures = [Figure(RATE, "events/s", at_least=rate), Figure("p50", "ms"), Figure("p99", "ms", below=p99)]
    return Case(
        f"{NAMES[kind]}, {size}, {plan.connections} connections", _parameters(kind, plan), figures,
        lambda: measure_once(kind, plan),
    )  # fmt: skip


def group_cases(quick: bool) -> Sequence[Case]:
    """Return group commit against one commit per request, each pair in one run."""
    return [
        Case(
            f"{NAMES[kind]}, group commit against a commit per request",
            _parameters(kind, _plan_of_pair(quick)),
            [Figure("ratio", "times", at_least=3.0), Figure("grouped", "events/s"), Figure("single", "events/s")],
            lambda kind=kind: measure_pair(kind, _plan_of_pair(quick)),  # type: ignore[misc]  # binds the loop variable
        )
        for kind in (POSTGRES, SQLITE)
    ]


def _plan_of_pair(quick: bool) -> Plan:
    return Plan(1000 if quick else 6000)


def _parameters(kind: str, plan: Plan) -> dict[str, Any]:
    return {
        "database": kind, "events": plan.total, "body_bytes": plan.size, "connections": plan.connections,
        "destinations": FAN_OUT, "web_processes": 1,
    }  # fmt: skip


def measure_pair(kind: str, plan: Plan) -> Sample:
    """Measure a third of the events with a commit each, and all of them with group commit."""
    single = measure_once(kind, Plan(plan.total // 3, plan.size, plan.connections), GROUP_COMMIT_MAX="1")
    grouped = measure_once(kind, plan)
    rates = {"grouped": grouped[RATE], "single": single[RATE]}
    return {"ratio": round(grouped[RATE] / single[RATE], 2), **rates, "samples": [grouped, single]}


def measure_once(kind: str, plan: Plan, **env: str) -> Sample:
    """Post the events of ``plan`` to a fresh hub and check that they are all there."""
    with fresh_hub(kind, **env) as hub:
        hub.run_django("benchmarks.fill", {"secret": SECRET, "destinations": destinations(hub)})
        hub.serve()
        warm_up = min(WARM_UP, plan.total)
        check_answers(load.run(hub.url, SECRET, Plan(warm_up, plan.size, plan.connections)), warm_up)
        before = hub.cpu()
        outcome = load.run(hub.url, SECRET, plan)
        used = {name: round(seconds - before[name], 2) for name, seconds in hub.cpu().items()}
        check_answers(outcome, plan.total)
        check_rows(hub, plan.total + warm_up)
    latencies = outcome.latencies_ms
    return {
        RATE: round(outcome.rate, 1), "p50": percentile(latencies, 0.5), "p99": percentile(latencies, 0.99),
        "seconds": round(outcome.seconds, 3), "cpu_seconds": used, "latencies_ms": counted(latencies),
    }  # fmt: skip


def destinations(hub: Hub) -> list[dict[str, Any]]:
    """Return two webhook destinations that take every event."""
    return [
        {"type": "webhook", "name": f"webhook {number}", "config": {"url": hub.sink.url()}, "credentials": {}}
        for number in range(FAN_OUT)
    ]


def check_answers(outcome: Outcome, total: int) -> None:
    """Raise ``BenchmarkFailed`` unless every event was answered with 200."""
    if outcome.errors or outcome.statuses[200] != total:
        raise BenchmarkFailed(f"{total} events were sent: {outcome.statuses}, {outcome.errors} connections lost.")


def check_rows(hub: Hub, total: int) -> None:
    """Raise ``BenchmarkFailed`` unless every event is there with its body and its deliveries."""
    tables = ("event", "payload", "delivery")
    found = tuple(hub.database.value(f"SELECT count(*) FROM webhooks_{table}") for table in tables)
    if found != (total, total, total * FAN_OUT):
        raise BenchmarkFailed(f"{total} events were accepted; rows of {tables}: {found}.")
    stored = hub.database.value("SELECT count(*) FROM webhooks_payload WHERE store_name <> ''")
    files = sum(path.is_file() for path in (hub.folder / "payloads").rglob("*"))
    if stored != files:
        raise BenchmarkFailed(f"{stored} bodies are said to lie in the payload store; it has {files}.")
