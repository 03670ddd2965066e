"""How replays look over the API: what is asked for, what it would be, and how far one has come."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from destinations.registry import adapter_class
from destinations.rules import Errors
from destinations.serializers import StrictSerializer
from destinations.services import Refused
from webhooks.keeping.estimates import COUNTED, Estimate
from webhooks.keeping.forecast import Forecast
from webhooks.keeping.progress import progress_of
from webhooks.keeping.replays import MOST_PER_S, in_hand
from webhooks.keeping.selections import MOST_CHOSEN, MOST_DESTINATIONS, MOST_HOURS, Selection, selection_of
from webhooks.models import ID_LENGTH, TYPE_LENGTH, DeliveryStatus, Replay, ReplayKind

MAX_ID = 2**63 - 1  # of a bigint column
_MOST_S = 10 * 366 * 86_400


def _text(length: int, help_text: str) -> serializers.CharField:
    return serializers.CharField(max_length=length, required=False, help_text=help_text)


class ReplayCreateSerializer(StrictSerializer):
    """What to deliver again, and where. Which filters a kind takes stands with each of them."""

    kind = serializers.ChoiceField(
        ReplayKind.choices,
        help_text="chosen: named deliveries or events. matching: events by a filter, whatever became of them. failed: "
        "dead letters and what waits after an error, of one destination. missing: events that one destination takes "
        "and never got.",
    )
    destinations = serializers.ListField(
        child=serializers.UUIDField(), required=False, max_length=MOST_DESTINATIONS,
        help_text="Ids. Of failed and missing: one. Of matching and of chosen events: where to; without it, where "
        "each event would go if it came now.",
    )  # fmt: skip
    since = serializers.DateTimeField(
        required=False, help_text="Of matching and missing: received at this time or later. Of failed: made then."
    )
    until = serializers.DateTimeField(required=False, help_text="Before this time; now at the latest.")
    hours = serializers.IntegerField(
        required=False, min_value=1, max_value=MOST_HOURS, help_text="Instead of since: so many hours ago."
    )
    data_type = _text(TYPE_LENGTH, "Of matching: the event's type: activity, sleep, auth, …")
    user_id = _text(ID_LENGTH, "Of matching: Terra's id of the user.")
    reference_id = _text(ID_LENGTH, "Of matching: your own id of the user.")
    terra_reference = _text(ID_LENGTH, "Of matching: what the chunks of one large request share.")
    trace_id = _text(1000, "Of matching: the request's X-Terra-Trace-Id.")
    source = _text(64, "Of matching: slug of the source.")  # type: ignore[assignment]  # DRF takes it off the class
    outcome = serializers.ChoiceField(
        DeliveryStatus.choices, required=False, help_text="Of matching: its delivery there is in this status."
    )
    error_code = _text(64, "Of failed: of the last try, such as http_500 or timeout.")
    deliveries = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=MAX_ID), required=False, max_length=MOST_CHOSEN,
        help_text="Of chosen: ids of deliveries.",
    )  # fmt: skip
    events = serializers.ListField(
        child=serializers.UUIDField(), required=False, max_length=MOST_CHOSEN, help_text="Of chosen: ids of events."
    )
    rate_per_s = serializers.IntegerField(
        required=False, allow_null=True, min_value=1, max_value=MOST_PER_S,
        help_text="Deliveries per second at most. Without it: as fast as the destinations take them.",
    )  # fmt: skip
    confirmed = serializers.IntegerField(
        required=False, allow_null=True, min_value=0, max_value=MAX_ID,
        help_text=f"The count that a dry run gave. Above {COUNTED:,} deliveries it is needed.",
    )  # fmt: skip

    def selection(self) -> Selection:
        """Return what is selected; the serializer is valid. Raise ``Refused`` with texts per name."""
        own = ("kind", "rate_per_s", "confirmed")
        given = {name: value for name, value in self.validated_data.items() if name not in own}
        if "data_type" in given:
            given["type"] = given.pop("data_type")
        try:
            return selection_of(self.validated_data["kind"], given)
        except Refused as refused:
            raise Refused(_as_sent(refused.errors), refused.code, refused.hint) from refused


def _as_sent(errors: Errors) -> Errors:
    """Return errors of a selection, which has ``type`` where the API, as Terra's, has ``data_type``."""
    renamed = {_shown_name(name): texts for name, texts in errors.items()}
    return {name: [text.replace(", type,", ", data_type,") for text in texts] for name, texts in renamed.items()}


def _shown_name(name: str) -> str:
    return "data_type" if name == "type" else name


class ReplaySerializer(serializers.ModelSerializer[Replay]):
    """A replay: a job that a worker carries on."""

    destinations = serializers.ListField(
        source="destination_ids", child=serializers.UUIDField(), help_text="Empty: where each event would go."
    )
    selection = serializers.SerializerMethodField(help_text="What it was asked for, by the names of the request.")

    class Meta:
        model = Replay
        fields: tuple[str, ...] = (
            "id", "kind", "status", "selection", "destinations", "rate_per_s", "estimate", "looked_at", "queued",
            "skipped", "restored", "problem", "created_by", "created_at", "finished_at",
        )  # fmt: skip
        read_only_fields = fields
        extra_kwargs = {  # noqa: RUF012  # the library's
            "estimate": {"help_text": "Deliveries that it was expected to make, when it was started."},
            "looked_at": {"help_text": "Rows of the selection that were looked at."},
            "queued": {"help_text": "Deliveries that were made due."},
            "skipped": {"help_text": "Left out: on the way already, payload gone, or destination off."},
            "restored": {"help_text": "Put back by cancelling."},
            "problem": {"help_text": "Why it was stopped; mend it, then resume."},
        }

    @extend_schema_field({"type": "object", "additionalProperties": {}})
    def get_selection(self, row: Replay) -> dict[str, Any]:
        """Return it by the names that the API has."""
        return {_shown_name(name): value for name, value in row.selection.items()}


class ReplayProgressSerializer(serializers.Serializer[Any]):
    """How far a replay is."""

    percent = serializers.IntegerField(help_text="Of what is expected; 100 only once nothing more can come.")
    expected = serializers.IntegerField(help_text="Deliveries in all: as estimated, or more where more were found.")
    queued = serializers.IntegerField(help_text="Made due.")
    done = serializers.IntegerField(help_text="Of these, ended one way or another.")
    delivered = serializers.IntegerField()
    failed = serializers.IntegerField(help_text="Dead letters.")
    cancelled = serializers.IntegerField(help_text="Cancelled one by one, or with their destination.")
    waiting = serializers.IntegerField(help_text="Made due, and waiting for a try or a retry.")
    in_hand = serializers.IntegerField(help_text="Of these, in a worker's hands: cancelling does not stop them.")
    left = serializers.IntegerField(help_text="Expected, and neither done nor left out.")
    skipped = serializers.IntegerField()
    restored = serializers.IntegerField()
    capped = serializers.BooleanField(help_text=f"Counts of one status end at {COUNTED + 1:,}: there may be more.")
    left_s = serializers.IntegerField(allow_null=True, help_text="Seconds until it is done, by the speed of late.")
    eta = serializers.DateTimeField(allow_null=True, help_text="When that is; null: not known.")


class ReplayDetailSerializer(ReplaySerializer):
    """A replay, and how far it has come."""

    progress = serializers.SerializerMethodField()

    class Meta(ReplaySerializer.Meta):
        fields = (*ReplaySerializer.Meta.fields, "progress")
        read_only_fields = fields

    @extend_schema_field(ReplayProgressSerializer)
    def get_progress(self, row: Replay) -> Any:
        """Return it in numbers."""
        return ReplayProgressSerializer(progress_in(row, timezone.now())).data


def progress_in(row: Replay, now: datetime) -> dict[str, Any]:
    """Return how far a replay is, by the names of ``ReplayProgressSerializer``."""
    found = progress_of(row, now)
    done = max(0, found.queued - found.waiting - found.restored)
    return {
        "percent": found.percent,
        "expected": found.expected,
        "queued": found.queued,
        "done": done,
        "delivered": found.delivered,
        "failed": found.dead,
        "cancelled": found.cancelled,
        "waiting": found.waiting,
        "in_hand": in_hand(row.pk) if found.waiting else 0,
        "left": 0 if row.finished_at else max(0, found.expected - done - found.skipped),
        "skipped": found.skipped,
        "restored": found.restored,
        "capped": found.capped,
        **_ending(None if found.left is None else found.left.total_seconds(), now),
    }


def _ending(seconds: float | None, now: datetime) -> dict[str, Any]:
    """Return when something ends; not known, where it were further away than anybody waits."""
    if seconds is None or seconds > _MOST_S:
        return {"left_s": None, "eta": None}
    return {"left_s": round(seconds), "eta": now + timedelta(seconds=seconds)}


# --- a dry run ----------------------------------------------------------------------------------------------
class EstimateDestinationSerializer(serializers.Serializer[Any]):
    """One destination of a replay that was not started."""

    id = serializers.UUIDField()
    name = serializers.CharField()
    type = serializers.CharField()
    count = serializers.IntegerField(help_text="Deliveries for it; about, where the estimate looked at a sample.")
    on_repeat = serializers.CharField(help_text="What an event does there that comes a second time.")


class EstimateSerializer(serializers.Serializer[Any]):
    """What a replay would be. Nothing was started."""

    count = serializers.IntegerField(help_text="Deliveries.")
    exact = serializers.BooleanField(help_text="They were counted, not guessed from samples.")
    confirm = serializers.BooleanField(help_text="So many have to be confirmed: send the count as confirmed.")
    destinations = EstimateDestinationSerializer(many=True)
    sample = serializers.IntegerField(help_text="Deliveries that the next three were counted among.")
    delivered = serializers.IntegerField(help_text="They were delivered there before, and would come again.")
    payload_gone = serializers.IntegerField(help_text="Their payload is no longer kept: they would be left out.")
    on_their_way = serializers.IntegerField(help_text="They wait already: these would be left out.")
    per_s = serializers.FloatField(allow_null=True, help_text="Deliveries per second that are expected.")
    left_s = serializers.IntegerField(allow_null=True, help_text="Seconds that it would take; null: not known.")
    eta = serializers.DateTimeField(allow_null=True, help_text="When it would be done if it started now.")
    speed_unknown = serializers.ListField(
        child=serializers.CharField(),
        help_text="Names of destinations to which nothing was delivered lately. Where there are some, left_s is the "
        "least that it takes.",
    )


def estimate_in(found: Estimate, takes: Forecast, now: datetime) -> dict[str, Any]:
    """Return what a replay would be, by the names of ``EstimateSerializer``."""
    return {
        "count": found.count,
        "exact": found.exact,
        "confirm": found.count > COUNTED,
        "destinations": [
            {
                "id": one.pk,
                "name": one.name,
                "type": one.type,
                "count": found.share_of(one),
                "on_repeat": adapter_class(one.type).on_repeat,
            }
            for one in found.destinations
        ],
        "sample": found.sample,
        "delivered": found.delivered,
        "payload_gone": found.payload_gone,
        "on_their_way": found.on_their_way,
        "per_s": takes.per_s,
        **_ending(takes.seconds, now),
        "speed_unknown": [one.name for one in takes.unknown],
    }
