"""What the tests of retention start from: old events, and a worker's chore without a worker."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from destinations.models import Destination
from tests.api_support import make_attempt, make_delivery, make_event
from webhooks.keeping.retention import chore
from webhooks.keeping.retention.chore import Retention
from webhooks.keeping.retention.kinds import KINDS, Kind
from webhooks.keeping.retention.steps import Step, step, take
from webhooks.models import Event, RetentionMark

LIVES = {
    "RETENTION_PAYLOAD_DAYS": 30, "RETENTION_SNAPSHOT_DAYS": 7, "RETENTION_ATTEMPT_DAYS": 400,
    "RETENTION_EVENT_DAYS": 400, "RETENTION_QUARANTINE_DAYS": 7, "RETENTION_SWEEP": "on",
}  # fmt: skip
# The same for the environment of a worker.
LIVES_OF_A_WORKER = {name: str(value) for name, value in LIVES.items()}
BODY = b'{"type":"daily"}'


def days_ago(days: float) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)


def old_event(days: float, to: Destination | None = None, status: str = "delivered", **columns: Any) -> Event:
    """Make an event that came so long ago, with a delivery of one attempt where a destination is named."""
    at = days_ago(days)
    event = make_event(at, body=columns.pop("body", BODY))
    if to is not None:
        settled = None if status == "pending" else at
        row = make_delivery(event, to, status, created_at=at, settled_at=settled, attempt_count=1, **columns)
        make_attempt(
            row, 1, started_at=at, request={"url": "https://example.test"}, response={"body": "no"},
            error_detail="It said no.", hint="Ask it.",
        )  # fmt: skip
    return event


def kind(name: str) -> Kind:
    return next(one for one in KINDS if one.name == name)


def pruned(name: str, most: int = 1000, worker: str = "me", anew: bool = False) -> Step:
    """Do one step of a kind as a worker does."""
    one = kind(name)
    life, mark = one.life(), take(one, worker)
    assert life is not None
    assert mark is not None
    done = step(one, mark, datetime.now(UTC) - life, most, anew)
    assert done is not None
    return done


def all_day(calls: int = 40, worker: str = "me", running: Retention | None = None) -> Retention:
    """Call a worker's chore so often."""
    running = running or Retention(worker)
    for _ in range(calls):
        running()
    return running


def next_round(running: Retention) -> Retention:
    """Let so much time pass that everything is looked at from the beginning."""
    for turn in running._turns.values():
        turn.ready_at = 0.0
        turn.round_at -= chore.ROUND_S + 1
    return running


def mark(name: str) -> RetentionMark:
    row: RetentionMark = RetentionMark.objects.get(pk=name)
    return row


def kept_events() -> set[UUID]:
    return set(Event.objects.values_list("pk", flat=True))
