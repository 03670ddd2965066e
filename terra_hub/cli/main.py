"""The root of the command line: its groups, and how a run of it ends."""

from collections.abc import Sequence
from typing import Any

import typer

from terra_hub.cli import (
    deliveries,
    destination_looks,
    doctor,
    erase,
    events,
    keys,
    quarantine,
    replays,
    sending,
    sources,
    transfer,
)
from terra_hub.cli.base import Group, begin
from terra_hub.cli.errors import Code, code_of
from terra_hub.cli.output import say

HELP = (
    "Look after the hub: destinations, sources, events, deliveries and keys. docs/cli.md has journeys and exit codes."
)
COMPLETION = "_TERRA_HUB_COMPLETE"  # the variable by which a shell asks for completions
GROUPS: dict[str, Group] = {
    "destinations": destination_looks.app,
    "sources": sources.app,
    "events": events.app,
    "deliveries": deliveries.app,
    "replays": replays.app,
    "quarantine": quarantine.app,
    "keys": keys.app,
    "erasures": erase.app,
}
# Commands without a group, by name.
COMMANDS: dict[str, Any] = {
    "doctor": doctor.doctor,
    "erase": erase.erase,
    "export": transfer.export_destinations,
    "import": transfer.import_destinations,
    "send-test": sending.send_test,
}


def make_app(completion: bool = False) -> Group:
    """Return the whole command line; ``completion`` adds the options that install a shell's completion."""
    root = Group(HELP, completion)
    for name, group in GROUPS.items():
        root.add_typer(group, name=name)
    for name, function in COMMANDS.items():
        root.command(name)(function)
    return root


app = make_app()


def run(arguments: Sequence[str], prog_name: str, completion: bool = False) -> int:
    """Run a command and return its exit code; what is unforeseen is raised."""
    begin()
    try:
        command = typer.main.get_command(make_app(completion) if completion else app)
        result = command.main(list(arguments), prog_name, COMPLETION, standalone_mode=False)
    except typer.TyperException as error:
        return _misused(error)
    except typer.Abort:  # the end of standard input, where an answer was asked for
        say("Error: Nothing was typed, so nothing was done.")
        return Code.FAILED
    except Exception as error:
        code = code_of(error)
        if code is None:
            raise
        return code
    if result == Code.INTERRUPTED:
        say("", "Interrupted.")
    # Commands return nothing; what comes back is the code of an ``Exit``.
    return result if isinstance(result, int) else Code.OK


def _misused(error: typer.TyperException) -> int:
    show = getattr(error, "show", None)  # with the usage of the command, on standard error
    show() if show else say(f"Error: {error.format_message()}")
    return error.exit_code
