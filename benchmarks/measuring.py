"""Cases, samples, figures: what a benchmark is made of, and how its result is kept."""

import json
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import machine

RESULTS = Path(__file__).parent / "results"
Sample = dict[str, Any]


@dataclass(frozen=True)
class Figure:
    """One value of a case, named as in its samples, and what it should reach."""

    name: str
    unit: str
    at_least: float | None = None
    below: float | None = None

    def reached(self, value: float) -> bool | None:
        """Tell whether ``value`` reaches the target; ``None`` where there is none."""
        if self.at_least is not None:
            return value >= self.at_least
        return value < self.below if self.below is not None else None

    @property
    def target(self) -> str:
        """Return the target in words."""
        if self.at_least is not None:
            return f"≥ {self.at_least:,g}"
        return f"< {self.below:,g}" if self.below is not None else ""


@dataclass(frozen=True)
class Case:
    """One thing to measure: ``measure`` does it once and gives a sample, or raises ``BenchmarkFailed``."""

    name: str
    parameters: Mapping[str, Any]
    figures: Sequence[Figure]
    measure: Callable[[], Sample]


@dataclass
class Measured:
    """A case with its samples."""

    case: Case
    samples: list[Sample] = field(default_factory=list)

    @property
    def medians(self) -> dict[str, float]:
        """Return the median of each figure over the samples."""
        return {
            figure.name: round(statistics.median(sample[figure.name] for sample in self.samples), 3)
            for figure in self.case.figures
        }

    def as_json(self) -> dict[str, Any]:
        """Return what is kept."""
        medians = self.medians
        figures = [
            {"name": f.name, "unit": f.unit, "median": medians[f.name], "target": f.target,
             "reached": f.reached(medians[f.name])}
            for f in self.case.figures
        ]  # fmt: skip
        return {
            "case": self.case.name,
            "parameters": dict(self.case.parameters),
            "figures": figures,
            "samples": self.samples,
        }


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of all are not above (nearest rank)."""
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))], 2) if ordered else 0.0


def counted(values: Sequence[float]) -> dict[str, int]:
    """Return how often each value came, to a tenth: every sample in little room."""
    counts = Counter(round(value, 1) for value in values)
    return {str(value): counts[value] for value in sorted(counts)}


def measure(name: str, cases: Sequence[Case], runs: int, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure every case ``runs`` times; the cases take turns, so that they meet the same conditions."""
    result: dict[str, Any] = {
        "benchmark": name,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": machine.commit(),
        "machine": machine.describe(),
        "runs": runs,
    }
    measured = [Measured(case) for case in cases]
    for number in range(1, runs + 1):
        for one in measured:
            sample = one.case.measure()
            one.samples.append(sample)
            values = ", ".join(f"{f.name} {sample[f.name]:,} {f.unit}" for f in one.case.figures)
            say(f"{name}, run {number} of {runs}, {one.case.name}: {values}")
    return result | {"cases": [one.as_json() for one in measured]}


def keep(result: Mapping[str, Any], folder: Path = RESULTS) -> Path:
    """Write a result to a file of its own and return where."""
    folder.mkdir(parents=True, exist_ok=True)
    stamp = result["date"].replace(":", "").replace("+0000", "Z")
    path = folder / f"{result['benchmark']}-{stamp}-{result['commit'].rstrip('+')}.json"
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    return path


def lines_of(result: Mapping[str, Any]) -> list[str]:
    """Return a result as lines of the table in README.md."""
    lines = []
    for case in result["cases"]:
        for figure in case["figures"]:
            judged = {True: "yes", False: "**no**", None: ""}[figure["reached"]]
            value = f"{figure['median']:,g}" if figure["median"] < 1e5 else f"{figure['median']:,.0f}"
            lines.append(
                f"| {result['benchmark']} | {case['case']} | {figure['name']} | {value} {figure['unit']} "
                f"| {figure['target']} | {judged} |"
            )
    return lines
