"""``hub events``: what was taken in, its bytes, and sending it again."""

from typing import Annotated, Any

import typer
from django.db.models import Prefetch

from destinations.dryrun import tried_out
from destinations.shown import exact, size
from terra_hub.cli import tail
from terra_hub.cli.base import DryRun, Group
from terra_hub.cli.choosing import chosen_destination
from terra_hub.cli.delivery_words import state_words
from terra_hub.cli.finding import (
    DestinationName,
    EventType,
    Limit,
    ReferenceId,
    Since,
    SourceName,
    TerraReference,
    TraceId,
    Until,
    UserId,
    by_uuid,
    destination_id,
    found,
    source_id,
    times,
)
from terra_hub.cli.output import Column, say, show_done, show_one, show_rows
from terra_hub.cli.payloads import Force, Output, write_payload
from webhooks.api.serializers import EventDetailSerializer, EventSerializer
from webhooks.finding.events import EventsWanted, events_scan
from webhooks.keeping.replay import resend_event
from webhooks.models import Delivery, DeliveryStatus, Event

app = Group("Events that were taken in.")
app.command("tail")(tail.tail)
Which = Annotated[str, typer.Argument(metavar="EVENT", help="Its id.")]
To = Annotated[
    list[str] | None,
    typer.Option("--destination", help="Where to (repeatable). Without it: where it would go if it came now."),
]
COLUMNS = [
    Column("Received", lambda row: exact(row.received_at), whole=True),
    Column("Type", lambda row: row.type),
    Column("Provider", lambda row: row.provider),
    Column("User", lambda row: row.user_id),
    Column("Id", lambda row: row.pk, whole=True),
]


@app.command("list")
def list_all(
    type: EventType = "",
    provider: Annotated[str, typer.Option(help="As Terra names it: GARMIN.")] = "",
    user: UserId = "",
    reference: ReferenceId = "",
    terra_reference: TerraReference = "",
    trace: TraceId = "",
    source: SourceName = "",
    destination: DestinationName = "",
    outcome: Annotated[DeliveryStatus | None, typer.Option(help="Whose delivery (there) is in this status.")] = None,
    since: Since = "",
    until: Until = "",
    limit: Limit = 50,
) -> None:
    """List events, newest first, by the filters of the admin."""
    wanted = EventsWanted(
        type=type, provider=provider, user_id=user, reference_id=reference, terra_reference=terra_reference,
        trace_id=trace, source_id=source_id(source), destination_id=destination_id(destination),
        outcome=outcome or "", **times(since, until),
    )  # fmt: skip
    rows = found(events_scan(wanted), Event.objects.select_related("source"), limit)
    show_rows(rows, COLUMNS, as_json, "No event fits.")


def as_json(row: Event) -> dict[str, Any]:
    """Return an event as the API has it in a list."""
    return dict(EventSerializer(row).data)


@app.command("show")
def show(event: Which) -> None:
    """Show an event: what it said of itself, and where its deliveries stand."""
    deliveries = Prefetch("deliveries", Delivery.objects.select_related("destination").order_by("pk"))
    row = by_uuid(Event.objects.select_related("source").prefetch_related(deliveries), event, "event")
    show_one(dict(EventDetailSerializer(row).data), _facts(row))


def _facts(row: Event) -> dict[str, Any]:
    return {
        "Id": row.pk, "Received": exact(row.received_at), "Source": row.source.slug, "Type": row.type,
        "Provider": row.provider, "User": row.user_id, "Reference": row.reference_id,
        "Terra reference": row.terra_reference, "Key": row.idempotency_key,
        "Size": size(row.size), "Stale": row.stale,
        "Headers": "\n".join(f"{name}: {value}" for name, value in sorted(row.headers.items())),
        "Deliveries": "\n".join(map(_delivery_line, row.deliveries.all())) or "none: no destination took it",
    }  # fmt: skip


def _delivery_line(row: Delivery) -> str:
    return f"{row.pk} to {row.destination.name}: {state_words(row)}"


@app.command("payload")
def payload(event: Which, output: Output = None, force: Force = False) -> None:
    """Write an event's exact bytes to standard output, or to a file. That you saw them is written down."""
    write_payload(by_uuid(Event.objects.all(), event, "event"), output, force)


@app.command("resend")
def resend(event: Which, destination: To = None, dry_run: DryRun = False) -> None:
    """Send an event again, at once: to the destinations that are named, or where it would go now."""
    row = by_uuid(Event.objects.all(), event, "event")
    chosen = None if destination is None else [chosen_destination(name).pk for name in destination]
    with tried_out(dry_run):
        count = resend_event(row.pk, chosen)
    show_done({"resent": count, "dry_run": dry_run})
    say(resent_words(count, dry_run))


def resent_words(count: int, dry_run: bool) -> str:
    """Return what became of what was to be sent again."""
    many = "1 delivery" if count == 1 else f"{count} deliveries"
    if dry_run:
        return f"Dry run: {many} would be made due."
    return f"{many} made due: a worker takes them at once." if count else "Nothing to do: they are under way already."
