"""Tallies: what was received and delivered per minute and per hour, so that charts cost the same at any size.

Each process that writes has rows of its own (``writer``), so no two wait for each other; a reader adds them
up. They are written in the transaction that they count, so they are neither more nor less than what happened.
"""

from typing import Any, ClassVar

from django.db import models

from destinations.models import Destination
from webhooks.models.sources import Source

MINUTE_S = 60
HOUR_S = 3600
# Upper bounds of the histogram of durations, in milliseconds; what took longer is in ``ms_more``.
DURATION_BOUNDS_MS = (10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000)


class AttemptCounts(models.Model):
    """Attempts that ended, by outcome, with a histogram of their durations."""

    delivered = models.PositiveIntegerField(default=0, db_default=0)
    failed = models.PositiveIntegerField(default=0, db_default=0)  # may succeed later
    rejected = models.PositiveIntegerField(default=0, db_default=0)  # for good
    ms_10 = models.PositiveIntegerField(default=0, db_default=0)
    ms_25 = models.PositiveIntegerField(default=0, db_default=0)
    ms_50 = models.PositiveIntegerField(default=0, db_default=0)
    ms_100 = models.PositiveIntegerField(default=0, db_default=0)
    ms_250 = models.PositiveIntegerField(default=0, db_default=0)
    ms_500 = models.PositiveIntegerField(default=0, db_default=0)
    ms_1000 = models.PositiveIntegerField(default=0, db_default=0)
    ms_2500 = models.PositiveIntegerField(default=0, db_default=0)
    ms_5000 = models.PositiveIntegerField(default=0, db_default=0)
    ms_10000 = models.PositiveIntegerField(default=0, db_default=0)
    ms_30000 = models.PositiveIntegerField(default=0, db_default=0)
    ms_more = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        abstract = True


class ReceivedTally(models.Model):
    """Events of one source that were taken in within one period."""

    id = models.BigAutoField(primary_key=True)
    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="+", db_index=False)
    period_s = models.PositiveSmallIntegerField()  # MINUTE_S or HOUR_S
    starts_at = models.DateTimeField()
    writer = models.CharField(max_length=64)
    events = models.PositiveIntegerField(default=0, db_default=0)
    bytes = models.PositiveBigIntegerField(default=0, db_default=0)  # of their bodies

    objects: ClassVar[Any] = models.Manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(fields=["period_s", "starts_at", "source", "writer"], name="received_tally_once"),
        )
        indexes = (models.Index(fields=["source", "period_s", "starts_at"], name="received_tally_of_one"),)


class DeliveredTally(AttemptCounts):
    """Attempts at one destination that ended within one period, by outcome, with a histogram of their durations."""

    id = models.BigAutoField(primary_key=True)
    destination = models.ForeignKey(Destination, on_delete=models.CASCADE, related_name="+", db_index=False)
    period_s = models.PositiveSmallIntegerField()  # MINUTE_S or HOUR_S
    starts_at = models.DateTimeField()
    writer = models.CharField(max_length=64)

    objects: ClassVar[Any] = models.Manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["period_s", "starts_at", "destination", "writer"], name="delivered_tally_once"
            ),
        )
        indexes = (models.Index(fields=["destination", "period_s", "starts_at"], name="delivered_tally_of_one"),)


class SplitTally(AttemptCounts):
    """Events of one source, and attempts at them, by their type or by their provider.

    ``kind`` says which of both; an event is counted once in each. The other tallies know neither, and these know no
    destination. At most a few hundred names are told apart: what comes after them is counted as ``(other)``.
    """

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=8)  # "type" or "provider"
    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="+", db_index=False)
    name = models.CharField(max_length=64, blank=True)  # empty: the event names no provider
    period_s = models.PositiveSmallIntegerField()  # MINUTE_S or HOUR_S
    starts_at = models.DateTimeField()
    writer = models.CharField(max_length=64)
    events = models.PositiveIntegerField(default=0, db_default=0)
    bytes = models.PositiveBigIntegerField(default=0, db_default=0)  # of their bodies

    objects: ClassVar[Any] = models.Manager()

    class Meta:
        constraints = (
            models.UniqueConstraint(
                fields=["period_s", "starts_at", "kind", "source", "name", "writer"], name="split_tally_once"
            ),
        )
