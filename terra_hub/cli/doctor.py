"""``hub doctor``."""

from typing import Annotated

import typer

from terra_hub.cli.base import manner
from terra_hub.cli.errors import Code
from terra_hub.cli.output import Column, print_json, progress, say, show_rows
from terra_hub.doctor.catalogue import all_checks
from terra_hub.doctor.running import Check, Result, chosen, examine

Only = Annotated[list[str] | None, typer.Option("--only", metavar="CHECK", help="Run this check alone (repeatable).")]
Skip = Annotated[list[str] | None, typer.Option("--skip", metavar="CHECK", help="Leave this check out (repeatable).")]
Names = Annotated[bool, typer.Option("--list", help="Name the checks, and run none.")]


def doctor(only: Only = None, skip: Skip = None, names: Names = False) -> None:
    """See whether this hub is well, from inside and through its public URL. Exit code 4: something is wrong."""
    checks = chosen(all_checks(), only or (), skip or ())
    if names:
        show_rows(checks, [Column("Check", lambda one: one.name)], lambda one: one.name, "No check is left.")
        return
    results = _run(checks)
    if manner().json:
        print_json({"well": not any(one.failed for one in results), "checks": [one.as_dict() for one in results]})
    else:
        _show(results)
    if any(one.failed for one in results):
        raise typer.Exit(Code.CHECK_FAILED)


def _run(checks: list[Check]) -> list[Result]:
    results: list[Result] = []
    with progress("Looking", len(checks)) as bar:
        for result in examine(checks):
            results.append(result)
            bar(len(results), result.check)
    return results


def _show(results: list[Result]) -> None:
    columns = [
        Column("Check", lambda one: one.check, whole=True),
        Column("State", lambda one: one.finding.level.value, whole=True),
        Column("Seen", lambda one: one.finding.detail),
    ]
    show_rows(results, columns, Result.as_dict, "No check is left.")
    for result in results:
        found = result.finding
        if found.level in ("failed", "warning"):
            say("", *filter(None, [f"{result.check}: {found.detail}", _line("Cause", found.cause)]))
        if found.fix and found.level != "skipped":
            say(*([] if found.level in ("failed", "warning") else [f"{result.check}:"]), _line("Change", found.fix))
    say("", _verdict(results))


def _line(label: str, text: str) -> str:
    return f"  {label}: {text}" if text else ""


def _verdict(results: list[Result]) -> str:
    counts = {level: sum(one.finding.level == level for one in results) for level in ("failed", "warning", "skipped")}
    told = [
        f"{count} {word}" for word, count in zip(("failed", "to look at", "not tried"), counts.values(), strict=True)
    ]
    return f"{len(results)} checks: {', '.join(told)}."
