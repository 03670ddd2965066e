"""The form of a destination: the fields of its type, and the settings that every type has."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.db.models import Field, Model
from django.http import QueryDict
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from destinations.crypto import SealError
from destinations.formfields import ScheduleField, belong_to, credential_field, field_of, plain_number
from destinations.models import Destination
from destinations.rules import Kind
from destinations.secrets_about import told
from destinations.services import Refused
from destinations.shown import stranger
from destinations.specs import SpecField, spec_fields
from destinations.terra import EVENT_TYPES

CONFIG, CREDENTIALS, REMOVED = "config.", "credentials.", "removed_credentials"
MORE_TYPES = "more_event_types"
CHANGED_MEANWHILE = (
    "It was changed by somebody else meanwhile, so nothing was saved. Load the page again and make your change there."
)
_LIMITS = ("schedule", "timeout_s", "concurrency", "disable_after_hours")

# --- what may be chosen, known outside this package ----------------------------------------
_offers: dict[str, Callable[[], Iterable[str]]] = {}


def offer(of: str, values: Callable[[], Iterable[str]]) -> None:
    """Let ``values`` say which ``event_types`` (received of late) or ``sources`` (slugs) have a box of their own."""
    _offers[of] = values


def choices_of(of: str, *known: str) -> list[tuple[str, str]]:
    """Return the boxes of ``event_types`` or ``sources``: of what is known, and of what is offered."""
    offered = _offers[of]() if of in _offers else ()
    return [(name, stranger(name, 40)) for name in dict.fromkeys((*known, *offered))]


# Says how many of the latest events a filter of types and sources lets through, to somebody who may know it.
Matcher = Callable[[Any, Collection[str], Collection[str]], str]
_matchers: list[Matcher] = []


def tell_matches(matcher: Matcher) -> None:
    """Let ``matcher`` say what a filter lets through."""
    _matchers[:] = [matcher]


def what_matches(user: Any, event_types: Collection[str], sources: Collection[str]) -> str:
    """Return what a filter lets through, in one sentence; ``""`` where nobody can tell."""
    return _matchers[0](user, event_types, sources) if _matchers else ""


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
    stale: ClassVar[str] = ""  # why the id that the form carried is none to save under

    class Meta:
        model = Destination
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.editing = not self.instance._state.adding
        self.seal_problem = ""
        self.fields |= {"name": _name_field(self.instance)} | self._config_fields() | self._credential_fields()
        self._tie_to_choices()
        self.fields |= _filter_fields(self.instance, self._chosen_types()) | _limit_fields(self.instance)
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
        marks = self._marks()
        found = {
            CREDENTIALS + spec.name: credential_field(spec, marks.get(spec.name, ""), self.editing) for spec in specs
        }
        removable = [spec for spec in specs if spec.name in marks and not spec.about.generated]
        removable = [spec for spec in removable if spec.about.only_if or not spec.required]
        if removable:
            found[REMOVED] = _removal_field(removable)
        return found

    def _tie_to_choices(self) -> None:
        for path, spec in _specs_by_path(self.kind).items():
            if spec.about.only_if:
                choice = CONFIG + spec.about.only_if.field
                belong_to(self.fields[path], choice, self.fields[choice], spec)

    def _chosen_types(self) -> list[str]:
        """Return the event types that are ticked, as stored and as sent: they stay on the page."""
        sent = self.data.getlist("event_types") if isinstance(self.data, QueryDict) else []
        return [*self.instance.event_types, *sent]

    def _marks(self) -> dict[str, str]:
        if not self.editing:
            return {}
        try:
            return told(self.instance)
        except SealError as error:
            self.seal_problem = f"{error} Type every credential again to mend it."
            return {}

    def clean(self) -> Any:
        """Refuse a form that was filled in from an older version of the row, or that was saved already."""
        cleaned = super().clean()
        if self.stale:
            self.add_error(None, self.stale)
        version = self.cleaned_data.get("version")
        if self.editing and version is not None and version != self.instance.version:
            self.add_error(None, CHANGED_MEANWHILE)
        return cleaned

    def _show(self, path: str, texts: list[str]) -> None:
        """Put what is wrong with the event types where they were typed: a box cannot be wrong."""
        typed = path == "event_types" and self.cleaned_data.get(MORE_TYPES)
        super()._show(MORE_TYPES if typed else path, texts)

    def config(self) -> dict[str, Any]:
        """Return the config that was typed."""
        return self._under(CONFIG)

    def typed_config(self) -> dict[str, Any]:
        """Return the config as far as it can be read, whatever else is missing; of an unsent form, what it shows."""
        if not self.is_bound:
            return {
                name.removeprefix(CONFIG): field.initial
                for name, field in self.fields.items()
                if name.startswith(CONFIG) and field.initial is not None
            }
        self.full_clean()
        return self.config()

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
        typed = self.cleaned_data.get(MORE_TYPES, "").splitlines()
        more = [name.strip() for name in typed if name.strip()]
        settings = self.sent(("name", "event_types", "sources", *_LIMITS))
        if more:
            settings["event_types"] = list(dict.fromkeys([*self.cleaned_data["event_types"], *more]))
        return settings

    def changes(self) -> dict[str, Any]:
        """Return what ``update_destination`` takes: only what differs from what is stored."""
        parts = self.settings()
        if any(name.startswith(CONFIG) for name in self.changed_data):
            parts["config"] = self.config()
        credentials = self.credentials()
        return parts | ({"credentials": credentials} if credentials else {})

    @property
    def kind_type(self) -> str:
        """Return the type's name, for a template (which would call the class itself)."""
        return self.kind.type

    @classmethod
    def fieldsets(cls, instance: Destination | None) -> list[tuple[str | None, dict[str, Any]]]:
        """Return the form's parts: required fields first, the rarely needed ones in a closed part."""
        fields = cls(instance=instance).fields
        specs = _specs_by_path(cls.kind)
        essential = [path for path, spec in specs.items() if not spec.about.advanced]
        essential = _in_reading_order({path: specs[path] for path in essential})
        advanced = [path for path, spec in specs.items() if spec.about.advanced]
        removal = [REMOVED] if REMOVED in fields else []
        return [
            (None, {"fields": ["name", *essential, *removal]}),
            ("What is delivered", {"fields": ["event_types", MORE_TYPES, "sources"]}),
            ("Advanced", {"fields": [*advanced, *_LIMITS], "classes": ["collapse"]}),
        ]


def _specs_by_path(kind: Kind) -> dict[str, SpecField]:
    config = {CONFIG + spec.name: spec for spec in spec_fields(kind.config_spec)}
    return config | {CREDENTIALS + spec.name: spec for spec in spec_fields(kind.credentials_spec)}


def _in_reading_order(specs: Mapping[str, SpecField]) -> list[str]:
    """Return the paths with what is required first, and what belongs to a choice right after it."""
    ordered: list[str] = []
    for path in sorted(specs, key=lambda path: not specs[path].required or specs[path].about.only_if is not None):
        if specs[path].about.only_if is None:
            ordered += [path, *(other for other, spec in specs.items() if _belongs(spec, path))]
    return ordered


def _belongs(spec: SpecField, path: str) -> bool:
    return spec.about.only_if is not None and CONFIG + spec.about.only_if.field == path


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


def _filter_fields(instance: Destination, types: list[str]) -> dict[str, forms.Field]:
    return {
        "event_types": _several(instance, "event_types", "Event types", *EVENT_TYPES, *types),
        MORE_TYPES: forms.CharField(
            label="More event types",
            required=False,
            widget=UnfoldAdminTextareaWidget(attrs={"rows": 2, "spellcheck": "false", "placeholder": "sleep"}),
            help_text="One per line, for types that were received and have no box above.",
        ),
        "sources": _several(instance, "sources", "Sources", *instance.sources),
    }


def _several(instance: Destination, name: str, label: str, *known: str) -> forms.Field:
    return forms.MultipleChoiceField(
        label=label,
        required=False,
        initial=getattr(instance, name),
        choices=choices_of(name, *known),
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text=help_of(Destination, name),
    )


def _limit_fields(instance: Destination) -> dict[str, forms.Field]:
    def number(name: str, label: str, kind: type[forms.IntegerField]) -> forms.Field:
        initial = plain_number(getattr(instance, name))
        example = f"{plain_number(getattr(Destination(), name)):g}"
        widget = UnfoldAdminIntegerFieldWidget(attrs={"placeholder": example})
        return kind(label=label, initial=initial, help_text=help_of(Destination, name), widget=widget)

    return {
        "schedule": ScheduleField(
            label="Retry schedule",
            required=False,
            widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "30, 90, 270", "list": "schedule-presets"}),
            initial=instance.schedule,
            help_text=help_of(Destination, "schedule"),
        ),
        "timeout_s": number("timeout_s", "Timeout (seconds)", forms.FloatField),
        "concurrency": number("concurrency", "Tries at once", forms.IntegerField),
        "disable_after_hours": number("disable_after_hours", "Disable after (hours)", forms.IntegerField),
    }
