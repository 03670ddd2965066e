"""How many dead letters destinations have."""

from collections.abc import Iterable
from uuid import UUID

from django.db import connection

from webhooks.sql import as_uuid, bind, marks, on_postgres
from webhooks.stats.summaries import CAP

# Written so that PostgreSQL keeps to the index on the dead letters of one: see webhooks.finding.byindex.
_DEAD = "= ANY(ARRAY['dead']::varchar[])"


def dead_letters(destination_ids: Iterable[UUID]) -> dict[UUID, int]:
    """Return how many dead letters each destination has, at most ``CAP + 1``: a look by an index that stops there."""
    ids = list(destination_ids)
    if not ids:
        return {}
    dead = _DEAD if on_postgres() else "= 'dead'"
    sql = (
        "SELECT d.id, (SELECT COUNT(*) FROM (SELECT 1 FROM webhooks_delivery w WHERE w.destination_id = d.id "  # noqa: S608  # constants
        f"AND w.status {dead} ORDER BY w.destination_id, w.status, w.id DESC LIMIT {CAP + 1}) q) "
        f"FROM destinations_destination d WHERE d.id IN ({marks(ids)})"
    )
    with connection.cursor() as cursor:
        cursor.execute(sql, [bind(pk) for pk in ids])
        return {as_uuid(pk): count for pk, count in cursor.fetchall()}
