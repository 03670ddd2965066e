"""Sends notices: each through every channel, at least once, again with growing waits, for a day at most.

A try is claimed by moving ``next_try_at`` ahead, so that no two workers send the same notice at once and one that
a crash cut off is tried again. Which channels took it is written down: one that fails repeats nothing at another.
"""

from datetime import datetime, timedelta
from urllib.parse import urlsplit

import structlog
from django.conf import settings
from django.db import connection, transaction
from django.urls import reverse
from django.utils import timezone

from destinations import services
from destinations.models import Notice
from destinations.notice_channels import Message, NotSent, channels
from destinations.registry import type_choices
from destinations.texts import visible

log = structlog.get_logger(__name__)

EVERY_S = 5.0
LEASE = timedelta(minutes=2)  # longer than every channel's time limit together
FIRST_WAIT = timedelta(seconds=30)
MOST_WAIT = timedelta(hours=1)
GIVE_UP_AFTER = timedelta(days=1)


def send_notices() -> float:
    """Send what is due, one after the other; return the seconds until the next look."""
    while (row := _claim()) is not None:
        _send(row)
    return EVERY_S


def _claim() -> Notice | None:
    now = timezone.now()
    if not Notice.objects.filter(next_try_at__lte=now).exists():  # without SQLite's only write lock
        return None
    with transaction.atomic():
        rows = Notice.objects.select_for_update(skip_locked=connection.features.has_select_for_update_skip_locked)
        row: Notice | None = rows.filter(next_try_at__lte=now).order_by("next_try_at").first()
        if row:
            row.next_try_at, row.tries = now + LEASE, row.tries + 1
            row.save(update_fields=["next_try_at", "tries"])
    return row


def _send(row: Notice) -> None:
    """Try every channel that has not taken it yet, and write down what came of it."""
    message, problems = message_of(row), []
    for name, send in channels().items():
        if name in row.sent_through:
            continue
        try:
            send(message)
            row.sent_through = [*row.sent_through, name]
        except NotSent as error:
            problems.append(f"{name}: {error}")
        except Exception as error:  # whatever it is, it may hold a secret; other notices go on
            problems.append(f"{name}: {type(error).__name__}")
    _settle(row, problems, timezone.now())


def _settle(row: Notice, problems: list[str], now: datetime) -> None:
    row.problem = " ".join(problems)
    row.next_try_at = None
    if not problems:
        row.sent_at = now if row.sent_through else None
    elif now - row.created_at < GIVE_UP_AFTER:
        row.next_try_at = now + min(MOST_WAIT, FIRST_WAIT * 2 ** min(row.tries - 1, 20))
    if problems:
        log.warning("notice_not_sent", notice=row.pk, tries=row.tries, given_up=row.next_try_at is None)
    row.save(update_fields=["problem", "next_try_at", "sent_at", "sent_through"])


def message_of(row: Notice) -> Message:
    """Return what leaves the hub: the destination's name, kind and host, and what the notice says."""
    destination = row.destination
    page = reverse("admin:destinations_destination_change", args=[destination.pk])
    name = visible(destination.name).replace("\n", " ").replace("\t", " ")
    return Message(
        notice_id=row.pk,
        kind=row.kind,
        name=name,
        text=visible(row.text),
        url=f"{settings.PUBLIC_URL}{page}",
        facts={
            "at": row.created_at.isoformat(),
            "destination": {
                "id": str(destination.pk),
                "name": name,
                "type": dict(type_choices()).get(destination.type, destination.type),
                "target": masked_target(services.target_of(destination)),
            },
        },
    )


def masked_target(target: str) -> str:
    """Return a target as it may leave the hub: of a URL the host alone, because its path may be a secret."""
    host = urlsplit(target).hostname if "://" in target else None
    return host or visible(target)
