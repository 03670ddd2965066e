"""Why deliveries of a destination failed, grouped by cause."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection

from webhooks.models import Attempt
from webhooks.sql import as_moment, bind, on_postgres

FAILURES_LOOKED_AT = 1000
GROUPS = 20


@dataclass(frozen=True, slots=True)
class FailureGroup:
    """Deliveries that did not get through for the same cause: dead letters, and those that wait for another try."""

    code: str  # stable: "http_404", "auth_failed"
    detail: str  # what the newest attempt of the group was told; a stranger's text
    hint: str  # what to do about it
    count: int  # deliveries
    capped: bool  # only the latest FAILURES_LOOKED_AT failed deliveries were looked at: there may be more
    first_at: datetime | None  # of the last attempts of these deliveries, the first
    last_at: datetime | None  # and the last
    users: int  # different users whose data they carry


# Held to an index probe for each row: else the planner joins by reading whole tables while they are small.
_FAILED = f"""
    (SELECT id, event_id, last_error_code AS code, attempt_count FROM webhooks_delivery
     WHERE destination_id = %s AND status IN ('pending', 'dead') AND NOT (last_error_code = '')
     ORDER BY id DESC LIMIT {FAILURES_LOOKED_AT}) f
"""  # noqa: S608  # constants
_LOOKED_UP = """
    LEFT JOIN LATERAL (SELECT id, started_at FROM webhooks_attempt
        WHERE delivery_id = f.id AND number = f.attempt_count LIMIT 1) a ON true
    LEFT JOIN LATERAL (SELECT user_id FROM webhooks_event WHERE id = f.event_id LIMIT 1) e ON true
"""
_JOINED = """
    LEFT JOIN webhooks_attempt a ON a.delivery_id = f.id AND a.number = f.attempt_count
    LEFT JOIN webhooks_event e ON e.id = f.event_id
"""


def failures(destination_id: UUID) -> list[FailureGroup]:
    """Return the causes of a destination's latest failed deliveries, the most frequent first.

    A delivery is failed while it is a dead letter or waits for another try; one that got through at last is none.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT f.code, COUNT(*), MIN(a.started_at), MAX(a.started_at), COUNT(DISTINCT NULLIF(e.user_id, '')), "  # noqa: S608
            f"MAX(a.id) FROM {_FAILED} {_LOOKED_UP if on_postgres() else _JOINED} GROUP BY f.code",
            [bind(destination_id)],
        )
        rows = sorted(cursor.fetchall(), key=lambda row: (-row[1], row[0]))
    capped = sum(row[1] for row in rows) >= FAILURES_LOOKED_AT
    said = Attempt.objects.only("error_detail", "hint").in_bulk([row[5] for row in rows[:GROUPS] if row[5]])
    return [_group(row, said.get(row[5]), capped) for row in rows[:GROUPS]]


def _group(row: Sequence[Any], newest: Attempt | None, capped: bool) -> FailureGroup:
    code, count, first, last, users, _ = row
    detail, hint = (newest.error_detail, newest.hint) if newest else ("", "")
    return FailureGroup(code, detail, hint, count, capped, as_moment(first), as_moment(last), users)
