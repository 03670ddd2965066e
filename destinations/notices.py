"""Notices: what operators are told of a destination, outside the admin too. Made here, sent by ``notice_sending``.

Each is made in the transaction that changes what it is about, so none is lost and none is made twice. A notice
says which destination and since when; never what was delivered, to whom the data belong, or any secret.
"""

from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from destinations.models import Destination, Notice
from destinations.notice_channels import channels
from destinations.shown import exact

WARN_AT = (90, 70, 50)  # percent of ``disable_after_hours``
WARN_EVERY_S = 30.0
DISABLED, RECOVERED = "disabled", "recovered"


def tell_disabled(row: Destination) -> Notice:
    """Tell that the hub itself disabled a destination, in the caller's transaction."""
    return _tell(
        row,
        DISABLED,
        f"It was disabled. {row.disabled_reason} New events get no delivery there; what waits is kept, and sent once "
        "somebody enables it again.",
    )


def tell_recovered(row: Destination) -> Notice:
    """Tell that a destination of which operators were warned takes deliveries again, in the caller's transaction."""
    return _tell(row, RECOVERED, "It takes deliveries again. What waits for it is being sent.")


def warn_of_failing() -> float:
    """Warn of each destination that comes closer to being disabled; return the seconds until the next look.

    It looks at rows and not at tries, so that a destination for which nothing is due is warned of too.
    """
    now = timezone.now()
    for pk in _failing().values_list("pk", flat=True):
        _warn(pk, now)
    return WARN_EVERY_S


def _failing() -> "QuerySet[Destination]":
    """Return those that would be disabled one day. Not the paused ones: a person has taken them in hand."""
    rows = Destination.objects.receiving().filter(failing_since__isnull=False, paused=False, disable_after_hours__gt=0)
    return rows.exclude(warned_percent__gte=WARN_AT[0])


def _warn(pk: UUID, now: datetime) -> None:
    with transaction.atomic():
        row = _failing().select_for_update(no_key=True).filter(pk=pk).first()
        percent = reached_percent(row, now) if row else 0
        if row and percent > row.warned_percent:
            Destination.objects.filter(pk=pk).update(warned_percent=percent)
            _tell(row, f"failing_{percent}", _warning(row, percent, now))


def reached_percent(row: Destination, now: datetime) -> int:
    """Return the highest of ``WARN_AT`` that a failing destination has reached; 0: none."""
    if not (row.failing_since and row.disable_after_hours):
        return 0
    share = 100 * ((now - row.failing_since) / timedelta(hours=row.disable_after_hours))
    return next((percent for percent in WARN_AT if share >= percent), 0)


def _warning(row: Destination, percent: int, now: datetime) -> str:
    since = row.failing_since
    assert since is not None  # noqa: S101  # the caller has looked
    ends = since + timedelta(hours=row.disable_after_hours)
    what_then = f"It is disabled at {exact(ends)} unless a delivery succeeds." if ends > now else "It is disabled soon."
    return (
        f"Nothing but failures since {exact(since)}: {percent} % of the {row.disable_after_hours} hours after which it "
        f"is disabled. {what_then} Its page says what went wrong."
    )


def _tell(row: Destination, kind: str, text: str) -> Notice:
    """Make a notice; without a channel that it could be sent through, it is for the admin only."""
    now = timezone.now()
    due = now if channels() else None
    made: Notice = Notice.objects.create(destination=row, kind=kind, text=text, created_at=now, next_try_at=due)
    return made


def state_of_sending(row: Notice) -> str:
    """Return in words whether a notice left the hub."""
    if row.sent_at:
        return f"Sent by {' and '.join(row.sent_through)} at {exact(row.sent_at)}."
    if row.next_try_at:
        tried = f"Tried {row.tries} times: {row.problem} " if row.problem else ""
        return f"{tried}The next try is due at {exact(row.next_try_at)}."
    return f"Given up after {row.tries} tries: {row.problem}" if row.problem else "Shown here only: no channel was set."
