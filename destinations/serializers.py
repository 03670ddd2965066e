"""How destinations look over the API. Credentials go in and come back masked."""

from collections.abc import Mapping
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from destinations import services
from destinations.crypto import SealError
from destinations.models import Destination
from destinations.openapi import KIND_NAMES
from destinations.rules import Kind
from destinations.specs import SpecField, spec_fields


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer that refuses the fields that it would ignore."""

    def to_internal_value(self, data: Any) -> Any:
        """Return validated values; name each field that is not known or that is read-only."""
        if isinstance(data, Mapping):
            known = [name for name, field in self.fields.items() if not field.read_only]
            unknown = {name: [_unknown(known)] for name in data if name not in known}
            if unknown:
                raise serializers.ValidationError(unknown)
        return super().to_internal_value(data)


def _unknown(known: list[str]) -> str:
    return f"Unknown or read-only field. Known fields: {', '.join(known)}."


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


class DestinationChangeSerializer(SettingsSerializer):
    """What can be changed of a destination. ``config`` and ``credentials`` are merged."""

    type = serializers.CharField(required=False, help_text="Fixed: it may come again, but not another one.")
    name = serializers.CharField(max_length=services.NAME_LENGTH, required=False)
    config = ConfigPatchField(required=False, help_text="Merged: an empty field goes back to its default.")
    credentials = CredentialsPatchField(
        required=False, help_text="A blank one stays, null takes it away. Never shown back.", write_only=True
    )


class CheckStepSerializer(serializers.Serializer[Any]):
    """One step of a check."""

    name = serializers.CharField()
    status = serializers.ChoiceField(["passed", "failed", "warning", "skipped"])
    detail = serializers.CharField()
    hint = serializers.CharField()
    duration_ms = serializers.IntegerField()


class DestinationCheckSerializer(serializers.Serializer[Any]):
    """How a check went."""

    checked_at = serializers.DateTimeField()
    check_passed = serializers.BooleanField()
    check_steps = CheckStepSerializer(many=True)


class DestinationSerializer(serializers.ModelSerializer[Destination]):
    """A destination as it is shown."""

    target = serializers.SerializerMethodField(help_text="Where deliveries go, in one line.")
    config = ConfigField(read_only=True)
    credentials = serializers.SerializerMethodField(
        help_text="<field>_masked: stars and the last four characters, or null where it is not set."
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

    @extend_schema_field({"type": "object", "additionalProperties": {"type": ["string", "null"]}})
    def get_credentials(self, row: Destination) -> dict[str, str | None]:
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
        read_only=True, required=False, help_text="Shown this once; only where the type signs and none was sent."
    )

    class Meta(DestinationSerializer.Meta):
        fields = (*DestinationSerializer.Meta.fields, "signing_secret")
        read_only_fields = fields


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


class DestinationFieldSerializer(serializers.Serializer[Any]):
    """One field of a config or of credentials."""

    name = serializers.CharField()
    kind = serializers.ChoiceField(list(KIND_NAMES.values()))
    label = serializers.CharField()  # type: ignore[assignment]  # DRF takes declared fields off the class
    help = serializers.CharField()
    placeholder = serializers.CharField()
    required = serializers.BooleanField()  # type: ignore[assignment]  # as above
    default = serializers.JSONField(allow_null=True)
    secret = serializers.BooleanField(help_text="Never shown back.")
    generated = serializers.BooleanField(help_text="Made by the hub where it is left empty.")
    multiline = serializers.BooleanField()
    advanced = serializers.BooleanField()
    choices = FieldChoiceSerializer(many=True)
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
        "advanced": about.advanced,
        "choices": [{"value": value, "label": label} for value, label in about.choices],
        "minimum": about.minimum,
        "maximum": about.maximum,
    }
