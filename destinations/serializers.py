"""How destinations look over the API. Credentials go in and come back masked."""

from dataclasses import asdict
from typing import Any, ClassVar

from drf_spectacular.utils import extend_schema_field, extend_schema_serializer
from rest_framework import serializers

from destinations import services
from destinations.batches import MOST
from destinations.crypto import SealError
from destinations.models import Destination, Notice
from destinations.openapi import KIND_NAMES
from destinations.rules import Kind
from destinations.specs import SpecField, spec_fields
from destinations.strict import StrictSerializer as StrictSerializer


def values_of(serializer: StrictSerializer) -> dict[str, Any]:
    """Return what was sent, validated; raise ``ValidationError``."""
    serializer.is_valid(raise_exception=True)
    values: dict[str, Any] = serializer.validated_data
    return values


class ConfigField(serializers.DictField):
    """A config; its type's spec judges it."""


class CredentialsField(serializers.DictField):
    """Credentials; their type's spec judges them."""


class ConfigPatchField(ConfigField):
    """Some fields of a config."""


class CredentialsPatchField(CredentialsField):
    """Some of the credentials."""


class SettingsSerializer(StrictSerializer):
    """What destinations of every type have besides config and credentials."""

    active = serializers.BooleanField(required=False, help_text="A disabled destination takes no new events.")
    paused = serializers.BooleanField(required=False, help_text="A paused one collects deliveries and sends none.")
    event_types = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="An empty list takes every type."
    )
    sources = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="Slugs; an empty list takes every source."
    )
    schedule = serializers.ListField(
        child=serializers.FloatField(), required=False, help_text="Seconds before each retry; empty: 8 retries, 27 h."
    )
    timeout_s = serializers.FloatField(required=False, help_text="Of one try, by the wall clock.")
    concurrency = serializers.IntegerField(required=False, help_text="Tries under way at once, per worker.")
    disable_after_hours = serializers.IntegerField(required=False, help_text="Of nothing but failures; 0: never.")


class DestinationCreateSerializer(SettingsSerializer):
    """A destination to make."""

    type = serializers.CharField(help_text="A wire name of /destination-types.")
    name = serializers.CharField(max_length=services.NAME_LENGTH)
    config = ConfigField()
    credentials = CredentialsField(default=dict, help_text="Never shown back.", write_only=True)


class DestinationBatchSerializer(StrictSerializer):
    """Destinations to make, all or none."""

    destinations: serializers.ListSerializer[Any] = serializers.ListSerializer(
        child=DestinationCreateSerializer(), min_length=1, max_length=MOST
    )


class DestinationChangeSerializer(SettingsSerializer):
    """What can be changed of a destination. ``config`` and ``credentials`` are merged."""

    type = serializers.CharField(required=False, help_text="Fixed: it may come again, but not another one.")
    name = serializers.CharField(max_length=services.NAME_LENGTH, required=False)
    config = ConfigPatchField(required=False, help_text="Merged: an empty field goes back to its default.")
    credentials = CredentialsPatchField(
        required=False, help_text="A blank one stays, null takes it away. Never shown back.", write_only=True
    )


class DestinationDraftSerializer(StrictSerializer):
    """A set-up to try before it is saved."""

    type = serializers.CharField(help_text="A wire name of /destination-types.")
    config = ConfigField()
    credentials = CredentialsField(default=dict, help_text="Never shown back.", write_only=True)


class DisablingSerializer(StrictSerializer):
    """Why a destination is disabled."""

    reason = serializers.CharField(default="", allow_blank=True, max_length=200, help_text="Shown with it.")


class CheckStepSerializer(serializers.Serializer[Any]):
    """One step of a check."""

    name = serializers.CharField()
    status = serializers.ChoiceField(["passed", "failed", "warning", "skipped"])
    detail = serializers.CharField()
    hint = serializers.CharField()
    duration_ms = serializers.IntegerField()
    code = serializers.CharField(default="", help_text="Of what failed, as an attempt has it.")


class DestinationCheckSerializer(serializers.Serializer[Any]):
    """How a check went."""

    checked_at = serializers.DateTimeField()
    check_passed = serializers.BooleanField()
    check_steps = CheckStepSerializer(many=True)


class SetupPartSerializer(serializers.Serializer[Any]):
    """One way to set the other side up."""

    name = serializers.CharField(help_text="steps: a script for a shell or a database; terraform: a module.")
    label = serializers.CharField()  # type: ignore[assignment]  # DRF takes declared fields off the class
    text = serializers.CharField()


class SetupSerializer(serializers.Serializer[Any]):
    """What to do on the other side."""

    parts = SetupPartSerializer(many=True)
    missing = serializers.ListField(
        child=serializers.CharField(), help_text="Labels of fields for which a stand-in such as YOUR_BUCKET is there."
    )


class NoticeSerializer(serializers.ModelSerializer[Notice]):
    """Something that operators were told of a destination."""

    class Meta:
        model = Notice
        fields = ("id", "kind", "text", "created_at", "sent_at", "sent_through", "problem")
        read_only_fields = fields
        extra_kwargs: ClassVar[dict[str, Any]] = {
            "kind": {"help_text": "Stable: failing_50, failing_70, failing_90, disabled, recovered."},
            "sent_at": {"help_text": "When the last channel took it; null: not yet, or there is no channel."},
            "sent_through": {"help_text": "Channels that took it."},
            "problem": {"help_text": "Why a channel did not take it."},
        }


class DestinationSerializer(serializers.ModelSerializer[Destination]):
    """A destination as it is shown."""

    target = serializers.SerializerMethodField(help_text="Where deliveries go, in one line.")
    config = ConfigField(read_only=True)
    credentials = serializers.SerializerMethodField(
        help_text="<field>_masked: stars, with the last four characters of a long key, or null where it is not set. "
        "Of a service account's key: has_service_account_key and service_account_email. Of a webhook's secret headers "
        "and query parameters: has_secret_headers, secret_header_names, has_secret_query and secret_query_names."
    )
    credentials_error = serializers.SerializerMethodField(help_text="Why the stored credentials do not open, or empty.")
    check_steps = CheckStepSerializer(many=True)

    class Meta:
        model = Destination
        fields: tuple[str, ...] = (
            "id", "type", "name", "active", "paused", "disabled_reason", "target", "config", "credentials",
            "credentials_error", "event_types", "sources", "schedule", "timeout_s", "concurrency",
            "disable_after_hours", "version", "consecutive_failures", "failing_since", "paused_until", "pause_reason",
            "checked_at", "check_passed", "check_steps", "created_at", "updated_at",
        )  # fmt: skip
        read_only_fields = fields

    def get_target(self, row: Destination) -> str:
        """Return one line without secrets."""
        return services.target_of(row)

    @extend_schema_field({"type": "object", "additionalProperties": {"type": ["string", "boolean", "null"]}})
    def get_credentials(self, row: Destination) -> dict[str, Any]:
        """Return the masks; nothing where the stored credentials do not open."""
        try:
            return services.masked_credentials(row)
        except SealError:
            return {}

    def get_credentials_error(self, row: Destination) -> str:
        """Return why the stored credentials do not open."""
        try:
            services.masked_credentials(row)
        except SealError as error:
            return str(error)
        return ""


class DestinationCreatedSerializer(DestinationSerializer):
    """A new destination, with the secret that the hub made for it."""

    signing_secret = serializers.CharField(
        required=False, help_text="Shown this once; only where the type signs and none was sent."
    )

    class Meta(DestinationSerializer.Meta):
        fields = (*DestinationSerializer.Meta.fields, "signing_secret")
        read_only_fields = fields


class DestinationsCreatedSerializer(serializers.Serializer[Any]):
    """New destinations, in the order in which they were sent."""

    data = DestinationCreatedSerializer(many=True)  # type: ignore[assignment]  # DRF takes declared fields off the class


class SecretRotationSerializer(StrictSerializer):
    """How long the old signing secret goes on signing beside the new one."""

    grace_s = serializers.IntegerField(default=24 * 3600, help_text="Seconds, at most 30 days.")


class RotatedSecretSerializer(serializers.Serializer[Any]):
    """A new signing secret."""

    signing_secret = serializers.CharField(help_text="Shown this once.")


# --- destination types ----------------------------------------------------------------------------
class FieldChoiceSerializer(serializers.Serializer[Any]):
    """One value that a field may have."""

    value = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # DRF takes declared fields off the class


class OnlyIfSerializer(serializers.Serializer[Any]):
    """The choice that a field belongs to."""

    field = serializers.CharField(help_text="A field of the config.")
    values = serializers.ListField(child=serializers.CharField())


class DestinationFieldSerializer(serializers.Serializer[Any]):
    """One field of a config or of credentials."""

    name = serializers.CharField()
    kind = serializers.ChoiceField(list(KIND_NAMES.values()))
    label = serializers.CharField()  # type: ignore[assignment]  # DRF takes declared fields off the class
    help = serializers.CharField()
    placeholder = serializers.CharField()
    required = serializers.BooleanField()  # type: ignore[assignment]  # as above
    default = serializers.JSONField(help_text="In force where the field is empty; of any kind, or null.")
    secret = serializers.BooleanField(help_text="Never shown back.")
    generated = serializers.BooleanField(help_text="Made by the hub where it is left empty.")
    multiline = serializers.BooleanField()
    upload = serializers.BooleanField(help_text="A file's text; JSON may also be sent as an object.")
    advanced = serializers.BooleanField()
    choices = FieldChoiceSerializer(many=True)
    only_if = OnlyIfSerializer(
        allow_null=True, help_text="Asked for, and required, only while that field has one of these values."
    )
    minimum = serializers.FloatField(allow_null=True)
    maximum = serializers.FloatField(allow_null=True)


class DestinationTypeSerializer(serializers.Serializer[Any]):
    """A destination type and what it asks for."""

    type = serializers.CharField()
    label = serializers.CharField()  # type: ignore[assignment]  # DRF takes declared fields off the class
    summary = serializers.CharField()
    max_bytes = serializers.IntegerField(help_text="Of one event's body.")
    config = DestinationFieldSerializer(many=True)
    credentials = DestinationFieldSerializer(many=True)


@extend_schema_serializer(many=False)
class DestinationTypeListSerializer(serializers.Serializer[Any]):
    """Every destination type."""

    data = DestinationTypeSerializer(many=True)  # type: ignore[assignment]  # DRF takes declared fields off the class
    has_more = serializers.BooleanField()
    next_cursor = serializers.CharField(allow_null=True)


def type_of(kind: Kind) -> dict[str, Any]:
    """Describe a destination type from its adapter class."""
    return {
        "type": kind.type,
        "label": kind.label,
        "summary": kind.summary,
        "max_bytes": kind.max_bytes,
        "config": [_field_of(field) for field in spec_fields(kind.config_spec)],
        "credentials": [_field_of(field) for field in spec_fields(kind.credentials_spec)],
    }


def _field_of(field: SpecField) -> dict[str, Any]:
    about = field.about
    return {
        "name": field.name,
        "kind": KIND_NAMES[field.kind],
        "label": about.label,
        "help": about.help,
        "placeholder": about.placeholder,
        "required": field.required,
        "default": None if about.secret else field.default,
        "secret": about.secret,
        "generated": about.generated,
        "multiline": about.multiline,
        "upload": about.upload,
        "advanced": about.advanced,
        "choices": [{"value": value, "label": label} for value, label in about.choices],
        "only_if": about.only_if and asdict(about.only_if),
        "minimum": about.minimum,
        "maximum": about.maximum,
    }
