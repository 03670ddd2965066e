"""How a command's argument picks one thing: by its name or id, or by the beginning of one if nothing else begins so."""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from destinations.models import ApiKey, Destination
from destinations.rules import Refused
from terra_hub.cli.errors import not_found
from webhooks.models import Source

ThingT = TypeVar("ThingT")
MOST_SHOWN = 10
_TWINS = {"key": "Give its id, or its beginning (hub_live_…)."}  # two may have one name


def chosen_destination(text: str) -> Destination:
    """Return the destination that ``text`` names; raise ``Refused``."""
    rows: Iterable[Destination] = Destination.objects.present()
    return pick(text, rows, lambda row: (row.name, str(row.pk)), "destination")


def chosen_source(text: str) -> Source:
    """Return the source that ``text`` names; raise ``Refused``."""
    rows: Iterable[Source] = Source.objects.all()
    return pick(text, rows, lambda row: (row.slug, str(row.pk)), "source")


def chosen_key(text: str) -> ApiKey:
    """Return the API key that ``text`` names; raise ``Refused``."""
    rows: Iterable[ApiKey] = ApiKey.objects.all()
    return pick(text, rows, lambda row: (row.name, row.prefix, str(row.pk)), "key")


def pick(text: str, rows: Iterable[ThingT], names: Callable[[ThingT], Sequence[str]], what: str) -> ThingT:
    """Return the one of ``rows`` that ``text`` names; raise ``Refused`` where that is none, or more than one."""
    named = [(row, names(row)) for row in rows]
    exact = [row for row, own in named if text in own]
    found = exact or [row for row, own in named if text and any(name.startswith(text) for name in own)]
    if not found:
        known = ", ".join(sorted(own[0] for _, own in named)[:MOST_SHOWN])
        raise not_found(f"There is no {what} {text!r}.", hint=f"There is: {known}." if known else "There is none yet.")
    if len(found) > 1:
        choices = [" ".join(dict.fromkeys(names(row))) for row in found[:MOST_SHOWN]]
        more = "" if len(found) <= MOST_SHOWN else f" and {len(found) - MOST_SHOWN} more"
        raise Refused(
            {"": [f"{text!r} names more than one {what}: {'; '.join(choices)}{more}."]},
            code="ambiguous", hint=_TWINS.get(what, "Give the id.") if exact else "Give the whole name, or the id.",
        )  # fmt: skip
    return found[0]
