"""Worker processes."""

from typing import Any, ClassVar

from django.db import models


class Worker(models.Model):
    """A worker process, and when it was last seen."""

    name = models.CharField(max_length=64, primary_key=True)
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()

    objects: ClassVar[Any] = models.Manager()

    def __str__(self) -> str:
        return self.name
