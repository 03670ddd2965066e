"""The filters of the long lists: a small form that is sent with GET, so that its values stand in the address."""

from collections.abc import Iterator, Mapping
from datetime import UTC, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from destinations.models import Destination
from destinations.terra import EVENT_TYPES
from destinations.texts import visible
from webhooks.admin.lookups import MOST_SOURCES
from webhooks.finding.deliveries import DeliveriesWanted, last_error
from webhooks.finding.events import EventsWanted
from webhooks.finding.quarantine import STATES, RefusedWanted
from webhooks.models import ID_LENGTH, REASONS, TYPE_LENGTH, DeliveryStatus, Source

SPANS = {"1": "Last hour", "24": "Last 24 hours", "168": "Last 7 days", "720": "Last 30 days"}
MOST_DESTINATIONS = 200
_TIMES = ("since", "until")
_LOCAL = "%Y-%m-%dT%H:%M:%S"


class _Moment(forms.DateTimeInput):
    input_type = "datetime-local"


def _text(label: str, length: int = ID_LENGTH) -> forms.CharField:
    box = forms.TextInput({"class": "hub-input", "autocomplete": "off"})
    return forms.CharField(label=label, required=False, max_length=length, widget=box)


def _choice(label: str, choices: Any = ()) -> forms.ChoiceField:
    box = forms.Select({"class": "hub-select"})
    return forms.ChoiceField(label=label, required=False, choices=[("", "Any"), *choices], widget=box)


def _moment(label: str) -> forms.DateTimeField:
    box = _Moment({"class": "hub-input", "step": "1"}, format=_LOCAL)
    return forms.DateTimeField(
        label=label, required=False, widget=box, error_messages={"invalid": "Write a time like 2026-03-12T06:00:00Z."}
    )


class TimesForm(forms.Form):
    """What every long list is filtered by: the time. Subclasses say what else, and what is then wanted."""

    hours = _choice("Time", SPANS.items())
    since = _moment("Since (UTC)")
    until = _moment("Jump to time (until, UTC)")
    field_order: Any = None

    def __init__(self, data: Mapping[str, str]) -> None:
        """Take the values of an address; a time in any zone is shown in UTC."""
        values = {name: str(value) for name, value in data.items()}
        for name in _TIMES:
            values[name] = _in_utc(values.get(name, ""))
        super().__init__(values)

    def wanted(self) -> Any:
        """Return the filter; the form is valid."""
        raise NotImplementedError

    def times(self) -> dict[str, Any]:
        """Return the span: of the last hours and of the exact times, what lies in both."""
        since, hours = self.cleaned_data["since"], self.cleaned_data["hours"]
        latest = timezone.now() - timedelta(hours=int(hours)) if hours else None
        return {"since": max(filter(None, (since, latest)), default=None), "until": self.cleaned_data["until"]}

    def chosen(self) -> Iterator[tuple[str, str, str]]:
        """Yield each filter that is set: its name in the address, its label, and its value in words."""
        for name, field in self.fields.items():
            value = str(self.data.get(name, "")).strip()
            if value:
                words = dict(getattr(field, "choices", ())).get(value, value)
                yield name, str(field.label).removesuffix(" (UTC)"), visible(words)

    def offer(self, name: str, choices: Any) -> None:
        """Offer choices, and the one that is chosen where it is not among them."""
        offered = {str(value): visible(words) for value, words in choices}
        chosen = str(self.data.get(name, ""))
        if chosen and chosen not in offered:
            offered |= self.unlisted(name, chosen)
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)  # noqa: S101  # as the class declares it
        field.choices = [("", "Any"), *offered.items()]

    def unlisted(self, name: str, value: str) -> dict[str, str]:
        """Return a chosen value that is not offered, with its words, where it makes sense all the same."""
        return {}

    def clean_source(self) -> UUID | None:
        """Return the source's id."""
        slug = self.cleaned_data["source"]
        return Source.objects.values_list("pk", flat=True).get(slug=slug) if slug else None


def _in_utc(text: str) -> str:
    try:
        moment = parse_datetime(text.strip())
    except ValueError:
        return text
    if moment is None or moment.tzinfo is None:
        return text
    return moment.astimezone(UTC).strftime(_LOCAL)


def _sources() -> list[tuple[str, str]]:
    slugs = Source.objects.order_by("slug").values_list("slug", flat=True)[:MOST_SOURCES]
    return [(slug, slug) for slug in slugs]


def _destinations() -> Any:
    return Destination.objects.present().order_by("name").values_list("pk", "name")[:MOST_DESTINATIONS]


def _of_deleted(value: str) -> dict[str, str]:
    """Return a destination that is not offered: deleted, or one of too many."""
    try:
        return {str(pk): name for pk, name in Destination.objects.filter(pk=UUID(value)).values_list("pk", "name")}
    except ValueError:
        return {}


def _any_type(value: str) -> dict[str, str]:
    return {value: visible(value)} if len(value) <= TYPE_LENGTH and "\x00" not in value else {}


class EventsForm(TimesForm):
    """Filters of the list of events."""

    type = _choice("Type")
    provider = _text("Provider", TYPE_LENGTH)
    user_id = _text("User id")
    reference_id = _text("Reference id")
    terra_reference = _text("Terra reference")
    trace_id = _text("Trace id")
    source = _choice("Source")
    destination = _choice("Has a delivery for")
    outcome = _choice("Whose delivery is", DeliveryStatus.choices)

    def __init__(self, data: Mapping[str, str]) -> None:
        """Offer the types that Terra sends, the sources and the destinations."""
        super().__init__(data)
        self.offer("type", [(name, name) for name in EVENT_TYPES])
        self.offer("source", _sources())
        self.offer("destination", _destinations())

    def unlisted(self, name: str, value: str) -> dict[str, str]:
        """Take any type, since Terra's next one is not known, and a destination that was deleted."""
        if name == "type":
            return _any_type(value)
        return _of_deleted(value) if name == "destination" else {}

    def wanted(self) -> EventsWanted:
        """Return the filter."""
        asked = self.cleaned_data
        return EventsWanted(
            type=asked["type"],
            provider=asked["provider"],
            user_id=asked["user_id"],
            reference_id=asked["reference_id"],
            terra_reference=asked["terra_reference"],
            trace_id=asked["trace_id"],
            source_id=asked["source"],
            destination_id=UUID(asked["destination"]) if asked["destination"] else None,
            outcome=asked["outcome"],
            **self.times(),
        )


class DeliveriesForm(TimesForm):
    """Filters of the list of deliveries."""

    status = _choice("Status", DeliveryStatus.choices)
    destination = _choice("Destination")
    error_code = _text("Last error", 64)
    status_code = forms.IntegerField(
        label="HTTP status", required=False, min_value=100, max_value=999,
        widget=forms.NumberInput({"class": "hub-input"}),
    )  # fmt: skip
    type = _choice("Event type")
    user_id = _text("User id")
    reference_id = _text("Reference id")
    terra_reference = _text("Terra reference")
    trace_id = _text("Trace id")
    event = forms.UUIDField(label="Event id", required=False, widget=forms.TextInput({"class": "hub-input"}))
    replay = forms.IntegerField(
        label="Replay", required=False, min_value=1, max_value=2**63 - 1,
        widget=forms.NumberInput({"class": "hub-input"}),
    )  # fmt: skip

    def __init__(self, data: Mapping[str, str]) -> None:
        """Offer the destinations, and the types that Terra sends."""
        super().__init__(data)
        self.offer("type", [(name, name) for name in EVENT_TYPES])
        self.offer("destination", _destinations())

    def unlisted(self, name: str, value: str) -> dict[str, str]:
        """Take any type, and a destination that was deleted."""
        return _any_type(value) if name == "type" else _of_deleted(value)

    def clean(self) -> dict[str, Any]:
        """Put an HTTP status and an error together, which are one column: ``http_500``."""
        asked = self.cleaned_data
        code, status = asked.get("error_code", ""), asked.get("status_code")
        if status and code and code != f"http_{status}":
            self.add_error("status_code", "A delivery has one last error: leave this or the error's code empty.")
        if (status or code) and asked.get("status") not in (None, "", DeliveryStatus.PENDING, DeliveryStatus.DEAD):
            self.add_error("status", "Only what is pending or a dead letter has a last error.")
        return asked

    def wanted(self) -> DeliveriesWanted:
        """Return the filter."""
        asked = self.cleaned_data
        return DeliveriesWanted(
            status=asked["status"],
            destination_id=UUID(asked["destination"]) if asked["destination"] else None,
            error_code=last_error(asked["error_code"], asked["status_code"]),
            type=asked["type"],
            user_id=asked["user_id"],
            reference_id=asked["reference_id"],
            terra_reference=asked["terra_reference"],
            trace_id=asked["trace_id"],
            event_id=asked["event"],
            replay_id=asked["replay"],
            **self.times(),
        )


class RefusedForm(TimesForm):
    """Filters of the quarantine."""

    reason = _choice("Reason", [(code, words.removesuffix(".")) for code, words in REASONS.items()])
    source = _choice("Source")
    state = _choice("State", STATES.items())

    def __init__(self, data: Mapping[str, str]) -> None:
        """Offer the sources."""
        super().__init__(data)
        self.offer("source", _sources())

    def wanted(self) -> RefusedWanted:
        """Return the filter."""
        asked = self.cleaned_data
        return RefusedWanted(reason=asked["reason"], source_id=asked["source"], state=asked["state"], **self.times())
