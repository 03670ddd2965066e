"""The options of what destinations of every type have: filters and limits."""

from typing import Annotated, Any

import typer

from destinations.rules import Refused
from terra_hub.cli.fields import split

EventTypes = Annotated[
    list[str] | None, typer.Option("--event-types", metavar="TYPE,…", help="Take these only; empty: every type.")
]
Sources = Annotated[
    list[str] | None, typer.Option("--sources", metavar="SLUG,…", help="Take from these only; empty: from every one.")
]
Schedule = Annotated[
    list[str] | None,
    typer.Option("--schedule", metavar="SECONDS,…", help="The waits before each retry; empty: 8 retries in 27 h."),
]
Timeout = Annotated[float | None, typer.Option("--timeout-s", help="Seconds that one try may take.")]
Concurrency = Annotated[int | None, typer.Option("--concurrency", help="Tries under way at once, per worker.")]
DisableAfter = Annotated[
    int | None, typer.Option("--disable-after-hours", help="Hours of nothing but failures; 0: never.")
]


def read_settings(
    event_types: list[str] | None, sources: list[str] | None, schedule: list[str] | None, **plain: Any
) -> dict[str, Any]:
    """Return the settings that were given, as the use cases take them; raise ``Refused``."""
    lists = {"event_types": split(event_types), "sources": split(sources), "schedule": _numbers(split(schedule))}
    return {name: value for name, value in {**lists, **plain}.items() if value is not None}


def _numbers(texts: list[str] | None) -> list[float] | None:
    try:
        return None if texts is None else [float(text) for text in texts]
    except ValueError as error:
        raise Refused({"schedule": ["Give the waits in seconds: 30,90,270."]}) from error
