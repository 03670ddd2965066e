"""How a destination's row is written: locked, as a new version, with history and routing version."""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import F

from destinations.access.actors import sign_history
from destinations.models import Destination, RoutingVersion
from destinations.rules import NAME_TAKEN, Refused


def present(destination: Destination) -> Destination:
    """Return the row as it stands now; raise ``Refused`` where it was deleted or is not at a version expected."""
    row: Destination | None = Destination.objects.present().filter(pk=destination.pk).first()
    if row is None:
        raise _deleted()
    row.expected_versions = destination.expected_versions
    refuse_other_version(row, row.expected_versions)
    return row


def refuse_other_version(row: Destination, expected: Collection[int] | None) -> None:
    """Raise ``Refused`` where the row is at none of the versions that the caller knows; ``None``: any will do."""
    if expected is not None and row.version not in expected:
        raise Refused(
            {"": [f"It was changed meanwhile: it is at version {row.version} now."]}, code="version_conflict",
            hint="Load it again, look at what changed, and send its new ETag as If-Match.",
        )  # fmt: skip


@contextmanager
def changing(destination: Destination, by: Any, reason: str, deleted_too: bool = False) -> Iterator[Destination]:
    """Lend the row as it stands now, alone; what is then different on it is saved as a new version.

    Raises ``Refused`` where it was deleted, or is not at a version that ``destination`` expects.
    """
    with transaction.atomic():
        # NO KEY: new deliveries refer to the row and need not wait. SQLite locks no rows and needs none:
        # its transaction holds the only write lock.
        row: Destination | None = Destination.objects.select_for_update(no_key=True).filter(pk=destination.pk).first()
        if row is None or (row.deleted_at and not deleted_too):
            raise _deleted()
        refuse_other_version(row, destination.expected_versions)
        before = dict(row.__dict__)
        yield row
        if row.__dict__ != before:
            row.version += 1
            save(row, by, reason)


def save(row: Any, by: Any, reason: str) -> None:
    """Save a row with its history record and raise the routing version, in the caller's transaction."""
    sign_history(row, by, reason)
    row.save()
    RoutingVersion.objects.get_or_create(pk=1)
    RoutingVersion.objects.filter(pk=1).update(version=F("version") + 1)


def free(id: UUID) -> UUID:
    """Return an id that no destination has or had; raise ``Refused``."""
    if Destination.objects.filter(pk=id).exists():
        raise Refused({"": ["A destination was made of this form already. Open the form again for another one."]})
    return id


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
