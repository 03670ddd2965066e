"""The outbox: claim due deliveries, settle them, give them back.

The only file that knows how PostgreSQL and SQLite differ in this.

A claim moves ``next_attempt_at`` ahead to the end of its lease and writes ``claimed_by``: a worker
that dies needs no clean-up, its deliveries are simply due again. A row that is claimed while it
still carries an earlier claim was lost by that worker, and its try is logged as unknown.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from webhooks.models import AttemptOutcome, DeliveryStatus
from webhooks.sql import as_moment, as_uuid, bind, fast_cursor, insert_rows, marks, on_postgres, rows_from
from webhooks.tallying import count_attempts

ATTEMPT_COLUMNS = (
    ("delivery_id", "bigint"), ("number", "int"), ("started_at", "timestamptz"), ("duration_ms", "int"),
    ("outcome", "text"), ("status_code", "int"), ("error_code", "text"), ("error_detail", "text"), ("hint", "text"),
    ("request", "jsonb"), ("response", "jsonb"), ("trigger", "text"), ("worker", "text"), ("late", "bool"),
    ("replay_id", "bigint"),
)  # fmt: skip

SETTLED_COLUMNS = (
    ("id", "bigint"), ("claim", "text"), ("status", "text"), ("wait", "float8"), ("retries", "int"), ("number", "int"),
    ("code", "text"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Due:
    """A destination with work, and when its next delivery is due."""

    destination_id: UUID
    version: int
    next_attempt_at: datetime
    consecutive_failures: int


class Claimed(NamedTuple):
    """A delivery in hand, with what its message is made of."""

    delivery_id: int
    event_id: UUID
    attempt_count: int
    retry_count: int
    trigger: str
    type: str
    user_id: str
    reference_id: str
    provider: str
    headers: Any  # JSON text, or what it says
    received_at: datetime
    body: Any
    store_name: str
    replay_id: int | None = None  # the replay that this try belongs to
    source_id: UUID | None = None
    lost: str = ""  # the earlier claim that it still carried: its worker did not report back


@dataclass(slots=True)
class Settlement:
    """What one try gave, ready to be written."""

    delivery_id: int
    destination_id: UUID
    number: int  # of the attempt
    claimed_by: str
    started_at: datetime
    duration_ms: int
    outcome: str  # AttemptOutcome
    status: str  # DeliveryStatus that follows
    wait_s: float | None  # until the next try, where one follows
    retry_count: int
    trigger: str  # of this attempt
    replay_id: int | None = None
    source_id: UUID | None = None  # this and the next two: what is counted of the event
    type: str = ""
    provider: str = ""
    status_code: int | None = None
    error_code: str = ""
    error_detail: str = ""
    hint: str = ""
    request: str = "{}"  # JSON text
    response: str = "{}"


def now() -> datetime:
    """Return the clock that deliveries are due by: the database's, where it is a server."""
    if not on_postgres():
        return timezone.now()
    with fast_cursor() as cursor:
        cursor.execute("SELECT statement_timestamp()")
        moment: datetime = cursor.fetchone()[0]
        return moment


def due_destinations() -> list[Due]:
    """Return each deliverable destination that has pending work, with its earliest due time.

    One index probe per destination: a backlog of any size costs the same.
    """
    first = (
        "SELECT next_attempt_at FROM webhooks_delivery w WHERE w.destination_id = d.id "
        "AND w.status = 'pending' ORDER BY w.next_attempt_at LIMIT 1"
    )
    sql = (
        "SELECT id, version, first, paused_until, consecutive_failures FROM "  # noqa: S608
        f"(SELECT d.id, d.version, ({first}) AS first, d.paused_until, d.consecutive_failures "
        "FROM destinations_destination d WHERE d.active AND NOT d.paused AND d.deleted_at IS NULL) q "
        "WHERE first IS NOT NULL"
    )
    with fast_cursor() as cursor:
        cursor.execute(sql)
        rows = cursor.fetchall()
    return [
        Due(as_uuid(pk), version, max(as_moment(first), as_moment(paused or first)), failures)
        for pk, version, first, paused, failures in rows
    ]


def claim(destination_id: UUID, claimed_by: str, most: int, lease_s: float) -> list[Claimed]:
    """Take up to ``most`` due deliveries of a destination until ``lease_s`` from now; commit that."""
    with transaction.atomic(), fast_cursor() as cursor:
        if on_postgres():
            rows = _claim_postgres(cursor, destination_id, claimed_by, most, lease_s)
        else:
            rows = _claim_sqlite(cursor, destination_id, claimed_by, most, lease_s)
        _log_lost(cursor, rows)
    return rows


_CLAIMED_COLUMNS = (
    "c.id, c.event_id, c.attempt_count, c.retry_count, c.trigger, e.type, e.user_id, e.reference_id, e.provider, "
    "CAST(e.headers AS text), e.received_at, p.body, COALESCE(p.store_name, ''), "
    "CASE WHEN c.trigger = 'replay' THEN c.replay_id END, e.source_id, c.lost"
)
_JOINED = "JOIN webhooks_event e ON e.id = c.event_id LEFT JOIN webhooks_payload p ON p.event_id = c.event_id"
# The same for PostgreSQL: the limits hold it to an index probe for each row. Else it joins by reading
# whole tables while they are small: 90 ms for a claim among 20,000 rows, where this takes 21.
_LOOKED_UP = (
    "CROSS JOIN LATERAL (SELECT * FROM webhooks_event WHERE id = c.event_id LIMIT 1) e "
    "LEFT JOIN LATERAL (SELECT * FROM webhooks_payload WHERE event_id = c.event_id LIMIT 1) p ON true"
)
# A pause that began after the due scan holds too.
_DELIVERABLE = (
    "EXISTS (SELECT 1 FROM destinations_destination t WHERE t.id = %s AND t.active AND NOT t.paused "
    "AND t.deleted_at IS NULL AND (t.paused_until IS NULL OR t.paused_until <= %s))"
)


def _claim_postgres(cursor: Any, destination_id: UUID, claimed_by: str, most: int, lease_s: float) -> list[Claimed]:
    cursor.execute(
        f"""
        WITH due AS (
            SELECT id, claimed_by AS lost FROM webhooks_delivery
            WHERE destination_id = %s AND status = 'pending' AND next_attempt_at <= statement_timestamp()
              AND {_DELIVERABLE.replace("<= %s", "<= statement_timestamp()")}
            ORDER BY next_attempt_at LIMIT %s FOR UPDATE SKIP LOCKED
        ), c AS (
            UPDATE webhooks_delivery d SET claimed_by = %s,
                next_attempt_at = statement_timestamp() + make_interval(secs => %s),
                attempt_count = d.attempt_count + (d.claimed_by <> '')::int
            WHERE d.id = ANY(ARRAY(SELECT id FROM due))
            RETURNING d.id, d.event_id, d.attempt_count, d.retry_count, d.trigger, d.replay_id
        )
        SELECT {_CLAIMED_COLUMNS} FROM (SELECT c.*, due.lost FROM c JOIN due USING (id)) c {_LOOKED_UP} ORDER BY c.id
        """,  # noqa: S608
        [destination_id, destination_id, most, claimed_by, lease_s],
        binary=True,  # bodies as they are, and times without Django's loader: half of the client's time
    )
    return [Claimed._make(row) for row in cursor.fetchall()]


def _claim_sqlite(cursor: Any, destination_id: UUID, claimed_by: str, most: int, lease_s: float) -> list[Claimed]:
    # BEGIN IMMEDIATE holds the only write lock: nobody can claim between these statements.
    moment = timezone.now()
    cursor.execute(
        "SELECT c.id, c.event_id, c.attempt_count + (c.claimed_by <> ''), "  # noqa: S608
        f"{_CLAIMED_COLUMNS.split(', ', 3)[3].replace('c.lost', 'c.claimed_by')} "
        f"FROM webhooks_delivery c {_JOINED} WHERE c.destination_id = %s AND c.status = 'pending' "
        f"AND c.next_attempt_at <= %s AND {_DELIVERABLE} ORDER BY c.next_attempt_at LIMIT %s",
        [bind(destination_id), bind(moment), bind(destination_id), bind(moment), most],
    )
    rows = [_claimed(row) for row in cursor.fetchall()]
    cursor.executemany(
        "UPDATE webhooks_delivery SET claimed_by = %s, next_attempt_at = %s, attempt_count = %s WHERE id = %s",
        [(claimed_by, bind(moment + timedelta(seconds=lease_s)), row.attempt_count, row.delivery_id) for row in rows],
    )
    return rows


def _claimed(row: tuple[Any, ...]) -> Claimed:
    """Return a row of SQLite's, which knows neither UUIDs nor times."""
    text = Claimed._make(row)
    return text._replace(
        event_id=as_uuid(text.event_id), received_at=as_moment(text.received_at), source_id=as_uuid(text.source_id)
    )


def _log_lost(cursor: Any, rows: Iterable[Claimed]) -> None:
    """Log the try of each row whose earlier claim was lost: nobody knows how it ended."""
    moment = timezone.now()
    lost = [
        (row.delivery_id, row.attempt_count, moment, None, AttemptOutcome.UNKNOWN, None, "worker_lost",
         "The worker that had claimed this delivery did not report back before its lease ended.",
         "", "{}", "{}", row.trigger, row.lost, False, row.replay_id)
        for row in rows if row.lost
    ]  # fmt: skip
    insert_rows(cursor, "webhooks_attempt", ATTEMPT_COLUMNS, lost)


def settle(settlements: Sequence[Settlement]) -> None:
    """Write results back in one transaction: attempts appended, deliveries updated.

    A delivery is updated only where its lease is still the claim's own; a result that comes too
    late is logged as such and changes nothing else. One whose delivery was removed meanwhile is dropped.
    """
    with transaction.atomic(), fast_cursor() as cursor:
        kept = _update_deliveries(cursor, settlements)
        _append_attempts(cursor, [item for item in settlements if item.delivery_id in kept], late=False)
        late = [item for item in settlements if item.delivery_id not in kept]
        for item in sorted(late, key=lambda item: item.delivery_id):
            _settle_late(cursor, item)
        count_attempts(cursor, settlements)


def _update_deliveries(cursor: Any, settlements: Sequence[Settlement]) -> set[int]:
    if on_postgres():
        return _update_deliveries_postgres(cursor, settlements)
    return _update_deliveries_sqlite(cursor, settlements)


def _update_deliveries_postgres(cursor: Any, settlements: Sequence[Settlement]) -> set[int]:
    rows = [
        (s.delivery_id, s.claimed_by, s.status, s.wait_s, s.retry_count, s.number, s.error_code) for s in settlements
    ]
    source, values = rows_from(SETTLED_COLUMNS, rows, keys=2)
    cursor.execute(
        f"""
        UPDATE webhooks_delivery d SET status = u.status, claimed_by = '', retry_count = u.retries,
            attempt_count = u.number, last_error_code = u.code, trigger = 'schedule',
            next_attempt_at = statement_timestamp() + make_interval(secs => u.wait),
            settled_at = CASE WHEN u.status = 'pending' THEN NULL ELSE statement_timestamp() END
        FROM {source} AS u
        WHERE d.id = u.id AND d.claimed_by = u.claim AND d.status = 'pending'
            AND d.id = ANY(%b::bigint[])  -- an index probe for each, where a join may read the whole table
        RETURNING d.id
        """,  # noqa: S608
        [*values, [row[0] for row in rows]],
    )
    return {row[0] for row in cursor.fetchall()}


def _update_deliveries_sqlite(cursor: Any, settlements: Sequence[Settlement]) -> set[int]:
    moment = timezone.now()
    kept = set()
    for s in settlements:
        due = None if s.wait_s is None else bind(moment + timedelta(seconds=s.wait_s))
        settled = None if s.status == DeliveryStatus.PENDING else bind(moment)
        cursor.execute(
            "UPDATE webhooks_delivery SET status = %s, claimed_by = '', retry_count = %s, attempt_count = %s, "
            "last_error_code = %s, trigger = 'schedule', next_attempt_at = %s, settled_at = %s "
            "WHERE id = %s AND claimed_by = %s AND status = 'pending'",
            [s.status, s.retry_count, s.number, s.error_code, due, settled, s.delivery_id, s.claimed_by],
        )
        if cursor.rowcount:
            kept.add(s.delivery_id)
    return kept


def _append_attempts(cursor: Any, settlements: Iterable[Settlement], *, late: bool) -> None:
    rows = [
        (s.delivery_id, s.number, s.started_at, s.duration_ms, s.outcome, s.status_code, s.error_code,
         s.error_detail, s.hint, s.request, s.response, s.trigger, s.claimed_by, late, s.replay_id)
        for s in settlements
    ]  # fmt: skip
    insert_rows(cursor, "webhooks_attempt", ATTEMPT_COLUMNS, rows, alike=True)


def _settle_late(cursor: Any, item: Settlement) -> None:
    """Log a result whose lease had ended: in the row that its loss left behind, or in a new one."""
    if not _hold(cursor, item.delivery_id):  # it was erased, or its life was over
        return
    cursor.execute(
        "UPDATE webhooks_attempt SET started_at = %s, duration_ms = %s, outcome = %s, status_code = %s, "
        "error_code = %s, error_detail = %s, hint = %s, request = %s, response = %s, late = %s "
        "WHERE delivery_id = %s AND worker = %s AND outcome = 'unknown'",
        [bind(item.started_at), item.duration_ms, item.outcome, item.status_code, item.error_code, item.error_detail,
         item.hint, item.request, item.response, True, item.delivery_id, item.claimed_by],
    )  # fmt: skip
    if cursor.rowcount:
        return
    cursor.execute(
        "UPDATE webhooks_delivery SET attempt_count = attempt_count + 1 WHERE id = %s RETURNING attempt_count",
        [item.delivery_id],
    )
    (item.number,) = cursor.fetchone()
    _append_attempts(cursor, [item], late=True)


def _hold(cursor: Any, delivery_id: int) -> bool:
    """Lock a delivery before its attempts are touched, so that nobody removes them meanwhile; tell whether it is there.

    Whoever removes attempts or deliveries locks the deliveries first too, and waits for none of them.
    """
    lock = " FOR NO KEY UPDATE" if on_postgres() else ""
    cursor.execute(f"SELECT 1 FROM webhooks_delivery WHERE id = %s{lock}", [delivery_id])  # noqa: S608
    return cursor.fetchone() is not None


def extend(delivery_ids: Sequence[int], claims: Sequence[str], lease_s: float) -> None:
    """Move the leases of deliveries that are still in hand ahead again."""
    _set_due(delivery_ids, claims, lease_s, "claimed_by")


def release(delivery_ids: Sequence[int], claims: Sequence[str]) -> None:
    """Give back deliveries that were claimed and not tried: due at once, no attempt counted."""
    _set_due(delivery_ids, claims, 0, "''")


def _set_due(delivery_ids: Sequence[int], claims: Sequence[str], wait_s: float, claimed_by: str) -> None:
    if not delivery_ids:
        return
    due = now() + timedelta(seconds=wait_s)
    with transaction.atomic(), fast_cursor() as cursor:
        cursor.execute(
            f"UPDATE webhooks_delivery SET next_attempt_at = %s, claimed_by = {claimed_by} "  # noqa: S608
            f"WHERE status = 'pending' AND id IN ({marks(delivery_ids)}) AND claimed_by IN ({marks(claims)})",
            [bind(due), *delivery_ids, *claims],
        )


def cancel_pending(destination_id: UUID, reason: str, batch: int = 1000) -> int:
    """Cancel a destination's pending deliveries in small batches; return how many."""
    total = 0
    while True:
        with transaction.atomic(), fast_cursor() as cursor:
            cursor.execute(
                "UPDATE webhooks_delivery SET status = 'cancelled', claimed_by = '', next_attempt_at = NULL, "
                "last_error_code = %s, settled_at = %s WHERE id IN (SELECT id FROM webhooks_delivery "
                "WHERE destination_id = %s AND status = 'pending' ORDER BY next_attempt_at LIMIT %s)",
                [reason, bind(timezone.now()), bind(destination_id), batch],
            )
            total += int(cursor.rowcount)
            if cursor.rowcount < batch:
                return total
