"""What is about to be delivered again is held: retention and erasing cannot take its payload away under it.

Whoever makes an old event's delivery pending holds its payload's row until the commit. Whoever removes payloads or
events locks that row first, passes over one that is held, and then looks whether a delivery is pending.
"""

from collections.abc import Collection
from uuid import UUID

from webhooks.models import Payload
from webhooks.sql import as_uuid, fast_cursor, on_postgres


def hold_payloads(event_ids: Collection[UUID]) -> set[UUID]:
    """Return the events among these whose payload is kept; it stays so until the caller's transaction ends."""
    if not on_postgres():  # the transaction has the only write lock
        return set(Payload.objects.filter(pk__in=event_ids).values_list("pk", flat=True))
    sql = "SELECT event_id FROM webhooks_payload WHERE event_id = ANY(%s::uuid[]) ORDER BY event_id FOR KEY SHARE"
    with fast_cursor() as cursor:
        cursor.execute(sql, [list(event_ids)])
        return {as_uuid(row[0]) for row in cursor.fetchall()}
