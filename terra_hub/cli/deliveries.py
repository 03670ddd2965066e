"""``hub deliveries``: what became of each event at each destination, and trying again."""

from typing import Annotated, Any

import typer
from django.db.models import Prefetch

from destinations.dryrun import tried_out
from destinations.rules import Refused
from destinations.shown import exact
from terra_hub.cli.base import DryRun, Group, Yes
from terra_hub.cli.delivery_words import COLUMNS, as_json, attempt_words, state_words
from terra_hub.cli.events import resent_words
from terra_hub.cli.finding import (
    DestinationName,
    ErrorCode,
    EventType,
    Limit,
    ReferenceId,
    Since,
    TerraReference,
    TraceId,
    Until,
    UserId,
    by_number,
    destination_id,
    found,
    times,
)
from terra_hub.cli.output import say, show_done, show_one, show_rows
from terra_hub.cli.people import cli_actor
from terra_hub.cli.replay_jobs import Confirm, Detach, Rate, carry_out
from webhooks.api.serializers import DeliveryDetailSerializer
from webhooks.finding.deliveries import DeliveriesWanted, deliveries_scan, last_error
from webhooks.keeping.cancelling import cancel as cancel_deliveries
from webhooks.keeping.replay import resend
from webhooks.keeping.selections import selection_of
from webhooks.models import Attempt, Delivery, DeliveryStatus, ReplayKind

app = Group("Deliveries, and trying them again.")
ATTEMPTS_SHOWN = 200
Which = Annotated[int, typer.Argument(metavar="DELIVERY", help="Its id: a number.")]
Many = Annotated[list[int], typer.Argument(metavar="DELIVERY...", help="Ids: numbers.")]
Some = Annotated[list[int] | None, typer.Argument(metavar="[DELIVERY]...", help="Ids: numbers. Or none, and options.")]


@app.command("list")
def list_all(
    status: Annotated[DeliveryStatus | None, typer.Option(help="In this status.")] = None,
    destination: DestinationName = "",
    error_code: ErrorCode = "",
    status_code: Annotated[
        int | None, typer.Option(min=100, max=999, help="HTTP status of the last try, instead of its error: 422.")
    ] = None,
    type: EventType = "",
    user: UserId = "",
    reference: ReferenceId = "",
    terra_reference: TerraReference = "",
    trace: TraceId = "",
    event: Annotated[str, typer.Option(metavar="EVENT", help="Of this event: its id.")] = "",
    replay: Annotated[int | None, typer.Option(help="That this replay made due last.")] = None,
    since: Since = "",
    until: Until = "",
    limit: Limit = 50,
) -> None:
    """List deliveries by the filters of the admin: newest first; what is pending, the next due one first."""
    wanted = DeliveriesWanted(
        status=status or "", destination_id=destination_id(destination), type=type,
        error_code=last_error(error_code, status_code),
        user_id=user, reference_id=reference, terra_reference=terra_reference, trace_id=trace,
        event_id=_event_id(event), replay_id=replay, **times(since, until),
    )  # fmt: skip
    rows = found(deliveries_scan(wanted), Delivery.objects.select_related("event", "destination"), limit)
    show_rows(rows, COLUMNS, as_json, "No delivery fits.")


def _event_id(text: str) -> Any:
    from terra_hub.cli.finding import by_uuid
    from webhooks.models import Event

    return by_uuid(Event.objects.all(), text, "event").pk if text else None


@app.command("show")
def show(delivery: Which) -> None:
    """Show a delivery: where it stands, what happens next, and how each try went."""
    attempts = Prefetch("attempts", Attempt.objects.order_by("-number")[:ATTEMPTS_SHOWN], to_attr="latest_first")
    rows = Delivery.objects.select_related("event", "destination").prefetch_related(attempts)
    row = by_number(rows, delivery, "delivery")
    show_one(dict(DeliveryDetailSerializer(row).data), _facts(row))


def _facts(row: Any) -> dict[str, Any]:
    return {
        "Id": row.pk, "State": state_words(row), "Destination": row.destination.name,
        "Event": f"{row.event.type} {row.event_id}", "Made": exact(row.created_at),
        "Made due by": row.get_trigger_display().lower(), "Last error": row.last_error_code,
        "Attempts": "\n".join(attempt_words(one) for one in row.latest_first[::-1]) or "none yet",
    }  # fmt: skip


@app.command("retry")
def retry(
    delivery: Some = None,
    destination: DestinationName = "",
    since: Since = "",
    until: Until = "",
    error_code: ErrorCode = "",
    rate: Rate = None,
    confirm: Confirm = None,
    yes: Yes = False,
    detach: Detach = False,
    dry_run: DryRun = False,
) -> None:
    """Try again: the deliveries that are named, or all that failed at a destination (dead, or waiting on an error)."""
    if delivery:
        if destination or since or until or error_code:
            raise Refused({"": ["Name deliveries, or say which ones by options: not both."]})
        _resend(delivery, dry_run)
        return
    if not destination:
        raise Refused({"destination": ["Name deliveries, or a destination whose failed ones are meant."]})
    values = {"destinations": [destination_id(destination)], "error_code": error_code, **times(since, until)}
    carry_out(selection_of(ReplayKind.FAILED, values), rate, confirm, yes, detach, dry_run)


def _resend(ids: list[int], dry_run: bool) -> None:
    with tried_out(dry_run):
        count = resend(ids)
    show_done({"resent": count, "dry_run": dry_run})
    say(resent_words(count, dry_run))


@app.command("cancel")
def cancel(delivery: Many, dry_run: DryRun = False) -> None:
    """Send deliveries that wait no more. They are kept in the log, and can be retried."""
    with tried_out(dry_run):
        done = cancel_deliveries(delivery, by=cli_actor())
    value = {"cancelled": done.cancelled, "in_hand": done.in_hand, "settled": done.settled, "dry_run": dry_run}
    show_done(value)
    told = [f"Dry run: {done.cancelled} would be cancelled." if dry_run else f"{done.cancelled} cancelled."]
    told += [f"{done.in_hand} of them were being tried: that try may still arrive."] if done.in_hand else []
    told += [f"{done.settled} left alone: they had ended already."] if done.settled else []
    say(" ".join(told))
