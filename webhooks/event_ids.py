"""An event's id and its moment: ids are made in the order of time, so a range of times is a range of ids."""

from datetime import UTC, datetime
from uuid import UUID


def first_id_at(moment: datetime) -> UUID:
    """Return the lowest id that an event taken in at ``moment`` can have.

    An event's id is a UUID version 7: its first 48 bits are Unix milliseconds (RFC 9562, 5.7). So a
    range of times is a range of the primary key, and needs no index of its own.
    """
    milliseconds = round(moment.timestamp() * 1000)
    return UUID(int=min(max(milliseconds, 0), 2**48 - 1) << 80)


def moment_of_id(key: UUID) -> datetime:
    """Return when an id, a UUID version 7, was made."""
    return datetime.fromtimestamp((key.int >> 80) / 1000, UTC)
