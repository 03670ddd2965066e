"""Which event types were received, and when last: a few probes of one index for each, whatever is kept."""

from datetime import datetime

from django.db import connection

from webhooks.sql import as_moment, on_postgres

MOST = 200
# From one type to the next by the index that begins with the type; the newest of each by the same index. Held to it:
# see webhooks.finding.byindex.
_SQL = """
WITH RECURSIVE t(type) AS (
    SELECT (SELECT e.type FROM webhooks_event e ORDER BY e.type LIMIT 1)
    UNION ALL
    SELECT (SELECT e.type FROM webhooks_event e WHERE e.type > t.type ORDER BY e.type LIMIT 1)
    FROM t WHERE t.type IS NOT NULL
)
SELECT t.type, (SELECT e.received_at FROM webhooks_event e WHERE e.type {equals} ORDER BY e.type, e.id DESC LIMIT 1)
FROM t WHERE t.type IS NOT NULL LIMIT {most}
"""


def received_types() -> dict[str, datetime]:
    """Return the types of the events that are kept, at most ``MOST``, each with when the newest one came."""
    equals = "= ANY(ARRAY[t.type])" if on_postgres() else "= t.type"
    with connection.cursor() as cursor:
        cursor.execute(_SQL.format(equals=equals, most=MOST))
        return {name: as_moment(moment) for name, moment in cursor.fetchall()}
