"""Percentiles from histograms of durations."""

from collections.abc import Sequence
from typing import NamedTuple

from webhooks.models import DURATION_BOUNDS_MS


class Percentiles(NamedTuple):
    """Milliseconds that half, 95 % and 99 % of the tries took at most; ``None`` where there was no try."""

    p50: int | None
    p95: int | None
    p99: int | None


def percentiles(counts: Sequence[int]) -> Percentiles:
    """Return p50, p95 and p99 of a histogram; see ``percentile``."""
    return Percentiles(*(percentile(counts, share) for share in (0.5, 0.95, 0.99)))


def percentile(counts: Sequence[int], share: float) -> int | None:
    """Return the milliseconds that a share of the tries took at most, from counts by ``DURATION_BOUNDS_MS``.

    The bucket is exact; the place in it is a straight line between its bounds, as if its tries lay evenly there.
    So the answer is off by less than the bucket's width: 5 ms for a try of 12 ms, 1.5 s for one of 2 s. Of what took
    longer than the last bound only that bound is known: the answer is then 30,000, and means "30 s or more".
    """
    wanted = share * sum(counts)
    if not wanted:
        return None
    lower, passed = 0, 0
    for bound, count in zip(DURATION_BOUNDS_MS, counts, strict=False):
        if count and passed + count >= wanted:
            return round(lower + (bound - lower) * (wanted - passed) / count)
        lower, passed = bound, passed + count
    return lower
