"""Events: what came in, and the bytes of it."""

from typing import Any, ClassVar

from django.db import models
from django.db.models import Q

from destinations.ids import uuid7
from webhooks.models.sources import Source

TYPE_LENGTH = 64
ID_LENGTH = 255
KEY_LENGTH = 160


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
            models.Index(
                fields=["terra_reference", "-id"], name="event_terra_reference", condition=~Q(terra_reference="")
            ),
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
