"""What a destination must be like to be saved, in words that say what to change.

Nothing here writes. Names are resolved to judge where credentials would go, so nothing here is
called inside a transaction, unless ``look_up_ahead`` was called before it (``addresses_remembered``).
"""

import difflib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

from destinations import egress
from destinations.adapters.base import Adapter
from destinations.hosts import parse_url
from destinations.registry import UnknownType, adapter_class
from destinations.specs import SpecField, clean_values, complete, load, problems_of, spec_fields
from destinations.terra import EVENT_TYPES

NAME_TAKEN = "Another destination has this name."
MAX_WAITS = 50
MAX_WAIT_S = 7 * 24 * 3600
MAX_TIMEOUT_S = 300
MAX_HOURS = 10 * 365 * 24
LOOKUP_S = 5.0

Kind = type[Adapter[Any, Any]]
Errors = dict[str, list[str]]


class Refused(Exception):
    """A change that was not made. ``errors`` says why, per field path; ``""`` is the whole."""

    def __init__(self, errors: Errors, code: str = "invalid", hint: str = "") -> None:
        """Take texts per path such as ``config.url`` or ``credentials.password``; ``code`` is stable."""
        super().__init__("; ".join(text for texts in errors.values() for text in texts))
        self.errors, self.code, self.hint = errors, code, hint


def together(*judges: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Run every judge and return what they return, merged; raise one ``Refused`` with all that they refuse."""
    values: dict[str, Any] = {}
    refused: list[Refused] = []
    for judge_one in judges:
        try:
            values |= judge_one()
        except Refused as error:
            refused.append(error)
    if refused:
        errors = {path: texts for error in refused for path, texts in error.errors.items()}
        codes = {error.code for error in refused}
        hints = filter(None, dict.fromkeys(error.hint for error in refused))
        raise Refused(errors, codes.pop() if len(codes) == 1 else "invalid", " ".join(hints))
    return values


# --- what is known outside this package -----------------------------------------------------
# Given names, return those that the data plane knows.
Lookup = Callable[[Collection[str]], set[str]]
_lookups: dict[str, Lookup] = {}


def register_lookup(of: str, lookup: Lookup) -> None:
    """Let ``lookup`` say which ``event_types`` (received before) or ``sources`` (slugs) are known."""
    _lookups[of] = lookup


def _unknown(of: str, names: Iterable[str], known: Collection[str] = ()) -> list[str]:
    asked = [name for name in names if name not in known]
    lookup = _lookups.get(of)
    found = lookup(asked) if lookup and asked else set()
    return [name for name in asked if name not in found]


# --- config and credentials ----------------------------------------------------------------
def kind_of(type_name: str) -> Kind:
    """Return a type's adapter class; raise ``Refused`` with the known names."""
    try:
        return adapter_class(type_name)
    except UnknownType as error:
        raise Refused({"type": [str(error)]}, code="unknown_type") from error


def cleaned(spec: type[Any], values: Any, path: str) -> dict[str, Any]:
    """Return ``values`` without the spaces round pasted texts; refuse anything but an object."""
    if not isinstance(values, Mapping):
        raise Refused({path: ["Must be a JSON object."]})
    return clean_values(spec, values)


def without_blanks(values: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is empty, so that a field's default is in force."""
    return {name: value for name, value in values.items() if value is not None and value != ""}


def judge(kind: Kind, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> dict[str, Any]:
    """Raise ``Refused`` with all that is wrong, an address that may not be dialled too; else return nothing to add."""
    whole = complete(kind.config_spec, config)
    errors = _spec_errors(kind.config_spec, config, whole, "config")
    if not errors:
        found = kind.validate(load(kind.config_spec, config))
        errors = {f"config.{name}": [text] for name, text in found.items()}
    errors |= _spec_errors(kind.credentials_spec, credentials, whole, "credentials")
    errors = errors or _unfit(kind, config, credentials)
    if errors:
        raise Refused(errors)
    _judge_addresses(kind, whole)
    return {}


def _unfit(kind: Kind, config: Mapping[str, Any], credentials: Mapping[str, Any]) -> Errors:
    found = kind.validate_credentials(load(kind.config_spec, config), load(kind.credentials_spec, credentials))
    return {f"credentials.{name}": [text] for name, text in found.items()}


def _spec_errors(spec: type[Any], values: Mapping[str, Any], config: Mapping[str, Any], path: str) -> Errors:
    errors = {f"{path}.{name}": [text] for name, text in problems_of(spec, values, config).items()}
    for name, value in values.items():
        if not all(map(storable, _texts(value))):
            errors[f"{path}.{name}"] = ["Must not contain a NUL character or half of a surrogate pair."]
    return errors


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for name, inner in value.items():
            yield name
            yield from _texts(inner)


def storable(text: str) -> bool:
    """Tell whether both databases can hold a text (JSON can spell some that they cannot)."""
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _judge_addresses(kind: Kind, config: Mapping[str, Any]) -> None:
    policy = egress.current_policy()
    errors: Errors = {}
    for field, value in _addresses(kind, config):
        try:
            _judge_address(value, int(config.get("port") or 0), policy)
        except egress.EgressRefused as refusal:
            # The hint is about this very address, so it stands at the field too.
            errors[f"config.{field}"] = [f"{refusal.detail} {refusal.hint}".strip()]
    if errors:
        raise Refused(errors, code="address_not_allowed")


def _addresses(kind: Kind, config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (field, value) of what would be dialled: fields that hold a URL, and ``host``."""
    for name in sorted(kind.host_fields):
        value = config.get(name)
        if isinstance(value, str) and value and (name == "host" or "://" in value):
            yield name, value


# Of one request: address and port -> the verdict, so that none falls twice.
_Verdicts = dict[tuple[str, int], egress.EgressRefused | None]
_verdicts: ContextVar[_Verdicts | None] = ContextVar("verdicts", default=None)


@contextmanager
def addresses_remembered() -> Iterator[None]:
    """Judge each address once only, meanwhile: a transaction then need not wait for a name server."""
    known = _verdicts.get()
    token = _verdicts.set({} if known is None else known)
    try:
        yield
    finally:
        _verdicts.reset(token)


def look_up_ahead(type_name: Any, config: Any) -> None:
    """Judge the addresses of a config, to have the verdicts ready; ``judge`` says what is wrong with it."""
    with suppress(Refused):
        kind = kind_of(str(type_name))
        config = without_blanks(cleaned(kind.config_spec, config, "config"))
        whole = complete(kind.config_spec, config)
        if not _spec_errors(kind.config_spec, config, whole, "config"):
            _judge_addresses(kind, whole)


def _judge_address(value: str, port: int, policy: egress.EgressPolicy) -> None:
    verdicts = _verdicts.get()
    known = {} if verdicts is None else verdicts
    if (value, port) not in known:
        known[value, port] = _verdict(value, port, policy)
    if refusal := known[value, port]:
        raise refusal


def _verdict(value: str, port: int, policy: egress.EgressPolicy) -> egress.EgressRefused | None:
    try:
        if "://" in value:
            url = parse_url(value)
            egress.resolve(url.host, url.port, policy, refused_ports=egress.HTTP_REFUSED_PORTS, timeout_s=LOOKUP_S)
        else:
            egress.resolve(value, port, policy, timeout_s=LOOKUP_S)
    except egress.EgressRefused as refusal:
        return refusal
    except egress.ResolveFailed:
        pass  # may come up later; the same verdict falls again at each connect
    return None


def credentials_to_send_again(
    kind: Kind, old: Mapping[str, Any], new: Mapping[str, Any], stored: Mapping[str, Any], sent: Collection[str]
) -> Errors:
    """Say which stored secrets must be sent again, because they would go to another host.

    A secret that the hub made is never sent anywhere, so it may stay.
    """
    before, after = complete(kind.config_spec, old), complete(kind.config_spec, new)
    moved = [name for name in sorted(kind.host_fields) if before.get(name) != after.get(name)]
    if not moved:
        return {}
    where = " and ".join(f"config.{name}" for name in moved)
    return {
        f"credentials.{field.name}": [f"Send this again: {where} changes, and the stored value would go elsewhere."]
        for field in _travelling(kind)
        if stored.get(field.name) and field.name not in sent
    }


def _travelling(kind: Kind) -> list[SpecField]:
    return [field for field in spec_fields(kind.credentials_spec) if field.about.secret and not field.about.generated]


# --- settings of every type -----------------------------------------------------------------
def settings_errors(settings: Mapping[str, Any]) -> Errors:
    """Return what is wrong with settings that need more than the model's validators, which judge the rest."""
    judges = {
        "name": _name_error,
        "event_types": _event_types_error,
        "sources": _sources_error,
        "schedule": _schedule_error,
        "timeout_s": _timeout_error,
        "disable_after_hours": _hours_error,
    }
    found = {name: judges[name](value) for name, value in settings.items() if name in judges}
    return {name: [text] for name, text in found.items() if text}


def _name_error(value: Any) -> str:
    ok = isinstance(value, str) and value.strip() and storable(value)
    return "" if ok else "Give the destination a name, without NUL characters."


def _event_types_error(value: Any) -> str:
    if not _is_text_list(value):
        return "Must be a list of event types; an empty list means every type."
    unknown = _unknown("event_types", value, EVENT_TYPES)
    return " ".join(_unknown_type_text(name) for name in unknown)


def _unknown_type_text(name: str) -> str:
    near = difflib.get_close_matches(name, EVENT_TYPES, n=1)
    other = f"Did you mean {near[0]!r}?" if near else f"Known types: {', '.join(EVENT_TYPES)}."
    return f"Unknown event type {name!r}, and none of that type was ever received. {other}"


def _sources_error(value: Any) -> str:
    if not _is_text_list(value):
        return "Must be a list of source slugs; an empty list means every source."
    unknown = _unknown("sources", value)
    return f"No source has the slug {', '.join(map(repr, unknown))}." if unknown else ""


def _is_text_list(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) and storable(item) for item in value)


def _schedule_error(value: Any) -> str:
    if isinstance(value, list) and len(value) <= MAX_WAITS and all(map(_is_wait, value)):
        return ""
    return f"Must be a list of at most {MAX_WAITS} waits in seconds, each from 1 to {MAX_WAIT_S} (7 days)."


def _is_wait(value: Any) -> bool:
    return _is_number(value, 1, MAX_WAIT_S)


def _timeout_error(value: Any) -> str:
    return "" if _is_number(value, 1, MAX_TIMEOUT_S) else f"Must be a number of seconds from 1 to {MAX_TIMEOUT_S}."


def _hours_error(value: Any) -> str:
    return "" if _is_number(value, 0, MAX_HOURS) else f"Must be a number of hours from 0 (never) to {MAX_HOURS}."


def _is_number(value: Any, least: float, most: float) -> bool:
    """Tell whether a value is a number in a range; NaN, which Django's validators let pass, is in none."""
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
