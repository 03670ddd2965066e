"""What somebody who is limited to sources sees of what belongs to sources; the rest does not exist for them.

Each function takes who asks and rows, and returns the rows that they may see. Nothing is narrowed for somebody who is
not limited. ``destinations.access.limits`` does the same for destinations.
"""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from destinations.access.actors import sources_of
from destinations.access.limits import destinations_of, refuse_beyond, refuse_destinations_beyond
from destinations.models import Destination
from webhooks.keeping.refusing import refuse_missing
from webhooks.keeping.selections import Selection
from webhooks.models import Attempt, Delivery, Event, QuarantinedRequest, Replay, ReplayKind, Source


def sources_shown(by: Any, rows: QuerySet[Source]) -> QuerySet[Source]:
    """Return the sources that ``by`` may see."""
    own = sources_of(by)
    return rows.filter(slug__in=own) if own else rows


def events_of(by: Any, rows: QuerySet[Event]) -> QuerySet[Event]:
    """Return the events of those sources."""
    return rows.filter(source_id__in=_ids(by)) if sources_of(by) else rows


def deliveries_of(by: Any, rows: QuerySet[Delivery]) -> QuerySet[Delivery]:
    """Return the deliveries of those sources' events, wherever they go."""
    return rows.filter(event__source_id__in=_ids(by)) if sources_of(by) else rows


def attempts_of(by: Any, rows: QuerySet[Attempt]) -> QuerySet[Attempt]:
    """Return the attempts of those deliveries."""
    return rows.filter(delivery__event__source_id__in=_ids(by)) if sources_of(by) else rows


def quarantine_of(by: Any, rows: QuerySet[QuarantinedRequest]) -> QuerySet[QuarantinedRequest]:
    """Return what was refused at those sources."""
    return rows.filter(source_id__in=_ids(by)) if sources_of(by) else rows


def replays_of(by: Any, rows: QuerySet[Replay]) -> QuerySet[Replay]:
    """Return the replays that name one of those sources, or only destinations of ``by``."""
    own = sources_of(by)
    if not own:
        return rows
    theirs = {str(pk) for pk in destinations_of(by, Destination.objects.all()).values_list("pk", flat=True)}
    known = Replay.objects.values_list("pk", "selection", "destination_ids")
    return rows.filter(
        pk__in=[pk for pk, kept, to in known if kept.get("source") in own or (to and theirs.issuperset(to))]
    )


def refuse_deliveries_beyond(by: Any, ids: Sequence[int], field: str = "ids") -> None:
    """Raise ``Refused`` where somebody limited names deliveries that do not exist for them."""
    if sources_of(by):
        found = deliveries_of(by, Delivery.objects.filter(pk__in=ids)).values_list("pk", flat=True)
        refuse_missing(field, "deliveries", set(ids) - set(found))


def refuse_replay_beyond(by: Any, selection: Selection) -> None:
    """Raise ``Refused`` where a replay would send events of other sources, or send to destinations of others.

    An event may be replayed to where it would go if it came now: no destination is named then.
    """
    if not sources_of(by):
        return
    refuse_destinations_beyond(by, selection.destinations)
    if selection.kind == ReplayKind.CHOSEN:
        _refuse_chosen(by, selection)
    elif selection.kind == ReplayKind.MATCHING:
        refuse_beyond(by, [selection.source] if selection.source else [], "source")


def _refuse_chosen(by: Any, selection: Selection) -> None:
    events = events_of(by, Event.objects.filter(pk__in=selection.events)).values_list("pk", flat=True)
    refuse_missing("events", "events", set(selection.events) - set(events))
    refuse_deliveries_beyond(by, selection.deliveries, "deliveries")


def _ids(by: Any) -> list[UUID]:
    # The ids first: with them, both databases keep to the order of the primary key.
    return list(Source.objects.filter(slug__in=sources_of(by)).values_list("pk", flat=True))
