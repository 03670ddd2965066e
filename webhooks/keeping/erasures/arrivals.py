"""What intake notes of people, in the transaction that takes their events in: new ids, and who has left."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Protocol
from uuid import UUID

from django.conf import settings

from destinations.terra import is_sample_user
from webhooks.delivering.outbox import now
from webhooks.keeping.erasures.jobs import DEAUTH, hash_of, make
from webhooks.keeping.erasures.people import REAUTH, Person
from webhooks.models import Erasure, ErasureStatus
from webhooks.sql import insert_rows

LEFT = frozenset({"deauth", "access_revoked"})
_OPEN = (ErasureStatus.WAITING, ErasureStatus.RUNNING)
_COLUMNS = (("source_id", "uuid"), ("old_user_id", "text"), ("new_user_id", "text"), ("created_at", "timestamptz"))


class Arrived(Protocol):
    """What is looked at of an event that is being taken in."""

    source_id: UUID
    type: str
    user_id: str
    old_user_id: str
    received_at: datetime


def note(cursor: Any, arrived: Iterable[Arrived], moment: datetime) -> None:
    """Link the ids of users whom Terra gave new ones; put down the erasure of those who have left, if that is set."""
    of_people = [one for one in arrived if one.user_id and (one.type in LEFT or one.type == REAUTH)]
    if not of_people:
        return
    links = {
        (one.source_id, one.old_user_id, one.user_id, moment)
        for one in of_people
        if one.old_user_id and one.old_user_id != one.user_id
    }
    rows = sorted(links, key=lambda row: row[1:3])
    insert_rows(cursor, "webhooks_userlink", _COLUMNS, rows, unless="old_user_id, new_user_id, source_id")
    if settings.ERASE_AFTER_DEAUTH_HOURS:
        left = sorted((one.user_id, one.received_at) for one in of_people if one.type in LEFT)
        for user_id, left_at in dict(left).items():  # the latest of each
            if not is_sample_user(user_id):
                _erase_later(Person((user_id,), begun_at=left_at))


def _erase_later(person: Person) -> None:
    """Put an erasure down; of one that waits already, the last time that they left is what counts."""
    later = now() + timedelta(hours=settings.ERASE_AFTER_DEAUTH_HOURS)
    rows = Erasure.objects.select_for_update().filter(subject_hash=hash_of(person), status__in=_OPEN)
    row = rows.first()
    if row is None:
        make(person, [], DEAUTH, later, "")
    elif row.trigger == DEAUTH and row.status == ErasureStatus.WAITING:
        row.subject, row.starts_at = person.stored(), later
        row.save(update_fields=["subject", "starts_at"])
