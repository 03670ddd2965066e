"""How events, deliveries and attempts look over the API. A payload is never part of them."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from destinations.serializers import StrictSerializer
from webhooks.keeping.replay import MOST
from webhooks.models import Attempt, Delivery, Event

MAX_ID = 2**63 - 1  # of a bigint column


class EventSerializer(serializers.ModelSerializer[Event]):
    """An event: what its request said of itself."""

    source = serializers.CharField(  # type: ignore[assignment]  # DRF takes declared fields off the class
        source="source.slug", help_text="Slug of the source that it came from."
    )

    class Meta:
        model = Event
        fields: tuple[str, ...] = (
            "id", "source", "type", "provider", "user_id", "reference_id", "terra_reference", "ordering_timestamp",
            "idempotency_key", "size", "stale", "received_at",
        )  # fmt: skip
        read_only_fields = fields


class EventDeliverySerializer(serializers.ModelSerializer[Delivery]):
    """A delivery, in a list under its event."""

    next_attempt_at = serializers.DateTimeField(
        source="next_try_at", read_only=True, allow_null=True, help_text="When it is due; null while it is being tried."
    )
    lease_until = serializers.DateTimeField(
        read_only=True, allow_null=True,
        help_text="It is being tried by a worker whose claim ends then, unless it is extended; else null.",
    )  # fmt: skip

    class Meta:
        model = Delivery
        fields: tuple[str, ...] = (
            "id", "destination", "status", "attempt_count", "last_error_code", "next_attempt_at", "lease_until",
            "settled_at",
        )  # fmt: skip
        read_only_fields = fields


class EventDetailSerializer(EventSerializer):
    """An event with its headers and its deliveries."""

    deliveries = EventDeliverySerializer(many=True)

    class Meta(EventSerializer.Meta):
        fields = (*EventSerializer.Meta.fields, "headers", "deliveries")
        read_only_fields = fields


class DeliverySerializer(EventDeliverySerializer):
    """A delivery: one event for one destination."""

    destination_name = serializers.CharField(source="destination.name")
    event_type = serializers.CharField(source="event.type")

    class Meta(EventDeliverySerializer.Meta):
        fields: tuple[str, ...] = (
            "id", "event", "event_type", "destination", "destination_name", "status", "attempt_count", "retry_count",
            "next_attempt_at", "lease_until", "trigger", "last_error_code", "replay", "created_at", "settled_at",
        )  # fmt: skip
        read_only_fields = fields


class AttemptSerializer(serializers.ModelSerializer[Attempt]):
    """One try of a delivery."""

    class Meta:
        model = Attempt
        fields: tuple[str, ...] = (
            "id", "delivery", "number", "started_at", "duration_ms", "outcome", "status_code", "error_code",
            "error_detail", "hint", "request", "response", "trigger", "replay", "worker", "late",
        )  # fmt: skip
        read_only_fields = fields
        extra_kwargs = {  # noqa: RUF012  # the library's
            "duration_ms": {"help_text": "Null: a worker was lost, and nobody knows."},
            "error_code": {"help_text": "Stable; empty for what was delivered."},
            "hint": {"help_text": "What to change."},
            "request": {"help_text": "What was sent, secrets masked."},
            "response": {"help_text": "What came back, cut where it was long."},
            "trigger": {"help_text": "What made it happen."},
            "replay": {"help_text": "The replay that caused it."},
            "worker": {"help_text": "The claim that it was made under."},
            "late": {"help_text": "Reported after its lease had gone: the delivery's status does not follow from it."},
        }


class DeliveryDetailSerializer(DeliverySerializer):
    """A delivery with its latest attempts, oldest first."""

    attempts = serializers.SerializerMethodField()

    class Meta(DeliverySerializer.Meta):
        fields = (*DeliverySerializer.Meta.fields, "attempts")
        read_only_fields = fields

    @extend_schema_field(AttemptSerializer(many=True))
    def get_attempts(self, row: Any) -> Any:
        """Return what the view has read, newest first, the other way round."""
        return AttemptSerializer(row.latest_first[::-1], many=True).data


class EventResendSerializer(StrictSerializer):
    """Where an event should be sent again."""

    destinations = serializers.ListField(
        child=serializers.UUIDField(), required=False, allow_null=True, max_length=MOST, default=None,
        help_text="Ids. Without it: every active destination that takes such events now.",
    )  # fmt: skip


class DeliveryIdsSerializer(StrictSerializer):
    """Deliveries to send again, or to cancel."""

    ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=MAX_ID), min_length=1, max_length=MOST
    )


class ResentSerializer(serializers.Serializer[Any]):
    """How many deliveries were made due. Those that are under way at this moment are not among them."""

    resent = serializers.IntegerField()


class CancelledSerializer(serializers.Serializer[Any]):
    """What became of deliveries that were to be cancelled."""

    cancelled = serializers.IntegerField(help_text="They waited for a try or a retry, and none follows.")
    in_hand = serializers.IntegerField(
        help_text="Of these, being tried at this moment: the try may still arrive. It is logged, and changes nothing."
    )
    settled = serializers.IntegerField(help_text="Left alone: delivered, given up or cancelled before.")
