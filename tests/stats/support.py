"""What the tests of statistics share: tallies as some process wrote them, and what the tables hold."""

from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Sum

from destinations.models import Destination
from tests.api_support import make_event
from webhooks.models import DeliveredTally, ReceivedTally, Source, SplitTally
from webhooks.tallying import DURATIONS, OUTCOMES, PERIODS_S, start_of


def tally_attempts(destination: Destination, at: datetime, *, writer: str = "w1", **counts: int) -> None:
    """Write what a worker would have counted at a moment, for its minute and its hour."""
    for period_s in PERIODS_S:
        DeliveredTally.objects.create(
            destination=destination, period_s=period_s, starts_at=start_of(at, period_s), writer=writer, **counts
        )


def tally_events(source: Source, at: datetime, events: int, *, writer: str = "w1", bytes: int = 0) -> None:
    """Write what a web process would have counted at a moment, for its minute and its hour."""
    for period_s in PERIODS_S:
        ReceivedTally.objects.create(
            source=source,
            period_s=period_s,
            starts_at=start_of(at, period_s),
            writer=writer,
            events=events,
            bytes=bytes,
        )


def tally_split(source: Source, kind: str, name: str, at: datetime, *, writer: str = "w1", **counts: int) -> None:
    """Write what would have been counted of a type or a provider at a moment, for its minute and its hour."""
    for period_s in PERIODS_S:
        SplitTally.objects.create(
            source=source, kind=kind, name=name, period_s=period_s, starts_at=start_of(at, period_s), writer=writer,
            **counts,
        )  # fmt: skip


def counted(model: Any, period_s: int, *columns: str) -> tuple[int, ...]:
    """Return the sums of columns over all tallies of a period."""
    sums = model.objects.filter(period_s=period_s).aggregate(**{name: Sum(name) for name in columns})
    return tuple(sums[name] or 0 for name in columns)


def outcomes(period_s: int) -> tuple[int, ...]:
    """Return how many attempts were counted as delivered, failed, rejected."""
    return counted(DeliveredTally, period_s, *OUTCOMES)


def timed(period_s: int) -> int:
    """Return how many attempts are in the histogram of durations."""
    return sum(counted(DeliveredTally, period_s, *DURATIONS))


def many_deliveries(destination: Destination, count: int, status: str = "pending", code: str = "") -> None:
    """Make deliveries of as many events, quickly; those that are pending are due."""
    event = make_event()
    on_pg = connection.vendor == "postgresql"
    number = "md5(i::text)::uuid" if on_pg else "printf('%%032x', i)"
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO webhooks_event (id, source_id, idempotency_key, type, user_id, reference_id, provider, "
            f"terra_reference, headers, size, stale, received_at) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL "
            f"SELECT i + 1 FROM n WHERE i < {count}) SELECT {number}, source_id, CAST(i AS TEXT), 'many', '', '', '', "
            "'', '{}', 2, stale, received_at FROM webhooks_event, n WHERE id = %s",
            [event.pk if on_pg else event.pk.hex],
        )
        cursor.execute(
            "INSERT INTO webhooks_delivery (event_id, destination_id, status, last_error_code, next_attempt_at, "
            "created_at) SELECT id, %s, %s, %s, received_at, received_at FROM webhooks_event WHERE type = 'many'",
            [destination.pk if on_pg else destination.pk.hex, status, code],
        )
