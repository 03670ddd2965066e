"""Which destinations an event goes to."""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from destinations.models import Destination


@dataclass(frozen=True, slots=True)
class Route:
    """One receiving destination and what it takes; an empty set takes everything."""

    destination_id: UUID
    event_types: frozenset[str]
    sources: frozenset[str]

    def takes(self, event_type: str, source_slug: str) -> bool:
        """Tell whether an event of this type from this source goes there."""
        return (not self.event_types or event_type in self.event_types) and (
            not self.sources or source_slug in self.sources
        )


class RoutingTable:
    """The routes, kept until the database's routing version says that they changed.

    One thread uses it at a time.
    """

    def __init__(self) -> None:
        """Start empty: the first use loads the routes."""
        self._version: int | None = None
        self._routes: tuple[Route, ...] = ()

    def current(self, version: int) -> tuple[Route, ...]:
        """Return the routes as of ``version``, which the caller has just read."""
        if version != self._version:
            self._routes = tuple(load_routes())
            self._version = version
        return self._routes


def load_routes() -> Iterable[Route]:
    """Read the routes of every destination that takes new events."""
    rows = Destination.objects.receiving().values_list("id", "event_types", "sources")
    return [Route(pk, frozenset(types), frozenset(sources)) for pk, types, sources in rows]


def destinations_for(routes: Iterable[Route], event_type: str, source_slug: str) -> list[UUID]:
    """Return the ids of the destinations that an event goes to."""
    return [route.destination_id for route in routes if route.takes(event_type, source_slug)]
