"""Destinations: where deliveries go. Written by ``destinations.services`` only."""

from typing import Any, ClassVar

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from simple_history.models import HistoricalRecords

from destinations.fields import SealedField
from destinations.ids import uuid7

# 30 s x 3^n: 27.3 hours in all, "around 8 times over the course of just over a day"
# (docs.tryterra.co, Destinations).
DEFAULT_SCHEDULE = tuple(30 * 3**n for n in range(8))

HEALTH_FIELDS = [
    "consecutive_failures",
    "failing_since",
    "paused_until",
    "pause_reason",
    "checked_at",
    "check_steps",
    "check_passed",
    "proven_at",
    "warned_percent",
    "secrets_about",
]


class DestinationQuerySet(models.QuerySet["Destination"]):
    """Named selections of destinations."""

    def present(self) -> "DestinationQuerySet":
        """All that were not deleted."""
        return self.filter(deleted_at=None)

    def receiving(self) -> "DestinationQuerySet":
        """Those that get a delivery for each new event that matches: also while paused."""
        return self.present().filter(active=True)


class Destination(models.Model):
    """One place that events are delivered to: type, config, credentials, filter and limits."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    type = models.CharField(max_length=32, help_text="Fixed once the destination is made.")
    name = models.CharField(max_length=100, unique=True)
    active = models.BooleanField(default=True, help_text="A disabled destination gets no delivery for new events.")
    paused = models.BooleanField(default=False, help_text="A paused destination collects deliveries and sends none.")
    disabled_reason = models.CharField(max_length=200, blank=True, editable=False)
    config = models.JSONField(default=dict)
    credentials = SealedField()
    # Signs the payload links of this destination; a new one revokes every link made before.
    link_secret = SealedField()
    event_types = models.JSONField(
        default=list, blank=True, help_text="Event types to deliver; none chosen means every type."
    )
    sources = models.JSONField(
        default=list, blank=True, help_text="Slugs of the sources to deliver from; empty means every source."
    )
    schedule = models.JSONField(
        default=list,
        blank=True,
        help_text="Seconds to wait before each retry. Empty: 30 s, 90 s, 4.5 min … 18 h (8 retries, 27 hours).",
    )
    timeout_s = models.FloatField(
        default=30.0,
        validators=[MinValueValidator(1), MaxValueValidator(300)],
        help_text="Seconds that one try may take, by the wall clock.",
    )
    concurrency = models.PositiveSmallIntegerField(
        default=16,
        validators=[MinValueValidator(1), MaxValueValidator(256)],
        help_text="Tries under way at once, per worker.",
    )
    disable_after_hours = models.PositiveIntegerField(
        default=120,
        help_text="Disable after this many hours of nothing but failures; 0: never. Deliveries are kept.",
    )
    version = models.PositiveIntegerField(default=1, editable=False)

    # Health: shared by all workers, changed without a new version.
    consecutive_failures = models.PositiveIntegerField(default=0, editable=False)
    failing_since = models.DateTimeField(null=True, editable=False)
    paused_until = models.DateTimeField(null=True, editable=False)
    pause_reason = models.CharField(max_length=100, blank=True, editable=False)
    checked_at = models.DateTimeField(null=True, editable=False)
    check_passed = models.BooleanField(null=True, editable=False)
    check_steps = models.JSONField(default=list, editable=False)
    # When something was first delivered under this config and these credentials.
    proven_at = models.DateTimeField(null=True, editable=False)
    # How much of ``disable_after_hours`` the last warning was about: 0, 50, 70 or 90.
    warned_percent = models.PositiveSmallIntegerField(default=0, db_default=0, editable=False)
    # What is kept in clear of each secret: {"password": {"changed_at": ISO time, "by": "ana"}}.
    secrets_about = models.JSONField(default=dict, editable=False)

    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)
    deleted_at = models.DateTimeField(null=True, editable=False)

    # Set on the instance that is handed to a use case, by a caller who knows what they change (If-Match of the API).
    expected_versions: frozenset[int] | None = None

    history = HistoricalRecords(excluded_fields=["credentials", "link_secret", *HEALTH_FIELDS])
    objects: ClassVar[Any] = DestinationQuerySet.as_manager()

    class Meta:
        ordering = ("-id",)
        permissions = (
            ("check_destination", "Can check a destination"),
            ("pause_destination", "Can pause and resume a destination"),
            ("test_destination", "Can send a test event to a destination"),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def retry_waits(self) -> list[float]:
        """Seconds before each retry, the destination's own or the default."""
        return [float(wait) for wait in self.schedule or DEFAULT_SCHEDULE]


class RoutingVersion(models.Model):
    """One row that counts changes of what routing depends on; caches compare against it."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    version = models.BigIntegerField(default=1)


class Notice(models.Model):
    """Something about a destination that its operators are told of, outside the admin too. It holds no health data."""

    id = models.BigAutoField(primary_key=True)
    destination = models.ForeignKey(Destination, on_delete=models.CASCADE, related_name="notices", db_index=False)
    kind = models.CharField(max_length=32)  # a stable code: "failing_50", "disabled", "recovered"
    text = models.TextField()
    created_at = models.DateTimeField()
    # The outbox of the channels (e-mail, a webhook): sent, or given up with the problem, or due at ``next_try_at``.
    sent_at = models.DateTimeField(null=True)
    sent_through = models.JSONField(default=list)  # names of the channels that have taken it
    next_try_at = models.DateTimeField(null=True)
    tries = models.PositiveSmallIntegerField(default=0)
    problem = models.TextField(blank=True)

    objects: ClassVar[Any] = models.Manager()

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(fields=["destination", "-id"], name="notice_of_destination"),
            models.Index(fields=["next_try_at"], name="notice_due", condition=models.Q(next_try_at__isnull=False)),
        )

    def __str__(self) -> str:
        return f"notice {self.pk}"
