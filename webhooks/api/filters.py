"""What the API's lists can be filtered by: what the admin's lists can, found by the same scans."""

# mypy: disable-error-code="no-untyped-call"
# django-filter has no types.

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django import forms
from django.core.exceptions import ValidationError as DjangoValidationError
from django.db.models import QuerySet
from django_filters import CharFilter, ChoiceFilter, IsoDateTimeFilter, NumberFilter, UUIDFilter
from django_filters.fields import IsoDateTimeField
from django_filters.rest_framework.filterset import FilterSet
from rest_framework.exceptions import ValidationError

from destinations.access.actors import sources_of
from webhooks.api.limits import sources_shown
from webhooks.finding.deliveries import DeliveriesWanted, deliveries_scan, last_error
from webhooks.finding.events import EventsWanted, events_scan
from webhooks.finding.quarantine import STATES, RefusedWanted, refused_scan
from webhooks.finding.scans import Listing, Scan
from webhooks.models import (
    ID_LENGTH,
    REASONS,
    TYPE_LENGTH,
    Delivery,
    DeliveryStatus,
    Event,
    QuarantinedRequest,
    Replay,
    ReplayKind,
    ReplayStatus,
    Source,
)

_TIME_ERROR = {"invalid": "Write a time like 2026-03-12T06:00:00Z."}
_UUID_ERROR = {"invalid": "Must be an id (a UUID)."}
_MAX_ID = 2**63 - 1
_TRACE_LENGTH = 1000


# --- fields -----------------------------------------------------------------------------------------------
class _MomentField(IsoDateTimeField):
    def clean(self, value: Any) -> datetime | None:
        """Return the moment in UTC."""
        moment = super().clean(value)
        try:
            return moment.astimezone(UTC) if moment else None
        except OverflowError as error:  # the first and the last day that a computer knows
            raise DjangoValidationError(self.error_messages["invalid"], "invalid") from error


class _Moment(IsoDateTimeFilter):
    field_class = _MomentField


class _Number(NumberFilter):
    field_class = forms.IntegerField  # type: ignore[assignment]  # a number without a fraction


def _moment(help_text: str) -> _Moment:
    return _Moment(error_messages=_TIME_ERROR, help_text=help_text)


def _uuid(help_text: str) -> UUIDFilter:
    return UUIDFilter(error_messages=_UUID_ERROR, help_text=help_text)


def _text(help_text: str, length: int = ID_LENGTH) -> CharFilter:
    return CharFilter(max_length=length, help_text=help_text)


def _reference_filters() -> tuple[CharFilter, CharFilter, CharFilter, CharFilter]:
    return (
        _text("Terra's id of the user."),
        _text("Your own id of the user."),
        _text("The terra-reference header: the chunks of one large request share it."),
        _text("The X-Terra-Trace-Id header.", _TRACE_LENGTH),
    )


class ScanFilter(FilterSet):
    """A filter that no query answers but a scan: an index hands the rows out, so a page costs the same anywhere."""

    def filter_queryset(self, queryset: QuerySet[Any]) -> Listing:
        """Return what is listed; raise ``ValidationError`` for a source that is not there."""
        return Listing(queryset, self.scan(self.request.user, self.form.cleaned_data))

    def scan(self, by: Any, asked: dict[str, Any]) -> Scan:
        """Return how the rows are found that ``by`` may see."""
        raise NotImplementedError


def _limited(by: Any) -> Collection[UUID] | None:
    """Return the sources of which something is shown; ``None``: of every one."""
    if not sources_of(by):
        return None
    return frozenset(sources_shown(by, Source.objects.all()).values_list("pk", flat=True))


def _source_id(by: Any, slug: str) -> UUID | None:
    """Return the id of a source that is named."""
    if not slug:
        return None
    found = sources_shown(by, Source.objects.filter(slug=slug)).values_list("pk", flat=True).first()
    if found is None:
        raise ValidationError({"source": ["No source has that slug."]})
    return found


# --- lists --------------------------------------------------------------------------------------------------
class EventFilter(ScanFilter):
    """Filters of the list of events."""

    since = _moment("Taken in at this time or later.")
    until = _moment("Taken in before this time.")
    outcome = ChoiceFilter(
        choices=DeliveryStatus.choices, help_text="Has a delivery in this status: for the destination, if one is named."
    )
    provider = _text("As Terra names it, in any case: GARMIN.", TYPE_LENGTH)
    data_type = _text("The event's type: activity, sleep, auth, …", TYPE_LENGTH)
    destination = _uuid("Has a delivery for this destination.")
    user_id, reference_id, terra_reference, trace_id = _reference_filters()
    source = CharFilter(max_length=64, help_text="Slug of the source that it came from.")
    event_id = _uuid("The event's id.")

    class Meta:
        model = Event
        fields = ()

    def scan(self, by: Any, asked: dict[str, Any]) -> Scan:
        """Return how events are found."""
        same = ("provider", "user_id", "reference_id", "terra_reference", "trace_id", "outcome")
        wanted = EventsWanted(
            type=asked["data_type"], source_id=_source_id(by, asked["source"]), sources=_limited(by),
            event_id=asked["event_id"], destination_id=asked["destination"], since=asked["since"],
            until=asked["until"], **{name: asked[name] for name in same},
        )  # fmt: skip
        return events_scan(wanted)


class DeliveryFilter(ScanFilter):
    """Filters of the list of deliveries."""

    status = ChoiceFilter(
        choices=DeliveryStatus.choices,
        help_text="pending alone, or with a destination, is listed the next due one first.",
    )
    destination = _uuid("Where it goes.")
    error_code = _text("Of the last try, of one that is pending or dead: http_500, timeout.", 64)
    status_code = _Number(
        min_value=100, max_value=999, help_text="HTTP status of the last try, of one that is pending or dead: 422."
    )
    data_type = _text("The event's type: activity, sleep, auth, …", TYPE_LENGTH)
    user_id, reference_id, terra_reference, trace_id = _reference_filters()
    event = _uuid("Its event.")
    replay = _Number(
        field_name="replay__pk", min_value=1, max_value=_MAX_ID, help_text="The replay that made it due last."
    )
    since = _moment("Made at this time or later.")
    until = _moment("Made before this time.")

    class Meta:
        model = Delivery
        fields = ()

    def scan(self, by: Any, asked: dict[str, Any]) -> Scan:
        """Return how deliveries are found."""
        same = (
            "status", "user_id", "reference_id", "terra_reference", "trace_id", "since", "until",
        )  # fmt: skip
        wanted = DeliveriesWanted(
            type=asked["data_type"], error_code=last_error(asked["error_code"], asked["status_code"]),
            destination_id=asked["destination"], event_id=asked["event"], sources=_limited(by),
            replay_id=asked["replay"], **{name: asked[name] for name in same},
        )  # fmt: skip
        return deliveries_scan(wanted)


class QuarantineFilter(ScanFilter):
    """Filters of the quarantine."""

    reason = ChoiceFilter(choices=[(code, words) for code, words in REASONS.items()], help_text="Why it was refused.")
    source = CharFilter(max_length=64, help_text="Slug of the source that it came to.")
    state = ChoiceFilter(choices=list(STATES.items()), help_text="What became of it.")
    since = _moment("Came in at this time or later.")
    until = _moment("Came in before this time.")

    class Meta:
        model = QuarantinedRequest
        fields = ()

    def scan(self, by: Any, asked: dict[str, Any]) -> Scan:
        """Return how refused requests are found."""
        return refused_of(by, asked)


def refused_of(by: Any, asked: Mapping[str, Any]) -> Scan:
    """Return how the refused requests are found that somebody asks for, by the names of ``QuarantineFilter``."""
    wanted = RefusedWanted(
        reason=asked.get("reason", ""), source_id=_source_id(by, asked.get("source", "")), sources=_limited(by),
        state=asked.get("state", ""), since=asked.get("since"), until=asked.get("until"),
    )  # fmt: skip
    return refused_scan(wanted)


class ReplayFilter(FilterSet):
    """Filters of the list of replays."""

    kind = ChoiceFilter(choices=ReplayKind.choices)
    status = ChoiceFilter(choices=ReplayStatus.choices)

    class Meta:
        model = Replay
        fields = ()
