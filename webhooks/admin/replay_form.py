"""The form of the replay dialog: filled from a link, corrected by a person, read by ``selection_of``."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.http import QueryDict
from django.utils import timezone

from destinations.admin.base import as_uuid
from destinations.models import Destination
from destinations.services import Refused
from webhooks.keeping.selections import READS, Selection, selection_of
from webhooks.models import DeliveryStatus, ReplayKind

MOST_OFFERED = 200
LISTS = ("destinations", "deliveries", "events")
# Links name one destination, delivery or event as such; the form and the API have lists.
_ALIASES = {"destination": "destinations", "delivery": "deliveries", "event": "events"}
_INPUT = {"class": "hub-input"}
_FILTERS = {
    "type": "Event type", "user_id": "User id", "reference_id": "Reference id", "terra_reference": "Terra reference",
    "trace_id": "Trace id", "source": "Source (slug)",
}  # fmt: skip
_OUTCOMES = [("", "Any, also none"), *((one.value, str(one.label)) for one in DeliveryStatus)]


def values_in(query: QueryDict) -> dict[str, Any]:
    """Return what a link or a posted form says, by the names that ``selection_of`` reads."""
    known = frozenset().union(*READS.values())
    values: dict[str, Any] = {}
    for key, texts in query.lists():
        name = _ALIASES.get(key, key)
        if name in LISTS:
            values.setdefault(name, []).extend(part for text in texts for part in text.replace(",", " ").split())
        elif name in known:
            values[name] = texts[-1].strip()
    return _with_since(values)


def _with_since(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values with ``hours`` as the moment that it means now: the dialog may stay open for a while."""
    hours = values.pop("hours", "")
    if hours.isascii() and hours.isdecimal() and 0 < int(hours[:8]) < 10**6 and not values.get("since"):
        values["since"] = (timezone.now() - timedelta(hours=int(hours))).isoformat(timespec="seconds")
    return values


class MomentInput(forms.DateTimeInput):
    """A moment in UTC, to the second."""

    input_type = "datetime-local"

    def format_value(self, value: Any) -> str:
        """Return it as browsers read it; what is no moment stays as it came."""
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            return str(value or "")
        utc = moment.astimezone(UTC) if moment.tzinfo else moment
        return utc.replace(tzinfo=None).isoformat(timespec="seconds")


class ReplayForm(forms.Form):
    """What may be changed before a replay starts. It judges nothing: the use cases do."""

    since = forms.CharField(required=False, label="Since (UTC)", widget=MomentInput(attrs=_INPUT | {"step": "1"}))
    until = forms.CharField(required=False, label="Until (UTC)", widget=MomentInput(attrs=_INPUT | {"step": "1"}))
    rate_per_s = forms.CharField(
        required=False,
        label="At most so many per second",
        help_text="Empty: as fast as the destinations take them. New events are not held up either way.",
        widget=forms.NumberInput(attrs=_INPUT | {"min": "1"}),
    )
    error_code = forms.CharField(required=False, label="Only with this error code", widget=forms.TextInput(_INPUT))
    outcome = forms.ChoiceField(
        required=False, label="Its delivery there is", choices=_OUTCOMES, widget=forms.Select({"class": "hub-select"})
    )

    def __init__(self, kind: str, values: Mapping[str, Any]) -> None:
        """Take what a link or a posted form said."""
        super().__init__({**values, "destinations": _one_or_all(kind, values.get("destinations", []))})
        self.kind, self.values = kind, {name: value for name, value in values.items() if name in READS[kind]}
        for name, label in _FILTERS.items():
            self.fields[name] = forms.CharField(required=False, label=label, widget=forms.TextInput(_INPUT))
        if not values.get("deliveries"):
            self.fields["destinations"] = _destinations(kind, values.get("destinations", []))
        for name in set(self.fields) - READS[kind] - {"rate_per_s"}:
            del self.fields[name]

    @property
    def main(self) -> list[forms.BoundField]:
        """Return the fields that everybody sees."""
        return [self[name] for name in ("destinations", "since", "until", "error_code") if name in self.fields]

    @property
    def filters(self) -> list[forms.BoundField]:
        """Return the fields that narrow it further."""
        return [self[name] for name in (*_FILTERS, "outcome") if name in self.fields]

    @property
    def narrowed(self) -> bool:
        """Tell whether one of those is set, or wrong."""
        return any(field.value() or field.errors for field in self.filters)

    @property
    def chosen(self) -> list[tuple[str, str]]:
        """Return the names and ids of what was ticked in a list."""
        return [(name, str(one)) for name in ("deliveries", "events") for one in self.values.get(name, [])]

    def selection(self) -> Selection:
        """Return what is selected; raise ``Refused``."""
        return selection_of(self.kind, self.values)

    def tell(self, refused: Refused) -> list[str]:
        """Put a refusal's texts at their fields; return those that belong to none."""
        self.full_clean()
        rest = []
        for name, texts in refused.errors.items():
            told = [" ".join(filter(None, [*texts, refused.hint]))]
            if name in self.fields:
                if told[0] not in self.errors.get(name, []):
                    self.add_error(name, told)
            elif name != "confirmed":  # it has a place of its own, beside the count
                rest += told
        return rest


def _one_or_all(kind: str, ids: Any) -> Any:
    return ids if kind in (ReplayKind.MATCHING, ReplayKind.CHOSEN) else next(iter(ids), "")


def _destinations(kind: str, chosen: Any) -> forms.Field:
    rows = list(Destination.objects.receiving().order_by("name").values_list("pk", "name")[:MOST_OFFERED])
    offered = [(str(pk), name) for pk, name in rows]
    gone = Destination.objects.filter(pk__in=_uuids(chosen)).exclude(pk__in=[pk for pk, _ in rows])
    offered += [(str(pk), f"{name} (disabled or deleted)") for pk, name in gone.values_list("pk", "name")]
    if kind in (ReplayKind.MATCHING, ReplayKind.CHOSEN):
        return forms.MultipleChoiceField(
            required=False, label="To", choices=offered, widget=forms.CheckboxSelectMultiple,
            help_text="None chosen: where each event would go if it came now.",
        )  # fmt: skip
    return forms.ChoiceField(
        required=False, label="Destination", choices=[("", "Choose one"), *offered],
        widget=forms.Select({"class": "hub-select"}),
    )  # fmt: skip


def _uuids(texts: Any) -> list[str]:
    return [text for text in texts if as_uuid(text)]
