"""Where a moment lies among deliveries, whose ids are numbers."""

from datetime import datetime

from django.db import connection

from webhooks.sql import bind

# Ids follow the time at which deliveries were made, but for those of one moment. So the first id of a moment is
# found by halving: some 50 index probes in one statement, where a column of times would need an index of its own.
_MADE = """
    (SELECT created_at FROM webhooks_delivery WHERE id >= (span.low + span.high) / 2 ORDER BY id LIMIT 1) < %s
"""
_FIRST = f"""
    WITH RECURSIVE span(low, high) AS (
        SELECT CAST(0 AS bigint), COALESCE((SELECT id FROM webhooks_delivery ORDER BY id DESC LIMIT 1), 0) + 1
        UNION ALL
        SELECT CASE WHEN {_MADE} THEN (span.low + span.high) / 2 + 1 ELSE span.low END,
            CASE WHEN {_MADE} THEN span.high ELSE (span.low + span.high) / 2 END
        FROM span WHERE span.low < span.high
    )
    SELECT low FROM span WHERE low >= high LIMIT 1
"""  # noqa: S608


def first_delivery_at(moment: datetime) -> int:
    """Return the lowest id that a delivery which was made at ``moment`` or later has."""
    with connection.cursor() as cursor:
        cursor.execute(_FIRST, [bind(moment)] * 2)
        return int(cursor.fetchone()[0])
