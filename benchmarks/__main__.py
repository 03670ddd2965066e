"""``python -m benchmarks NAME``: measure, say what came out, keep it in benchmarks/results/."""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Any

from benchmarks import (
    admin,
    azureblob,
    claims,
    delivery,
    gcs,
    growth,
    ingest,
    latency,
    measuring,
    objects,
    retention,
    sqs,
    supabase,
    table,
)
from benchmarks.hub import BenchmarkFailed
from benchmarks.measuring import Case

ALL, ADMIN = "all", "admin"
# name -> (its cases, the seconds that one run of all of them may take)
BENCHMARKS: dict[str, tuple[Callable[..., Sequence[Case]], int]] = {
    "ingest": (ingest.cases, 240),
    "group": (ingest.group_cases, 120),
    "webhook": (delivery.webhook_cases, 180),
    "postgres": (delivery.postgres_cases, 180),
    "s3": (objects.cases, 180),
    "mysql": (delivery.mysql_cases, 180),
    "supabase": (supabase.cases, 400),
    "sqs": (sqs.cases, 180),
    "gcs": (gcs.cases, 180),
    "azureblob": (azureblob.cases, 180),
    "latency": (latency.cases, 120),
    "claim": (claims.cases, 300),
    "memory": (delivery.memory_cases, 300),
    "growth": (growth.cases, 60),
    "retention": (retention.cases, 400),
    ADMIN: (admin.cases, 2400),
}


def main() -> int:
    """Run what the command line names; return the exit code: 1 where work was not done, 2 where a target was missed."""
    options = parse()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM):
        signal.signal(number, give_up)
    try:
        results = [run(name, options) for name in chosen(options.name)]
    except (BenchmarkFailed, TimeoutError) as error:
        sys.stderr.write(f"Failed: {error}\n")
        return 1
    finally:
        signal.alarm(0)
    missed = [line for result in results for line in measuring.lines_of(result) if "**no**" in line]
    print(*(["Targets that were missed:", *missed] if missed else ["Every target was reached."]), sep="\n")
    return 2 if missed else 0


def run(name: str, options: argparse.Namespace) -> dict[str, Any]:
    """Run one benchmark and keep its result; a quick one is kept only where ``--results`` says so."""
    cases, seconds = BENCHMARKS[name]
    signal.alarm(seconds * options.runs)
    made = cases(options.quick, options.keep) if name == ADMIN else cases(options.quick)
    result = measuring.measure(name, made, options.runs, say)
    print(*table.HEAD, *measuring.lines_of(result), sep="\n")
    if options.results or not options.quick:
        measuring.keep(result, options.results or measuring.RESULTS)
    if not options.results and not options.quick:
        table.write()
    return result


def chosen(name: str) -> Sequence[str]:
    """Return the benchmarks of a name on the command line."""
    return list(BENCHMARKS) if name == ALL else [name]


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", choices=[*BENCHMARKS, ALL])
    parser.add_argument("--runs", type=int, default=3, help="how often each case is measured (default 3)")
    parser.add_argument("--quick", action="store_true", help="few events, to try the benchmark itself; keeps nothing")
    parser.add_argument("--results", type=Path, help="keep the result in this folder, and leave README.md alone")
    parser.add_argument(
        "--keep", type=Path, help="admin: use the seeded database in this folder; make it there where there is none"
    )
    return parser.parse_args()


def give_up(number: int, _frame: FrameType | None) -> None:
    """End what was started, on the way out of the ``with`` blocks that started it."""
    signal.signal(number, signal.SIG_IGN)
    if number == signal.SIGALRM:
        raise BenchmarkFailed("The time for this benchmark is over.")
    raise SystemExit(128 + number)


def say(text: str) -> None:
    """Tell the progress."""
    print(text, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
