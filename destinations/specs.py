"""How a destination type describes its fields, once, for every face of the hub.

A type's config and its credentials are two frozen dataclasses whose fields are made with
``option(...)``. From them come the admin form, the API's serializer and OpenAPI schema, the
masks, and the docs.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_args, get_type_hints

SpecT = TypeVar("SpecT")
_META = "option"


@dataclass(frozen=True, slots=True)
class Option:
    """What people and programs need to know about one field."""

    label: str
    help: str = ""
    placeholder: str = ""
    secret: bool = False
    multiline: bool = False
    choices: tuple[tuple[str, str], ...] = ()  # (value, label)
    advanced: bool = False  # shown in the closed part of the form
    minimum: float | None = None
    maximum: float | None = None
    max_length: int = 2048
    pattern: str = ""  # of the whole value, for text
    generated: bool = False  # made by the hub where it is left empty, and shown once


def option(label: str, *, default: Any = dataclasses.MISSING, **about: Any) -> Any:
    """Declare a dataclass field; without ``default`` it is required."""
    metadata = {_META: Option(label=label, **about)}
    if isinstance(default, dict | list):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True)
class SpecField:
    """One field of a config or of credentials, with its Python kind."""

    name: str
    kind: type  # str, int, float, bool or dict (of str to str)
    required: bool
    default: Any
    about: Option


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
    required = default is dataclasses.MISSING
    kind = next((arg for arg in get_args(hint) if arg is not type(None)), hint)
    if getattr(hint, "__origin__", None) in (dict, Mapping):
        kind = dict
    kind = getattr(kind, "__origin__", kind)
    return SpecField(item.name, kind, required, None if required else default, item.metadata[_META])


def load(spec: type[SpecT], values: Mapping[str, Any]) -> SpecT:
    """Build a config or credentials object; unknown names are left out, so old rows still load."""
    names = {item.name for item in dataclasses.fields(spec)}  # type: ignore[arg-type]  # SpecT is a dataclass by contract
    return spec(**{name: value for name, value in values.items() if name in names})


def problems_of(spec: type[Any], values: Mapping[str, Any]) -> dict[str, str]:
    """Return what is wrong with ``values``, per field, in words that say what to change."""
    fields = {field.name: field for field in spec_fields(spec)}
    found = {name: f"Unknown field. Known fields: {', '.join(fields)}." for name in values if name not in fields}
    for name, field in fields.items():
        problem = _problem(field, values.get(name, field.default))
        if problem:
            found[name] = problem
    return found


def _problem(field: SpecField, value: Any) -> str:
    if value in (None, ""):
        return "This field is required." if field.required else ""
    if not _is_kind(value, field.kind):
        return f"Must be {_KIND_NAMES[field.kind]}."
    if field.kind is dict:
        return _mapping_problem(value)
    if field.kind is str:
        return _text_problem(field.about, value)
    return _range_problem(field.about, value)


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
        return f"Does not look right: expected {about.placeholder or about.pattern}."
    return ""


def _range_problem(about: Option, value: float) -> str:
    if about.minimum is not None and value < about.minimum:
        return f"Must be at least {about.minimum:g}."
    if about.maximum is not None and value > about.maximum:
        return f"Must be at most {about.maximum:g}."
    return ""


def masked(value: str) -> str:
    """Return ``****`` and the last four characters; only the stars where it is short."""
    return "****" + (value[-4:] if len(value) >= 12 else "")


def clean_values(spec: type[Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``values`` with pasted spaces round texts taken away (not inside multi-line ones)."""
    kept: dict[str, Any] = {}
    about = {field.name: field.about for field in spec_fields(spec)}
    for name, value in values.items():
        multiline = name in about and about[name].multiline
        kept[name] = value.strip() if isinstance(value, str) and not multiline else value
    return kept


def secret_names(specs: Iterable[type[Any]]) -> set[str]:
    """Return the names of every field that is marked secret."""
    return {field.name for spec in specs for field in spec_fields(spec) if field.about.secret}
