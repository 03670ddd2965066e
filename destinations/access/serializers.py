"""How API keys look over the API. A key's own text is in the answer to its making, and nowhere else."""

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from destinations.access.keys import DEFAULT_DAYS, NAME_LENGTH, warning_of
from destinations.access.scopes import SCOPES, words_of
from destinations.models import ApiKey
from destinations.serializers import StrictSerializer

_SCOPES_SAID = "; ".join(f"{scope}: {words_of(scope)}" for scope in SCOPES)


class ApiKeyCreateSerializer(StrictSerializer):
    """A key to make."""

    name = serializers.CharField(max_length=NAME_LENGTH, help_text="Who or what will use it: histories name it.")
    scopes = serializers.ListField(
        child=serializers.ChoiceField(SCOPES), min_length=1, max_length=len(SCOPES), help_text=_SCOPES_SAID
    )
    sources = serializers.ListField(
        child=serializers.CharField(max_length=64),
        default=list,
        max_length=200,
        help_text="Slugs of the sources that it is limited to; empty: every source.",
    )
    expires_at = serializers.DateTimeField(
        required=False,
        allow_null=True,
        help_text=f"From then on it opens nothing; null: never. Left out: in {DEFAULT_DAYS} days, or when the key that "
        "makes it ends.",
    )


class ApiKeySerializer(serializers.ModelSerializer[ApiKey]):
    """A key, without its text."""

    scopes = serializers.ListField(child=serializers.ChoiceField(SCOPES), read_only=True)
    sources = serializers.ListField(
        child=serializers.CharField(), read_only=True, help_text="Slugs that it is limited to; empty: every source."
    )
    state = serializers.SerializerMethodField()
    warning = serializers.SerializerMethodField(
        help_text="Why somebody should look at it: it ends within 14 days, or was not used for 90; else empty."
    )

    class Meta:
        model = ApiKey
        fields: tuple[str, ...] = (
            "id", "name", "prefix", "scopes", "sources", "state", "expires_at", "revoked_at", "last_used_at",
            "created_by", "created_at", "warning",
        )  # fmt: skip
        read_only_fields = fields
        extra_kwargs = {  # noqa: RUF012  # the library's
            "prefix": {"help_text": "How the key begins: enough to know it by."},
            "last_used_at": {"help_text": "To the minute."},
            "created_by": {"help_text": "A user's name, or the key that made it."},
        }

    @extend_schema_field(serializers.ChoiceField(["active", "expired", "revoked"]))
    def get_state(self, row: ApiKey) -> str:
        """Return whether it opens anything."""
        return row.state(timezone.now())

    def get_warning(self, row: ApiKey) -> str:
        """Return why somebody should look at it."""
        return warning_of(row, timezone.now())


class ApiKeyCreatedSerializer(ApiKeySerializer):
    """A new key, with its text."""

    key = serializers.CharField(read_only=True, help_text="Shown this once: send it as Authorization: Bearer.")

    class Meta(ApiKeySerializer.Meta):
        fields = (*ApiKeySerializer.Meta.fields, "key")
        read_only_fields = fields
