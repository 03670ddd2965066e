"""Replays: jobs by which a person has many events delivered again."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q


class ReplayKind(models.TextChoices):
    """How a replay chooses what it sends."""

    CHOSEN = "chosen", "Chosen deliveries"
    MATCHING = "matching", "Events that match a filter"
    FAILED = "failed", "What failed"
    MISSING = "missing", "What a destination never got"


class ReplayStatus(models.TextChoices):
    """Where a replay stands."""

    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    CANCELLED = "cancelled", "Cancelled"
    DONE = "done", "Done"
    STOPPED = "stopped", "Stopped by a problem"


class Replay(models.Model):
    """One job: what it selects, how far it has come. A worker carries it on, in small steps, each in one transaction.

    A step makes some deliveries due and moves ``cursor`` in the same commit, so a crash repeats nothing and
    leaves nothing out.
    """

    id = models.BigAutoField(primary_key=True)
    kind = models.CharField(max_length=8, choices=ReplayKind.choices)
    # What is selected: keys of the filter with their values, as webhooks.keeping.selections reads them.
    selection = models.JSONField(default=dict)
    destination_ids = models.JSONField(default=list)  # ids as text; empty: where each event would go if it came now
    status = models.CharField(max_length=9, choices=ReplayStatus.choices, default=ReplayStatus.RUNNING)
    problem = models.TextField(blank=True)  # why it was stopped
    estimate = models.PositiveIntegerField(default=0)  # deliveries that it was expected to make, when it was started
    rate_per_s = models.PositiveIntegerField(null=True, blank=True)  # deliveries made due per second at most
    cursor = models.CharField(max_length=64, blank=True)  # the last key that was looked at
    exhausted = models.BooleanField(default=False)  # every key was looked at; deliveries may still be under way
    looked_at = models.PositiveBigIntegerField(default=0)  # rows of the selection that were looked at
    queued = models.PositiveBigIntegerField(default=0)  # deliveries that were made due
    skipped = models.PositiveBigIntegerField(default=0)  # those that could not be: payload gone, or under way
    restored = models.PositiveBigIntegerField(default=0)  # deliveries that cancelling put back
    # Since when it has run without a pause, and ``queued`` at that moment: what its speed is measured from.
    measured_from = models.DateTimeField(null=True)
    measured_queued = models.PositiveBigIntegerField(default=0)
    claimed_by = models.CharField(max_length=64, blank=True)  # the worker that carries it on
    lease_until = models.DateTimeField(null=True)
    created_by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField()
    step_at = models.DateTimeField(null=True)  # of the last step
    finished_at = models.DateTimeField(null=True)

    objects: ClassVar[Any] = models.Manager()

    class Meta:
        ordering = ("-id",)
        indexes = (models.Index(fields=["id"], name="replay_running", condition=Q(status="running")),)

    def __str__(self) -> str:
        return f"replay {self.pk}"
