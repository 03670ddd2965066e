"""Requests that were refused, kept with the reason."""

from typing import Any, ClassVar

from django.db import models

from destinations.ids import uuid7
from webhooks.models.events import Event
from webhooks.models.sources import Source

# The codes of reasons, in words.
REASONS = {
    "signature_missing": "The request carried no signature.",
    "signature_malformed": "The signature header could not be read.",
    "signature_mismatch": "The signature does not fit the body: wrong secret, or a changed body.",
    "signature_no_secret": "The source has no signing secret yet.",
    "signature_too_old": "The signature is older than the source accepts.",
    "signature_from_future": "The signature's time lies ahead of this hub's clock.",
    "ip_not_allowed": "The sender's address is not on the source's allowlist.",
    "invalid_payload": "The body is no JSON object with a text in 'type'.",
    "body_too_large": "The body is larger than this hub accepts.",
    "content_encoding": "The body was compressed, which Terra's signature does not cover.",
    "idempotency_conflict": "Another event with the same key and another body came first.",
}


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
        verbose_name_plural = "quarantined requests"
        indexes = (models.Index(fields=["source", "-id"], name="quarantine_of_source"),)
        permissions = (("admit_quarantinedrequest", "Can admit a quarantined request"),)

    def __str__(self) -> str:
        return f"{self.reason_words.removesuffix('.').partition(':')[0]}, {self.id}"

    @property
    def reason_words(self) -> str:
        """Return why it was refused, in a sentence."""
        return REASONS.get(self.reason, self.reason)
