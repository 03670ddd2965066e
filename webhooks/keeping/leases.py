"""Leases of jobs: one worker carries a job on, and another one takes it over when that worker is gone."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection
from django.db.models import Q

from webhooks.delivering.outbox import now

log = structlog.get_logger(__name__)


def take(model: Any, pk: Any, worker: str) -> bool:
    """Take a job, or keep it, for as long as a delivery is claimed; tell whether this worker has it.

    ``model`` has the columns ``claimed_by`` and ``lease_until``.
    """
    moment = now()
    free = Q(claimed_by="") | Q(lease_until=None) | Q(lease_until__lte=moment)
    kept = Q(claimed_by=worker, lease_until__gt=moment + timedelta(seconds=settings.CLAIM_LEASE_SECONDS / 2))
    if model.objects.filter(kept, pk=pk).exists():
        return True
    until = moment + timedelta(seconds=settings.CLAIM_LEASE_SECONDS)
    rows = model.objects.filter(free | Q(claimed_by=worker), pk=pk)
    return bool(rows.update(claimed_by=worker, lease_until=until))


def release(model: Any, worker: str) -> None:
    """Let other workers take this one's jobs at once."""
    model.objects.filter(claimed_by=worker).update(claimed_by="", lease_until=None)


@contextmanager
def kept(model: Any, pk: Any, worker: str) -> Iterator[None]:
    """Keep a job for as long as something takes that is no step of a moment: another system's answer."""
    ended = threading.Event()
    thread = threading.Thread(target=_keep, args=(model, pk, worker, ended), name="lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _keep(model: Any, pk: Any, worker: str, ended: threading.Event) -> None:
    while not ended.wait(settings.CLAIM_LEASE_SECONDS / 4):
        try:
            take(model, pk, worker)
        except (DatabaseError, InterfaceError) as error:
            log.warning("lease_not_kept", error=type(error).__name__)
            connection.close()
    connection.close()
