"""Deliveries, the outbox, and their attempts, the delivery log."""

from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from destinations.models import Destination
from webhooks.models.events import Event
from webhooks.models.replays import Replay


class DeliveryStatus(models.TextChoices):
    """Where a delivery stands. A lease is no status: it is ``next_attempt_at`` moved ahead."""

    PENDING = "pending", "Pending"
    DELIVERED = "delivered", "Delivered"
    DEAD = "dead", "Dead letter"
    CANCELLED = "cancelled", "Cancelled"


class Trigger(models.TextChoices):
    """What made an attempt happen."""

    SCHEDULE = "schedule", "Schedule"
    RESEND = "resend", "Resend"
    REPLAY = "replay", "Replay"
    TEST = "test", "Test event"


class Delivery(models.Model):
    """One event for one destination: the outbox row."""

    id = models.BigAutoField(primary_key=True)
    event = models.ForeignKey(Event, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    destination = models.ForeignKey(Destination, on_delete=models.PROTECT, related_name="deliveries", db_index=False)
    status = models.CharField(
        max_length=9,
        choices=DeliveryStatus.choices,
        default=DeliveryStatus.PENDING,
        db_default=DeliveryStatus.PENDING,
    )
    attempt_count = models.PositiveSmallIntegerField(default=0, db_default=0)  # the number of the last attempt
    retry_count = models.PositiveSmallIntegerField(default=0, db_default=0)  # waits of the schedule that are used up
    # When it is due; while it is claimed, when the claim's lease ends.
    next_attempt_at = models.DateTimeField(null=True)
    claimed_by = models.CharField(max_length=64, blank=True, default="", db_default="")
    trigger = models.CharField(
        max_length=8, choices=Trigger.choices, default=Trigger.SCHEDULE, db_default=Trigger.SCHEDULE
    )
    last_error_code = models.CharField(max_length=64, blank=True, default="", db_default="")
    # The replay that made it due last.
    replay = models.ForeignKey(Replay, null=True, on_delete=models.SET_NULL, related_name="deliveries", db_index=False)
    # What it was before that: a cancelled replay puts it back. Null where the replay made it.
    status_before_replay = models.CharField(max_length=9, null=True)  # null: a new column that costs no rewrite
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    objects: ClassVar[Any] = models.Manager()

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "deliveries"
        constraints = (models.UniqueConstraint(fields=["event", "destination"], name="delivery_once_per_destination"),)
        indexes = (
            # With the id, so that a queue can be read in a full order from it: else it is sorted as a whole.
            models.Index(
                fields=["destination", "next_attempt_at", "id"], name="delivery_due", condition=Q(status="pending")
            ),
            models.Index(fields=["destination", "-id"], name="delivery_of_destination"),
            # With the status as a column, though it is one value: see webhooks.finding.byindex.
            models.Index(fields=["status", "-id"], name="delivery_dead", condition=Q(status="dead")),
            models.Index(
                fields=["destination", "status", "-id"], name="delivery_dead_of_one", condition=Q(status="dead")
            ),
            models.Index(
                fields=["destination", "-id"],
                name="delivery_failed",
                condition=Q(status__in=["pending", "dead"]) & ~Q(last_error_code=""),
            ),
            models.Index(
                fields=["last_error_code", "-id"],
                name="delivery_error",
                condition=Q(status__in=["pending", "dead"]) & ~Q(last_error_code=""),
            ),
            models.Index(
                fields=["replay", "status", "-id"], name="delivery_of_replay", condition=Q(replay__isnull=False)
            ),
        )
        permissions = (("resend_delivery", "Can resend a delivery"), ("cancel_delivery", "Can cancel a delivery"))

    def __str__(self) -> str:
        return f"delivery {self.pk}"

    def lease_until(self, now: datetime | None = None) -> datetime | None:
        """Return when the claim ends under which a worker tries it right now; ``None`` where none does.

        A claim whose lease has ended was lost with its worker: the delivery is due again.
        """
        ends = self.next_attempt_at
        leased = self.status == DeliveryStatus.PENDING and self.claimed_by and ends and ends > (now or timezone.now())
        return ends if leased else None

    def next_try_at(self, now: datetime | None = None) -> datetime | None:
        """Return when it is due; ``None`` where that is settled, or open until a try that is under way has ended."""
        return self.next_attempt_at if self.lease_until(now) is None else None


class AttemptOutcome(models.TextChoices):
    """How an attempt ended."""

    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Failed, may succeed later"
    REJECTED = "rejected", "Rejected for good"
    UNKNOWN = "unknown", "Outcome unknown (worker lost)"


class Attempt(models.Model):
    """One try of a delivery; append-only: the delivery log."""

    id = models.BigAutoField(primary_key=True)
    delivery = models.ForeignKey(Delivery, on_delete=models.CASCADE, related_name="attempts", db_index=False)
    number = models.PositiveSmallIntegerField()
    started_at = models.DateTimeField()
    duration_ms = models.PositiveIntegerField(null=True)
    outcome = models.CharField(max_length=9, choices=AttemptOutcome.choices)
    status_code = models.PositiveSmallIntegerField(null=True)
    error_code = models.CharField(max_length=64, blank=True)
    error_detail = models.TextField(blank=True)
    hint = models.TextField(blank=True)
    request = models.JSONField(default=dict)  # what was sent, secrets masked
    response = models.JSONField(default=dict)  # what came back, capped
    trigger = models.CharField(max_length=8, choices=Trigger.choices)
    worker = models.CharField(max_length=64)  # the claim that it was made under
    # The replay that it belongs to, where ``trigger`` is one.
    replay = models.ForeignKey(Replay, null=True, on_delete=models.SET_NULL, related_name="attempts", db_index=False)
    late = models.BooleanField(default=False)  # settled after its lease had gone to another worker

    objects: ClassVar[Any] = models.Manager()

    class Meta:
        ordering = ("delivery_id", "number")
        constraints = (models.UniqueConstraint(fields=["delivery", "number"], name="attempt_number_once"),)

    def __str__(self) -> str:
        return f"attempt {self.number} of delivery {self.delivery_id}"
