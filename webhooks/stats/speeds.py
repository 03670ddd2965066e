"""How quick destinations were lately, in one query each for all of them."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Sum

from webhooks.models import DeliveredTally
from webhooks.stats.percentiles import percentile
from webhooks.stats.series import Span
from webhooks.tallying import DURATIONS


def busiest_minutes(destination_ids: Iterable[UUID], now: datetime) -> dict[UUID, int]:
    """Return how many attempts delivered in the busiest minute of the last hour, where any did."""
    rows = _tallies(destination_ids, Span.HOUR, now).values("destination_id", "starts_at")
    found: dict[UUID, int] = {}
    for pk, delivered in rows.annotate(total=Sum("delivered")).values_list("destination_id", "total"):
        found[pk] = max(found.get(pk, 0), delivered)
    return found


def median_durations(destination_ids: Iterable[UUID], now: datetime) -> dict[UUID, int]:
    """Return the milliseconds that half of the last 24 hours' tries took at most, where any delivered."""
    sums = {f"sum_{name}": Sum(name) for name in ("delivered", *DURATIONS)}
    rows = _tallies(destination_ids, Span.DAY, now).values("destination_id").annotate(**sums)
    found = {row[0]: (row[1], percentile(row[2:], 0.5)) for row in rows.values_list("destination_id", *sums)}
    return {pk: median for pk, (delivered, median) in found.items() if delivered and median is not None}


def _tallies(ids: Iterable[UUID], span: Span, now: datetime) -> Any:
    return DeliveredTally.objects.filter(
        destination_id__in=list(ids), period_s=span.period_s, starts_at__in=span.starts(now)
    )
