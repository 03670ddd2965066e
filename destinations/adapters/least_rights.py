"""The note of a check that credentials allow more than the hub needs: whoever steals them could do that too."""

from collections.abc import Callable, Iterator, Sequence

from destinations.adapters.base import Step, StepFailed, StepStatus, run_step

NAME = "least rights"


def least_rights_step(extra: Callable[[], Sequence[str]], who: str, enough: str) -> Iterator[Step]:
    """Yield a warning about what ``extra`` finds, in words such as "delete objects (s3:DeleteObject)"; else nothing.

    ``extra`` tries what changes nothing, and may raise ``StepFailed``: what cannot be told is not told.
    """

    def look() -> str:
        if found := extra():
            raise StepFailed(f"{who} can also {', '.join(found)}.", f"You only need {enough}.", StepStatus.WARNING)
        return ""

    step = run_step(NAME, look)
    if step.status is StepStatus.WARNING:
        yield step
