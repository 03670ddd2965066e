"""Which rows of Terra's tables are a person's."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

from destinations.adapters.base import Message, Person
from destinations.adapters.rows import DATA, OTHER, USERS, Table, storable

MOST_VALUES = 500  # of one statement
MOST_ROWS = 2000  # that one statement deletes: the next one goes on


def wanted(person: Person, messages: Iterable[Message]) -> Iterator[tuple[Table, str, Sequence[str]]]:
    """Yield (table, column, values): rows whose column has one of the values are the person's.

    By user id, so that events which the hub has pruned are found too; by event id where an event has no user.
    """
    users = [text for one in person.user_ids if (text := storable(one))]
    if users:
        yield from ((table, "user_id", users) for table in (DATA, OTHER))
    without_user = (message.event_id for message in messages if not message.user_id)
    while part := list(islice(without_user, MOST_VALUES)):
        yield from ((table, table.key, part) for table in (DATA, OTHER))
    if users:
        yield USERS, USERS.key, users
    if person.reference_ids:
        yield USERS, "reference_id", [text for one in person.reference_ids if (text := storable(one))]
