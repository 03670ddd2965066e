"""What lists of events and deliveries can be filtered by."""

# mypy: disable-error-code="no-untyped-call"
# django-filter has no types.

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, QuerySet
from django_filters import CharFilter, ChoiceFilter, IsoDateTimeFilter, UUIDFilter
from django_filters.rest_framework.filterset import FilterSet

from webhooks.models import Delivery, DeliveryStatus, Event

_TIME_ERROR = {"invalid": "Write a time like 2026-03-12T06:00:00Z."}
_UUID_ERROR = {"invalid": "Must be an id (a UUID)."}


class EventFilter(FilterSet):
    """Filters of the list of events."""

    since = IsoDateTimeFilter(
        method="from_since", error_messages=_TIME_ERROR, help_text="Taken in at this time or later."
    )
    until = IsoDateTimeFilter(method="before_until", error_messages=_TIME_ERROR, help_text="Taken in before this time.")
    provider = CharFilter(help_text="As Terra names it: GARMIN.")
    data_type = CharFilter(field_name="type", help_text="The event's type: activity, sleep, auth, …")
    destination = UUIDFilter(
        method="with_delivery", error_messages=_UUID_ERROR, help_text="Has a delivery for this destination."
    )
    outcome = ChoiceFilter(
        method="with_delivery", choices=DeliveryStatus.choices, help_text="Has a delivery in this status."
    )
    user_id = CharFilter()
    reference_id = CharFilter()
    event_id = UUIDFilter(field_name="pk", error_messages=_UUID_ERROR)

    class Meta:
        model = Event
        fields = ()

    def from_since(self, rows: QuerySet[Event], _: str, moment: datetime) -> QuerySet[Event]:
        """Keep events that were taken in at ``moment`` or later."""
        return rows.filter(pk__gte=first_id_at(moment))

    def before_until(self, rows: QuerySet[Event], _: str, moment: datetime) -> QuerySet[Event]:
        """Keep events that were taken in before ``moment``."""
        return rows.filter(pk__lt=first_id_at(moment))

    def with_delivery(self, rows: QuerySet[Event], name: str, _: Any) -> QuerySet[Event]:
        """Keep events with one delivery to which both ``destination`` and ``outcome`` apply."""
        destination, outcome = self.form.cleaned_data["destination"], self.form.cleaned_data["outcome"]
        if name == "outcome" and destination:
            return rows  # done with the destination
        wanted = {"destination_id": destination, "status": outcome}
        named = {column: value for column, value in wanted.items() if value}
        return rows.filter(Exists(Delivery.objects.filter(event=OuterRef("pk"), **named)))


class DeliveryFilter(FilterSet):
    """Filters of the list of deliveries."""

    destination = UUIDFilter(field_name="destination_id", error_messages=_UUID_ERROR)
    status = ChoiceFilter(choices=DeliveryStatus.choices)
    event = UUIDFilter(field_name="event_id", error_messages=_UUID_ERROR)
    since = IsoDateTimeFilter(
        method="from_since", error_messages=_TIME_ERROR, help_text="Its event was taken in at this time or later."
    )
    until = IsoDateTimeFilter(
        method="before_until", error_messages=_TIME_ERROR, help_text="Its event was taken in before this time."
    )

    class Meta:
        model = Delivery
        fields = ()

    def from_since(self, rows: QuerySet[Delivery], _: str, moment: datetime) -> QuerySet[Delivery]:
        """Keep deliveries of events that were taken in at ``moment`` or later."""
        return rows.filter(event_id__gte=first_id_at(moment))

    def before_until(self, rows: QuerySet[Delivery], _: str, moment: datetime) -> QuerySet[Delivery]:
        """Keep deliveries of events that were taken in before ``moment``."""
        return rows.filter(event_id__lt=first_id_at(moment))


def first_id_at(moment: datetime) -> UUID:
    """Return the lowest id that an event taken in at ``moment`` can have.

    An event's id is a UUID version 7: its first 48 bits are Unix milliseconds (RFC 9562, 5.7). So a
    range of times is a range of the primary key, and needs no index of its own.
    """
    milliseconds = round(moment.timestamp() * 1000)
    return UUID(int=min(max(milliseconds, 0), 2**48 - 1) << 80)
