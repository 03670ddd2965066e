"""Erasing a person: the job with its receipt, and what keeps the person away afterwards."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from destinations.fields import SealedField
from destinations.ids import uuid7
from webhooks.models.events import ID_LENGTH
from webhooks.models.sources import Source


class ErasureStatus(models.TextChoices):
    """Where an erasure stands."""

    WAITING = "waiting", "Waiting"  # for ``starts_at``
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    STOPPED = "stopped", "Stopped by a problem"
    CANCELLED = "cancelled", "Cancelled"  # before it began: what is erased cannot come back


NOTE_LENGTH = 200


class Erasure(models.Model):
    """One job that erases a person, and its receipt. Who it was is sealed, and wiped when it is done."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    # {"user_ids": [...], "reference_ids": [...]}: as asked for, and found on the way. Empty once it is done.
    subject = SealedField()
    subject_hash = models.CharField(max_length=64)  # keyed hash of what was asked for, in hex: to find the receipt by
    status = models.CharField(max_length=9, choices=ErasureStatus.choices, default=ErasureStatus.RUNNING)
    trigger = models.CharField(max_length=8, default="request")  # or "deauth"
    # Ids, as text, of the destinations where rows and objects are erased too.
    destination_ids = models.JSONField(default=list)
    destination_results = models.JSONField(default=dict)  # id -> {"status", "erased", "detail", "hint"}
    counts = models.JSONField(default=dict)  # what was erased in the hub: {"events": 12, …}
    # What whoever asked wrote to tell it from others: a ticket's number, nothing of the person. It stays in clear.
    note = models.CharField(max_length=NOTE_LENGTH, blank=True, default="", db_default="")
    stage = models.CharField(max_length=32, blank=True)  # of the job
    cursor = models.CharField(max_length=64, blank=True)
    problem = models.TextField(blank=True)  # why it was stopped
    receipt = models.JSONField(default=dict)  # without anything of the person
    receipt_sha256 = models.CharField(max_length=64, blank=True)
    starts_at = models.DateTimeField()
    claimed_by = models.CharField(max_length=64, blank=True)
    lease_until = models.DateTimeField(null=True)
    created_by = models.CharField(max_length=150, blank=True)
    created_at = models.DateTimeField()
    finished_at = models.DateTimeField(null=True)

    objects: ClassVar[Any] = models.Manager()

    class Meta:
        ordering = ("-id",)
        indexes = (
            models.Index(fields=["starts_at"], name="erasure_open", condition=Q(status__in=["waiting", "running"])),
            models.Index(fields=["subject_hash"], name="erasure_of_subject"),
        )

    def __str__(self) -> str:
        return f"erasure {self.pk}"


class Tombstone(models.Model):
    """A keyed hash of what was erased: an event that fits is answered, and not stored again."""

    digest = models.CharField(max_length=64, primary_key=True)  # in hex
    kind = models.CharField(max_length=8)  # "user", or "event" for an idempotency key
    erasure = models.ForeignKey(Erasure, on_delete=models.PROTECT, related_name="tombstones")
    created_at = models.DateTimeField()

    objects: ClassVar[Any] = models.Manager()

    def __str__(self) -> str:
        return f"tombstone {self.digest[:8]}"


class TombstoneSalt(models.Model):
    """The one random key of all tombstones, sealed: a copy of the database alone tells nobody who was erased."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    salt = SealedField()

    objects: ClassVar[Any] = models.Manager()

    def __str__(self) -> str:
        return "salt of tombstones"


class UserLink(models.Model):
    """Terra gave a person a new user id (``user_reauth``): both are the same person."""

    id = models.BigAutoField(primary_key=True)
    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="+", db_index=False)
    old_user_id = models.CharField(max_length=ID_LENGTH)
    new_user_id = models.CharField(max_length=ID_LENGTH)
    created_at = models.DateTimeField()

    objects: ClassVar[Any] = models.Manager()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["old_user_id", "new_user_id", "source"], name="user_link_once"),)
        indexes = (models.Index(fields=["new_user_id"], name="user_link_new"),)

    def __str__(self) -> str:
        return f"user link {self.pk}"


class PayloadView(models.Model):
    """Who saw which payload without being a user of the admin: an API key, or the command line.

    What users of the admin see is in Django's own log of the admin.
    """

    id = models.BigAutoField(primary_key=True)
    event_id = models.UUIDField(db_index=True)  # no foreign key: the record outlives the event
    viewer = models.CharField(max_length=200)
    how = models.CharField(max_length=32)
    viewed_at = models.DateTimeField()

    objects: ClassVar[Any] = models.Manager()

    def __str__(self) -> str:
        return f"payload view {self.pk}"
