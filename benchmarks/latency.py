"""From a request's arrival to its settled delivery, at a steady rate, with everything on one machine."""

from collections.abc import Sequence

from benchmarks import load
from benchmarks.delivery import CONCURRENCY, LOGGED, SIZE, UNSETTLED, webhook
from benchmarks.hub import POSTGRES, SECRET, START_SECONDS, BenchmarkFailed, fresh_hub, wait_until
from benchmarks.ingest import check_answers
from benchmarks.load import Plan
from benchmarks.measuring import Case, Figure, Sample, counted, percentile

WORKERS = "SELECT count(*) FROM webhooks_worker"
EVENTS_PER_SECOND = 500.0
WARM_UP_SECONDS = 3
SECONDS = 20
QUICK_SECONDS = 3
# received_at is taken when a request was read; settled_at when its result is written.
TOOK_MS = (
    "SELECT extract(epoch FROM d.settled_at - e.received_at)::float8 * 1000 FROM webhooks_delivery d "
    "JOIN webhooks_event e ON e.id = d.event_id ORDER BY e.received_at OFFSET {warm_up}"
)


def cases(quick: bool) -> Sequence[Case]:
    """Return webhooks of 2 KB at 500 a second."""
    seconds = QUICK_SECONDS if quick else SECONDS
    parameters = {
        "events_per_s": EVENTS_PER_SECOND, "seconds": seconds, "body_bytes": SIZE, "concurrency": CONCURRENCY,
        "database": POSTGRES, "web_processes": 1, "workers": 1,
    }  # fmt: skip
    figures = [
        Figure("p50", "ms"), Figure("p95", "ms", below=60), Figure("p99", "ms"), Figure("answer_p99", "ms"),
    ]  # fmt: skip
    return [Case("accepted to delivered, 500 events/s", parameters, figures, lambda: measure_once(seconds))]


def measure_once(seconds: int) -> Sample:
    """Post at the rate, and read from the database how long each event took to its settled delivery."""
    warm_up, total = int(WARM_UP_SECONDS * EVENTS_PER_SECOND), int(seconds * EVENTS_PER_SECOND)
    with fresh_hub(POSTGRES) as hub:
        hub.run_django("benchmarks.fill", {"secret": SECRET, "destinations": [webhook(hub)]})
        hub.serve()
        hub.work()
        wait_until(lambda: hub.database.value(WORKERS), START_SECONDS, "the worker runs")
        for events in (warm_up, total):
            outcome = load.run(hub.url, SECRET, Plan(events, SIZE, rate=EVENTS_PER_SECOND))
            check_answers(outcome, events)
        wait_until(lambda: not hub.database.value(UNSETTLED), 10, "every delivery is settled")
        took = [row[0] for row in hub.database.rows(TOOK_MS.format(warm_up=warm_up))]
        done = hub.sink.count(), hub.database.value(LOGGED), len(took)
        used = hub.cpu()
    if done != (warm_up + total, warm_up + total, total):
        raise BenchmarkFailed(f"{total} events after {warm_up}; received, logged, measured: {done}.")
    return {
        "p50": percentile(took, 0.5), "p95": percentile(took, 0.95), "p99": percentile(took, 0.99),
        "answer_p99": percentile(outcome.latencies_ms, 0.99), "cpu_seconds": used,
        "took_ms": counted(took), "answered_ms": counted(outcome.latencies_ms),
    }  # fmt: skip
