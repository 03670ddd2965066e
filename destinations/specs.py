"""How a destination type describes its fields, once, for every face of the hub.

A type's config and its credentials are two frozen dataclasses whose fields are made with
``option(...)``. From them come the admin form, the API's serializer and OpenAPI schema, the
masks, and the docs.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_args, get_type_hints

SpecT = TypeVar("SpecT")
_META = "option"


@dataclass(frozen=True, slots=True)
class OnlyIf:
    """A choice that a field belongs to: it is asked for while ``field`` of the config has one of ``values``."""

    field: str  # one with choices
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Option:
    """What people and programs need to know about one field."""

    label: str
    required: bool
    help: str = ""
    placeholder: str = ""
    stand_in: str = ""  # in set-up texts while the field is empty; "": YOUR_<NAME>
    secret: bool = False
    tail: bool = False  # long ones are told apart by their last characters: machines make them, people do not
    multiline: bool = False
    choices: tuple[tuple[str, str], ...] = ()  # (value, label)
    advanced: bool = False  # shown in the closed part of the form
    minimum: float | None = None
    maximum: float | None = None
    max_length: int = 2048
    pattern: str = ""  # of the whole value, for text
    expected: str = ""  # what the pattern asks for, in words; empty: the placeholder shows it
    generated: bool = False  # made by the hub where it is left empty, and shown once
    upload: bool = False  # the admin takes a file for it, or the file's text
    # Makes what is stored of what was sent, also of what it made before; raises ValueError with what to change.
    reader: Callable[[Any], str] | None = None
    # What is shown of a stored secret instead of a mask, by name; of "", what is shown where none is set.
    facts: Callable[[str], Mapping[str, str | None]] | None = None
    only_if: OnlyIf | None = None  # of a field of either dataclass; shown, and required, only then


def option(label: str, *, default: Any = dataclasses.MISSING, **about: Any) -> Any:
    """Declare a dataclass field; without ``default`` it is required.

    One with ``only_if`` is required only then; elsewhere it is ``""``, so without ``default`` it is text.
    """
    required = default is dataclasses.MISSING
    metadata = {_META: Option(label=label, required=required, **about)}
    if required and about.get("only_if"):
        default = ""
    if isinstance(default, dict | list):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class SpecField:
    """One field of a config or of credentials, with its Python kind."""

    name: str
    kind: type  # str, int, float, bool or dict (of str to str)
    default: Any
    about: Option

    @property
    def required(self) -> bool:
        """Tell whether it must be filled in, wherever it is asked for."""
        return self.about.required

    def asked_for(self, config: Mapping[str, Any]) -> bool:
        """Tell whether this field belongs to a choice that ``config`` (complete with its defaults) has made."""
        only_if = self.about.only_if
        return only_if is None or config.get(only_if.field) in only_if.values


def spec_fields(spec: type[Any]) -> list[SpecField]:
    """Return the fields of a config or credentials dataclass that people fill in, in order.

    A field that was made without ``option`` is the hub's own: it is loaded, and shown to nobody.
    """
    hints = get_type_hints(spec)
    return [_spec_field(item, hints[item.name]) for item in dataclasses.fields(spec) if _META in item.metadata]


def _spec_field(item: dataclasses.Field[Any], hint: Any) -> SpecField:
    default = item.default
    if item.default_factory is not dataclasses.MISSING:
        default = item.default_factory()
    about: Option = item.metadata[_META]
    kind = next((arg for arg in get_args(hint) if arg is not type(None)), hint)
    if getattr(hint, "__origin__", None) in (dict, Mapping):
        kind = dict
    kind = getattr(kind, "__origin__", kind)
    return SpecField(item.name, kind, None if about.required else default, about)


def load(spec: type[SpecT], values: Mapping[str, Any]) -> SpecT:
    """Build a config or credentials object; unknown names are left out, so old rows still load."""
    names = {item.name for item in dataclasses.fields(spec)}  # type: ignore[arg-type]  # SpecT is a dataclass by contract
    return spec(**{name: value for name, value in values.items() if name in names})


def complete(spec: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``values`` with the default of each field that is missing or empty."""
    defaults = {field.name: field.default for field in spec_fields(spec)}
    return defaults | {name: value for name, value in values.items() if value not in (None, "")}


def problems_of(spec: type[Any], values: Mapping[str, Any], config: Mapping[str, Any] | None = None) -> dict[str, str]:
    """Return what is wrong with ``values``, per field, in words that say what to change.

    ``config`` is the complete config that credentials belong to: it says which of them are required.
    A config says so itself.
    """
    fields = {field.name: field for field in spec_fields(spec)}
    config = complete(spec, values) if config is None else config
    found = {name: f"Unknown field. Known fields: {', '.join(fields)}." for name in values if name not in fields}
    for name, field in fields.items():
        problem = _problem(field, values.get(name, field.default), config)
        if problem:
            found[name] = problem
    return found


def _problem(field: SpecField, value: Any, config: Mapping[str, Any]) -> str:
    if value in (None, ""):
        return _missing(field.about.only_if) if field.required and field.asked_for(config) else ""
    if field.about.reader:
        return _reading_problem(field.about.reader, value)
    if not _is_kind(value, field.kind):
        return f"Must be {_KIND_NAMES[field.kind]}."
    if field.kind is dict:
        return _mapping_problem(value)
    if field.kind is str:
        return _text_problem(field.about, value)
    return _range_problem(field.about, value)


def _reading_problem(reader: Callable[[Any], str], value: Any) -> str:
    try:
        reader(value)
    except ValueError as error:
        return str(error)
    return ""


def _missing(only_if: OnlyIf | None) -> str:
    return f"This field is required where {condition(only_if)}." if only_if else "This field is required."


def condition(only_if: OnlyIf) -> str:
    """Say when a field is asked for, in the names that programs use: ``auth is bearer or header``."""
    return f"{only_if.field} is {' or '.join(only_if.values)}"


_KIND_NAMES = {
    str: "text",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    dict: "a JSON object of texts",
}


def _is_kind(value: Any, kind: type) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kind)


def _mapping_problem(value: Mapping[Any, Any]) -> str:
    ok = all(isinstance(k, str) and isinstance(v, str) for k, v in value.items())
    return "" if ok else "Every name and every value must be text."


def _text_problem(about: Option, value: str) -> str:
    import re

    if "\x00" in value:
        return "Must not contain a NUL character."
    if len(value) > about.max_length:
        return f"Must be at most {about.max_length} characters long."
    if about.choices and value not in dict(about.choices):
        return f"Must be one of: {', '.join(dict(about.choices))}."
    if about.pattern and not re.fullmatch(about.pattern, value):
        return f"Does not look right: expected {about.expected or about.placeholder or about.pattern}."
    return ""


def _range_problem(about: Option, value: float) -> str:
    if about.minimum is not None and value < about.minimum:
        return f"Must be at least {about.minimum:g}."
    if about.maximum is not None and value > about.maximum:
        return f"Must be at most {about.maximum:g}."
    return ""


def clean_values(spec: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``values`` as they are stored: without pasted spaces round them (not round multi-line texts), and read.

    What a field's reader refuses is left as it came: ``problems_of`` says why.
    """
    about = {field.name: field.about for field in spec_fields(spec)}
    return {name: _clean(about.get(name), value) for name, value in values.items()}


def _clean(about: Option | None, value: Any) -> Any:
    if about and about.reader and value not in (None, ""):
        try:
            return about.reader(value)
        except ValueError:
            return value
    multiline = about is not None and about.multiline
    return value.strip() if isinstance(value, str) and not multiline else value


def secret_names(specs: Iterable[type[Any]]) -> set[str]:
    """Return the names of every field that is marked secret."""
    return {field.name for spec in specs for field in spec_fields(spec) if field.about.secret}
