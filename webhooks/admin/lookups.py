"""What forms and filters offer, read at a cost that does not grow with the tables."""

import re

from django.db import connection

from destinations.terra import EVENT_TYPES
from webhooks.models import Source

MOST_TYPES = 20
MOST_PROBES = 1000
MOST_SOURCES = 200
_LIKE_A_TYPE = re.compile(r"[a-z0-9._-]{1,40}")


# From each type to the next one by the index, where DISTINCT would read every row:
# https://wiki.postgresql.org/wiki/Loose_indexscan
_TYPES = """
    WITH RECURSIVE known(type, number) AS (
        SELECT (SELECT type FROM webhooks_event ORDER BY type LIMIT 1), 1
        UNION ALL
        SELECT (SELECT type FROM webhooks_event e WHERE e.type > known.type ORDER BY type LIMIT 1), number + 1
        FROM known WHERE known.type IS NOT NULL AND number < %s
    ), newest(type, id) AS (
        -- As a range, with the type in the order: with "=" PostgreSQL may walk the primary key (finding.byindex).
        SELECT type, (
            SELECT id FROM webhooks_event e WHERE e.type >= known.type AND e.type <= known.type
            ORDER BY e.type, e.id DESC LIMIT 1
        ) FROM known
    )
    SELECT type FROM newest WHERE type IS NOT NULL ORDER BY id DESC
"""


def received_types() -> list[str]:
    """Return up to 20 types that are none of Terra's known ones, the one that was received last first.

    Whoever may sign can send any text as a type, so a page cannot offer them all: only what is written like
    one of Terra's, and of more than 1,000 the first by the alphabet. A filter takes the others as they are typed.
    """
    with connection.cursor() as cursor:
        cursor.execute(_TYPES, [MOST_PROBES])
        types = [row[0] for row in cursor.fetchall()]
    unknown = [name for name in types if name not in EVENT_TYPES and _LIKE_A_TYPE.fullmatch(name)]
    return unknown[:MOST_TYPES]


def source_slugs() -> list[str]:
    """Return the slugs of the sources."""
    return list(Source.objects.order_by("slug").values_list("slug", flat=True)[:MOST_SOURCES])
