"""``hub send-test``: a signed sample for a source, as Terra would send it."""

from typing import Annotated

import typer

from destinations.dryrun import tried_out
from terra_hub.cli.base import DryRun
from terra_hub.cli.choosing import chosen_source
from terra_hub.cli.output import say, show_result
from terra_hub.cli.people import cli_actor
from webhooks.models import Delivery
from webhooks.receiving.samples import sample_body, send_sample

Source = Annotated[str, typer.Argument(metavar="SOURCE", help="A source: its slug or id.")]
Type = Annotated[str, typer.Argument(metavar="[TYPE]", help="Any type that Terra sends: sleep, activity, auth, …")]


def send_test(source: Source, type: Type = "healthcheck", dry_run: DryRun = False) -> None:
    """Have a source take in a signed sample of any type, of a user who does not exist. It goes to destinations too."""
    with tried_out(dry_run):
        event = send_sample(chosen_source(source), sample_body(type), by=cli_actor())
        names = list(Delivery.objects.filter(event=event).values_list("destination__name", flat=True).order_by("pk"))
    value = {"event_id": event.pk, "type": event.type, "destinations": names, "dry_run": dry_run}
    show_result(value, str(event.pk))
    goes = f"It goes to {', '.join(names)}." if names else "No destination takes it."
    say(f"Dry run: it passes. {goes}" if dry_run else f"Taken in. {goes} See: hub events show {event.pk}")
