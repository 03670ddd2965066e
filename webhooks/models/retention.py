"""How far each kind of pruning has come."""

from typing import Any, ClassVar

from django.db import models
from django.utils import timezone


class RetentionMark(models.Model):
    """One kind of pruning: who does it now, how far it has come, and what it has removed."""

    name = models.CharField(max_length=32, primary_key=True)  # "payloads", "snapshots", …
    cursor = models.TextField(blank=True)  # the last key that was looked at
    removed = models.PositiveBigIntegerField(default=0)  # rows, in all
    removed_bytes = models.PositiveBigIntegerField(default=0)
    began_at = models.DateTimeField(default=timezone.now)
    caught_up_at = models.DateTimeField(null=True)  # when nothing was left to remove
    step_at = models.DateTimeField(null=True)
    problem = models.TextField(blank=True)
    claimed_by = models.CharField(max_length=64, blank=True)
    lease_until = models.DateTimeField(null=True)

    objects: ClassVar[Any] = models.Manager()

    def __str__(self) -> str:
        return self.name
