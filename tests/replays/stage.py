"""What the tests of replays start from: many events in the database, and deliveries of theirs."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

from destinations.models import Destination
from tests.api_support import id_at, make_attempt, make_delivery
from tests.delivering.log import ACTIVITY
from tests.sink import Sink
from webhooks.keeping import replays
from webhooks.keeping.replaying import Replaying
from webhooks.keeping.selections import selection_of
from webhooks.models import Delivery, Event, Payload, Replay, Source

LONG_AGO = datetime(2026, 3, 12, 6, 0, tzinfo=UTC)


def seed(source: Source, count: int, at: datetime = LONG_AGO, every_s: float = 1.0, **columns: Any) -> list[Event]:
    """Write events as if they had come one after another; return them."""
    moments = [at + timedelta(seconds=number * every_s) for number in range(count)]
    about = {"type": "activity", "size": 20, "source": source, **columns}
    events = [
        Event(id=key, idempotency_key=str(key), received_at=moment, **about)
        for key, moment in ((id_at(moment), moment) for moment in moments)
    ]
    Event.objects.bulk_create(events, batch_size=1000)
    bodies = [(event, ACTIVITY % number) for number, event in enumerate(events)]
    Payload.objects.bulk_create(
        [Payload(event=event, body=body, sha256=sha256(body).digest()) for event, body in bodies], batch_size=1000
    )
    return events


def failed(event: Event, to: Destination, status: str = "dead", code: str = "http_500", **columns: Any) -> Delivery:
    """Write a delivery that has failed once, in the minute after its event."""
    at = columns.pop("at", event.received_at + timedelta(minutes=1))
    settled = {"settled_at": at} if status == "dead" else {"next_attempt_at": at + timedelta(days=300)}
    row = make_delivery(event, to, status, **{"attempt_count": 1, "last_error_code": code, **settled, **columns})
    make_attempt(row, 1, outcome="failed", error_code=code, started_at=at)
    return row


def started(kind: str, confirmed: int | None = None, rate_per_s: int | None = None, **values: Any) -> Replay:
    """Start a replay."""
    return replays.start(selection_of(kind, values), by="ana", confirmed=confirmed, rate_per_s=rate_per_s)


def carried_on(calls: int = 1, worker: str = "me") -> None:
    """Do what a worker does for replays, so many times, without a worker that delivers."""
    chore = Replaying(worker)
    for _ in range(calls):
        chore()


def fresh(row: Any) -> Any:
    """Return a row as it is now."""
    row.refresh_from_db()
    return row


def sent(sink: Sink, path: str = "/hook") -> Counter[str]:
    """Return how often each event came there."""
    return Counter(one.headers["webhook-id"] for one in sink.requests(path))


def ids(events: Sequence[Event]) -> Counter[str]:
    """Return the ids of events, once each."""
    return Counter(str(one.pk) for one in events)


def due(replay: Replay) -> set[UUID]:
    """Return the events that a replay has made due and that wait."""
    return set(Delivery.objects.filter(replay=replay, status="pending").values_list("event_id", flat=True))
