"""``--set NAME=VALUE``: texts read as the fields of a destination's type want them; and asking for what is missing."""

import difflib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer

from destinations.rules import Kind, Refused
from destinations.specs import SpecField, complete, spec_fields
from terra_hub.cli.asking import ask, interactive
from terra_hub.cli.output import say
from terra_hub.cli.secrets import ask_secret, never_an_argument, read_secret

Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="A field; a long text may be taken from a file: NAME=@PATH."),
]
Unsets = Annotated[
    list[str] | None, typer.Option("--unset", metavar="NAME", help="Back to the default; a secret is taken away.")
]
_WORDS = {"true": True, "yes": True, "on": True, "1": True, "false": False, "no": False, "off": False, "0": False}
Values = dict[str, Any]


def secret_fields(kind: Kind) -> dict[str, SpecField]:
    """Return a type's fields that hold secrets, by name."""
    return {field.name: field for field in spec_fields(kind.credentials_spec) if field.about.secret}


def read_sets(kind: Kind, sets: Sequence[str] | None, unsets: Sequence[str] | None = None) -> tuple[Values, Values]:
    """Return the config and the credentials that ``--set`` and ``--unset`` give; raise ``Refused``."""
    values: tuple[Values, Values] = ({}, {})
    for text in sets or ():
        name, found, value = text.partition("=")
        if not found:
            raise Refused({"": [f"--set takes NAME=VALUE, and {text!r} has no =."]})
        part, field = _field(kind, name.strip())
        if field.about.secret:
            raise never_an_argument(field.name)
        values[part][field.name] = _read(field, value)
    for name in unsets or ():
        part, field = _field(kind, name.strip())
        values[part][field.name] = "" if part == 0 else None
    return values


def _field(kind: Kind, path: str) -> tuple[int, SpecField]:
    """Return 0 for the config or 1 for the credentials, and the field there that ``path`` names."""
    specs = {"config": spec_fields(kind.config_spec), "credentials": spec_fields(kind.credentials_spec)}
    head, dot, rest = path.partition(".")
    parts = [head] if dot and head in specs else list(specs)
    name = rest if dot and head in specs else path
    for part in parts:
        for field in specs[part]:
            if field.name == name:
                return list(specs).index(part), field
    known = [field.name for fields in specs.values() for field in fields]
    near = difflib.get_close_matches(name, known, n=1)
    raise Refused({path: [f"Unknown field. {f'Did you mean {near[0]}? ' if near else ''}Fields: {', '.join(known)}."]})


def _read(field: SpecField, text: str) -> Any:
    """Return a text as the value that it stands for; what it must be like, the use case says."""
    if text == "":
        return ""
    if field.about.multiline and text.startswith("@"):
        return read_secret(text[1:], field.name)
    if field.kind is str or field.about.reader:
        return text
    try:
        return _READERS[field.kind](text)
    except (ValueError, KeyError) as error:
        raise Refused({field.name: [f"{text!r} is not {_WANTED[field.kind]}."]}) from error


_READERS: Mapping[type, Any] = {
    int: int, float: float, bool: lambda text: _WORDS[text.lower()], dict: json.loads,
}  # fmt: skip
_WANTED: Mapping[type, str] = {
    int: "a whole number", float: "a number", bool: "true or false", dict: 'JSON such as {"name": "text"}',
}  # fmt: skip


# --- what is missing ------------------------------------------------------------------------------
def ask_missing(kind: Kind, config: Values, credentials: Values) -> None:
    """Ask for each field that is required and missing, in the order of the form; do nothing where nobody can be asked.

    Both mappings are filled in place.
    """
    if not interactive():
        return
    for field in spec_fields(kind.config_spec):
        if _missing(field, config, complete(kind.config_spec, config)):
            config[field.name] = _ask_field(field)
    for field in spec_fields(kind.credentials_spec):
        if _missing(field, credentials, complete(kind.config_spec, config)) and not field.about.generated:
            credentials[field.name] = _ask_field(field)


def _missing(field: SpecField, values: Values, config: Values) -> bool:
    return field.required and field.asked_for(config) and values.get(field.name) in (None, "")


def _ask_field(field: SpecField) -> Any:
    about = field.about
    if about.help:
        say(about.help)
    if about.secret:
        return ask_secret(field.name, about.label)
    if about.choices:
        say(*(f"  {value}: {label}" for value, label in about.choices))
    example = f" (such as {about.placeholder})" if about.placeholder else ""
    return _read(field, ask(about.label + example))


def split(texts: Iterable[str] | None) -> list[str] | None:
    """Return what an option with a list gives: repeated, or with commas; ``None`` where it was not given."""
    return None if texts is None else [part.strip() for text in texts for part in text.split(",") if part.strip()]
