"""Where a person is erased besides the hub: destinations, as people name them."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from destinations.models import Destination
from destinations.rules import Refused

ALL, NONE = "all", "none"
MOST = 1_000


def destinations_of(ids: Iterable[Any]) -> Sequence[Destination]:
    """Return the destinations with these ids, in the order of their names; ``"all"``, ``"none"`` are words for lists.

    Raise ``Refused`` for one that is not there or was deleted: its credentials are gone with it.
    """
    present = Destination.objects.present().order_by("name", "pk")
    if ids in (ALL, NONE):
        return list(present) if ids == ALL else []
    wanted = _uuids([ids] if isinstance(ids, str) else list(ids))
    rows = list(present.filter(pk__in=wanted))
    missing = set(wanted) - {one.pk for one in rows}
    if missing:
        told = f"No destination has the id {', '.join(map(str, sorted(missing)[:5]))}; a deleted one cannot be reached."
        raise Refused({"destinations": [told]})
    return rows


def _uuids(values: Sequence[Any]) -> list[UUID]:
    try:
        found = [one if isinstance(one, UUID) else UUID(str(one)) for one in values]
    except ValueError as error:
        raise Refused({"destinations": ['Must be "none", "all" or a list of ids.']}) from error
    if len(found) > MOST:
        raise Refused({"destinations": [f"At most {MOST:,} at once; or say all."]})
    return list(dict.fromkeys(found))
