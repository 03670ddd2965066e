"""Destinations as a document: exported with holes for credentials, and read again. ``importing`` applies one.

The format, version 1, is described in docs/cli.md. Each credential is a hole, ``${WAREHOUSE_PASSWORD}``, which whoever
imports the document fills from the environment.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import yaml

from destinations.crypto import SealError
from destinations.models import Destination
from destinations.reserved import is_reserved
from destinations.rules import Errors, Refused, kind_of
from destinations.services import SETTINGS
from destinations.specs import spec_fields

VERSION = 1
MOST_BYTES = 1024 * 1024
_HOLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_OTHERS = tuple(name for name in SETTINGS if name != "name")
_KEYS = ("name", "type", "config", "credentials", *_OTHERS)
_KINDS: Mapping[str, tuple[type, str]] = {
    "name": (str, "text"),
    "type": (str, "text"),
    "config": (dict, "a mapping of the type's fields"),
    "credentials": (dict, "a mapping of the type's secrets"),
}


@dataclass(frozen=True, slots=True)
class Entry:
    """One destination of a document: what a destination is made of, with holes among its credentials."""

    name: str
    type: str
    config: dict[str, Any] = field(default_factory=dict)
    credentials: dict[str, Any] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    """What a file holds."""

    destinations: list[Entry]

    def literals(self) -> list[str]:
        """Return the paths of the credentials that are written in the file itself instead of a hole."""
        return [
            path_of(number, f"credentials.{name}")
            for number, entry in enumerate(self.destinations)
            for name, value in entry.credentials.items()
            if value and not hole_of(value)
        ]


def path_of(number: int, path: str) -> str:
    """Return where in a document something is: ``destinations.0.config.url``."""
    return f"destinations.{number}.{path}" if path else f"destinations.{number}"


def hole_of(value: Any) -> str:
    """Return the name of the hole that a credential is; ``""`` where it is none."""
    found = _HOLE.fullmatch(value) if isinstance(value, str) else None
    return found[1] if found else ""


# --- export ---------------------------------------------------------------------------------------
def exported(rows: Iterable[Destination]) -> dict[str, Any]:
    """Return destinations as a document: each credential is a hole with a name of its own, and config is in clear."""
    taken: set[str] = set()
    return {"version": VERSION, "destinations": [_entry(row, taken) for row in rows]}


def holes_in(document: Mapping[str, Any]) -> list[str]:
    """Return the names of an exported document's holes, in order."""
    entries = document["destinations"]
    return [hole_of(value) for entry in entries for value in entry.get("credentials", {}).values()]


def in_clear(document: Mapping[str, Any]) -> list[str]:
    """Return what of an exported document's webhooks may be a secret and stands in clear, in words for each."""
    return [f"{entry['name']!r}: {words}" for entry in document["destinations"] if (words := _open_words(entry))]


def _open_words(entry: Mapping[str, Any]) -> str:
    config = entry.get("config", {}) if entry["type"] == "webhook" else {}
    headers, query = config.get("headers"), urlsplit(str(config.get("url", ""))).query
    parts = [f"the headers {', '.join(headers)}"] if headers else []
    return " and ".join(parts + (["the query string of its URL"] if query else []))


def as_yaml(document: Mapping[str, Any]) -> str:
    """Return a document as YAML, its first lines saying which holes are to be filled."""
    holes = holes_in(document)
    head = [
        "# Destinations of a Terra destination hub. Credentials are holes; a webhook's URL and headers",
        "# are config and stand here in clear.",
        "# Import it by: hub import FILE",
    ]
    head += [f"# Fill by the environment, NAME or NAME_FILE: {', '.join(holes)}"] if holes else []
    body: str = yaml.dump(document, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False)
    return "\n".join(head) + "\n" + body


def _entry(row: Destination, taken: set[str]) -> dict[str, Any]:
    holes = {name: "${" + _free_hole(f"{row.name}_{name}", taken) + "}" for name in _held(row)}
    entry = {"name": row.name, "type": row.type, "config": _config(row), "credentials": holes}
    return {**{name: value for name, value in entry.items() if value != {}}, **_settings(row)}


def _config(row: Destination) -> dict[str, Any]:
    """Return a config in the order of its type's fields: databases keep none."""
    names = [item.name for item in spec_fields(kind_of(row.type).config_spec)]
    return {name: row.config[name] for name in [*names, *row.config] if name in row.config}


def _settings(row: Destination) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _OTHERS}


def _held(row: Destination) -> list[str]:
    """Return the names of the credentials that are set; of those that do not open, what is known in clear."""
    try:
        stored: Mapping[str, Any] = row.credentials
    except SealError:
        stored = row.secrets_about
    return [item.name for item in spec_fields(kind_of(row.type).credentials_spec) if stored.get(item.name)]


def _free_hole(text: str, taken: set[str]) -> str:
    base = re.sub(r"[^A-Z0-9]+", "_", text.upper()).strip("_") or "SECRET"
    base = f"D_{base}" if base[0].isdigit() or is_reserved(base) else base
    name, number = base, 1
    while name in taken:
        number += 1
        name = f"{base}_{number}"
    taken.add(name)
    return name


class _Dumper(yaml.SafeDumper):
    """Writes long texts as they are, line below line, and never refers from one place to another."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text_node(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text_node)


# --- reading --------------------------------------------------------------------------------------
def read(text: str) -> Document:
    """Return the document that a text in YAML or JSON is; raise ``Refused`` with what is wrong, per path."""
    if len(text.encode(errors="replace")) > MOST_BYTES:
        raise Refused({"": ["The file is longer than 1 MiB."]})
    value = _parsed(text)
    if not isinstance(value, dict):
        raise Refused({"": ["The file must be a mapping with version and destinations."]})
    errors = _unknown(value, ("version", "destinations"))
    if value.get("version") != VERSION or isinstance(value.get("version"), bool):
        errors["version"] = [f"Must be {VERSION}: this hub knows no other version of the format."]
    entries = value.get("destinations")
    if not isinstance(entries, list):
        raise Refused({**errors, "destinations": ["Must be a list of destinations."]})
    for number, entry in enumerate(entries):
        errors |= {path_of(number, path): texts for path, texts in _problems(entry).items()}
    errors |= {} if errors else _twice([entry["name"] for entry in entries])
    if errors:
        raise Refused(errors)
    return Document([_read_entry(entry) for entry in entries])


def _problems(entry: Any) -> Errors:
    if not isinstance(entry, dict):
        return {"": ["Must be a mapping with name, type, config and credentials."]}
    errors = _unknown(entry, _KEYS)
    errors |= {name: ["Is missing."] for name in ("name", "type") if name not in entry}
    for name, (kind, said) in _KINDS.items():
        if name in entry and not isinstance(entry[name], kind):
            errors[name] = [f"Must be {said}."]
    for part in ("config", "credentials"):
        inner = entry.get(part)
        if isinstance(inner, dict) and not all(isinstance(key, str) for key in inner):
            errors[part] = ["Every name must be text."]
    return errors or _reserved(entry.get("credentials", {}))


def _reserved(credentials: Mapping[str, Any]) -> Errors:
    """Refuse holes that would send the hub's own secrets to whomever the document names."""
    return {
        f"credentials.{name}": [f"${{{hole}}} is the hub's or the host's own. Give this secret a name of its own."]
        for name, value in credentials.items()
        if is_reserved(hole := hole_of(value))
    }


def _unknown(value: Mapping[Any, Any], known: Sequence[str]) -> Errors:
    return {str(name): [f"Unknown. Known here: {', '.join(known)}."] for name in value if name not in known}


def _twice(names: list[str]) -> Errors:
    return {
        path_of(number, "name"): [f"{name!r} is in the file already."]
        for number, name in enumerate(names)
        if name in names[:number]
    }


def _read_entry(entry: Mapping[str, Any]) -> Entry:
    settings = {name: entry[name] for name in _OTHERS if name in entry}
    return Entry(entry["name"], entry["type"], entry.get("config", {}), entry.get("credentials", {}), settings)


class _Loader(yaml.SafeLoader):
    """Reads plain data: without aliases, by which a small file could stand for a huge one, and without twin keys."""

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.events.AliasEvent):
            event = self.get_event()  # type: ignore[no-untyped-call]  # untyped library
            raise yaml.composer.ComposerError(None, None, "anchors and aliases are not read", event.start_mark)
        return super().compose_node(parent, index)

    def construct_mapping(self, node: Any, deep: bool = False) -> Any:
        seen: set[str] = set()
        for key, _ in node.value:
            if not isinstance(key.value, str):
                raise yaml.constructor.ConstructorError(None, None, "a name must be text", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is there twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_NO_YAML = "The file is no YAML that can be read."


def _parsed(text: str) -> Any:
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  # a subclass of SafeLoader
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f" in line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        # Only what is wrong and where: the text beside it may be a secret.
        raise Refused({"": [f"{_NO_YAML} {error.problem or 'It is malformed'}{where}."]}) from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise Refused({"": [_NO_YAML]}) from None
