"""What the command line says of destinations: a row of the list, the facts of one, the steps of a check."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from destinations.adapters.base import Step
from destinations.crypto import SealError
from destinations.models import Destination
from destinations.rules import kind_of
from destinations.secrets_about import told
from destinations.serializers import DestinationSerializer
from destinations.services import target_of
from destinations.shown import duration, exact, span
from destinations.specs import complete, spec_fields
from destinations.states import state_of
from terra_hub.cli.output import Column, show_one
from webhooks.stats import Queue, failures, queues

CAUSES = 5  # that are shown
_MARKS = {"passed": "✓", "failed": "✗", "warning": "!", "skipped": "-"}


def as_json(row: Destination) -> dict[str, Any]:
    """Return a destination as the API has it."""
    return dict(DestinationSerializer(row).data)


def columns(waiting: Mapping[UUID, Queue]) -> list[Column]:
    """Return the columns of a list of destinations."""
    return [
        Column("Name", lambda row: row.name),
        Column("Type", lambda row: row.type, whole=True),
        Column("State", lambda row: state_of(row).chip.label, whole=True),
        Column("Waiting", lambda row: count_of(waiting[row.pk])),
        Column("Target", target_of),
        Column("Id", lambda row: row.pk, whole=True),
    ]


def count_of(queue: Queue) -> str:
    """Return how many deliveries wait: ``14``, ``more than 1000``."""
    return f"more than {queue.waiting}" if queue.waiting_capped else str(queue.waiting)


def show(row: Destination, more: Mapping[str, Any] | None = None) -> None:
    """Print a destination, with ``more`` of what is shown this once."""
    waits = queues([row.pk])[row.pk]
    show_one({**as_json(row), **(more or {})}, {**_facts(row, waits), **(more or {})})


def show_state(row: Destination) -> None:
    """Print how a destination is now, in a line or two."""
    waits = queues([row.pk])[row.pk]
    show_one(as_json(row), {"Name": row.name, "State": _state(row), "Waiting": count_of(waits)})


def _facts(row: Destination, waits: Queue) -> dict[str, Any]:
    kind = kind_of(row.type)
    config = complete(kind.config_spec, row.config)
    labels = {field.name: field for field in spec_fields(kind.config_spec) if field.asked_for(config)}
    return {
        "Name": row.name, "Id": row.pk, "Type": row.type, "State": _state(row), "Target": target_of(row),
        **{name: config[name] for name in labels if config.get(name) not in (None, "", {}, 0)},
        **_credentials(row),
        "Waiting": count_of(waits),
        "Next try": exact(waits.next_try_at) if waits.next_try_at else None,
        **_failures(row),
        "Event types": row.event_types or "every type",
        "Sources": row.sources or "every source",
        "Retries after": [span(wait) for wait in row.retry_waits],
        "Time for a try": span(row.timeout_s),
        "At once": row.concurrency,
        "Disabled after": f"{row.disable_after_hours} h of failures" if row.disable_after_hours else "never",
        "Last check": _last_check(row),
    }  # fmt: skip


def _state(row: Destination) -> str:
    return state_of(row).sentence.removesuffix(" Press Check to try it.")  # a button of the admin


def _credentials(row: Destination) -> dict[str, str]:
    try:
        return told(row)
    except SealError as error:
        return {"credentials": str(error)}


def _failures(row: Destination) -> dict[str, str]:
    """Return why deliveries have not got through, the most frequent cause first; nothing where all have."""
    lines = [f"{group.count} x {group.code}: {group.detail}" for group in failures(row.pk)[:CAUSES]]
    return {"Not delivered": "\n".join(lines)} if lines else {}


def _last_check(row: Destination) -> str:
    if row.checked_at is None:
        return "none of this set-up"
    steps = [_line(step["name"], step["status"], step["detail"], step["hint"], None) for step in row.check_steps]
    return "\n".join([f"{'passed' if row.check_passed else 'failed'} at {exact(row.checked_at)}", *steps])


def step_line(step: Step) -> str:
    """Return a step of a check as it is printed when it is done."""
    return _line(step.name, step.status.value, step.detail, step.hint, step.duration_ms)


def _line(name: str, status: str, detail: str, hint: str, took: int | None) -> str:
    time = f" ({duration(took)})" if took is not None else ""
    words = f"{_MARKS.get(status, '?')} {name}{time}{f': {detail}' if detail else ''}"
    return f"{words}\n  Hint: {hint}" if hint and status in ("failed", "warning") else words
