"""``hub keys``: keys of the REST API."""

from datetime import timedelta
from typing import Annotated, Any

import typer
from django.utils import timezone

from destinations.access.keys import DEFAULT_DAYS, default_end, make_key, revoke_key, warning_of
from destinations.access.scopes import SCOPES, words_of
from destinations.access.serializers import ApiKeySerializer
from destinations.dryrun import tried_out
from destinations.models import ApiKey
from destinations.rules import Refused
from destinations.shown import exact
from terra_hub.cli.asking import confirm
from terra_hub.cli.base import DryRun, Group, Yes
from terra_hub.cli.choosing import chosen_key
from terra_hub.cli.fields import split
from terra_hub.cli.output import Column, say, show_one, show_result, show_rows
from terra_hub.cli.people import cli_actor

_SCOPES = " ".join(f"{scope}: {words_of(scope)}." for scope in SCOPES)
app = Group("Keys of the REST API.")
Which = Annotated[str, typer.Argument(metavar="KEY", help="Its name, its beginning (hub_live_…) or its id.")]
TRIED = "Dry run: nothing was changed."


@app.command("list")
def list_all(all: Annotated[bool, typer.Option("--all", help="Revoked and expired ones too.")] = False) -> None:
    """List the keys that open something, newest first."""
    now = timezone.now()
    rows = [row for row in ApiKey.objects.all() if all or row.state(now) == "active"]
    columns = [
        Column("Name", lambda row: row.name),
        Column("Key", lambda row: f"{row.prefix}…", whole=True),
        Column("State", lambda row: row.state(now), whole=True),
        Column("Scopes", lambda row: row.scopes),
        Column("Sources", lambda row: row.sources or "all"),
        Column("Last used", lambda row: f"{row.last_used_at:%Y-%m-%d %H:%M}" if row.last_used_at else "never"),
    ]
    show_rows(rows, columns, as_json, "There is no active key. Make one: hub keys add NAME --scopes events:read.")
    for row in rows:
        if warning := warning_of(row, now):
            say(f"Warning: {row}: {warning}")


@app.command("show")
def show_key(key: Which) -> None:
    """Show a key: what it may do, and when it was used last. Its text is nowhere stored."""
    _show(chosen_key(key))


@app.command("add", help=f"Make a key, and print it, this once, alone on standard output. Scopes: {_SCOPES}")
def add(
    name: Annotated[str, typer.Argument(help="Who or what will use it: histories name it.")],
    scopes: Annotated[list[str] | None, typer.Option("--scopes", metavar="SCOPE,…", help="What it may do.")] = None,
    sources: Annotated[
        list[str] | None, typer.Option("--sources", metavar="SLUG,…", help="Limit it to these; else: every source.")
    ] = None,
    expires_in_days: Annotated[
        int | None, typer.Option(min=1, max=36500, help=f"It opens nothing after that; else: {DEFAULT_DAYS}.")
    ] = None,
    never_expires: Annotated[bool, typer.Option("--never-expires", help="It lives until it is revoked.")] = False,
    dry_run: DryRun = False,
) -> None:
    """Make a key, and print it, this once."""
    if never_expires and expires_in_days:
        raise Refused({"": ["--never-expires and --expires-in-days say different things: give one of them."]})
    ends = timezone.now() + timedelta(days=expires_in_days) if expires_in_days else default_end()
    with tried_out(dry_run):
        made = make_key(
            name=name,
            scopes=split(scopes) or (),
            sources=split(sources) or (),
            expires_at=None if never_expires else ends,
            by=cli_actor(),
        )
    if dry_run:
        say(TRIED)
        return
    say(f"This is the only time that the key {made.row.name!r} is shown. Send it as Authorization: Bearer.")
    if not never_expires and not expires_in_days:
        say(f"It ends in {DEFAULT_DAYS} days: --expires-in-days or --never-expires say otherwise.")
    show_result({**as_json(made.row), "key": made.text}, made.text)


@app.command("revoke")
def revoke(key: Which, yes: Yes = False, dry_run: DryRun = False) -> None:
    """Let a key open nothing any more, from now on and for good."""
    row = chosen_key(key)
    if not dry_run:
        confirm(f"Revoke {row}? Whoever uses it is refused from now on.", yes)
    with tried_out(dry_run):
        _show(revoke_key(row, by=cli_actor()))
    say(TRIED if dry_run else "Revoked.")


def as_json(row: ApiKey) -> dict[str, Any]:
    """Return a key as the API has it, without its text."""
    return dict(ApiKeySerializer(row).data)


def _show(row: ApiKey) -> None:
    facts = {
        "Name": row.name, "Key": f"{row.prefix}…", "Id": row.pk, "State": row.state(timezone.now()),
        "Scopes": row.scopes, "Sources": row.sources or "every source",
        "Expires": exact(row.expires_at) if row.expires_at else "never",
        "Revoked": exact(row.revoked_at) if row.revoked_at else None,
        "Last used": exact(row.last_used_at) if row.last_used_at else "never",
        "Made": f"{exact(row.created_at)} by {row.created_by}" if row.created_by else exact(row.created_at),
    }  # fmt: skip
    if warning := warning_of(row, timezone.now()):
        facts["Warning"] = warning
    show_one(as_json(row), facts)
