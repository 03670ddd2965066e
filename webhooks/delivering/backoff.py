"""When to try again. Pure: the schedule, the jitter and the destination's own wish."""

import random
from collections.abc import Sequence

# terra/spec.md: ten per cent either way, so that deliveries that failed together come back apart.
JITTER = 0.1
# The longest wait that a Retry-After can ask for.
MAX_RETRY_AFTER_S = 24 * 3600.0


def next_wait(
    waits: Sequence[float], retry_count: int, retry_after: float | None = None, scale: float = 1.0
) -> float | None:
    """Return the seconds until the next try; ``None`` where the schedule is spent.

    ``retry_count`` waits of the schedule are used up. ``retry_after`` is a lower bound, and is
    no part of the schedule. ``scale`` shortens the schedule in tests.
    """
    if retry_count >= len(waits):
        return None
    planned = waits[retry_count] * scale * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311  # no secret
    return max(planned, min(retry_after or 0.0, MAX_RETRY_AFTER_S))
