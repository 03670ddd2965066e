"""How statistics look over the API, and what can be asked of them."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from drf_spectacular.utils import extend_schema_serializer
from rest_framework import serializers

from destinations.models import Destination
from destinations.serializers import StrictSerializer
from webhooks import stats
from webhooks.models import Source

_AT_MOST = f"counted up to {stats.CAP:,}"


# --- what is asked -----------------------------------------------------------------------------------
class SpanSerializer(StrictSerializer):
    """A span of time, and its buckets."""

    since = serializers.DateTimeField(required=False, help_text="Rounded down to a bucket; else a day before until.")
    until = serializers.DateTimeField(required=False, help_text="Not in it; now, if not said.")
    bucket = serializers.ChoiceField(
        [size.label for size in stats.Bucket], required=False,
        help_text="In UTC; chosen by the span, if not said. Minutes go back 2 days, hours and days 400.",
    )  # fmt: skip


class StatsQuerySerializer(SpanSerializer):
    """What the hub's statistics can be asked."""

    split_by = serializers.ChoiceField(stats.SPLITS, required=False, help_text="Counts of each of these.")
    destination = serializers.UUIDField(required=False, help_text="What was tried there only.")
    # DRF takes declared fields off the class
    source = serializers.SlugField(required=False, help_text="What came in there, and was tried.")  # type: ignore[assignment]  # as DRF does


# --- what is shown -----------------------------------------------------------------------------------
class CountsSerializer(serializers.Serializer[Any]):
    """Counts."""

    received = serializers.IntegerField(allow_null=True, help_text="New events; null: not counted for this.")
    bytes = serializers.IntegerField(allow_null=True, help_text="Of their bodies.")
    attempts = serializers.IntegerField(help_text="Tries that ended: the sum of the next three.")
    delivered = serializers.IntegerField()
    failed = serializers.IntegerField(help_text="May succeed later.")
    rejected = serializers.IntegerField(help_text="For good.")
    success_rate = serializers.FloatField(allow_null=True, help_text="delivered / attempts, 0 to 1; null: no attempt.")
    p50_ms = serializers.IntegerField(allow_null=True, help_text="Half of the tries took at most this, about.")
    p95_ms = serializers.IntegerField(allow_null=True)
    p99_ms = serializers.IntegerField(allow_null=True, help_text="30000 means: 30 s or more.")


class KeyedSerializer(CountsSerializer):
    """Counts of what a report is split by: one of these names it."""

    destination = serializers.UUIDField(required=False)
    destination_name = serializers.CharField(required=False)
    # DRF takes declared fields off the class
    source = serializers.CharField(required=False, help_text="A slug.")  # type: ignore[assignment]  # as DRF does
    type = serializers.CharField(required=False)
    provider = serializers.CharField(required=False, help_text="Empty: the events name none.")


class BucketSerializer(KeyedSerializer):
    """Counts of one bucket."""

    starts_at = serializers.DateTimeField()


class QueueSerializer(serializers.Serializer[Any]):
    """What waits for a destination now."""

    pending = serializers.IntegerField(help_text=f"Deliveries that wait or are being tried; {_AT_MOST}.")
    pending_capped = serializers.BooleanField(help_text="There are more.")
    dead = serializers.IntegerField(help_text=f"Dead letters; {_AT_MOST}.")
    dead_capped = serializers.BooleanField(help_text="There are more.")
    oldest_due_at = serializers.DateTimeField(allow_null=True, help_text="Since when the longest overdue one is due.")
    next_attempt_at = serializers.DateTimeField(
        allow_null=True, help_text="When the next one goes out; null: none waits, or none goes out as things stand."
    )
    last_success_at = serializers.DateTimeField(
        allow_null=True, help_text="The minute's or the hour's start in which one was delivered last."
    )


class GroupSerializer(KeyedSerializer):
    """Counts of the whole span, of one of what a report is split by."""

    queue = QueueSerializer(required=False, help_text="Where it is split by destination.")


@extend_schema_serializer(many=False)
class ReportSerializer(serializers.Serializer[Any]):
    """A report. A bucket without anything is zeros, and left out where the report is split."""

    since = serializers.DateTimeField(help_text="Start of the first bucket.")
    until = serializers.DateTimeField(help_text="End of the last bucket, which may not be over yet.")
    bucket = serializers.ChoiceField([size.label for size in stats.Bucket])
    split_by = serializers.ChoiceField(stats.SPLITS, allow_null=True)
    # DRF takes declared fields off the class
    data = BucketSerializer(many=True)  # type: ignore[assignment]  # as DRF does
    groups = GroupSerializer(many=True, help_text="One for each that it is split by; none where it is not split.")
    totals = CountsSerializer()


class DestinationReportSerializer(ReportSerializer):
    """A report of one destination."""

    queue = QueueSerializer()


class FailureGroupSerializer(serializers.Serializer[Any]):
    """Deliveries that did not get through for the same cause: dead letters, and those that wait for another try."""

    code = serializers.CharField(help_text="Stable: http_404, auth_failed.")
    trouble = serializers.CharField(help_text="What goes wrong, to follow “with”.")
    detail = serializers.CharField(help_text="What the newest of them was told; a stranger's text.")
    hint = serializers.CharField(help_text="What to do about it.")
    count = serializers.IntegerField(help_text="Deliveries.")
    capped = serializers.BooleanField(
        help_text=f"Only the latest {stats.FAILURES_LOOKED_AT:,} failed ones were looked at: there may be more."
    )
    users = serializers.IntegerField(help_text="Different users whose data they carry.")
    first_at = serializers.DateTimeField(allow_null=True, help_text="Of their last attempts, the first.")
    last_at = serializers.DateTimeField(allow_null=True)


class FailureGroupsSerializer(serializers.Serializer[Any]):
    """Causes of failure, the most frequent first; all on one page."""

    data = FailureGroupSerializer(many=True)  # type: ignore[assignment]  # DRF takes declared fields off the class
    has_more = serializers.BooleanField()
    next_cursor = serializers.CharField(allow_null=True)


def shown(report: stats.Report) -> dict[str, Any]:
    """Return a report as it is answered."""
    asked = report.wanted
    keys = _keys(asked.split_by, [name for name, _ in report.groups])
    waits = queues([name for name, _ in report.groups]) if asked.split_by == "destination" else {}
    return {
        "since": asked.since,
        "until": asked.until,
        "bucket": asked.bucket.label,
        "split_by": asked.split_by or None,
        "data": [{"starts_at": start, **keys.get(name, {}), **_counts(one)} for start, name, one in report.rows],
        "groups": [
            {**keys[name], **_counts(one), **({"queue": waits[name]} if name in waits else {})}
            for name, one in report.groups
        ],
        "totals": _counts(report.totals),
    }


def queues(destination_ids: list[UUID]) -> dict[UUID, dict[str, Any]]:
    """Return what waits for each destination, as it is answered."""
    dead = stats.dead_letters(destination_ids)
    return {pk: _queue(one, dead.get(pk, 0)) for pk, one in stats.queues(destination_ids).items()}


def _queue(one: stats.Queue, dead: int) -> dict[str, Any]:
    return {
        "pending": one.waiting,
        "pending_capped": one.waiting_capped,
        "dead": min(dead, stats.CAP),
        "dead_capped": dead > stats.CAP,
        "oldest_due_at": one.oldest_due,
        "next_attempt_at": one.next_try_at,
        "last_success_at": one.last_success_at,
    }


def _counts(one: stats.Counts) -> dict[str, Any]:
    return {str(name): getattr(one, str(name)) for name in CountsSerializer().fields}


def _keys(split_by: str, names: list[Any]) -> Mapping[Any, dict[str, Any]]:
    """Return how each name is called in an answer."""
    if split_by == "destination":
        found = Destination.objects.filter(pk__in=names).values_list("pk", "name")
        return {pk: {"destination": str(pk), "destination_name": name} for pk, name in found}
    if split_by == "source":
        return {pk: {"source": slug} for pk, slug in Source.objects.filter(pk__in=names).values_list("pk", "slug")}
    return {name: {split_by: name} for name in names}


# --- test events -------------------------------------------------------------------------------------
class TestEventSerializer(StrictSerializer):
    """What is sent as a test."""

    event_type = serializers.CharField(
        default="", allow_blank=True, max_length=64,
        help_text="The last real event of this type, payload and all; a healthcheck, if not said.",
    )  # fmt: skip


class TestSentSerializer(serializers.Serializer[Any]):
    """A test event on its way."""

    delivery_id = serializers.IntegerField()
    event_id = serializers.UUIDField()
