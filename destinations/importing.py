"""What a document of destinations would change on this hub, and changing it: all of it, or nothing.

Destinations are told by their name. The config of a document is the whole config; settings and credentials that it
does not name stay. A hole that is not filled keeps the stored secret, unless there is none, or it would now be sent to
another host.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.db import transaction

from destinations import batches, services
from destinations.crypto import SealError
from destinations.dryrun import tried_out
from destinations.models import Destination
from destinations.rules import Errors, Kind, Refused, addresses_remembered, cleaned, kind_of, without_blanks
from destinations.specs import clean_values, complete, spec_fields
from destinations.transfer import Document, Entry, hole_of, path_of
from destinations.writing import present

Fill = Callable[[str], str | None]  # a hole's name -> what fills it; None: nothing does


class Action(StrEnum):
    """What becomes of a destination."""

    CREATE = "create"
    UPDATE = "update"
    UNCHANGED = "unchanged"


@dataclass(frozen=True, slots=True)
class Difference:
    """One field that changes. Of a credential no value is told: ``new`` says where it comes from."""

    field: str  # "config.url", "credentials.password", "timeout_s"
    old: Any
    new: Any


@dataclass(frozen=True, slots=True)
class Change:
    """What a document does to one destination."""

    number: int  # of the entry in the document
    entry: Entry
    action: Action
    destination: Destination | None = None  # as it is now; None: it is new
    differences: list[Difference] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)  # what the use case is called with; it holds secrets
    kept: list[str] = field(default_factory=list)  # credentials whose hole is not filled, and that stay
    missing: Errors = field(default_factory=dict)  # credentials that are needed and that nothing fills

    @property
    def name(self) -> str:
        """Return the destination's name."""
        return self.entry.name


@dataclass(frozen=True, slots=True)
class Applied:
    """A change that was made, and the secrets that the hub made with it: shown once."""

    change: Change
    destination: Destination
    secrets: dict[str, str] = field(default_factory=dict)


def planned(document: Document, fill: Fill) -> list[Change]:
    """Return what a document would do, entry by entry; raise ``Refused`` where an entry cannot be one of its type."""
    found = Destination.objects.present().filter(name__in=[entry.name for entry in document.destinations])
    there = {row.name: row for row in found}
    return [_plan(number, entry, there.get(entry.name), fill) for number, entry in enumerate(document.destinations)]


def apply(changes: Sequence[Change], by: Any = None, dry_run: bool = False) -> list[Applied]:
    """Make every change in one transaction; raise ``Refused`` and make none where one cannot be made."""
    missing = {path: texts for change in changes for path, texts in change.missing.items()}
    if missing:
        raise Refused(missing, code="holes_not_filled", hint="Set each as a variable NAME, or NAME_FILE with a path.")
    with addresses_remembered():
        _look_up_ahead([change for change in changes if change.values])
        with transaction.atomic(), tried_out(dry_run):
            return [_apply(change, by) for change in changes]


def _look_up_ahead(changes: Sequence[Change]) -> None:
    """Have the names in all configs looked up before the transaction begins."""
    entries = [{"type": change.entry.type, "config": change.entry.config} for change in changes]
    for start in range(0, len(entries), batches.MOST):
        batches.look_up_ahead(entries[start : start + batches.MOST])


# --- the plan -------------------------------------------------------------------------------------
def _plan(number: int, entry: Entry, row: Destination | None, fill: Fill) -> Change:
    with _at(number):
        kind = kind_of(entry.type)
        config = without_blanks(cleaned(kind.config_spec, entry.config, "config"))
        _refuse_unknown(kind, entry)
        if row is None:
            return _creation(number, entry, kind, config, fill)
        if row.type != entry.type:
            raise Refused({"type": [f"Here it is {row.type}: a type is fixed. Remove that one first, or rename one."]})
        return _update(number, entry, row, kind, config, fill)


def _refuse_unknown(kind: Kind, entry: Entry) -> None:
    names = [item.name for item in spec_fields(kind.credentials_spec)]
    unknown = {
        f"credentials.{name}": [f"Unknown field. Known fields: {', '.join(names)}."]
        for name in entry.credentials
        if name not in names
    }
    if unknown:
        raise Refused(unknown)


def _creation(number: int, entry: Entry, kind: Kind, config: dict[str, Any], fill: Fill) -> Change:
    sent, unfilled = _filled(kind, entry, fill)
    values = {"type": entry.type, "name": entry.name, "config": config, "credentials": sent, **entry.settings}
    differences = [
        *(Difference(f"config.{name}", None, value) for name, value in config.items()),
        *(Difference(f"credentials.{name}", None, _origin(entry, name)) for name in sent),
        *(Difference(name, None, value) for name, value in entry.settings.items() if value != _default(name)),
    ]
    missing = {
        path_of(number, f"credentials.{name}"): [f"${{{hole}}} is not set, and {entry.name!r} is new here."]
        for name, hole in unfilled.items()
    }
    return Change(number, entry, Action.CREATE, None, differences, values, missing=missing)


def _default(setting: str) -> Any:
    return getattr(Destination(), setting)


def _update(number: int, entry: Entry, row: Destination, kind: Kind, config: dict[str, Any], fill: Fill) -> Change:
    before, after = complete(kind.config_spec, row.config), complete(kind.config_spec, config)
    changed = [name for name in after if before.get(name) != after[name]]
    moved = sorted(kind.host_fields & set(changed))
    sent, unfilled = _filled(kind, entry, fill)
    stored = _stored(row)
    new = {name: value for name, value in sent.items() if moved or stored.get(name) != value}
    settings = {name: value for name, value in entry.settings.items() if getattr(row, name) != value}
    differences = [
        *(Difference(f"config.{name}", before.get(name), after[name]) for name in changed),
        *(Difference(f"credentials.{name}", None, _origin(entry, name)) for name in new),
        *(Difference(name, getattr(row, name), value) for name, value in settings.items()),
    ]
    values: dict[str, Any] = dict(settings)
    if changed:
        values["config"] = {**dict.fromkeys(row.config, ""), **config}
    if new:
        values["credentials"] = new
    missing = _missing(number, kind, stored, unfilled, moved)
    action = Action.UPDATE if values or missing else Action.UNCHANGED
    kept = [name for name in unfilled if path_of(number, f"credentials.{name}") not in missing]
    return Change(number, entry, action, row, differences, values, kept, missing)


def _filled(kind: Kind, entry: Entry, fill: Fill) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the credentials that are known, as they would be stored, and the holes of those that nothing fills."""
    holes = {name: hole_of(value) for name, value in entry.credentials.items()}
    given = {name: fill(hole) if hole else entry.credentials[name] for name, hole in holes.items()}
    known = {name: value for name, value in given.items() if value not in (None, "")}
    unfilled = {name: hole for name, hole in holes.items() if hole and name not in known}
    return clean_values(kind.credentials_spec, known), unfilled


def _missing(
    number: int, kind: Kind, stored: Mapping[str, Any], unfilled: Mapping[str, str], moved: list[str]
) -> Errors:
    """Say which holes must be filled: where nothing is stored, or where what is stored would go to another host."""
    travelling = {item.name for item in spec_fields(kind.credentials_spec) if not item.about.generated}
    where = " and ".join(f"config.{name}" for name in moved)
    errors: Errors = {}
    for name, hole in unfilled.items():
        path = path_of(number, f"credentials.{name}")
        if not stored.get(name):
            errors[path] = [f"${{{hole}}} is not set, and nothing is stored here."]
        elif moved and name in travelling:
            errors[path] = [f"${{{hole}}} is not set, and {where} changes: the stored value is never sent elsewhere."]
    return errors


def _origin(entry: Entry, name: str) -> str:
    hole = hole_of(entry.credentials[name])
    return f"set from ${{{hole}}}" if hole else "set from the file"


def _stored(row: Destination) -> Mapping[str, Any]:
    try:
        stored: Mapping[str, Any] = row.credentials
    except SealError:
        return {}
    return stored


# --- making it so -----------------------------------------------------------------------------------
def _apply(change: Change, by: Any) -> Applied:
    with _at(change.number):
        if change.destination is None:
            made = services.create_destination(by=by, **change.values)
            return Applied(change, made.destination, made.secrets)
        if not change.values:
            return Applied(change, change.destination)
        if present(change.destination).version != change.destination.version:
            raise Refused({"": ["It was changed by somebody else meanwhile. Import again."]}, code="conflict")
        return Applied(change, services.update_destination(change.destination, by=by, **change.values))


@contextmanager
def _at(number: int) -> Iterator[None]:
    """Say of a refusal which entry of the document it is about."""
    try:
        yield
    except Refused as error:
        errors = {path_of(number, path): texts for path, texts in error.errors.items()}
        raise Refused(errors, error.code, error.hint) from error
