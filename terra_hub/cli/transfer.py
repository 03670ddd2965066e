"""``hub export`` and ``hub import``: destinations as a file, with holes for credentials."""

import os
from collections import Counter
from pathlib import Path
from typing import Annotated, Any

import typer

from destinations.importing import Action, Applied, Change, apply, planned
from destinations.models import Destination
from destinations.rules import Refused
from destinations.transfer import Document, as_yaml, exported, in_clear, read
from terra_hub.cli.asking import confirm
from terra_hub.cli.base import DryRun, Yes, manner
from terra_hub.cli.choosing import chosen_destination
from terra_hub.cli.output import print_json, print_line, print_words, say
from terra_hub.cli.people import cli_actor
from terra_hub.cli.secrets import read_secret

_SIGNS = {Action.CREATE: "+", Action.UPDATE: "~", Action.UNCHANGED: "="}


def export_destinations(
    destination: Annotated[
        list[str] | None, typer.Option("--destination", metavar="NAME", help="This one; may be repeated. Else: all.")
    ] = None,
    output: Annotated[str, typer.Option("--output", "-o", metavar="FILE", help="Else: standard output.")] = "",
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
) -> None:
    """Write destinations as YAML: each credential is a hole such as ${WAREHOUSE_PASSWORD}, and config is in clear.

    A webhook's URL and headers are config.
    """
    if output and not force and Path(output).exists():
        raise Refused({"": [f"{output} is there already."]}, code="file_exists", hint="Add --force to write over it.")
    rows = [chosen_destination(one) for one in destination or ()]
    document = exported(rows or Destination.objects.present().order_by("name"))
    for words in in_clear(document):
        say(f"Warning: {words} are exported in clear.")
    if manner().json:
        print_json(document)
        return
    text = as_yaml(document)
    if not output:
        print_line(text.rstrip("\n"))
        return
    Path(output).write_text(text)
    say(f"Wrote {_number(len(document['destinations']), 'destination')} to {output}.")


def import_destinations(
    file: Annotated[str, typer.Argument(metavar="FILE", help="As hub export writes it; - is standard input.")],
    allow_literal_secrets: Annotated[
        bool, typer.Option("--allow-literal-secrets", help="Take secrets that stand in the file itself.")
    ] = False,
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Make and change destinations as a file says, all or none; show first what would change.

    A hole ${NAME} is filled from the variable NAME, or from the file that the variable NAME_FILE names.
    """
    document = read(read_secret(file, ""))
    _judge_literals(document, allow_literal_secrets)
    changes = planned(document, _fill)
    if not manner().json:
        _print_plan(changes)
    if not dry_run and _to_do(changes):
        confirm(f"Make these changes ({_counted(changes)})?", yes)
    _print_applied(apply(changes, by=cli_actor(), dry_run=dry_run), dry_run)


def _judge_literals(document: Document, allowed: bool) -> None:
    literals = document.literals()
    if literals and not allowed:
        raise Refused(
            {path: ["A secret stands in the file itself. Write a hole, ${NAME}."] for path in literals},
            code="literal_secret", hint="--allow-literal-secrets takes it as it is.",
        )  # fmt: skip
    if literals:
        say(f"Warning: the file holds secrets: {', '.join(literals)}. Whoever reads it has them.")


def _fill(hole: str) -> str | None:
    """Return what fills a hole: the variable of its name, or the file that NAME_FILE names."""
    path = os.environ.get(f"{hole}_FILE")
    return read_secret(path, f"{hole}_FILE") if path else os.environ.get(hole)


# --- what is said -----------------------------------------------------------------------------------
def _print_plan(changes: list[Change]) -> None:
    for change in changes:
        print_words(f"{_SIGNS[change.action]} {change.name} ({change.entry.type}): {_what(change)}")
        for one in change.differences:
            print_words(f"    {one.field}: {_step(change, one.old, one.new)}")
        for name in change.kept if change.action is Action.UPDATE else ():
            print_words(f"    credentials.{name}: kept as it is here")
    say(f"Plan: {_counted(changes)}.")


def _what(change: Change) -> str:
    return {Action.CREATE: "new", Action.UPDATE: "changes", Action.UNCHANGED: "unchanged"}[change.action]


def _step(change: Change, old: Any, new: Any) -> str:
    return _shown(new) if change.destination is None or old is None else f"{_shown(old)} -> {_shown(new)}"


def _shown(value: Any) -> str:
    if value in ("", None, [], {}):
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text.replace("\n", "\\n")


def _counted(changes: list[Change]) -> str:
    counts = Counter(change.action for change in changes)
    words = {Action.CREATE: "new", Action.UPDATE: "changed", Action.UNCHANGED: "unchanged"}
    return ", ".join(f"{counts[action]} {word}" for action, word in words.items() if counts[action]) or "nothing"


def _to_do(changes: list[Change]) -> bool:
    return any(change.action is not Action.UNCHANGED for change in changes)


def _print_applied(applied: list[Applied], dry_run: bool) -> None:
    if manner().json:
        print_json([_as_json(one, dry_run) for one in applied])
        return
    for one in () if dry_run else applied:
        for name, secret in one.secrets.items():
            say(f"The hub made {name} of {one.change.name!r}. This is the only time that it is shown:")
            print_line(secret)
    to_do = _to_do([one.change for one in applied])
    say("Dry run: nothing was changed." if dry_run else "Done." if to_do else "There is nothing to change.")


def _as_json(one: Applied, dry_run: bool) -> dict[str, Any]:
    change = one.change
    new = dry_run and change.destination is None
    return {
        "name": change.name, "type": change.entry.type, "action": change.action.value,
        "id": None if new else one.destination.pk,
        "differences": [{"field": item.field, "old": item.old, "new": item.new} for item in change.differences],
        "kept": [f"credentials.{name}" for name in change.kept],
        "secrets": {} if dry_run else one.secrets,
    }  # fmt: skip


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
