"""``hub replays``: jobs by which many events are delivered again."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from destinations.dryrun import tried_out
from destinations.shown import exact
from terra_hub.cli.base import DryRun, Group, Yes
from terra_hub.cli.choosing import chosen_destination, chosen_source
from terra_hub.cli.destinations import TRIED
from terra_hub.cli.finding import (
    ErrorCode,
    EventType,
    Limit,
    ReferenceId,
    Since,
    SourceName,
    TerraReference,
    TraceId,
    Until,
    UserId,
    by_number,
    times,
)
from terra_hub.cli.output import Column, say, show_one, show_rows
from terra_hub.cli.replay_jobs import Confirm, Detach, Rate, as_json, carry_out, facts, watch, words
from webhooks.api.replay_serializers import ReplaySerializer
from webhooks.keeping import replays
from webhooks.keeping.progress import progress_of
from webhooks.keeping.selections import selection_of
from webhooks.models import DeliveryStatus, Replay, ReplayKind, ReplayStatus

app = Group("Replays: stored events delivered again.")
Which = Annotated[int, typer.Argument(metavar="REPLAY", help="Its number.")]
Destinations = Annotated[
    list[str] | None,
    typer.Option("--destination", help="Where to (repeatable). failed and missing: the one that is meant."),
]


def _progress(row: Replay) -> str:
    from django.utils import timezone

    return words(row, progress_of(row, timezone.now()))


COLUMNS = [
    Column("Id", lambda row: row.pk, whole=True),
    Column("Kind", lambda row: row.kind, whole=True),
    Column("Status", lambda row: row.status, whole=True),
    Column("Progress", _progress),
    Column("Started", lambda row: exact(row.created_at), whole=True),
    Column("By", lambda row: row.created_by),
]


@app.command("list")
def list_all(
    status: Annotated[ReplayStatus | None, typer.Option(help="In this status.")] = None,
    kind: Annotated[ReplayKind | None, typer.Option(help="Of this kind.")] = None,
    limit: Limit = 20,
) -> None:
    """List replays, newest first."""
    asked = {name: value for name, value in (("status", status), ("kind", kind)) if value}
    rows = Replay.objects.filter(**asked).order_by("-pk")[:limit]
    show_rows(rows, COLUMNS, lambda row: dict(ReplaySerializer(row).data), "There was no replay yet.")


@app.command("start")
def start(
    kind: Annotated[ReplayKind, typer.Argument(help="failed, missing, matching or chosen.")],
    destination: Destinations = None,
    since: Since = "",
    until: Until = "",
    error_code: ErrorCode = "",
    type: EventType = "",
    user: UserId = "",
    reference: ReferenceId = "",
    terra_reference: TerraReference = "",
    trace: TraceId = "",
    source: SourceName = "",
    outcome: Annotated[DeliveryStatus | None, typer.Option(help="matching: its delivery there is so.")] = None,
    event: Annotated[list[str] | None, typer.Option(help="chosen: an event's id (repeatable).")] = None,
    delivery: Annotated[list[int] | None, typer.Option(help="chosen: a delivery's id (repeatable).")] = None,
    rate: Rate = None,
    confirm: Confirm = None,
    yes: Yes = False,
    detach: Detach = False,
    dry_run: DryRun = False,
) -> None:
    """Deliver again. failed: what failed at a destination; missing: what it never got; matching: by a filter."""
    values: dict[str, Any] = {
        "destinations": [chosen_destination(name).pk for name in destination or ()], **times(since, until),
        "error_code": error_code, "type": type, "user_id": user, "reference_id": reference,
        "terra_reference": terra_reference, "trace_id": trace, "outcome": outcome and outcome.value,
        "source": chosen_source(source).slug if source else "", "events": event or (), "deliveries": delivery or (),
    }  # fmt: skip
    carry_out(selection_of(kind.value, values), rate, confirm, yes, detach, dry_run)


def _row(number: int) -> Replay:
    row: Replay = by_number(Replay.objects.all(), number, "replay")
    return row


@app.command("show")
def show(replay: Which) -> None:
    """Show a replay: what it selects, and how far it is."""
    row = _row(replay)
    show_one(as_json(row), facts(row))


@app.command("watch")
def watch_one(replay: Which) -> None:
    """Follow a replay to its end, with a progress bar. Ctrl-C ends the watching, not the replay."""
    watch(_row(replay))


@app.command("pause")
def pause(replay: Which, dry_run: DryRun = False) -> None:
    """Make nothing more due until it is resumed. What is due already is still delivered."""
    _turn(replay, replays.pause, "paused", dry_run)


@app.command("resume")
def resume(replay: Which, dry_run: DryRun = False) -> None:
    """Go on where it was paused, or where a problem that is mended stopped it."""
    _turn(replay, replays.resume, "goes on", dry_run)


@app.command("cancel")
def cancel(replay: Which, dry_run: DryRun = False) -> None:
    """End it: what waits goes back to what it was. What a worker has in hand may still be delivered."""
    _turn(replay, replays.cancel, "cancelled", dry_run)


def _turn(number: int, action: Callable[[Replay], Replay], done: str, dry_run: bool) -> None:
    with tried_out(dry_run):
        row = action(_row(number))
        show_one(as_json(row), facts(row))
    say(TRIED if dry_run else f"Replay {row.pk} {done}.")
