"""What to do on the other side, for a set-up that may still be half typed."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from destinations.identity import current_identity
from destinations.rules import Kind, without_blanks
from destinations.specs import SpecField, clean_values, load, problems_of, spec_fields


class Part(NamedTuple):
    """One way to do it: a script for a shell or a database, or a module for Terraform."""

    name: str
    label: str
    text: str


class Setup(NamedTuple):
    """The parts, and the labels of fields whose place is held by a stand-in such as YOUR_BUCKET."""

    parts: list[Part]
    missing: list[str]


def setup_of(kind: Kind, config: Mapping[str, Any], destination_id: str) -> Setup:
    """Return what sets the other side up for ``config``; only what is right comes into a text.

    A text is pasted into a shell: what a field's rules do not let pass is never in it.
    """
    values, missing = _usable(kind, without_blanks(clean_values(kind.config_spec, config)))
    made, identity = load(kind.config_spec, values), current_identity(destination_id)
    parts = [
        Part("steps", kind.setup_label, kind.setup_for(made, identity)),
        Part("terraform", "Terraform", kind.terraform(made, identity)),
    ]
    return Setup([part for part in parts if part.text], [field.about.label for field in missing])


def _usable(kind: Kind, config: Mapping[str, Any]) -> tuple[dict[str, Any], list[SpecField]]:
    """Return the values that are right, with stand-ins for those that are needed and missing; and what these are."""
    fields = {field.name: field for field in spec_fields(kind.config_spec)}
    wrong = problems_of(kind.config_spec, config)
    values = {name: value for name, value in config.items() if name in fields and name not in wrong}
    values |= _stand_ins(fields, values)
    judged = kind.validate(load(kind.config_spec, values))
    unfit = {name for name in judged if name in config}
    values = {name: value for name, value in values.items() if name not in unfit}
    values |= _stand_ins(fields, values)
    return values, [field for name, field in fields.items() if name in {*wrong, *unfit}]


def _stand_ins(fields: Mapping[str, SpecField], values: Mapping[str, Any]) -> dict[str, Any]:
    whole = {name: field.default for name, field in fields.items()} | dict(values)
    return {
        name: field.about.stand_in or f"YOUR_{name.upper()}"
        for name, field in fields.items()
        if field.required and field.asked_for(whole) and not values.get(name)
    }
