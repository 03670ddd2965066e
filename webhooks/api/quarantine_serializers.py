"""How refused requests look over the API. What they carried is never part of them."""

from typing import Any

from rest_framework import serializers

from destinations.serializers import StrictSerializer
from webhooks.finding.quarantine import STATES, state_of
from webhooks.models import REASONS, QuarantinedRequest
from webhooks.receiving.quarantine import Tried
from webhooks.receiving.refusals import REMEDIES

MOST_ADMITTED = 200


class QuarantineSerializer(serializers.ModelSerializer[QuarantinedRequest]):
    """A request that was refused, kept with the reason."""

    source = serializers.CharField(  # type: ignore[assignment]  # DRF takes declared fields off the class
        source="source.slug", help_text="Slug of the source that it came to."
    )
    reason = serializers.CharField(help_text=f"A stable code: {', '.join(REASONS)}.")
    reason_words = serializers.CharField(help_text="The reason in a sentence.")
    state = serializers.SerializerMethodField(help_text=f"What became of it: {', '.join(STATES)}.")

    class Meta:
        model = QuarantinedRequest
        fields: tuple[str, ...] = (
            "id", "source", "reason", "reason_words", "detail", "remote_address", "size", "state", "event",
            "received_at", "admitted_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_state(self, row: QuarantinedRequest) -> str:
        """Return whether it became an event, or repeats one."""
        return state_of(row.admitted_at, row.event_id)


class QuarantineDetailSerializer(QuarantineSerializer):
    """A refused request with its headers, and what to change so that such a one passes."""

    remedy = serializers.SerializerMethodField(help_text="What to change; empty for one that was admitted.")
    body_kept = serializers.SerializerMethodField(help_text="Its bytes are there: without them it is never admitted.")

    class Meta(QuarantineSerializer.Meta):
        fields = (*QuarantineSerializer.Meta.fields, "sha256", "headers", "remedy", "body_kept")
        read_only_fields = fields

    def get_remedy(self, row: QuarantinedRequest) -> str:
        """Return what to change."""
        return "" if row.admitted_at else REMEDIES.get(row.reason, "")

    def get_body_kept(self, row: QuarantinedRequest) -> bool:
        """Tell whether its bytes are there."""
        return row.body is not None


class VerifiedSerializer(serializers.Serializer[Any]):
    """Whether a refused request would pass now."""

    passes = serializers.BooleanField()
    reason = serializers.CharField(help_text="Why it would be refused again; empty where it passes.")


class AdmitFilterSerializer(StrictSerializer):
    """Refused requests that were not admitted, by the filters of their list."""

    reason = serializers.ChoiceField(list(REASONS.items()), required=False)
    source = serializers.CharField(  # type: ignore[assignment]  # DRF takes declared fields off the class
        required=False, max_length=64, help_text="Slug."
    )
    since = serializers.DateTimeField(required=False)
    until = serializers.DateTimeField(required=False)


class AdmitManySerializer(StrictSerializer):
    """Which refused requests to admit: named ones, or the next of those that fit a filter."""

    ids = serializers.ListField(child=serializers.UUIDField(), required=False, min_length=1, max_length=MOST_ADMITTED)
    filter = AdmitFilterSerializer(required=False, help_text=f"The newest first, up to {MOST_ADMITTED} at once.")
    cursor = serializers.CharField(
        required=False, help_text="With a filter: next_cursor of the answer before, to go on from there."
    )

    def validate(self, attrs: Any) -> Any:
        """Refuse both, or neither: an empty filter is one that was meant."""
        if ("ids" in attrs) == ("filter" in attrs):
            raise serializers.ValidationError({"ids": ["Give ids, or a filter; an empty filter takes all."]})
        if "cursor" in attrs and "filter" not in attrs:
            raise serializers.ValidationError({"cursor": ["Goes with a filter."]})
        return attrs


class TriedSerializer(serializers.Serializer[Any]):
    """What became of one refused request."""

    id = serializers.UUIDField()
    admitted = serializers.BooleanField(help_text="On a dry run: it would be.")
    event = serializers.UUIDField(allow_null=True, help_text="The event that it became.")
    reason = serializers.CharField(help_text="Why it was refused again; empty where it was not.")


class AdmittedManySerializer(serializers.Serializer[Any]):
    """What became of many."""

    admitted = serializers.IntegerField()
    refused = serializers.IntegerField()
    data = TriedSerializer(many=True)  # type: ignore[assignment]  # DRF takes declared fields off the class
    has_more = serializers.BooleanField(help_text="More may fit the filter: ask again with the cursor.")
    next_cursor = serializers.CharField(allow_null=True)


def tried_of(one: Tried) -> dict[str, Any]:
    """Return what became of one, by the names of ``TriedSerializer``."""
    event = one.event.pk if one.event else None
    return {"id": one.item.pk, "admitted": not one.reason, "event": event, "reason": one.reason}
