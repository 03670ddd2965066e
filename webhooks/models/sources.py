"""Sources: the Terra environments that may post here."""

import re
from typing import Any, ClassVar

from django.core.validators import RegexValidator
from django.db import models
from simple_history.models import HistoricalRecords

from destinations.fields import SealedField
from destinations.ids import uuid7

SLUG = re.compile(r"^[a-z0-9][a-z0-9-]*$")


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
    # {"secrets": [{"secret": str, "not_after": ISO time or None, "since": ISO time, "by": "ana"}, …]}: the first is the
    # current one.
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
