"""Options by which long lists are narrowed, and the reading of them: the same filters as in the admin and the API."""

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Annotated, Any
from uuid import UUID

import typer
from django.db.models import QuerySet
from django.utils import timezone

from destinations.ids import parsed_uuid
from destinations.rules import Refused
from terra_hub.cli.choosing import chosen_destination, chosen_source
from terra_hub.cli.errors import not_found
from terra_hub.cli.output import say
from webhooks.finding.anything import find_anything
from webhooks.finding.scans import Key, Scan, next_page
from webhooks.keeping.selections import moment_in

MOST = 10_000  # rows of a list
_AT_ONCE = 200
_AGO = re.compile(r"(\d{1,6})(s|m|min|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 7 * 86_400}

_WHEN = "2h, 30m, 7d ago, or a time like 2026-03-12T06:00:00Z"
Since = Annotated[str, typer.Option(metavar="WHEN", help=f"Then or later: {_WHEN}.")]
Until = Annotated[str, typer.Option(metavar="WHEN", help="Before then: written like --since.")]
Limit = Annotated[int, typer.Option(min=1, max=MOST, help="Rows at most.")]
EventType = Annotated[str, typer.Option("--type", help="Of this type: sleep, activity, auth, …")]
UserId = Annotated[str, typer.Option("--user", metavar="USER_ID", help="Terra's id of a user.")]
ReferenceId = Annotated[str, typer.Option("--reference", metavar="REFERENCE_ID", help="Your own id of a user.")]
TerraReference = Annotated[
    str, typer.Option(help="The terra-reference header: the chunks of one large request share it.")
]
TraceId = Annotated[str, typer.Option("--trace", metavar="TRACE_ID", help="The X-Terra-Trace-Id header.")]
SourceName = Annotated[str, typer.Option("--source", help="A source: its slug or id.")]
DestinationName = Annotated[str, typer.Option("--destination", help="A destination: its name or id.")]
ErrorCode = Annotated[str, typer.Option(help="Of the last try: http_500, timeout, …")]


def moment(text: str, option: str) -> datetime | None:
    """Return a time that an option names, or so long ago; nothing for nothing. Raise ``Refused``."""
    if not text:
        return None
    ago = _AGO.fullmatch(text.strip())
    if ago:
        return timezone.now() - timedelta(seconds=int(ago[1]) * _SECONDS[ago[2]])
    try:
        return moment_in(text)
    except ValueError as error:
        raise Refused({option: [f"{text!r} is no time. Write {_WHEN}."]}) from error


def times(since: str, until: str) -> dict[str, Any]:
    """Return the span between two options; raise ``Refused``."""
    span = {"since": moment(since, "since"), "until": moment(until, "until")}
    if span["since"] and span["until"] and span["since"] >= span["until"]:
        raise Refused({"until": ["Must be later than --since."]})
    return span


def destination_id(name: str) -> UUID | None:
    """Return the id of a destination that an option names; nothing for nothing."""
    return chosen_destination(name).pk if name else None


def source_id(name: str) -> UUID | None:
    """Return the id of a source that an option names; nothing for nothing."""
    return chosen_source(name).pk if name else None


def found(scan: Scan, rows: QuerySet[Any], limit: int) -> list[Any]:
    """Return the first rows that a scan finds, in its order; say, on standard error, where there are more."""
    shown = list(islice(each(scan, rows), limit + 1))
    if len(shown) > limit:
        say(f"There are more than {limit}: raise --limit, or narrow the list.")
    return shown[:limit]


def each(scan: Scan, rows: QuerySet[Any]) -> Iterator[Any]:
    """Yield every row that a scan finds, page by page."""
    place: Key | None = None
    while True:
        page = next_page(scan, place, _AT_ONCE)
        keys = [row["pk"] for row in page.rows]
        held = rows.in_bulk(keys)
        yield from (held[key] for key in keys if key in held)
        place = page.older
        if place is None:
            return


# --- one thing, by its id ------------------------------------------------------------------------------------
def by_uuid(rows: QuerySet[Any], text: str, what: str) -> Any:
    """Return the row with this id; raise ``Refused``, with what the text is the id of instead."""
    key = parsed_uuid(text.strip())
    row = rows.filter(pk=key).first() if key else None
    if row is None:
        raise not_found(f"There is no {what} {text!r}.", hint=_elsewhere(text))
    return row


def by_number(rows: QuerySet[Any], number: int, what: str) -> Any:
    """Return the row with this number; raise ``Refused``."""
    row = rows.filter(pk=number).first() if 0 < number < 2**63 else None
    if row is None:
        raise not_found(f"There is no {what} {number}.", hint=f"See: hub {_LISTS[what]} list.")
    return row


_LISTS = {"delivery": "deliveries", "replay": "replays"}
_SHOWN_BY = {
    "event": "events show {key}", "delivery": "deliveries show {key}", "destination": "destinations show {key}",
    "quarantine": "quarantine show {key}", "replay": "replays show {key}", "source": "sources show {key}",
    "user_id": "events list --user {key}", "reference_id": "events list --reference {key}",
    "terra_reference": "events list --terra-reference {key}", "trace_id": "events list --trace {key}",
}  # fmt: skip


def _elsewhere(text: str) -> str:
    others: Sequence[str] = [f"hub {_SHOWN_BY[one.kind].format(key=one.key)}" for one in find_anything(text)[:3]]
    return f"It is known as something else: {'; '.join(others)}." if others else ""
