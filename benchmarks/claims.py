"""What a claim costs beside a million deliveries that are not due yet.

``python -m benchmarks.claims`` is the part that runs in the hub's environment.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any
from uuid import UUID

import django

from benchmarks.hub import POSTGRES, SECRET, BenchmarkFailed, Database, fresh_hub
from benchmarks.ingest import destinations
from benchmarks.measuring import Case, Figure, Sample, percentile

BATCH = 500
CLAIMS = 40
LEASE_SECONDS = 3600  # longer than the run
DUE = BATCH * CLAIMS
SIZE = 2048
# Rows of other events, as they would be after a long outage; nothing reads their bodies, so they have none.
LATER_EVENTS = """
INSERT INTO webhooks_event (id, source_id, idempotency_key, type, user_id, reference_id, provider, terra_reference,
    headers, size, stale, received_at)
SELECT gen_random_uuid(), (SELECT id FROM webhooks_source), 'later:' || n, 'activity', '', '', '', '', '{{}}', 2048,
    false, now() FROM generate_series(1, {count}) n
"""
LATER_DELIVERIES = """
INSERT INTO webhooks_delivery (event_id, destination_id, next_attempt_at, created_at)
SELECT id, '{destination}', now() + interval '1 hour' + random() * interval '18 hours', now()
FROM webhooks_event WHERE idempotency_key LIKE 'later:%'
"""


def cases(quick: bool) -> Sequence[Case]:
    """Return claims of 500 deliveries: alone, and beside those that are not due."""
    later = 50_000 if quick else 1_000_000
    parameters = {"claims": CLAIMS, "deliveries_per_claim": BATCH, "not_due": later, "body_bytes": SIZE}
    figures = [
        Figure("claim_p50", "ms"), Figure("claim_p99", "ms"), Figure("alone_p50", "ms"),
        Figure("ratio", "times", below=1.5), Figure("empty_p99", "ms", below=20), Figure("scan_p99", "ms", below=20),
    ]  # fmt: skip
    return [Case(f"claims beside {later:,} not yet due", parameters, figures, lambda: measure_once(later))]


def measure_once(later: int) -> Sample:
    """Claim on a hub without and with ``later`` deliveries that are not due, all of one destination."""
    with fresh_hub(POSTGRES) as hub:
        plan = {"secret": SECRET, "destinations": destinations(hub)[:1], "events": 2 * DUE, "size": SIZE}
        destination = hub.run_django("benchmarks.fill", plan)["destinations"][0]
        hub.database.settle_down()
        alone = hub.run_django("benchmarks.claims", {"destination": destination, "all": False})
        add_later(hub.database, destination, later)
        beside = hub.run_django("benchmarks.claims", {"destination": destination, "all": True})
        claimed = hub.database.value("SELECT count(*) FROM webhooks_delivery WHERE claimed_by <> ''")
    if claimed != 2 * DUE:
        raise BenchmarkFailed(f"{2 * DUE} deliveries were due; {claimed} were claimed.")
    claim_p50, alone_p50 = percentile(beside["claims"], 0.5), percentile(alone["claims"], 0.5)
    return {
        "claim_p50": claim_p50, "claim_p99": percentile(beside["claims"], 0.99), "alone_p50": alone_p50,
        "ratio": round(claim_p50 / alone_p50, 2), "empty_p99": percentile(beside["empty"], 0.99),
        "scan_p99": percentile(beside["scans"], 0.99), "alone": alone, "beside": beside,
    }  # fmt: skip


def add_later(database: Database, destination: str, count: int) -> None:
    """Write deliveries that are due in one to nineteen hours."""
    if database.server is None:
        raise BenchmarkFailed("Claims are measured on PostgreSQL.")
    with database.server.connect(database.name) as connection:
        connection.execute("SET session_replication_role = replica")  # each foreign key is known to be there
        connection.execute(LATER_EVENTS.format(count=count).encode())
        connection.execute(LATER_DELIVERIES.format(destination=destination).encode())
    database.settle_down()


def main() -> None:
    """Time what a worker asks of the database: claims, claims that find nothing, looks for due work."""
    django.setup()
    from webhooks.delivering import outbox

    plan = json.load(sys.stdin)
    destination = UUID(plan["destination"])

    def claim() -> int:
        return len(outbox.claim(destination, "bench:1", BATCH, LEASE_SECONDS))

    outbox.due_destinations()  # opens the connection
    found = {"scans": timed(outbox.due_destinations), "claims": timed(claim, expected=BATCH)}
    if plan["all"]:  # nothing is due any more
        found["empty"] = timed(claim, expected=0)
    print(json.dumps(found))


def timed(action: Callable[[], Any], expected: Any = None) -> list[float]:
    """Return the time of each of ``CLAIMS`` calls, in ms."""
    took = []
    for _ in range(CLAIMS):
        started = time.perf_counter()
        gave = action()
        took.append(round((time.perf_counter() - started) * 1000, 3))
        if expected is not None and gave != expected:
            raise BenchmarkFailed(f"A claim took {gave} deliveries, not {expected}.")
    return took


if __name__ == "__main__":
    main()
