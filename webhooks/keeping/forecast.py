"""How long a replay will take: a guess from what its destinations did lately, and from the rate that it is held to."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.utils import timezone

from destinations.models import Destination
from webhooks.keeping.estimates import Estimate
from webhooks.stats import busiest_minutes, median_durations

MOST_PER_S = 500.0  # nothing is expected to be quicker: the hub itself takes its time too


@dataclass(frozen=True, slots=True)
class Forecast:
    """How long it takes, and what that goes by."""

    seconds: float | None  # None: not known
    per_s: float | None  # deliveries, all destinations together
    slowest: Destination | None  # that it goes by; None: by the rate that was asked for, or not known
    unknown: Sequence[Destination]  # where nothing was delivered lately


def forecast(found: Estimate, rate_per_s: int | None, now: datetime | None = None) -> Forecast:
    """Return how long an estimate takes, by its slowest destination, as if they all got equally many.

    With a rate and destinations of unknown speed it is the least time that it can take.
    """
    speeds = _speeds(found.destinations, now or timezone.now())
    unknown = [one for one in found.destinations if one.pk not in speeds]
    slowest = min((one for one in found.destinations if one.pk in speeds), key=lambda one: speeds[one.pk], default=None)
    # A replay over several goes as fast as the slowest.
    per_s = speeds[slowest.pk] * len(found.destinations) if slowest and not unknown else None
    if rate_per_s and (per_s is None or rate_per_s <= per_s):
        return Forecast(found.count / rate_per_s, float(rate_per_s), None, unknown)
    if per_s is None:
        return Forecast(None, None, None, unknown)
    return Forecast(found.count / per_s, per_s, slowest, ())


def _speeds(destinations: Sequence[Destination], now: datetime) -> dict[UUID, float]:
    """Return how many deliveries per second each one can take; one to which nothing was delivered lately is left out.

    Its busiest minute shows what it did, which is little where little came; its tries at once by the time that one
    takes show what it could do.
    """
    ids = [one.pk for one in destinations]
    busiest, medians = busiest_minutes(ids, now), median_durations(ids, now)
    return {
        one.pk: min(MOST_PER_S, max(busiest.get(one.pk, 0) / 60, 1000 * one.concurrency / max(medians[one.pk], 1)))
        for one in destinations
        if one.pk in medians
    }
