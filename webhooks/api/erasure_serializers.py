"""How erasures look over the API. Who it is goes in and never comes out."""

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from destinations.serializers import StrictSerializer
from webhooks.keeping.erasures import jobs
from webhooks.keeping.erasures.elsewhere import CANNOT, ERASED, LEFT_OUT
from webhooks.keeping.erasures.people import MOST_USERS
from webhooks.keeping.erasures.plans import Plan
from webhooks.keeping.erasures.tallies import GOT, NOT_ASKED, places_of, removed
from webhooks.keeping.erasures.wanted import ALL, MOST, NONE
from webhooks.models import ID_LENGTH, NOTE_LENGTH, Erasure

_IDS = {"type": "array", "items": {"type": "string", "format": "uuid"}, "maxItems": MOST}


@extend_schema_field({"oneOf": [{"type": "string", "enum": [NONE, ALL]}, _IDS]})
class DestinationsField(serializers.Field[Any, Any, Any, Any]):
    """``none``, ``all``, or a list of ids."""

    def to_internal_value(self, data: Any) -> Any:
        """Return a word, or a list of texts; the use case says which of them are destinations."""
        if data in (NONE, ALL) or (isinstance(data, list) and all(isinstance(one, str) for one in data)):
            return data
        raise serializers.ValidationError('Must be "none", "all" or a list of ids.')


class ErasureCreateSerializer(StrictSerializer):
    """Who is erased, and where besides the hub."""

    user_id = serializers.CharField(
        max_length=ID_LENGTH, required=False, trim_whitespace=False,
        help_text="Terra's id of the user. Ids that user_reauth replaced, or replaced it by, are found.",
    )  # fmt: skip
    reference_id = serializers.CharField(
        max_length=ID_LENGTH, required=False, trim_whitespace=False,
        help_text="Your own id of the user: every user that was seen with it is erased.",
    )  # fmt: skip
    destinations = DestinationsField(
        required=False, default=NONE,
        help_text="Where rows and objects are erased too: none, all, or ids. Not every type can be erased from here: "
        "the receipt says so.",
    )  # fmt: skip
    starts_at = serializers.DateTimeField(
        required=False, help_text="Until then it waits and can be cancelled. Without it: at once."
    )
    confirmed_users = serializers.IntegerField(
        required=False, min_value=0, max_value=MOST_USERS,
        help_text=f"Needed above {jobs.MOST_UNCONFIRMED} user ids: how many are erased, as user_ids of a dry run says. "
        "Any other number is refused: count_not_confirmed.",
    )  # fmt: skip

    note = serializers.CharField(
        max_length=NOTE_LENGTH, required=False, allow_blank=True,
        help_text="Shown with it, to tell it from others: a ticket's number. It is kept when the person is gone, so "
        "nothing of the person goes in; one that holds an id of theirs is refused: note_names_person.",
    )  # fmt: skip

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Refuse two ids: whether both are one person's, or two people's, cannot be told."""
        if "user_id" in attrs and "reference_id" in attrs:
            raise serializers.ValidationError({"user_id": ["Give one of them: user_id or reference_id."]})
        return attrs

    def asked(self) -> dict[str, Any]:
        """Return what ``jobs.start`` and ``plans.plan`` take; the serializer is valid."""
        values = self.validated_data
        ids = {f"{name}s": [values[name]] for name in ("user_id", "reference_id") if name in values}
        return {**ids, "destinations": values["destinations"]}


class ErasureResumeSerializer(StrictSerializer):
    """How a stopped erasure goes on."""

    skip_failed = serializers.BooleanField(
        default=False,
        help_text="Without the destinations that failed; the receipt says that they were left out. Also while it runs.",
    )


class ErasedAtSerializer(serializers.Serializer[Any]):
    """What became of an erasure at one destination."""

    id = serializers.UUIDField()
    status = serializers.ChoiceField(
        ("waiting", ERASED, CANNOT, jobs.FAILED, LEFT_OUT, NOT_ASKED),
        help_text="failed: tried again after a while. cannot: its owner has to erase there. not_asked: it got "
        "something of the person, and was not named.",
    )
    delivered = serializers.IntegerField(
        help_text="Events of the person that it had got, counted as they go from the hub: complete once it is done."
    )
    unconfirmed = serializers.IntegerField(
        help_text="Events of the person that were sent there without a yes: it may have kept them all the same."
    )
    erased = serializers.IntegerField(help_text="Rows or objects.")
    tries = serializers.IntegerField(help_text="That failed in a row.")
    detail = serializers.CharField()
    hint = serializers.CharField()


class ErasureSerializer(serializers.ModelSerializer[Erasure]):
    """An erasure: a job that a worker carries on."""

    destinations = serializers.SerializerMethodField()
    counts = serializers.DictField(child=serializers.IntegerField(), help_text="What was done in the hub so far.")
    removed = serializers.SerializerMethodField()
    receipt_sha256 = serializers.CharField(help_text="Of the receipt's canonical JSON; empty until it is done.")

    class Meta:
        model = Erasure
        fields: tuple[str, ...] = (
            "id", "status", "trigger", "note", "starts_at", "counts", "removed", "destinations", "problem",
            "receipt_sha256", "created_by", "created_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields
        extra_kwargs = {  # noqa: RUF012  # the library's
            "note": {"help_text": "What whoever asked wrote to tell it from others."},
            "trigger": {"help_text": "request, or deauth: made when the person left (ERASE_AFTER_DEAUTH_HOURS)."},
            "problem": {"help_text": "Why it was stopped; mend it, then resume."},
        }

    @extend_schema_field(ErasedAtSerializer(many=True))
    def get_destinations(self, row: Erasure) -> Any:
        """Return each destination that was named or had got something, with what became of it."""
        nothing = {"status": "waiting", **dict.fromkeys((*GOT, "erased", "tries"), 0), "detail": "", "hint": ""}
        rows = [{**nothing, **said, "id": key} for key, said in places_of(row).items()]
        return ErasedAtSerializer(rows, many=True).data

    @extend_schema_field({"type": "integer", "description": "Rows and objects that are gone, here and elsewhere."})
    def get_removed(self, row: Erasure) -> int:
        """Return what all faces call erased."""
        return removed(row)


class ErasureDetailSerializer(ErasureSerializer):
    """An erasure, with its receipt once it is done."""

    receipt = serializers.DictField(help_text="What went, where and when, without anything of the person; else empty.")
    keeps_away = serializers.SerializerMethodField()

    class Meta(ErasureSerializer.Meta):
        fields = (*ErasureSerializer.Meta.fields, "receipt", "keeps_away")
        read_only_fields = fields

    @extend_schema_field({"type": "boolean", "description": "What comes of its users is answered, and not stored."})
    def get_keeps_away(self, row: Erasure) -> bool:
        """Tell whether its users' ids have tombstones."""
        return jobs.keeps_away(row)


# --- a dry run ----------------------------------------------------------------------------------------------
class PlannedAtSerializer(serializers.Serializer[Any]):
    """A destination that has something of the person, or that was named."""

    id = serializers.UUIDField(source="destination.pk")
    name = serializers.CharField(source="destination.name")
    type = serializers.CharField(source="destination.type")
    delivered = serializers.IntegerField(help_text="Of the person's events that the hub still has.")
    unconfirmed = serializers.IntegerField(help_text="Of them, those that were sent there without a yes.")
    erases = serializers.BooleanField(help_text="Whether it can be erased from here.")
    chosen = serializers.BooleanField(help_text="Whether it was named.")


class ErasurePlanSerializer(serializers.Serializer[Any]):
    """What an erasure would take away. Nothing was changed."""

    user_ids = serializers.IntegerField(help_text="Ids of Terra's that belong to the person.")
    counts = serializers.DictField(child=serializers.IntegerField(), help_text="Rows of each kind.")
    quarantine_complete = serializers.BooleanField(help_text="false: only the newest requests there were looked at.")
    users_beside = serializers.IntegerField(
        help_text="Other users with the same reference id, who would stay: name the reference id to erase them too."
    )
    destinations = PlannedAtSerializer(many=True)


def plan_in(found: Plan) -> dict[str, Any]:
    """Return a plan, by the names of ``ErasurePlanSerializer``."""
    return {
        "user_ids": len(found.person.user_ids),
        "counts": found.counts,
        "quarantine_complete": found.quarantine_complete,
        "users_beside": found.users_beside,
        "destinations": found.destinations,
    }
