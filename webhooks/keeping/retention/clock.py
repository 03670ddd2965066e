"""Nothing is removed for a day of the worker's running after the clock jumped, or may have while no worker ran."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic

import structlog
from django.db.models import Max

from destinations.shown import exact
from webhooks.models import RetentionMark

log = structlog.get_logger(__name__)

HELD = timedelta(days=1)
STOPPED = timedelta(days=2)  # since the last step: longer than a worker is away by chance
JUMP = timedelta(hours=1)  # no host's clock is set so far in daily use, nor do two hosts' differ so much
BEGINS = "The clock jumped"
_DO = "If the clock is right, wait. Else set it, and start the worker again."


@dataclass(slots=True)
class Guard:
    """What a worker knows of its clock; it goes with the process."""

    ahead_s: float | None = None  # the clock less the monotonic one, at the last look
    before_s: float | None = None  # the same before the jump
    until: float | None = None  # monotonic; None: nothing is held

    def holds(self, now: datetime) -> bool:
        """Look at the clock, which says ``now``; tell whether nothing is to be removed at this moment."""
        last, self.ahead_s = self.ahead_s, now.timestamp() - monotonic()
        if last is None:
            self._begin(now)
        elif abs(self.ahead_s - last) > JUMP.total_seconds():
            self._jumped(now, last, self.ahead_s)
        if self.until is not None and monotonic() >= self.until:
            self._let_go()
        return self.until is not None

    def _begin(self, now: datetime) -> None:
        """Compare the clock with the last step of any worker; a hub that never made one has none to compare."""
        last: datetime | None = RetentionMark.objects.aggregate(last=Max("step_at"))["last"]
        if last and now - last > STOPPED:
            self._hold(now, f"{BEGINS}, or no worker ran: nothing was removed for {now - last}")
        elif last and last - now > JUMP:
            self._hold(now, f"{BEGINS} back: something was removed {last - now} after now")
        else:
            self._let_go()

    def _jumped(self, now: datetime, last: float, ahead: float) -> None:
        if self.before_s is not None and abs(ahead - self.before_s) <= JUMP.total_seconds():
            self._let_go()  # it was set right again
            return
        self.before_s = last if self.until is None else self.before_s
        self._hold(now, f"{BEGINS} by {'-' if ahead < last else ''}{timedelta(seconds=round(abs(ahead - last)))}")

    def _hold(self, now: datetime, why: str) -> None:
        self.until = monotonic() + HELD.total_seconds()
        problem = f"{why.partition('.')[0]}; nothing is removed until {exact(now + HELD)}. {_DO}"
        log.warning("retention_held", problem=problem)
        RetentionMark.objects.update(problem=problem)

    def _let_go(self) -> None:
        self.until = self.before_s = None
        RetentionMark.objects.filter(problem__startswith=BEGINS).update(problem="")
