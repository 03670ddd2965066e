"""How long the answers behind ``Idempotency-Key`` are kept; apart, so that a worker loads no REST framework."""

from datetime import datetime, timedelta

from destinations.models import StoredAnswer

KEPT = timedelta(hours=24)


def prune_stored_answers(now: datetime, most: int) -> int:
    """Delete at most ``most`` answers that are older than ``KEPT``, the oldest first; return how many."""
    old = StoredAnswer.objects.filter(created_at__lt=now - KEPT).order_by("created_at").values_list("pk", flat=True)
    count: int = StoredAnswer.objects.filter(pk__in=list(old[:most])).delete()[0]
    return count
