"""``/healthz`` (the process answers) and ``/readyz`` (it can do its work): for machines and people."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import DatabaseError, InterfaceError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, JsonResponse

from destinations.crypto import SealError, key_ring
from webhooks.delivering import outbox
from webhooks.durability import unsafe_settings
from webhooks.models import Worker

WORKER_SEEN_WITHIN = timedelta(seconds=60)
LATE_AFTER = timedelta(seconds=60)


class Unwell(Exception):
    """What is wrong and what to do."""


def healthz(request: HttpRequest) -> JsonResponse:
    """Say that this process answers. Never asks the database."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """Say whether events can be stored and are being delivered, with the cause where not."""
    checks = {name: _result(check) for name, check in CHECKS.items()}
    ready = all(item["ok"] for item in checks.values())
    body = {"status": "ready" if ready else "not ready", "checks": checks}
    return JsonResponse(body, status=200 if ready else 503, headers={"Cache-Control": "no-store"})


def _result(check: Callable[[], str]) -> dict[str, object]:
    try:
        return {"ok": True, "detail": check()}
    except Unwell as error:
        return {"ok": False, "detail": str(error)}
    except (DatabaseError, InterfaceError) as error:
        return {"ok": False, "detail": f"The database does not answer ({type(error).__name__})."}


def _database() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    problems = unsafe_settings()
    if problems:
        raise Unwell(" ".join(problems))
    return connection.vendor


def _migrations() -> str:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        raise Unwell(f"{len(missing)} migrations are not applied. Run: python manage.py migrate")
    return "all applied"


def _keys() -> str:
    try:
        return f"sealing with {key_ring().active_key_id}"
    except SealError as error:
        raise Unwell(str(error)) from error


def _worker() -> str:
    seen_at = Worker.objects.order_by("-seen_at").values_list("seen_at", flat=True).first()
    if seen_at is None:
        raise Unwell("No worker runs. Start one: python manage.py worker")
    age = outbox.now() - seen_at
    if age > WORKER_SEEN_WITHIN:
        raise Unwell(f"No worker was seen for {age.total_seconds():.0f} s. Start one: python manage.py worker")
    return f"seen {max(0, age.total_seconds()):.0f} s ago"


def _oldest_due() -> str:
    due = oldest_due()
    if due is None:
        return "nothing is due"
    late = outbox.now() - due
    if late > LATE_AFTER:
        raise Unwell(f"The oldest due delivery is {late.total_seconds():.0f} s late.")
    return f"the oldest is {max(0, late.total_seconds()):.0f} s late"


def oldest_due() -> datetime | None:
    """Return since when the oldest delivery is due that its destination would take; ``None``: none is."""
    now = outbox.now()
    return min(
        (item.next_attempt_at for item in outbox.due_destinations() if item.next_attempt_at <= now), default=None
    )


CHECKS: dict[str, Callable[[], str]] = {
    "database": _database,
    "migrations": _migrations,
    "credential keys": _keys,
    "worker": _worker,
    "oldest due delivery": _oldest_due,
}
