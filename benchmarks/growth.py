"""Growth: how many bytes an event takes in the hub's database, with one delivery and one attempt, indexes included."""

from collections.abc import Sequence
from typing import Any

from benchmarks import growing
from benchmarks.hub import POSTGRES, SQLITE, fresh_hub
from benchmarks.ingest import NAMES
from benchmarks.measuring import Case, Figure, Sample

ALLOWED = 1.2  # times what is committed: a test fails beyond


def cases(quick: bool) -> Sequence[Case]:
    """Return both databases; nothing is quicker than it is anyway."""
    parameters = {"events": growing.ROUNDS * growing.EVENTS, "body_bytes": growing.BODY}
    figures = [Figure("bytes", "bytes/event")]
    return [
        Case(_name(kind), parameters | {"database": kind}, figures, lambda kind=kind: _measure(kind))  # type: ignore[misc]  # binds it
        for kind in (POSTGRES, SQLITE)
    ]


def _name(kind: str) -> str:
    return f"{NAMES[kind]}, an event with a delivery and an attempt"


def _measure(kind: str) -> Sample:
    with fresh_hub(kind) as hub:
        sample: Sample = hub.run_django("benchmarks.growing", {})
        return sample


def committed(kind: str, result: dict[str, Any]) -> float:
    """Return the bytes of an event that a kept result says."""
    (case,) = [one for one in result["cases"] if one["parameters"]["database"] == kind]
    return float(case["figures"][0]["median"])
