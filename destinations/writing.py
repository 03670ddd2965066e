"""How a destination's row is written: locked, as a new version, with history and routing version."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F

from destinations.models import Destination, RoutingVersion
from destinations.rules import NAME_TAKEN, Refused

REASON_LENGTH = 100  # of simple_history's column


def present(destination: Destination) -> Destination:
    """Return the row as it stands now; raise ``Refused`` where it was deleted."""
    row: Destination | None = Destination.objects.present().filter(pk=destination.pk).first()
    if row is None:
        raise _deleted()
    return row


@contextmanager
def changing(destination: Destination, by: Any, reason: str, deleted_too: bool = False) -> Iterator[Destination]:
    """Lend the row as it stands now, alone; what is then different on it is saved as a new version."""
    with transaction.atomic():
        # NO KEY: new deliveries refer to the row and need not wait. SQLite locks no rows and needs none:
        # its transaction holds the only write lock.
        row: Destination | None = Destination.objects.select_for_update(no_key=True).filter(pk=destination.pk).first()
        if row is None or (row.deleted_at and not deleted_too):
            raise _deleted()
        before = dict(row.__dict__)
        yield row
        if row.__dict__ != before:
            row.version += 1
            save(row, by, reason)


def save(row: Any, by: Any, reason: str) -> None:
    """Save a row with its history record and raise the routing version, in the caller's transaction."""
    row._change_reason = reason[:REASON_LENGTH]
    if by is not None:  # else simple_history takes the user of the request, if there is one
        row._history_user = by
    row.save()
    RoutingVersion.objects.get_or_create(pk=1)
    RoutingVersion.objects.filter(pk=1).update(version=F("version") + 1)


@contextmanager
def unique_name(row: Destination) -> Iterator[None]:
    """Refuse a name that somebody else took at the same moment."""
    try:
        yield
    except IntegrityError as error:
        if Destination.objects.filter(name=row.name).exclude(pk=row.pk).exists():
            raise Refused({"name": [NAME_TAKEN]}) from error
        raise


def _deleted() -> Refused:
    return Refused({"": ["This destination was deleted."]}, code="destination_deleted")
