"""How large a step is, and how long the next one waits: pruning has all day, and new events have not."""

from time import monotonic

from django.utils import timezone

from webhooks.delivering import outbox

# Of a step's transaction. Half of what nobody notices: SQLite has one write lock, and intake waits for it.
TARGET_S = 0.05
LEAST, FIRST, MOST = 10, 25, 1_000  # rows of a step
# It waits so many times as long as it worked: a tenth of one connection's time goes into it.
REST = 9.0
BUSY = 4.0  # times that, while deliveries are late
BEHIND = 1 / 3  # of that, where a kind has not caught up for a day
LEAST_WAIT_S = 0.05
LATE_S = 5.0  # of the oldest due delivery: the hub is busy
LOOK_S = 5.0  # between looks at that


def resized(most: int, rows: int, locked_s: float) -> int:
    """Return how many rows the next step takes, given what this one took: twofold up or down at most."""
    if rows < most / 2 and locked_s < TARGET_S:  # says little of a full one
        return most
    wanted = rows * TARGET_S / max(locked_s, 0.001)
    return round(min(MOST, max(LEAST, rows / 2, min(wanted, 2 * rows))))


def rest(worked_s: float, busy: bool, behind: bool) -> float:
    """Return the seconds to wait after so many of work."""
    return max(LEAST_WAIT_S, worked_s * REST * (BUSY if busy else 1) * (BEHIND if behind else 1))


class Busy:
    """Tells whether deliveries are late, which is asked of the database only now and then."""

    def __init__(self) -> None:
        """Ask at the first call."""
        self._asked_at = float("-inf")
        self._late = False

    def __call__(self) -> bool:
        """Return whether some destination has deliveries that wait for longer than they should."""
        if monotonic() - self._asked_at > LOOK_S:
            self._late, self._asked_at = _late(), monotonic()
        return self._late


def _late() -> bool:
    moment = timezone.now()
    return any((moment - due.next_attempt_at).total_seconds() > LATE_S for due in outbox.due_destinations())
