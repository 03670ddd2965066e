"""What tests ask of the delivery log."""

from typing import Any

from tests.hub import Hub
from tests.sink import Sink
from webhooks.models import Attempt, Delivery

ACTIVITY = b'{"type": "activity", "user": {"user_id": "u1", "provider": "GARMIN"}, "data": [], "n": %d}'


def post_many(hub: Hub, count: int) -> list[str]:
    """Post different events; return their ids."""
    return [hub.post(ACTIVITY % number).json["event_id"] for number in range(count)]


def until_seen_by_workers(hub: Hub, sink: Sink) -> None:
    """Wait until the worker knows what became of its destinations: it stops lanes before it starts another one."""
    hub.webhook(sink.url("/seen"))
    post_many(hub, 1)
    sink.wait_for(1, "/seen")


def statuses(**filters: Any) -> dict[str, int]:
    """Return how many deliveries have each status."""
    found: dict[str, int] = {}
    for status in Delivery.objects.filter(**filters).values_list("status", flat=True):
        found[status] = found.get(status, 0) + 1
    return found


def attempts(**filters: Any) -> list[Attempt]:
    """Return attempts by delivery and number."""
    return list(Attempt.objects.filter(**filters).order_by("delivery_id", "number"))


def numbers_are_whole() -> bool:
    """Tell whether every delivery's attempts are numbered 1..n without gap or repeat (I4)."""
    held: dict[int, list[int]] = {}
    for delivery_id, number in Attempt.objects.order_by("delivery_id", "number").values_list("delivery_id", "number"):
        held.setdefault(delivery_id, []).append(number)
    counts = dict(Delivery.objects.values_list("id", "attempt_count"))
    return all(found == list(range(1, counts[key] + 1)) for key, found in held.items())
