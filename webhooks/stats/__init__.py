"""How the hub and its destinations do, in numbers whose cost does not grow with the tables.

What was received and delivered comes from the tallies; what waits and what failed from capped looks at the
deliveries, each by an index.
"""

from webhooks.stats.arrivals import with_last_event
from webhooks.stats.causes import FAILURES_LOOKED_AT, FailureGroup, failures
from webhooks.stats.deadletters import dead_letters
from webhooks.stats.percentiles import Percentiles, percentile, percentiles
from webhooks.stats.reports import SPLITS, Bucket, Counts, Report, report, wanted
from webhooks.stats.series import (
    DeliveredPoint,
    DurationPoint,
    ReceivedPoint,
    Span,
    delivered_series,
    duration_series,
    received_series,
)
from webhooks.stats.speeds import busiest_minutes, median_durations
from webhooks.stats.summaries import CAP, Queue, Summary, queues, summaries, summary, waiting

__all__ = [
    "CAP", "FAILURES_LOOKED_AT", "SPLITS", "Bucket", "Counts", "DeliveredPoint", "DurationPoint", "FailureGroup",
    "Percentiles", "Queue", "ReceivedPoint", "Report", "Span", "Summary", "busiest_minutes", "dead_letters",
    "delivered_series", "duration_series", "failures", "median_durations", "percentile", "percentiles", "queues",
    "received_series", "report", "summaries", "summary", "waiting", "wanted", "with_last_event",
]  # fmt: skip
