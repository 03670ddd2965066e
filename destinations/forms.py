"""The form of a destination: the fields of its type, and the settings that every type has."""

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.db.models import Field, Model
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextInputWidget,
)

from destinations.crypto import SealError
from destinations.formfields import ScheduleField, credential_field, field_of
from destinations.models import Destination
from destinations.rules import Kind
from destinations.services import Refused, masked_credentials
from destinations.specs import SpecField, spec_fields
from destinations.terra import EVENT_TYPES
from destinations.texts import visible

CONFIG, CREDENTIALS, REMOVED = "config.", "credentials.", "removed_credentials"
CHANGED_MEANWHILE = (
    "It was changed by somebody else meanwhile, so nothing was saved. Load the page again and make your change there."
)
_LIMITS = ("schedule", "timeout_s", "concurrency", "disable_after_hours")

# --- what may be chosen, known outside this package ----------------------------------------
_offers: dict[str, Callable[[], Iterable[str]]] = {}


def offer(of: str, values: Callable[[], Iterable[str]]) -> None:
    """Let ``values`` say which ``event_types`` (received before) or ``sources`` (slugs) can be chosen."""
    _offers[of] = values


def _choices(of: str, *known: str) -> list[tuple[str, str]]:
    offered = _offers[of]() if of in _offers else ()
    return [(name, visible(name)) for name in dict.fromkeys((*known, *offered))]


def help_of(model: type[Model], name: str) -> str:
    """Return what a model says of one of its columns."""
    column = model._meta.get_field(name)
    assert isinstance(column, Field)  # noqa: S101  # never a relation
    return str(column.help_text)


if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Any]
else:
    _ModelForm = forms.ModelForm


class UseCaseForm(_ModelForm):
    """A form in the shape that Django's admin asks for. It writes nothing and judges nothing itself.

    ``refused`` is what the use case said of this very input.
    """

    refused: ClassVar[Refused | None] = None

    def _post_clean(self) -> None:
        """Leave the instance alone: the use case judges the values."""

    def clean(self) -> Any:
        """Put what was refused on the fields that it is about."""
        cleaned = super().clean()
        if self.refused:
            for path, texts in self.refused.errors.items():
                self._show(path, texts)
            if self.refused.hint:
                self.add_error(None, self.refused.hint)
        return cleaned

    def _show(self, path: str, texts: list[str]) -> None:
        if path in self.fields:
            self.add_error(path, texts)
        else:
            self.add_error(None, [f"{path}: {text}" if path else text for text in texts])

    def sent(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the cleaned values of those of ``names`` that the form has, and that differ from what is stored."""
        adding = self.instance._state.adding
        return {
            name: self.cleaned_data[name]
            for name in names
            if name in self.fields and (adding or name in self.changed_data)
        }


class DestinationForm(UseCaseForm):
    """One destination. Fields are named as refusals name them: ``config.url``, ``credentials.password``."""

    kind: ClassVar[Kind]

    class Meta:
        model = Destination
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.editing = not self.instance._state.adding
        self.seal_problem = ""
        self.fields |= {"name": _name_field(self.instance)} | self._config_fields() | self._credential_fields()
        self.fields |= _filter_fields(self.instance) | _limit_fields(self.instance)
        if self.editing:
            self.fields["version"] = forms.IntegerField(
                widget=forms.HiddenInput, initial=self.instance.version, required=False
            )

    def _config_fields(self) -> dict[str, forms.Field]:
        stored = self.instance.config
        return {
            CONFIG + spec.name: field_of(spec, stored.get(spec.name)) for spec in spec_fields(self.kind.config_spec)
        }

    def _credential_fields(self) -> dict[str, forms.Field]:
        specs = spec_fields(self.kind.credentials_spec)
        masks = self._masks()
        found = {
            CREDENTIALS + spec.name: credential_field(spec, masks.get(f"{spec.name}_masked"), self.editing)
            for spec in specs
        }
        removable = [spec for spec in specs if not spec.required and masks.get(f"{spec.name}_masked")]
        removable = [spec for spec in removable if not spec.about.generated]
        if removable:
            found[REMOVED] = _removal_field(removable)
        return found

    def _masks(self) -> dict[str, str | None]:
        if not self.editing:
            return {}
        try:
            return masked_credentials(self.instance)
        except SealError as error:
            self.seal_problem = f"{error} Type every credential again to mend it."
            return {}

    def clean(self) -> Any:
        """Refuse a form that was filled in from an older version of the row."""
        cleaned = super().clean()
        version = self.cleaned_data.get("version")
        if self.editing and version is not None and version != self.instance.version:
            self.add_error(None, CHANGED_MEANWHILE)
        return cleaned

    def config(self) -> dict[str, Any]:
        """Return the config that was typed."""
        return self._under(CONFIG)

    def credentials(self) -> dict[str, Any]:
        """Return the credentials that were typed; ``None`` for those that are taken away."""
        typed = {name: value for name, value in self._under(CREDENTIALS).items() if value or not self.editing}
        return dict.fromkeys(self.cleaned_data.get(REMOVED, ())) | typed

    def _under(self, prefix: str) -> dict[str, Any]:
        return {
            name.removeprefix(prefix): value for name, value in self.cleaned_data.items() if name.startswith(prefix)
        }

    def settings(self) -> dict[str, Any]:
        """Return the settings of every type that were typed or changed."""
        return self.sent(("name", "event_types", "sources", *_LIMITS))

    def changes(self) -> dict[str, Any]:
        """Return what ``update_destination`` takes: only what differs from what is stored."""
        parts = self.settings()
        if any(name.startswith(CONFIG) for name in self.changed_data):
            parts["config"] = self.config()
        credentials = self.credentials()
        return parts | ({"credentials": credentials} if credentials else {})

    @classmethod
    def fieldsets(cls, instance: Destination | None) -> list[tuple[str | None, dict[str, Any]]]:
        """Return the form's parts: required fields first, the rarely needed ones in a closed part."""
        fields = cls(instance=instance).fields
        specs = _specs_by_path(cls.kind)
        essential = [path for path, spec in specs.items() if not spec.about.advanced]
        essential.sort(key=lambda path: not specs[path].required)
        advanced = [path for path, spec in specs.items() if spec.about.advanced]
        removal = [REMOVED] if REMOVED in fields else []
        return [
            (None, {"fields": ["name", *essential, *removal]}),
            ("What is delivered", {"fields": ["event_types", "sources"]}),
            ("Advanced", {"fields": [*advanced, *_LIMITS], "classes": ["collapse"]}),
        ]


def _specs_by_path(kind: Kind) -> dict[str, SpecField]:
    config = {CONFIG + spec.name: spec for spec in spec_fields(kind.config_spec)}
    return config | {CREDENTIALS + spec.name: spec for spec in spec_fields(kind.credentials_spec)}


def _removal_field(specs: list[SpecField]) -> forms.Field:
    return forms.MultipleChoiceField(
        label="Take away",
        required=False,
        choices=[(spec.name, spec.about.label) for spec in specs],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="Ticked ones are deleted when you save.",
    )


def _name_field(instance: Destination) -> forms.Field:
    return forms.CharField(
        label="Name",
        initial=instance.name,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "Research warehouse"}),
        help_text="How people tell it from the others.",
    )


def _filter_fields(instance: Destination) -> dict[str, forms.Field]:
    return {
        "event_types": _several(instance, "event_types", "Event types", *EVENT_TYPES, *instance.event_types),
        "sources": _several(instance, "sources", "Sources", *instance.sources),
    }


def _several(instance: Destination, name: str, label: str, *known: str) -> forms.Field:
    return forms.MultipleChoiceField(
        label=label,
        required=False,
        initial=getattr(instance, name),
        choices=_choices(name, *known),
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=help_of(Destination, name),
    )


def _limit_fields(instance: Destination) -> dict[str, forms.Field]:
    def number(name: str, label: str, kind: type[forms.IntegerField]) -> forms.Field:
        initial = getattr(instance, name)
        return kind(
            label=label, initial=initial, help_text=help_of(Destination, name), widget=UnfoldAdminIntegerFieldWidget
        )

    return {
        "schedule": ScheduleField(
            label="Retry schedule",
            required=False,
            initial=instance.schedule,
            help_text=help_of(Destination, "schedule"),
        ),
        "timeout_s": number("timeout_s", "Timeout (seconds)", forms.FloatField),
        "concurrency": number("concurrency", "Tries at once", forms.IntegerField),
        "disable_after_hours": number("disable_after_hours", "Disable after (hours)", forms.IntegerField),
    }
