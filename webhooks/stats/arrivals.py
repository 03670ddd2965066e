"""When sources last took something in."""

from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce

from webhooks.models import HOUR_S, MINUTE_S, ReceivedTally, Source


def with_last_event(rows: QuerySet[Source]) -> QuerySet[Source]:
    """Return sources with ``last_event_at``: one probe of an index for each, or two.

    It is the start of the minute in which one last took a new event in; of the hour, where that is more than two
    days ago; ``None`` where it took none in 400 days. An index on the events would be written with each of them.
    """
    return rows.annotate(last_event_at=Coalesce(_last(MINUTE_S), _last(HOUR_S)))


def _last(period_s: int) -> Any:
    tallies = ReceivedTally.objects.filter(source=OuterRef("pk"), period_s=period_s).order_by("-starts_at")
    return Subquery(tallies.values("starts_at")[:1])
