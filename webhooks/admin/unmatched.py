"""Why an event went nowhere, destination by destination."""

from typing import NamedTuple
from uuid import UUID

from destinations.models import Destination
from webhooks.models import Event

MOST_SHOWN = 20
_TYPES_SHOWN = 8


class Passed(NamedTuple):
    """A destination that an event passed by, and why."""

    destination_id: UUID
    name: str
    why: str


def why_not(event: Event) -> list[Passed]:
    """Return why each destination, as it is now, did not get an event."""
    rows = Destination.objects.present().defer("credentials", "link_secret").order_by("name")
    return [Passed(row.pk, row.name, _why(row, event)) for row in rows[:MOST_SHOWN]]


def _why(row: Destination, event: Event) -> str:
    if not row.active:
        return "It is disabled: it gets nothing until it is enabled."
    if row.event_types and event.type not in row.event_types:
        more = "" if len(row.event_types) <= _TYPES_SHOWN else f" and {len(row.event_types) - _TYPES_SHOWN} more"
        return f"It takes other types: {', '.join(row.event_types[:_TYPES_SHOWN])}{more}. Choose this type there too."
    if row.sources and event.source.slug not in row.sources:
        return f"It takes other sources: {', '.join(row.sources[:_TYPES_SHOWN])}. Choose {event.source.slug} there too."
    return "It takes such events now, but did not when this one came. Resend sends it there."
