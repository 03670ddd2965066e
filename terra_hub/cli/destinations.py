"""``hub destinations``: where events are delivered."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from destinations import services
from destinations.dryrun import tried_out
from destinations.models import Destination
from destinations.registry import adapter_classes, type_names
from destinations.rules import Kind, Refused, addresses_remembered, kind_of
from terra_hub.cli.asking import ask, confirm, interactive
from terra_hub.cli.base import DryRun, Group, Yes
from terra_hub.cli.choosing import chosen_destination
from terra_hub.cli.destination_settings import (
    Concurrency,
    DisableAfter,
    EventTypes,
    Schedule,
    Sources,
    Timeout,
    read_settings,
)
from terra_hub.cli.destination_words import as_json, columns, count_of, show, show_state
from terra_hub.cli.fields import Sets, Unsets, Values, ask_missing, read_sets, secret_fields
from terra_hub.cli.output import say, show_done, show_rows
from terra_hub.cli.people import cli_actor
from terra_hub.cli.secrets import SecretEnv, SecretFile, ask_secret, given_secrets, saying_how
from webhooks.stats import queues

app = Group("Destinations: where events are delivered.")
Which = Annotated[str, typer.Argument(metavar="DESTINATION", help="Its name or id, or how one of them begins.")]
TRIED = "Dry run: nothing was changed."


@app.command("list")
def list_all(type: Annotated[str, typer.Option(help="Of this type only.")] = "") -> None:
    """List destinations, newest first."""
    rows = Destination.objects.present()
    if type:
        rows = rows.filter(type=kind_of(type).type)
    found: list[Destination] = list(rows)
    waiting = queues([row.pk for row in found])
    show_rows(found, columns(waiting), as_json, "There is no destination yet. Make one: hub destinations add.")


@app.command("show")
def show_destination(destination: Which) -> None:
    """Show a destination: how it is, its set-up without secrets, and its last check."""
    show(chosen_destination(destination))


@app.command("add")
def add(
    type: Annotated[str, typer.Option(help="webhook, postgres, …: hub destinations types.")] = "",
    name: Annotated[str, typer.Option(help="How people tell it.")] = "",
    set: Sets = None,
    secret_env: SecretEnv = None,
    secret_file: SecretFile = None,
    event_types: EventTypes = None,
    sources: Sources = None,
    schedule: Schedule = None,
    timeout_s: Timeout = None,
    concurrency: Concurrency = None,
    disable_after_hours: DisableAfter = None,
    dry_run: DryRun = False,
) -> None:
    """Make a destination. On a terminal it asks for what is missing; secrets are never arguments."""
    kind = kind_of(type or _ask_type())
    settings = read_settings(
        event_types, sources, schedule,
        timeout_s=timeout_s, concurrency=concurrency, disable_after_hours=disable_after_hours,
    )  # fmt: skip
    config, credentials = read_sets(kind, set)
    credentials |= given_secrets(secret_fields(kind), secret_env, secret_file)
    name = name or (ask("Name") if interactive() else "")
    ask_missing(kind, config, credentials)
    with _tried(dry_run, kind, config):
        made = services.create_destination(
            type=kind.type, name=name, config=config, credentials=credentials, by=cli_actor(), **settings
        )
        show(made.destination, {} if dry_run else made.secrets)
    _tell(dry_run, f"Made. Try it: hub destinations check {made.destination.name!r}.", made.secrets)


def _ask_type() -> str:
    if not interactive():
        raise Refused({"type": [f"Give one of: {', '.join(type_names())}."]})
    say("What it delivers to:", *(f"  {kind.type}: {kind.summary}" for kind in adapter_classes()))
    return ask("Type")


def _tell(dry_run: bool, done: str, secrets: dict[str, str] | None = None) -> None:
    if dry_run:
        say(TRIED)
        return
    if secrets:
        say(f"Keep {' and '.join(secrets)} now: this is the only time that it is shown.")
    say(done)


@app.command("set")
def set_fields(
    destination: Which,
    name: Annotated[str | None, typer.Option(help="A new name.")] = None,
    set: Sets = None,
    unset: Unsets = None,
    secret_env: SecretEnv = None,
    secret_file: SecretFile = None,
    event_types: EventTypes = None,
    sources: Sources = None,
    schedule: Schedule = None,
    timeout_s: Timeout = None,
    concurrency: Concurrency = None,
    disable_after_hours: DisableAfter = None,
    dry_run: DryRun = False,
) -> None:
    """Change what is named, and leave the rest. A secret must be given again where it would go to another host."""
    row = chosen_destination(destination)
    kind = kind_of(row.type)
    changes = read_settings(
        event_types, sources, schedule, name=name,
        timeout_s=timeout_s, concurrency=concurrency, disable_after_hours=disable_after_hours,
    )  # fmt: skip
    config, credentials = read_sets(kind, set, unset)
    credentials |= given_secrets(secret_fields(kind), secret_env, secret_file)
    changes |= {"config": config} if config else {}
    changes |= {"credentials": credentials} if credentials else {}
    if not changes:
        raise Refused({"": ["Nothing was named to be changed."]}, hint="hub destinations set --help lists the options.")
    try:
        _update(row, kind, changes, dry_run)
    except Refused as refused:
        if refused.code != "credentials_needed" or not interactive():
            raise
        changes["credentials"] = {**credentials, **_ask_again(kind, refused)}
        _update(row, kind, changes, dry_run)
    _tell(dry_run, "Changed.")


def _update(row: Destination, kind: Kind, changes: dict[str, Any], dry_run: bool) -> None:
    with _tried(dry_run, kind, {**row.config, **changes.get("config", {})}):
        show(services.update_destination(row, by=cli_actor(), **changes))


def _ask_again(kind: Kind, refused: Refused) -> Values:
    """Ask for the secrets that must come again."""
    say(*(text for texts in refused.errors.values() for text in texts))
    fields = secret_fields(kind)
    needed = [path.removeprefix("credentials.") for path in refused.errors]
    return {name: ask_secret(name, fields[name].about.label) for name in needed}


@contextmanager
def _tried(dry_run: bool, kind: Kind, config: Values) -> Iterator[None]:
    """Make a change, or try it out; no transaction waits for a name server meanwhile."""
    with saying_how(), addresses_remembered():
        services.look_up_ahead(kind.type, config)
        with tried_out(dry_run):
            yield


# --- what starts and stops it ----------------------------------------------------------------------
@app.command("pause")
def pause(destination: Which, dry_run: DryRun = False) -> None:
    """Send nothing more until it is resumed; deliveries collect, none is lost."""
    with tried_out(dry_run):
        show_state(services.pause(chosen_destination(destination), by=cli_actor()))
    _tell(dry_run, "Paused: deliveries collect until hub destinations resume.")


@app.command("resume")
def resume(destination: Which, dry_run: DryRun = False) -> None:
    """End a pause, also one that the hub made by itself; what is due is sent at once."""
    with tried_out(dry_run):
        show_state(services.resume(chosen_destination(destination), by=cli_actor()))
    _tell(dry_run, "Resumed: what waits is sent as it comes due.")


@app.command("enable")
def enable(destination: Which, dry_run: DryRun = False) -> None:
    """Take new events again; what was kept while it was disabled is sent too."""
    with tried_out(dry_run):
        show_state(services.enable(chosen_destination(destination), by=cli_actor()))
    _tell(dry_run, "Enabled.")


@app.command("disable")
def disable(
    destination: Which,
    reason: Annotated[str, typer.Option(help="Why, for those who look at it later.")] = "",
    dry_run: DryRun = False,
) -> None:
    """Take no new events and send nothing. Events that come meanwhile are skipped: only a replay sends them later."""
    with tried_out(dry_run):
        show_state(services.disable(chosen_destination(destination), by=cli_actor(), reason=reason))
    _tell(dry_run, "Disabled. What waits is kept; new events are skipped.")


@app.command("remove")
def remove(destination: Which, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Delete a destination: its secrets are wiped, its pending deliveries are cancelled, its log stays."""
    row = chosen_destination(destination)
    waiting = count_of(queues([row.pk])[row.pk])
    consequence = f"Its secrets are wiped. Deliveries that wait and are cancelled: {waiting}."
    if dry_run:
        say(f"{row.name!r} would be deleted. {consequence}")
    else:
        confirm(f"Delete {row.name!r}? {consequence}", yes)
    with tried_out(dry_run):
        services.delete_destination(row, by=cli_actor())
    show_done({"id": row.pk, "name": row.name, "deleted": not dry_run})
    _tell(dry_run, f"Deleted {row.name!r}.")
