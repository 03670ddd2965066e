"""Why a resend or a replay is refused."""

from collections.abc import Collection
from typing import Any
from uuid import UUID

from destinations.models import Destination
from destinations.services import Refused
from webhooks.keeping.holding import hold_payloads

_SHOWN = 20  # of the ids that a refusal names


def refuse_missing(field: str, what: str, ids: Collection[Any]) -> None:
    """Refuse ids that nothing has."""
    if ids:
        raise Refused({field: [f"No such {what}: {names(ids)}."]}, code="not_found")


def refuse_inactive(destination_ids: Collection[UUID]) -> None:
    """Refuse destinations that are deleted or disabled; those that are not stay so until the commit."""
    rows = Destination.objects.select_for_update(no_key=True).filter(pk__in=destination_ids).order_by("pk")
    found = {
        pk: (name, active, deleted)
        for pk, name, active, deleted in rows.values_list("pk", "name", "active", "deleted_at")
    }
    refuse_missing("destinations", "destinations", set(destination_ids) - set(found))
    deleted = [name for name, _, deleted in found.values() if deleted]
    if deleted:
        raise Refused({"": [f"The destination was deleted: {names(deleted)}."]}, code="destination_deleted")
    disabled = [name for name, active, _ in found.values() if not active]
    if disabled:
        raise Refused(
            {"": [f"The destination is disabled: {names(disabled)}."]},
            code="destination_disabled",
            hint="Enable it first.",
        )


def refuse_without_payload(event_ids: Collection[UUID]) -> None:
    """Refuse events whose payload is not there any more; those that have one keep it until the commit."""
    gone = set(event_ids) - hold_payloads(event_ids)
    if gone:
        raise Refused(
            {"": [f"The payload is no longer kept, so nothing can be sent: event {names(gone)}."]}, code="payload_gone"
        )


def names(items: Collection[Any]) -> str:
    """Return the first of some names, and how many more there are."""
    shown = ", ".join(sorted(map(str, items))[:_SHOWN])
    return shown if len(items) <= _SHOWN else f"{shown} and {len(items) - _SHOWN} more"
