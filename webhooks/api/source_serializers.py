"""How sources look over the API. Secrets go in and come back masked."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from destinations.crypto import SealError
from destinations.serializers import StrictSerializer
from destinations.terra import EVENT_TYPES
from webhooks.models import Source
from webhooks.models.sources import SLUG
from webhooks.receiving import sources

_MOST = 2**31 - 1  # of the columns


class SecretField(serializers.CharField):
    """A signing secret on its way in."""

    def __init__(self, **more: Any) -> None:
        """Take what every field takes."""
        super().__init__(min_length=sources.MIN_SECRET_LENGTH, max_length=500, write_only=True, **more)


class SourceSettingsSerializer(StrictSerializer):
    """What can be said when a source is made, and changed later."""

    name = serializers.CharField(max_length=100, required=False, help_text="Its slug, unless said.")
    dev_id = serializers.CharField(
        max_length=128, required=False, allow_blank=True, help_text="Terra's dev-id, for your own reference."
    )
    active = serializers.BooleanField(required=False, help_text="The URL of a disabled source answers 404.")
    tolerance_s = serializers.IntegerField(
        required=False, min_value=0, max_value=_MOST,
        help_text="Seconds that a signature's time may differ from the hub's clock.",
    )  # fmt: skip
    stale_window_s = serializers.IntegerField(
        required=False, min_value=0, max_value=_MOST,
        help_text="A signature older than that, but younger than this many seconds, is taken if its body is new.",
    )  # fmt: skip
    strict = serializers.BooleanField(required=False, help_text="Refuse every signature older than the tolerance.")
    allowlist = serializers.ListField(
        child=serializers.CharField(max_length=100), required=False, max_length=sources.MOST_ADDRESSES,
        help_text="Addresses and CIDR ranges that may post.",
    )  # fmt: skip
    allowlist_enforced = serializers.BooleanField(required=False, help_text="Refuse requests from any other address.")


class SourceCreateSerializer(SourceSettingsSerializer):
    """A source to make."""

    slug = serializers.RegexField(SLUG, max_length=64, help_text="Part of the webhook URL; fixed from then on.")
    secret = SecretField(
        required=False,
        help_text="The signing secret from Terra's dashboard. Without one every request is refused. Never shown back.",
    )  # fmt: skip


class SourceChangeSerializer(SourceSettingsSerializer):
    """What can be changed of a source."""

    slug = serializers.CharField(required=False, help_text="Fixed: it may come again, but not another one.")


class SourceSecretSerializer(StrictSerializer):
    """A new signing secret, and how long those before it stay good."""

    secret = SecretField(help_text="From Terra's dashboard. Never shown back.")
    grace_s = serializers.IntegerField(
        default=sources.GRACE_SECONDS, min_value=0, max_value=sources.MAX_GRACE_SECONDS,
        help_text="Seconds; 0 ends the earlier secrets at once.",
    )  # fmt: skip


class SampleSerializer(StrictSerializer):
    """Which sample is wanted."""

    type = serializers.ChoiceField(EVENT_TYPES, default="healthcheck", help_text="A type that Terra sends.")


class SampleSentSerializer(serializers.Serializer[Any]):
    """The event that a sample has become."""

    event_id = serializers.UUIDField()
    type = serializers.CharField()


class SigningSecretSerializer(serializers.Serializer[Any]):
    """What may be told of a signing secret."""

    masked = serializers.CharField(help_text="Stars, with the last four characters of a long one.")
    current = serializers.BooleanField(help_text="The one that Terra is expected to sign with.")
    not_after = serializers.DateTimeField(allow_null=True, help_text="Until when it is good; null: no end is set.")
    changed_at = serializers.DateTimeField(allow_null=True, help_text="When it was set.")
    changed_by = serializers.CharField(help_text="Who set it; empty: that is not known.")


class SourceSerializer(serializers.ModelSerializer[Source]):
    """A source as it is shown."""

    webhook_url = serializers.SerializerMethodField(help_text="To be pasted into Terra's dashboard.")
    allowlist = serializers.ListField(child=serializers.CharField(), read_only=True)
    signing_secrets = serializers.SerializerMethodField(help_text="Those that are good now, the current one first.")
    signing_secrets_error = serializers.SerializerMethodField(help_text="Why the stored secrets do not open, or empty.")
    last_event_at = serializers.DateTimeField(
        read_only=True, allow_null=True,
        help_text="When it last took a new event in: the minute's start, or the hour's for more than two days ago.",
    )  # fmt: skip

    class Meta:
        model = Source
        fields: tuple[str, ...] = (
            "id", "slug", "name", "dev_id", "active", "webhook_url", "tolerance_s", "stale_window_s", "strict",
            "allowlist", "allowlist_enforced", "signing_secrets", "signing_secrets_error", "last_event_at",
            "created_at", "updated_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_webhook_url(self, row: Source) -> str:
        """Return the URL that Terra posts to."""
        return sources.webhook_url(row.slug)

    @extend_schema_field(SigningSecretSerializer(many=True))
    def get_signing_secrets(self, row: Source) -> Any:
        """Return the masks; nothing where the stored secrets do not open."""
        try:
            return SigningSecretSerializer(sources.signing_secrets_summary(row), many=True).data
        except SealError:
            return []

    def get_signing_secrets_error(self, row: Source) -> str:
        """Return why the stored secrets do not open."""
        try:
            sources.signing_secrets_summary(row)
        except SealError as error:
            return str(error)
        return ""
