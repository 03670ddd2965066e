"""A retry schedule as a table of clock times, for a failure now; also of one that is only typed."""

from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError

from destinations.formfields import ScheduleField
from destinations.models import DEFAULT_SCHEDULE
from destinations.rules import settings_errors
from destinations.schedules import PRESETS, clock_of, tries
from destinations.shown import span


def retry_times(typed: str, now: datetime) -> dict[str, Any]:
    """Return the times of the schedule that is typed (the default where nothing is), or what is wrong with it."""
    try:
        waits = ScheduleField(required=False).clean(typed)
    except ValidationError as error:
        return {"problem": " ".join(error.messages)}
    problems = settings_errors({"schedule": waits}).get("schedule")
    if problems:
        return {"problem": " ".join(problems)}
    waits = waits or DEFAULT_SCHEDULE
    rows = tries(waits, now)
    return {
        "tries": rows,
        "failed": clock_of(now, now),
        "given_up": rows[-1].clock,
        "after": span(sum(waits)),
        "presets": PRESETS,
    }
