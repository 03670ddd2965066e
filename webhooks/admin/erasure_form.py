"""The form by which a person is erased: who, and where besides the hub."""

from collections.abc import Mapping
from typing import Any

from django import forms
from django.http import QueryDict

from destinations.models import Destination
from destinations.services import Refused
from webhooks.keeping.erasures.plans import can_erase
from webhooks.models import ID_LENGTH, NOTE_LENGTH

MOST_OFFERED = 200
_INPUT = {"class": "hub-input", "autocomplete": "off", "autocapitalize": "off", "spellcheck": "false"}


class ErasureForm(forms.Form):
    """Who is erased, and where."""

    reference_id = forms.CharField(
        required=False, max_length=ID_LENGTH, strip=True, label="Reference id", widget=forms.TextInput(_INPUT),
        help_text="Your own id of the person: everybody that was seen with it.",
    )  # fmt: skip
    user_id = forms.CharField(
        required=False, max_length=ID_LENGTH, strip=True, label="Terra user id", widget=forms.TextInput(_INPUT),
        help_text="One wearable of the person; ids that Terra gave it before and after are found.",
    )  # fmt: skip
    destinations = forms.MultipleChoiceField(
        required=False, label="Erase there too", widget=forms.CheckboxSelectMultiple,
        help_text="None chosen: from this hub only. What stays elsewhere is told in the receipt.",
    )  # fmt: skip

    note = forms.CharField(
        required=False, max_length=NOTE_LENGTH, strip=True, label="Note", widget=forms.TextInput(_INPUT),
        help_text="To tell it from others: a ticket's number. It stays when the person is gone: write nothing of them.",
    )  # fmt: skip

    def __init__(self, said: QueryDict) -> None:
        """Take what a link or a posted form said."""
        super().__init__(said)
        rows = sorted(Destination.objects.present().order_by("name"), key=lambda one: not can_erase(one))[:MOST_OFFERED]
        field = self.fields["destinations"]
        field.choices = [(str(one.pk), _label(one)) for one in rows]  # type: ignore[attr-defined]  # a choice field

    @property
    def asked(self) -> Mapping[str, Any]:
        """Return what ``jobs.start`` and ``plans.plan`` take; the form is valid."""
        values = self.cleaned_data
        ids = {f"{name}s": [values[name]] for name in ("user_id", "reference_id") if values[name]}
        return {**ids, "destinations": values["destinations"]}

    @property
    def named(self) -> str:
        """Return the id that is typed again before anything goes."""
        values = getattr(self, "cleaned_data", {})
        return str(values.get("reference_id") or values.get("user_id") or "")

    def tell(self, refused: Refused) -> list[str]:
        """Put a refusal's texts at their fields; return those that belong to none."""
        rest = []
        for name, texts in refused.errors.items():
            told = " ".join(filter(None, [*texts, refused.hint]))
            if name in self.fields:
                self.add_error(name, told)
            else:
                rest.append(told)
        return rest


def _label(one: Destination) -> str:
    return one.name if can_erase(one) else f"{one.name} (its owner has to erase there)"
