"""Runs an adapter's check within a time budget, and keeps secrets out of what it says."""

import threading
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import structlog

from destinations.adapters.base import Adapter, Step, StepStatus

log = structlog.get_logger(__name__)

BUDGET_S = 15.0
SHORTEST_SECRET = 4  # shorter ones would blank out ordinary words


def run_check(adapter: Adapter[Any, Any], secrets: Mapping[str, Any], budget_s: float = BUDGET_S) -> list[Step]:
    """Return the steps of ``adapter.check()``, as far as they came within ``budget_s`` seconds.

    Closes the adapter, also after a step that outlives the budget.
    """
    steps: list[Step] = []
    thread = threading.Thread(target=_collect, args=(adapter, steps), name="check", daemon=True)
    thread.start()
    thread.join(budget_s)
    taken = list(steps)
    if thread.is_alive():
        taken.append(_over_budget(budget_s))
    return list(_scrubbed(taken, secrets))


def passed(steps: Sequence[Step]) -> bool:
    """Tell whether a check found the set-up good: something passed and nothing failed."""
    statuses = {step.status for step in steps}
    return StepStatus.PASSED in statuses and StepStatus.FAILED not in statuses


def as_row(step: Step) -> dict[str, Any]:
    """Return a step as it is stored and shown."""
    return {
        "name": step.name,
        "status": step.status.value,
        "detail": step.detail,
        "hint": step.hint,
        "duration_ms": step.duration_ms,
    }


def _collect(adapter: Adapter[Any, Any], steps: list[Step]) -> None:
    try:
        for step in adapter.check():
            steps.append(step)  # one by one: the other thread reads while this one waits  # noqa: PERF402
    except Exception as error:
        steps.append(_unforeseen(adapter, error))
    finally:
        adapter.close()


def _unforeseen(adapter: Adapter[Any, Any], error: Exception) -> Step:
    # The message of an unforeseen error may hold anything: only its kind and place are kept.
    place = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{type(error).__name__} at {place.filename.rsplit('/', 1)[-1]}:{place.lineno}"
    log.error("check_failed", type=adapter.type, error=where)
    return Step("check", StepStatus.FAILED, f"The hub failed while checking: {where}.", "Please report this.")


def _over_budget(budget_s: float) -> Step:
    return Step(
        "time limit",
        StepStatus.FAILED,
        f"The check was not done after {budget_s:g} s; the step after the last one above does not end.",
        "Look whether a firewall drops the connection, or whether the other side is overloaded.",
        round(budget_s * 1000),
    )


def _scrubbed(steps: Iterable[Step], secrets: Mapping[str, Any]) -> Iterator[Step]:
    for step in steps:
        yield replace(step, detail=without_secrets(step.detail, secrets), hint=without_secrets(step.hint, secrets))


def without_secrets(text: str, secrets: Mapping[str, Any]) -> str:
    """Return ``text`` with every value of ``secrets`` replaced by stars."""
    values = [value for value in secrets.values() if isinstance(value, str) and len(value) >= SHORTEST_SECRET]
    for value in sorted(values, key=len, reverse=True):
        text = text.replace(value, "****")
    return text
