"""Large requests: Terra sends the answer in many events that share one ``terra-reference``."""

import json
from typing import Any, NamedTuple
from uuid import UUID

from webhooks.finding.byindex import by_index
from webhooks.keeping.payloads import PayloadMissing, PayloadStoreDown, read_body
from webhooks.models import Event, Payload

MOST_COUNTED = 1_000
_SENDING, _PROCESSING = "large_request_sending", "large_request_processing"
_SMALL = 64 * 1024  # bytes; Terra's announcement has a few hundred


class Chunks(NamedTuple):
    """How many events of a large request came, and how many Terra said there would be."""

    came: int
    capped: bool
    expected: int | None
    announced_by: UUID | None

    @property
    def text(self) -> str:
        """Return it in words: ``37 of 50 chunks``."""
        came = f"{self.came:,}{'+' if self.capped else ''}"
        if self.expected is None:
            return f"{came} {'event' if self.came == 1 else 'events'} with this reference"
        return f"{came} of {self.expected:,} chunks"

    @property
    def complete(self) -> bool:
        """Tell whether all that was announced is here."""
        return self.expected is not None and self.came >= self.expected


def chunks_of(event: Event) -> Chunks | None:
    """Return the group that an event belongs to; ``None`` where it stands alone. Looks at a thousand rows at most."""
    if not event.terra_reference:
        return None
    rows = by_index(Event.objects.all(), {"terra_reference": event.terra_reference})
    found = rows.order_by("terra_reference", "-pk").values_list("pk", "type", "size", "source_id")[: MOST_COUNTED + 1]
    group = [row for row in found if row[3] == event.source_id]
    announced = next((pk for pk, kind, size, _ in group if kind == _SENDING and size <= _SMALL), None)
    came = sum(kind not in (_SENDING, _PROCESSING) for _, kind, _, _ in group)
    if announced is None and came < 2:
        return None
    return Chunks(min(came, MOST_COUNTED), len(found) > MOST_COUNTED, _expected(announced), announced)


def _expected(announced: UUID | None) -> int | None:
    """Return the number of chunks that Terra announced."""
    held = Payload.objects.filter(pk=announced).first() if announced else None
    try:
        value: Any = json.loads(read_body(held)) if held else None
    except (ValueError, RecursionError, PayloadMissing, PayloadStoreDown):
        return None
    number = value.get("expected_payloads") if isinstance(value, dict) else None
    return number if isinstance(number, int) and not isinstance(number, bool) and 0 < number < 10**9 else None
