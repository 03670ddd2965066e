"""Form fields that are made from what a destination type says about its own fields."""

import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils.html import format_html
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from destinations.specs import SpecField

# No browser fills in, keeps or corrects what is typed here.
PRIVATE = {"autocomplete": "new-password", "spellcheck": "false", "autocapitalize": "off"}


class WriteOnlyTextarea(UnfoldAdminTextareaWidget):
    """A text area that never shows a value: what was typed is not put back into a page."""

    def format_value(self, value: Any) -> str:
        """Return nothing."""
        return ""


class MappingField(forms.CharField):
    """Names with texts: one ``Name: text`` per line, or a JSON object."""

    widget = UnfoldAdminTextareaWidget

    def to_python(self, value: Any) -> Any:
        """Return a dict; the use case judges its names and texts."""
        text = super().to_python(value or "")
        if not text or isinstance(value, Mapping):
            return dict(value or {})
        return _from_json(text) if text.startswith("{") else _from_lines(text)

    def prepare_value(self, value: Any) -> Any:
        """Return what stands in the text area: lines where they can say it, else JSON."""
        if not isinstance(value, Mapping):
            return value
        lines = "\n".join(f"{name}: {text}" for name, text in value.items())
        plain = lines.startswith("{") is False and _from_lines(lines, strict=False) == dict(value)
        return lines if plain else json.dumps(value, indent=2)


def _from_json(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValidationError(f"Not JSON: {error}. Write one 'Name: text' per line, or a JSON object.") from error


def _from_lines(text: str, strict: bool = True) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in filter(str.strip, text.splitlines()):
        name, colon, rest = line.partition(":")
        if strict and not colon:
            raise ValidationError(f"The line {line.strip()!r} has no colon. Write one 'Name: text' per line.")
        if strict and name.strip() in found:
            raise ValidationError(f"{name.strip()!r} is given more than once.")
        found[name.strip()] = rest.strip()
    return found


class ScheduleField(forms.CharField):
    """Waits in seconds: ``30, 90, 270``."""

    widget = UnfoldAdminTextInputWidget

    def to_python(self, value: Any) -> Any:
        """Return a list of numbers; the use case judges them."""
        words = value if isinstance(value, list) else str(value or "").replace(",", " ").split()
        try:
            return [_number(word) for word in words]
        except ValueError as error:
            raise ValidationError("Write seconds with commas between them: 30, 90, 270.") from error

    def prepare_value(self, value: Any) -> Any:
        """Return the waits as they are typed."""
        return ", ".join(f"{wait:g}" for wait in value) if isinstance(value, list) else value


def _number(word: Any) -> float:
    number = float(word)
    return int(number) if number.is_integer() else number


def field_of(spec: SpecField, stored: Any = None) -> forms.Field:
    """Return the form field of a config field; ``stored`` is what it holds now."""
    field = _plain_field(spec)
    field.label, field.help_text = spec.about.label, format_html("{}", spec.about.help)
    field.required = spec.required
    field.initial = spec.default if stored is None else stored
    return field


def _plain_field(spec: SpecField) -> forms.Field:
    about = spec.about
    hints: dict[str, Any] = {"placeholder": about.placeholder} if about.placeholder else {}
    if about.choices:
        return forms.ChoiceField(choices=about.choices, widget=UnfoldAdminSelectWidget)
    if spec.kind is bool:
        return forms.BooleanField(widget=UnfoldBooleanSwitchWidget)
    if spec.kind is dict:
        return MappingField(widget=UnfoldAdminTextareaWidget(attrs={"rows": 3, "placeholder": "Name: text"}))
    if spec.kind in (int, float):
        return _number_field(spec, hints)
    widget = (
        UnfoldAdminTextareaWidget(attrs={**hints, "rows": 4}) if about.multiline else UnfoldAdminTextInputWidget(hints)
    )
    return forms.CharField(strip=not about.multiline, widget=widget)


def _number_field(spec: SpecField, hints: Mapping[str, Any]) -> forms.Field:
    limits = {"min": spec.about.minimum, "max": spec.about.maximum}
    attrs = {**hints, **{name: f"{value:g}" for name, value in limits.items() if value is not None}}
    kind = forms.IntegerField if spec.kind is int else forms.FloatField
    return kind(widget=UnfoldAdminIntegerFieldWidget(attrs=attrs))


def credential_field(spec: SpecField, mask: str | None, editing: bool) -> forms.Field:
    """Return the write-only form field of a credential; ``mask`` stands for what is stored."""
    about = spec.about
    attrs = {**PRIVATE, "placeholder": "Leave blank to keep what is stored" if mask else about.placeholder}
    widget: forms.Widget
    if about.choices:
        widget = UnfoldAdminSelectWidget(choices=[("", "Keep" if editing else "–"), *about.choices])
    elif about.multiline:
        widget = WriteOnlyTextarea(attrs={**attrs, "rows": 4})
    else:
        widget = UnfoldAdminPasswordWidget(attrs=attrs)
    return forms.CharField(
        label=about.label,
        strip=not about.multiline,
        widget=widget,
        required=spec.required and not editing,
        help_text=_credential_help(spec, mask, editing),
    )


def _credential_help(spec: SpecField, mask: str | None, editing: bool) -> str:
    parts = [spec.about.help]
    if mask:
        parts.append(f"Set, ends …{mask.lstrip('*')}." if mask.strip("*") else "Set.")
    elif editing:
        parts.append("Not set.")
    return format_html("{}", " ".join(filter(None, parts)))  # a secret's last letters may be HTML
