"""Two attempts side by side: what changed between them, and what somebody changed at the destination."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from destinations.models import Destination
from destinations.shown import duration
from webhooks.models import Attempt, Delivery
from webhooks.wording import attempt_chip

MOST_CHANGES = 20
_MOST_LENGTH = 2_000


class Line(NamedTuple):
    """One thing of two attempts."""

    name: str
    one: str
    two: str

    @property
    def differs(self) -> bool:
        """Tell whether it changed."""
        return self.one != self.two


def compared(delivery: Delivery, attempts: Sequence[Attempt], asked: Mapping[str, str]) -> dict[str, Any] | None:
    """Return the two attempts that the address names, or the first and the last; ``None`` where there is one only."""
    if len(attempts) < 2:
        return None
    numbers = {str(one.number): one for one in attempts}
    one = numbers.get(asked.get("one", ""), attempts[0])
    two = numbers.get(asked.get("two", ""), attempts[-1])
    lines = list(_lines(one, two))
    return {
        "one": one,
        "two": two,
        "numbers": [attempt.number for attempt in attempts],
        "open": "one" in asked,
        "changed": [line for line in lines if line.differs],
        "same": [line.name for line in lines if not line.differs],
        "edits": _edits(delivery, one, two),
    }


def _lines(one: Attempt, two: Attempt) -> Iterator[Line]:
    yield Line("Outcome", attempt_chip(one).label, attempt_chip(two).label)
    yield Line("HTTP status", str(one.status_code or ""), str(two.status_code or ""))
    yield Line("Took", duration(one.duration_ms), duration(two.duration_ms))
    for name, column in (
        ("Error", "error_code"), ("Detail", "error_detail"), ("Made by", "trigger"), ("Worker", "worker"),
    ):  # fmt: skip
        yield Line(name, str(getattr(one, column)), str(getattr(two, column)))
    for label, column in (("Request", "request"), ("Response", "response")):
        yield from _parts(label, getattr(one, column), getattr(two, column))


def _parts(label: str, one: Any, two: Any) -> Iterator[Line]:
    """Compare what is in two snapshots, one level deep; each header is a line of its own."""
    left, right = _flat(one), _flat(two)
    for name in dict.fromkeys((*left, *right)):
        yield Line(f"{label} {name}", left.get(name, ""), right.get(name, ""))


def _flat(snapshot: Any) -> dict[str, str]:
    flat: dict[str, str] = {}
    for name, value in (snapshot if isinstance(snapshot, dict) else {}).items():
        inner = {f"{name} {key}": held for key, held in value.items()} if isinstance(value, dict) else {name: value}
        flat |= {str(key): str(held)[:_MOST_LENGTH] for key, held in inner.items()}
    return flat


def _edits(delivery: Delivery, one: Attempt, two: Attempt) -> list[tuple[Any, str, str]]:
    """Return what people changed at the destination between the two: when, what, who."""
    span = sorted((one.started_at, two.started_at))
    changes: Any = Destination.history
    rows = changes.filter(id=delivery.destination_id, history_date__range=span)
    rows = rows.select_related("history_user").order_by("history_date")[:MOST_CHANGES]
    return [
        (row.history_date, row.history_change_reason or "changed", str(row.history_user or "the hub itself"))
        for row in rows
    ]
