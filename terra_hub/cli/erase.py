"""``hub erase``: a person gone from the hub, and where asked from destinations too."""

import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from destinations.dryrun import tried_out
from destinations.models import Destination
from destinations.rules import Refused
from destinations.shown import exact
from terra_hub.cli.asking import confirm, interactive
from terra_hub.cli.base import DryRun, Group, Yes, manner
from terra_hub.cli.choosing import chosen_destination
from terra_hub.cli.destinations import TRIED
from terra_hub.cli.errors import Code
from terra_hub.cli.finding import Limit, by_uuid
from terra_hub.cli.output import Column, print_line, progress, say, show_one, show_rows
from terra_hub.cli.people import cli_actor
from terra_hub.healthchecks import START_WORKER, workers_seen
from webhooks.api.erasure_serializers import (
    ErasureDetailSerializer,
    ErasurePlanSerializer,
    ErasureSerializer,
    plan_in,
)
from webhooks.keeping.erasures import jobs
from webhooks.keeping.erasures.plans import Plan, Reached, plan
from webhooks.keeping.erasures.tallies import GOT, places_of, removed
from webhooks.keeping.erasures.wanted import ALL, NONE
from webhooks.models import Erasure, ErasureStatus

POLL_SECONDS = 0.5
MOST_BYTES = 64 * 1024  # of a file of ids
_NOT_REMOVED = ("tombstones", "cancelled")  # counts of what was made, and of what was removed after it
_ENDED = (ErasureStatus.DONE, ErasureStatus.STOPPED, ErasureStatus.CANCELLED)
Users = Annotated[list[str] | None, typer.Option("--user", metavar="USER_ID", help="Terra's id (repeatable).")]
UserFile = Annotated[str, typer.Option(metavar="FILE", help="Terra's ids, one a line; - is standard input.")]
References = Annotated[
    list[str] | None, typer.Option("--reference", metavar="REFERENCE_ID", help="Your own id (repeatable).")
]
ReferenceFile = Annotated[str, typer.Option(metavar="FILE", help="Your own ids, one a line; - is standard input.")]
Places = Annotated[
    list[str] | None,
    typer.Option("--destinations", metavar="none|all|NAME", help="Where rows and objects go too (repeatable)."),
]
Confirmed = Annotated[
    int | None,
    typer.Option(
        "--confirm-users", metavar="N", min=0, help="Beside --yes, where more than 5 user ids go: how many these are."
    ),
]
Note = Annotated[
    str,
    typer.Option(metavar="TEXT", help="To tell it from others: a ticket's number. It stays: name nobody."),
]
Wait = Annotated[bool, typer.Option("--wait", help="Wait for its end, and print the receipt.")]


def erase(
    user: Users = None,
    user_file: UserFile = "",
    reference: References = None,
    reference_file: ReferenceFile = "",
    destinations: Places = None,
    yes: Yes = False,
    confirm_users: Confirmed = None,
    note: Note = "",
    wait: Wait = False,
    dry_run: DryRun = False,
) -> None:
    """Erase a person: events, payloads, log. It cannot be undone. Shells keep arguments: --user-file does not."""
    if user_file == "-" and reference_file == "-":
        raise Refused({"": ["Standard input holds one list only."]})
    who: Any = {
        "user_ids": _ids(user, user_file, "user"),
        "reference_ids": _ids(reference, reference_file, "reference"),
    }
    places = _places(destinations or [NONE])
    found = plan(**who, destinations=places)
    if dry_run:
        show_one(dict(ErasurePlanSerializer(plan_in(found)).data), _plan_facts(found))
        say("Dry run: nothing was erased.")
        return
    if interactive() and not yes:
        say(*(f"{label}: {_flat(fact)}" for label, fact in _plan_facts(found).items()))
    confirm("Erase all of this? It cannot be undone.", yes)
    seen = None if yes else len(found.person.user_ids)  # what the question was about
    confirmed = seen if confirm_users is None else confirm_users
    row = jobs.start(**who, destinations=places, by=cli_actor(), confirmed_users=confirmed, note=note)
    _carry_out(row, wait)


def _ids(given: Sequence[str] | None, path: str, option: str) -> list[str]:
    ids = list(given or ())
    if path:
        ids += [line.strip() for line in _text(path, option).splitlines() if line.strip()]
    return list(dict.fromkeys(ids))


def _text(path: str, option: str) -> str:
    field = f"{option}-file"
    try:
        content = sys.stdin.buffer.read(MOST_BYTES + 1) if path == "-" else Path(path).read_bytes()[: MOST_BYTES + 1]
        if len(content) > MOST_BYTES:
            raise Refused({field: ["More than 64 KiB of ids: erase them in parts."]})
        return content.decode()
    except OSError as error:
        raise Refused({field: [f"{path} cannot be read: {error.strerror}."]}) from error
    except UnicodeDecodeError as error:
        raise Refused({field: [f"{path} is not text in UTF-8."]}) from error


def _places(names: Sequence[str]) -> Any:
    """Return destinations as the use cases take them: ids, or a word for none or all."""
    if len(names) == 1 and names[0] in (NONE, ALL):
        return names[0]
    if {NONE, ALL} & set(names):
        raise Refused({"destinations": ["Say none, or all, or names: not both."]})
    return [chosen_destination(name).pk for name in names]


# --- what would go ------------------------------------------------------------------------------------------------
def _plan_facts(found: Plan) -> dict[str, Any]:
    counts = found.counts
    facts: dict[str, Any] = {
        "Known ids": f"{len(found.person.user_ids)} of users, {len(found.person.reference_ids)} of your own",
        **{name.capitalize(): f"{count:,}" for name, count in counts.items()},
        "Older requests": None if found.quarantine_complete else "not all were looked at; the erasure looks at all",
        "Also erased at": [one.destination.name for one in found.destinations if one.chosen and one.erases],
        "Cannot erase": [one.destination.name for one in found.destinations if one.chosen and not one.erases],
        "Left there": [_left(one) for one in found.destinations if not one.chosen],
        "Beside": f"{found.users_beside} other users with the same reference id, who stay"
        if found.users_beside
        else None,
    }
    return {label: fact for label, fact in facts.items() if fact not in (None, [])}


def _left(one: Reached) -> str:
    unconfirmed = f", {one.unconfirmed:,} sent without a yes" if one.unconfirmed else ""
    return f"{one.destination.name} ({one.delivered:,} delivered{unconfirmed})"


def _flat(fact: Any) -> str:
    return ", ".join(fact) if isinstance(fact, list) else str(fact)


# --- carrying it out ----------------------------------------------------------------------------------------------
def _carry_out(row: Erasure, wait: bool) -> None:
    say(f"Erasure {row.pk} started.")
    if wait:
        _show_ended(_followed(row))
    elif manner().json:
        show_one(_as_json(row), {})
    else:
        print_line(str(row.pk))
        say(f"A worker carries it on. See: hub erasures show {row.pk}")


def _followed(row: Erasure) -> Erasure:
    if not workers_seen():
        say(f"No worker runs, so nothing moves. {START_WORKER}")
    try:
        with progress("Erasing") as bar:
            while row.status not in _ENDED:
                bar(removed(row), row.stage)
                time.sleep(POLL_SECONDS)
                row.refresh_from_db()
            bar(removed(row))
    except KeyboardInterrupt as error:
        say("", f"It goes on without you. See: hub erasures show {row.pk}")
        raise typer.Exit(Code.INTERRUPTED) from error
    return row


def _show_ended(row: Erasure) -> None:
    show_one(_as_json(row), _facts(row))
    if row.status != ErasureStatus.DONE:
        raise typer.Exit(Code.FAILED)


def _as_json(row: Erasure) -> dict[str, Any]:
    """Return an erasure as the API has it: without anything of the person."""
    return dict(ErasureDetailSerializer(row).data)


def _facts(row: Erasure) -> dict[str, Any]:
    note = {"Note": row.note} if row.note else {}
    return {
        "Erasure": row.pk, "Status": row.status, **note, "Problem": row.problem or None,
        "Erased": [f"{name} {count:,}" for name, count in sorted(row.counts.items()) if name not in _NOT_REMOVED],
        "Kept away by": f"{row.counts.get('tombstones', 0):,} tombstones",
        "At destinations": _at_destinations(row) or None,
        "Asked by": f"{row.created_by or 'the hub itself'}, {exact(row.created_at)}",
        "Ended": exact(row.finished_at) if row.finished_at else None,
        "Receipt": f"sha256 {row.receipt_sha256}" if row.receipt_sha256 else "once it is done",
    }  # fmt: skip


def _at_destinations(row: Erasure) -> str:
    places = places_of(row)
    names = {str(pk): name for pk, name in Destination.objects.filter(pk__in=places).values_list("pk", "name")}
    return "\n".join(f"{names.get(key, key)}: {_became(said)}" for key, said in places.items())


def _became(said: dict[str, Any]) -> str:
    counts = [f"{said[name]:,} {name}" for name in (*GOT, "erased") if said.get(name)]
    return " ".join(filter(None, (", ".join((said.get("status", "waiting"), *counts)) + ".", said.get("detail", ""))))


# --- those that were asked for ---------------------------------------------------------------------------------------
app = Group("Erasures: what was asked for, and their receipts.")
Which = Annotated[str, typer.Argument(metavar="ERASURE", help="Its id.")]
COLUMNS = [
    Column("Id", lambda row: row.pk, whole=True),
    Column("Status", lambda row: row.status, whole=True),
    Column("Asked", lambda row: exact(row.created_at), whole=True),
    Column("By", lambda row: row.created_by),
    Column("Erased", lambda row: f"{removed(row):,}"),
]


def _row(text: str) -> Erasure:
    row: Erasure = by_uuid(Erasure.objects.all(), text, "erasure")
    return row


@app.command("list")
def list_all(limit: Limit = 20) -> None:
    """List erasures, newest first. Who it was is not kept."""
    rows = list(Erasure.objects.order_by("-pk").defer("subject")[:limit])
    note = [Column("Note", lambda row: row.note)] if any(row.note for row in rows) else []
    show_rows(rows, COLUMNS + note, lambda row: dict(ErasureSerializer(row).data), "Nobody was erased yet.")


@app.command("show")
def show(erasure: Which, wait: Wait = False) -> None:
    """Show an erasure, and its receipt once it is done."""
    row = _row(erasure)
    if wait:
        _show_ended(_followed(row))
    else:
        show_one(_as_json(row), _facts(row))


@app.command("cancel")
def cancel(erasure: Which, dry_run: DryRun = False) -> None:
    """Give up an erasure that waits for its time. One that has begun cannot be undone."""
    _turn(jobs.cancel, erasure, dry_run)


@app.command("resume")
def resume(
    erasure: Which,
    skip_failed: Annotated[bool, typer.Option("--skip-failed", help="Without the destinations that failed.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Go on where a problem stopped it; or, while it runs, without the destinations that have failed so far."""
    _turn(partial(jobs.resume, skip_failed=skip_failed), erasure, dry_run)


def _turn(action: Callable[..., Erasure], text: str, dry_run: bool) -> None:
    with tried_out(dry_run):
        row = action(_row(text), by=cli_actor())
        show_one(_as_json(row), _facts(row))
    if dry_run:
        say(TRIED)


@app.command("lift")
def lift(erasure: Which, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Let the person come back under the old ids. What was erased stays erased."""
    row = _row(erasure)
    confirm("Let this person's new events in again?", yes or dry_run)
    with tried_out(dry_run):
        count = jobs.lift(row, by=cli_actor())
    show_one({"id": row.pk, "lifted": count, "dry_run": dry_run}, {"Erasure": row.pk, "Ids let in again": count})
    if dry_run:
        say(TRIED)
