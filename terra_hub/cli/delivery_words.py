"""What the command line says of deliveries and attempts."""

from typing import Any

from destinations.shown import duration, exact
from terra_hub.cli.output import Column
from webhooks.api.serializers import DeliverySerializer
from webhooks.models import Attempt, Delivery
from webhooks.wording import attempt_chip, delivery_state

COLUMNS = [
    Column("Id", lambda row: row.pk, whole=True),
    Column("State", lambda row: delivery_state(row).chip.label),
    Column("Type", lambda row: row.event.type),
    Column("Destination", lambda row: row.destination.name),
    Column("Tries", lambda row: row.attempt_count),
    Column("Last error", lambda row: row.last_error_code),
    Column("Next try", lambda row: exact(row.next_try_at()) if row.next_try_at() else None, whole=True),
]


def as_json(row: Delivery) -> dict[str, Any]:
    """Return a delivery as the API has it in a list."""
    return dict(DeliverySerializer(row).data)


def state_words(row: Delivery) -> str:
    """Return where a delivery stands, and what happens next: ``Dead letter. Given up after 9 attempts, …``"""
    state = delivery_state(row)
    return state.sentence if state.sentence.startswith(state.chip.label) else f"{state.chip.label}. {state.sentence}"


def attempt_words(row: Attempt) -> str:
    """Return how one try went, in a few lines."""
    parts = [f"HTTP {row.status_code}" if row.status_code else "", row.error_code, duration(row.duration_ms)]
    head = f"{row.number}. {exact(row.started_at)}: {attempt_chip(row).label} ({', '.join(filter(None, parts))})"
    told = [row.error_detail, f"Hint: {row.hint}" if row.hint else ""]
    return "\n".join([head, *(f"   {line}" for line in told if line)])
