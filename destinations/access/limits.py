"""What somebody who is limited to sources may see and name; nothing is narrowed for anybody else.

``webhooks.api.limits`` does the same for what belongs to a source.
"""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from destinations.access.actors import sources_of
from destinations.models import ApiKey, Destination
from destinations.rules import Refused


def destinations_of(by: Any, rows: QuerySet[Destination]) -> QuerySet[Destination]:
    """Return those of ``rows`` that ``by`` may see: those that take from sources of theirs, and from no other one."""
    own = sources_of(by)
    if not own:
        return rows
    # Destinations are few, and how JSON lists are compared differs from database to database.
    theirs = [pk for pk, slugs in Destination.objects.values_list("pk", "sources") if slugs and own.issuperset(slugs)]
    return rows.filter(pk__in=theirs)


def keys_of(by: Any, rows: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
    """Return those keys of ``rows`` that ``by`` may see: those that are limited to sources of theirs."""
    own = sources_of(by)
    if not own:
        return rows
    theirs = [pk for pk, slugs in ApiKey.objects.values_list("pk", "sources") if slugs and own.issuperset(slugs)]
    return rows.filter(pk__in=theirs)


def refuse_beyond(by: Any, slugs: Collection[str], field: str = "sources") -> None:
    """Raise ``Refused`` where somebody limited names other sources, or none, which would mean every source.

    ``field`` is the path of the error.
    """
    own = sources_of(by)
    if own and not (slugs and own.issuperset(slugs)):
        raise Refused(
            {field: [f"Name some of your own sources, and no other: {', '.join(sorted(own))}."]},
            code="beyond_sources", hint="A key that is limited to sources reaches nothing else.",
        )  # fmt: skip


def refuse_destinations_beyond(by: Any, ids: Collection[UUID], field: str = "destinations") -> None:
    """Raise ``Refused`` where somebody limited would have something sent to a destination that is not theirs."""
    if sources_of(by) and destinations_of(by, Destination.objects.filter(pk__in=ids)).count() < len(set(ids)):
        raise Refused(
            {field: ["Name destinations only that take from your own sources and from no other one."]},
            code="beyond_sources", hint="Name none to send where an event would go if it came now.",
        )  # fmt: skip


def refuse_limited(by: Any) -> None:
    """Raise ``Refused`` where somebody limited asks for what belongs to the whole hub."""
    own = sources_of(by)
    if own:
        raise Refused(
            {"": [f"This is about the whole hub, and this key is limited to sources: {', '.join(sorted(own))}."]},
            code="limited_to_sources", hint="Use a key that is not limited to sources.",
        )  # fmt: skip
