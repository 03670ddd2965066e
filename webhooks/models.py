"""Sources, events, deliveries and their attempts, and what was refused.

Rows on the hot path are narrow and are written by ``receiving.groupcommit`` and
``delivering.outbox``, many at a time.
"""

import re
from typing import Any, ClassVar

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from simple_history.models import HistoricalRecords

from destinations.fields import SealedField
from destinations.ids import uuid7
from destinations.models import Destination

SLUG = re.compile(r"^[a-z0-9][a-z0-9-]*$")
TYPE_LENGTH = 64
ID_LENGTH = 255
KEY_LENGTH = 160


class Source(models.Model):
    """A Terra environment that may post events to this hub."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    slug = models.SlugField(
        max_length=64,
        unique=True,
        validators=[RegexValidator(SLUG.pattern)],
        help_text="Part of the webhook URL; fixed once the source is made.",
    )
    name = models.CharField(max_length=100)
    dev_id = models.CharField(max_length=128, blank=True, help_text="Terra's dev-id, for your own reference.")
    active = models.BooleanField(default=True, help_text="A disabled source answers 404.")
    # {"secrets": [{"secret": str, "not_after": ISO time or None}, …]}: the first is the current one.
    signing = SealedField()
    tolerance_s = models.PositiveIntegerField(
        default=300, help_text="Seconds that a signature's time may differ from the hub's clock."
    )
    stale_window_s = models.PositiveIntegerField(
        default=48 * 3600,
        help_text="A right signature older than the tolerance but younger than this many seconds is taken, "
        "marked stale, if its body is new: Terra may not sign a retry afresh.",
    )
    strict = models.BooleanField(default=False, help_text="Refuse every signature older than the tolerance.")
    allowlist = models.JSONField(default=list, blank=True, help_text="Addresses and CIDR ranges that may post.")
    allowlist_enforced = models.BooleanField(default=False, help_text="Refuse requests from any other address.")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True)

    history = HistoricalRecords(excluded_fields=["signing"])
    objects: ClassVar[Any] = models.Manager()

    class Meta:
        ordering = ("slug",)

    def __str__(self) -> str:
        return self.slug


class Event(models.Model):
    """One accepted request: what it said of itself. Its bytes are in ``Payload``."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="events", db_index=False)
    # Unique with the source: X-Terra-Trace-Id, or what terra/spec.md puts in its place.
    idempotency_key = models.CharField(max_length=KEY_LENGTH)
    type = models.CharField(max_length=TYPE_LENGTH)
    user_id = models.CharField(max_length=ID_LENGTH, blank=True)
    reference_id = models.CharField(max_length=ID_LENGTH, blank=True)
    provider = models.CharField(max_length=TYPE_LENGTH, blank=True)
    terra_reference = models.CharField(max_length=ID_LENGTH, blank=True)
    ordering_timestamp = models.BigIntegerField(null=True)  # Unix milliseconds, by Terra's clock
    headers = models.JSONField(default=dict)
    size = models.PositiveIntegerField()  # bytes of the body
    stale = models.BooleanField(default=False)
    received_at = models.DateTimeField()

    objects: ClassVar[Any] = models.Manager()

    class Meta:
        ordering = ("-id",)
        constraints = (models.UniqueConstraint(fields=["source", "idempotency_key"], name="event_once_per_source"),)
        indexes = (
            models.Index(fields=["user_id", "-id"], name="event_user", condition=~Q(user_id="")),
            models.Index(fields=["reference_id", "-id"], name="event_reference", condition=~Q(reference_id="")),
            models.Index(fields=["type", "-id"], name="event_type"),
        )
        permissions = (("view_payload", "Can view the payload of an event"),)

    def __str__(self) -> str:
        return f"{self.type} {self.id}"


class Payload(models.Model):
    """The exact bytes of an event: in the row, or in the payload store under ``store_name``."""

    event = models.OneToOneField(Event, primary_key=True, on_delete=models.CASCADE, related_name="payload")
    body = models.BinaryField(null=True)
    store_name = models.CharField(max_length=200, blank=True)
    sha256 = models.BinaryField(max_length=32, db_index=True)

    objects: ClassVar[Any] = models.Manager()


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
    created_at = models.DateTimeField()
    settled_at = models.DateTimeField(null=True)

    objects: ClassVar[Any] = models.Manager()

    class Meta:
        ordering = ("-id",)
        verbose_name_plural = "deliveries"
        constraints = (models.UniqueConstraint(fields=["event", "destination"], name="delivery_once_per_destination"),)
        indexes = (
            models.Index(fields=["destination", "next_attempt_at"], name="delivery_due", condition=Q(status="pending")),
            models.Index(fields=["destination", "-id"], name="delivery_of_destination"),
            models.Index(fields=["-id"], name="delivery_dead", condition=Q(status="dead")),
        )
        permissions = (("resend_delivery", "Can resend a delivery"),)

    def __str__(self) -> str:
        return f"delivery {self.pk}"


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
    late = models.BooleanField(default=False)  # settled after its lease had gone to another worker

    objects: ClassVar[Any] = models.Manager()

    class Meta:
        ordering = ("delivery_id", "number")
        constraints = (models.UniqueConstraint(fields=["delivery", "number"], name="attempt_number_once"),)

    def __str__(self) -> str:
        return f"attempt {self.number} of delivery {self.delivery_id}"


class QuarantinedRequest(models.Model):
    """A request that was refused, kept with the reason."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="quarantine", db_index=False)
    reason = models.CharField(max_length=64)  # a stable code: "signature_mismatch", "ip_not_allowed"
    detail = models.TextField(blank=True)
    remote_address = models.CharField(max_length=64, blank=True)
    headers = models.JSONField(default=dict)
    body = models.BinaryField(null=True)  # null where it was too large to keep
    size = models.PositiveBigIntegerField(default=0)
    sha256 = models.CharField(max_length=64, blank=True)
    received_at = models.DateTimeField()
    event = models.ForeignKey(
        Event,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="quarantined",
        help_text="The event that it became, or that it repeats.",
    )
    admitted_at = models.DateTimeField(null=True)

    objects: ClassVar[Any] = models.Manager()

    class Meta:
        ordering = ("-id",)
        verbose_name = "quarantined request"
        verbose_name_plural = "quarantine"
        indexes = (models.Index(fields=["source", "-id"], name="quarantine_of_source"),)
        permissions = (("admit_quarantinedrequest", "Can admit a quarantined request"),)

    def __str__(self) -> str:
        return f"{self.reason} {self.id}"


class Worker(models.Model):
    """A worker process, and when it was last seen."""

    name = models.CharField(max_length=64, primary_key=True)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    objects: ClassVar[Any] = models.Manager()

    def __str__(self) -> str:
        return self.name
