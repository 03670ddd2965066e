"""Form fields that are made from what a destination type says about its own fields."""

import json
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.files.uploadedfile import UploadedFile
from django.utils.html import format_html
from django.utils.safestring import SafeString
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
# By these the hub's script takes pasted spaces away, and keeps nothing of a field in the browser's tab.
TRIMMED = {"data-hub-trim": ""}
UNKEPT = {"data-hub-unkept": ""}


class _WriteOnly:
    """An input that never shows a value: what was typed is not put back into a page."""

    def format_value(self, value: Any) -> str:
        """Return nothing."""
        return ""


class WriteOnlyTextarea(_WriteOnly, UnfoldAdminTextareaWidget):
    """A text area for a credential of several lines."""


class WriteOnlyTextInput(_WriteOnly, UnfoldAdminTextInputWidget):
    """An input for a credential that is no secret: who types it may read it."""


class FileOrText(forms.Widget):
    """A file to choose, and a text area for who would rather paste what is in it; neither shows a value.

    Both have the field's name: a browser sends one as a file and the other as text.
    """

    needs_multipart_form = True

    def __init__(self, label: str, attrs: dict[str, Any]) -> None:
        super().__init__()
        self._file = forms.FileInput(attrs={"class": "hub-file"})
        self._text = WriteOnlyTextarea(attrs={**attrs, "rows": 4, "aria-label": f"{label}, pasted"})

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        """Return both inputs; the field's label and its help belong to the first."""
        given = {**(attrs or {}), "required": False}  # either will do
        pasted = {**given, "id": f"{given.get('id', name)}_text"}
        # Unfold's script writes a chosen file's name into a text input near by, and fails where there is none.
        return format_html(
            '{}<input type="text" hidden disabled><p class="hub-faint">or paste its text:</p>{}',
            self._file.render(name, None, given, renderer),
            self._text.render(name, None, pasted, renderer),
        )

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """Return the file where one was chosen, else the text."""
        return files.get(name) or data.get(name)


class UploadedTextField(forms.CharField):
    """The text of a file that was uploaded, or pasted."""

    def to_python(self, value: Any) -> str | None:
        """Return the text; it is UTF-8, as JSON and PEM files are."""
        if not isinstance(value, UploadedFile):
            return super().to_python(value)
        value.seek(0)  # Django reads a value twice: to clean it, and to see whether it changed
        try:
            return super().to_python(value.read().decode("utf-8-sig"))
        except UnicodeDecodeError as error:
            raise ValidationError("This file is not text. Choose the file that the field's help names.") from error


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
            return [plain_number(word) for word in words]
        except ValueError as error:
            raise ValidationError("Write seconds with commas between them: 30, 90, 270.") from error

    def prepare_value(self, value: Any) -> Any:
        """Return the waits as they are typed."""
        return ", ".join(f"{wait:g}" for wait in value) if isinstance(value, list) else value


def plain_number(word: Any) -> float:
    """Return the number that a word is, whole where it can be: ``30`` and not ``30.0``."""
    number = float(word)
    return int(number) if number.is_integer() else number


def field_of(spec: SpecField, stored: Any = None) -> forms.Field:
    """Return the form field of a config field; ``stored`` is what it holds now."""
    field = _plain_field(spec)
    field.label, field.help_text = spec.about.label, format_html("{}", spec.about.help)
    # Whether a field of a choice is missing says the use case, which knows the choice.
    field.required = spec.required and not spec.about.only_if
    field.initial = spec.default if stored is None else stored
    return field


def belong_to(field: forms.Field, name: str, choice: forms.Field, spec: SpecField) -> None:
    """Say that ``field`` belongs to some values of ``choice``, a field of the same form called ``name``.

    In words for everybody, and in attributes by which the hub's script hides it under other values.
    (Unfold's ``conditional_fields`` are an admin class's, not a form's, and take no name with a dot.)
    """
    assert spec.about.only_if  # noqa: S101  # the caller has looked
    values = spec.about.only_if.values
    chosen = " or ".join(f"“{label}”" for value, label in getattr(choice, "choices", ()) if value in values)
    words = f"{'Required' if spec.required else 'Used'} where {choice.label} is {chosen}."
    field.help_text = format_html("{} {}", words, field.help_text)
    field.widget.attrs |= {"data-hub-only-if": name, "data-hub-values": " ".join(values)}


def _plain_field(spec: SpecField) -> forms.Field:
    about = spec.about
    hints: dict[str, Any] = {"placeholder": about.placeholder} if about.placeholder else {}
    if about.choices:
        return forms.ChoiceField(choices=about.choices, widget=UnfoldAdminSelectWidget)
    if spec.kind is bool:
        return forms.BooleanField(widget=UnfoldBooleanSwitchWidget)
    if spec.kind is dict:
        return MappingField(
            widget=UnfoldAdminTextareaWidget(
                attrs={**UNKEPT, "rows": 3, "placeholder": about.placeholder or "Name: text"}
            )
        )
    if spec.kind in (int, float):
        return _number_field(spec, hints)
    widget = (
        UnfoldAdminTextareaWidget(attrs={**hints, "rows": 4})
        if about.multiline
        else UnfoldAdminTextInputWidget(hints | TRIMMED)
    )
    return forms.CharField(strip=not about.multiline, widget=widget)


def _number_field(spec: SpecField, hints: Mapping[str, Any]) -> forms.Field:
    limits = {"min": spec.about.minimum, "max": spec.about.maximum}
    attrs = {**hints, **{name: f"{value:g}" for name, value in limits.items() if value is not None}}
    kind = forms.IntegerField if spec.kind is int else forms.FloatField
    return kind(widget=UnfoldAdminIntegerFieldWidget(attrs=attrs))


def credential_field(spec: SpecField, mark: str, editing: bool) -> forms.Field:
    """Return the write-only form field of a credential; ``mark`` says what is stored, "" that nothing is."""
    about = spec.about
    attrs = {**PRIVATE, "placeholder": "Leave blank to keep what is stored" if mark else about.placeholder}
    kind: type[forms.CharField] = forms.CharField
    widget: forms.Widget
    if about.upload:
        kind, widget = UploadedTextField, FileOrText(about.label, attrs)
    elif about.choices:
        widget = UnfoldAdminSelectWidget(choices=[("", "Keep" if editing else "–"), *about.choices])
    elif about.multiline:
        widget = WriteOnlyTextarea(attrs={**attrs, "rows": 4})
    elif about.secret:
        widget = UnfoldAdminPasswordWidget(attrs=attrs | TRIMMED)
    else:
        widget = WriteOnlyTextInput(attrs=attrs | TRIMMED | {"autocomplete": "off"})
    return kind(
        label=about.label,
        strip=not about.multiline,
        widget=widget,
        required=spec.required and not editing and not about.only_if,
        help_text=_credential_help(spec, mark, editing),
    )


def _credential_help(spec: SpecField, mark: str, editing: bool) -> str:
    parts = [spec.about.help]
    if mark:
        parts.append(f"{mark} Leave it empty to keep it; type to replace it.")
    elif editing:
        parts.append("Not set.")
    return format_html("{}", " ".join(filter(None, parts)))  # a secret's last letters may be HTML
