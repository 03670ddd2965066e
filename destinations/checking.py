"""Runs an adapter's check within a time budget, and keeps secrets out of what it says."""

import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

import structlog

from destinations.adapters.base import Adapter, Step, StepStatus
from destinations.shown import duration

log = structlog.get_logger(__name__)

BUDGET_S = 15.0
SHORTEST_SECRET = 4  # shorter ones would blank out ordinary words


def run_check(
    adapter: Adapter[Any, Any],
    secrets: Mapping[str, Any],
    budget_s: float = BUDGET_S,
    tell: Callable[[Step], None] | None = None,
) -> list[Step]:
    """Return the steps of ``adapter.check()``, as far as they came within ``budget_s`` seconds.

    ``tell`` is called with each as soon as it is done. Closes the adapter, also after a step that outlives the budget.
    """
    found: SimpleQueue[Step | None] = SimpleQueue()
    threading.Thread(target=_collect, args=(adapter, found), name="check", daemon=True).start()
    steps = []
    for step in _within(found, budget_s):
        steps.append(_scrubbed(step, secrets))
        if tell:
            tell(steps[-1])
    return steps


def _within(found: "SimpleQueue[Step | None]", budget_s: float) -> Iterator[Step]:
    ends = monotonic() + budget_s
    while True:
        try:
            step = found.get(timeout=max(0.0, ends - monotonic()))
        except Empty:
            yield _over_budget(budget_s)
            return
        if step is None:
            return
        yield step


def passed(steps: Sequence[Step]) -> bool:
    """Tell whether a check found the set-up good: something passed and nothing failed."""
    statuses = {step.status for step in steps}
    return StepStatus.PASSED in statuses and StepStatus.FAILED not in statuses


def summary_of(steps: Sequence[Step]) -> str:
    """Return how a check went in one sentence, for who hears it; ``""`` without steps."""
    if not steps:
        return ""
    took = duration(sum(step.duration_ms for step in steps))
    failed = next((step for step in steps if step.status is StepStatus.FAILED), None)
    if failed:
        return f"The check failed at “{failed.name}”, after {took}."
    warned = sum(step.status is StepStatus.WARNING for step in steps)
    notes = f", with {warned} warning{'s' if warned > 1 else ''}" if warned else ""
    return f"The check passed in {took}{notes}."


def as_row(step: Step) -> dict[str, Any]:
    """Return a step as it is stored and shown."""
    return {
        "name": step.name,
        "status": step.status.value,
        "detail": step.detail,
        "hint": step.hint,
        "duration_ms": step.duration_ms,
        "code": step.code,
    }


def _collect(adapter: Adapter[Any, Any], found: "SimpleQueue[Step | None]") -> None:
    try:
        for step in adapter.check():
            found.put(step)
    except Exception as error:
        found.put(_unforeseen(adapter, error))
    finally:
        adapter.close()
        found.put(None)


def _unforeseen(adapter: Adapter[Any, Any], error: Exception) -> Step:
    # The message of an unforeseen error may hold anything: only its kind and place are kept.
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{type(error).__name__} at {place.filename.rsplit('/', 1)[-1]}:{place.lineno}"
    log.error("check_failed", type=adapter.type, error=where)
    return Step(
        "check", StepStatus.FAILED, f"The hub failed while checking: {where}.", "Please report this.", code="hub_failed"
    )


def _over_budget(budget_s: float) -> Step:
    return Step(
        "time limit",
        StepStatus.FAILED,
        f"The check was not done after {budget_s:g} s; the step after the last one above does not end.",
        "Look whether a firewall drops the connection, or whether the other side is overloaded.",
        round(budget_s * 1000),
        "time_limit",
    )


def _scrubbed(step: Step, secrets: Mapping[str, Any]) -> Step:
    return replace(step, detail=without_secrets(step.detail, secrets), hint=without_secrets(step.hint, secrets))


def without_secrets(text: str, secrets: Mapping[str, Any]) -> str:
    """Return ``text`` with every value of ``secrets`` replaced by stars."""
    values = [value for value in secrets.values() if isinstance(value, str) and len(value) >= SHORTEST_SECRET]
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, "****")
    return text
