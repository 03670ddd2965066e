"""Keys of the API, and the answers that it gives again to a repeated request."""

from datetime import datetime
from typing import Any, ClassVar

from django.db import models
from simple_history.models import HistoricalRecords

from destinations.fields import SealedField
from destinations.ids import uuid7


class ApiKey(models.Model):
    """A key of the API: what it may do, for which sources, and until when. The key itself is nowhere stored."""

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    name = models.CharField(max_length=100, help_text="Who or what uses it: it stands in histories and logs.")
    prefix = models.CharField(max_length=32, unique=True, editable=False)  # "hub_live_" and eight characters
    digest = models.CharField(max_length=64, editable=False)  # SHA-256 of the whole key, in hex
    scopes = models.JSONField(default=list)  # names of destinations.access.scopes
    sources = models.JSONField(
        default=list, blank=True, help_text="Slugs of the sources that it is limited to; empty means every source."
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False)  # to the minute
    created_by = models.CharField(max_length=150, blank=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    history = HistoricalRecords(excluded_fields=["digest", "last_used_at"])
    objects: ClassVar[Any] = models.Manager()

    class Meta:
        ordering = ("-id",)
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"

    def state(self, now: datetime) -> str:
        """Return ``active``, ``expired`` or ``revoked``."""
        if self.revoked_at:
            return "revoked"
        return "expired" if self.expires_at and self.expires_at <= now else "active"


class StoredAnswer(models.Model):
    """What a request with an ``Idempotency-Key`` was answered; the same request gets it again.

    The answer may hold a secret that is shown once, so it is sealed.
    """

    id = models.UUIDField(primary_key=True, default=uuid7, editable=False)
    principal = models.CharField(max_length=80)  # who sent it: "user:7", "key:<id>"
    key = models.CharField(max_length=255)  # the Idempotency-Key
    fingerprint = models.CharField(max_length=64)  # HMAC of method, path, query and body, in hex
    status = models.PositiveSmallIntegerField(null=True)  # null while the request is under way
    answer = SealedField()  # {"body": …, "headers": {…}}
    created_at = models.DateTimeField(auto_now_add=True)

    objects: ClassVar[Any] = models.Manager()

    class Meta:
        constraints = (models.UniqueConstraint(fields=["principal", "key"], name="answer_once_per_key"),)
        indexes = (models.Index(fields=["created_at"], name="answer_by_age"),)

    def __str__(self) -> str:
        return f"answer {self.pk}"
