"""``hub destinations check|setup|types|test|rotate-secret``: what is looked at or tried beside the set-up itself."""

from typing import Annotated, Any

import typer

from destinations import services
from destinations.checking import passed, summary_of
from destinations.dryrun import tried_out
from destinations.registry import adapter_classes
from destinations.rules import Kind, kind_of
from destinations.serializers import DestinationCheckSerializer, type_of
from destinations.setups import setup_of
from destinations.specs import SpecField, condition, spec_fields
from terra_hub.cli.base import DryRun, manner
from terra_hub.cli.choosing import chosen_destination
from terra_hub.cli.destination_words import step_line
from terra_hub.cli.destinations import TRIED, Which
from terra_hub.cli.destinations import app as app
from terra_hub.cli.errors import Code
from terra_hub.cli.output import Column, print_json, print_line, print_words, say, show_result, show_rows
from terra_hub.cli.people import cli_actor


@app.command("check")
def check(destination: Which) -> None:
    """Try the set-up step by step, for at most 15 s. The exit code is 4 where a step failed."""
    row = chosen_destination(destination)
    steps = services.check_destination(row, None if manner().json else lambda step: print_words(step_line(step)))
    if manner().json:
        print_json(DestinationCheckSerializer(row).data)
    else:
        say(summary_of(steps))
    if not passed(steps):
        raise typer.Exit(Code.CHECK_FAILED)


@app.command("test")
def send_test(
    destination: Which,
    last: Annotated[str, typer.Option(metavar="TYPE", help="Send the last real event of this type instead.")] = "",
    dry_run: DryRun = False,
) -> None:
    """Send a test event to this destination alone, by the path of all deliveries: a worker must run."""
    from webhooks.keeping import testevents

    row = chosen_destination(destination)
    with tried_out(dry_run):
        delivery = (
            testevents.send_last(row, last, by=cli_actor()) if last else testevents.send_test(row, by=cli_actor())
        )
    value = {"delivery_id": delivery.pk, "event_id": delivery.event_id, "destination_id": row.pk}
    show_result(value, str(delivery.pk))
    say(TRIED if dry_run else f"Queued. See what becomes of it: hub deliveries show {delivery.pk}.")


@app.command("rotate-secret")
def rotate_secret(
    destination: Which,
    grace_s: Annotated[int, typer.Option(help="Seconds for which the old one signs too; at most 30 days.")] = 86400,
    dry_run: DryRun = False,
) -> None:
    """Make a new signing secret and print it, this once, alone on standard output."""
    with tried_out(dry_run):
        secret = services.rotate_signing_secret(chosen_destination(destination), grace_s, by=cli_actor())
    if dry_run:
        say(TRIED)
        return
    say("This is the only time that it is shown.")
    show_result({services.SIGNING_SECRET: secret}, secret)


@app.command("setup")
def setup(
    destination: Which, terraform: Annotated[bool, typer.Option("--terraform", help="As Terraform.")] = False
) -> None:
    """Print what is to be done on the other side: grants, a policy, a table; filled in, and without secrets."""
    row = chosen_destination(destination)
    made = setup_of(kind_of(row.type), row.config, str(row.pk))
    parts = [part for part in made.parts if (part.name == "terraform") == terraform]
    if manner().json:
        print_json([part._asdict() for part in parts])
        return
    for part in parts:
        print_line(part.text)
    if not parts:
        say("There is nothing to set up on the other side.")


@app.command("types")
def types(type: Annotated[str, typer.Argument(metavar="[TYPE]", help="Show the fields of this one.")] = "") -> None:
    """List the types of destinations, or the fields of one."""
    if type:
        _show_type(kind_of(type))
        return
    columns = [
        Column("Type", lambda kind: kind.type, whole=True),
        Column("Name", lambda kind: kind.label, whole=True),
        Column("What you get", lambda kind: kind.summary),
    ]
    show_rows(adapter_classes(), columns, type_of, "")


def _show_type(kind: Kind) -> None:
    if manner().json:
        print_json(type_of(kind))
        return
    fields = [*spec_fields(kind.config_spec), *spec_fields(kind.credentials_spec)]
    columns = [
        Column("Field", lambda field: field.name, whole=True),
        Column("Needed", _needed),
        Column("What it is", _about),
    ]
    show_rows(fields, columns, dict, "")


def _needed(field: SpecField) -> str:
    when = f"where {condition(field.about.only_if)}" if field.about.only_if else ""
    how = "made by the hub" if field.about.generated else ("yes" if field.required else "no")
    return f"{how} {when}".strip()


def _about(field: SpecField) -> str:
    about = field.about
    says: list[Any] = [about.label, about.help, "One of: " + ", ".join(dict(about.choices)) if about.choices else ""]
    says.append("A secret: prompt, environment or file." if about.secret else "")
    if not about.secret and field.default not in (None, "", {}):
        says.append(f"Default: {field.default}.")
    return " ".join(str(one).rstrip(".") + "." for one in says if one)
