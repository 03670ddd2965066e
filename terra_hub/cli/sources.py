"""``hub sources``: the Terra environments that may post here."""

from typing import Annotated, Any

import typer

from destinations.crypto import SealError
from destinations.dryrun import tried_out
from destinations.rules import Refused
from terra_hub.cli.asking import ask, interactive
from terra_hub.cli.base import DryRun, Group
from terra_hub.cli.choosing import chosen_source
from terra_hub.cli.fields import split
from terra_hub.cli.output import Column, say, show_one, show_result, show_rows
from terra_hub.cli.people import cli_actor
from terra_hub.cli.secrets import SecretEnv, SecretFile, ask_secret, given_secrets
from webhooks.api.source_serializers import SourceSerializer
from webhooks.models import Source
from webhooks.receiving.sources import (
    GRACE_SECONDS,
    add_signing_secret,
    create_source,
    signing_secrets_summary,
    update_source,
    webhook_url,
)
from webhooks.stats import with_last_event

app = Group("Sources: the Terra environments that may post here.")
SECRET = "secret"  # noqa: S105  # the field's name
TRIED = "Dry run: nothing was changed."
Which = Annotated[str, typer.Argument(metavar="SOURCE", help="Its slug or id, or how one of them begins.")]
Name = Annotated[str | None, typer.Option(help="How people tell it.")]
DevId = Annotated[str | None, typer.Option(help="Terra's dev-id, for your own reference.")]
Active = Annotated[bool | None, typer.Option("--active/--disabled", help="The URL of a disabled one answers 404.")]
Tolerance = Annotated[int | None, typer.Option(help="Seconds that a signature's time may differ from the hub's clock.")]
StaleWindow = Annotated[
    int | None, typer.Option(help="An older signature than that, but younger than this, is taken if its body is new.")
]
Strict = Annotated[bool | None, typer.Option("--strict/--lenient", help="Refuse every older signature.")]
Allowlist = Annotated[
    list[str] | None, typer.Option("--allowlist", metavar="ADDRESS,…", help="Addresses and CIDR ranges that may post.")
]
Enforced = Annotated[
    bool | None, typer.Option("--enforce-allowlist/--no-enforce-allowlist", help="Refuse any other address.")
]


@app.command("list")
def list_all() -> None:
    """List sources by their slug."""
    columns = [
        Column("Slug", lambda row: row.slug, whole=True),
        Column("Name", lambda row: row.name),
        Column("Active", lambda row: row.active),
        Column("Secrets", lambda row: len(_secrets(row)) or "none: it refuses everything"),
        Column("Webhook URL", lambda row: webhook_url(row.slug)),
    ]
    rows = Source.objects.all()
    show_rows(rows, columns, as_json, "There is no source yet. Make one: hub sources add SLUG.")


@app.command("show")
def show_source(source: Which) -> None:
    """Show a source, without its secrets."""
    _show(chosen_source(source))


@app.command("url")
def url(source: Which) -> None:
    """Print the URL that is pasted into Terra's dashboard, alone on standard output."""
    row = chosen_source(source)
    show_result({"webhook_url": webhook_url(row.slug)}, webhook_url(row.slug))


@app.command("add")
def add(
    slug: Annotated[str, typer.Argument(help="Part of the webhook URL; fixed from then on.")] = "",
    name: Name = None,
    dev_id: DevId = None,
    active: Active = None,
    tolerance_s: Tolerance = None,
    stale_window_s: StaleWindow = None,
    strict: Strict = None,
    allowlist: Allowlist = None,
    enforce: Enforced = None,
    secret_env: SecretEnv = None,
    secret_file: SecretFile = None,
    dry_run: DryRun = False,
) -> None:
    """Make a source. Its signing secret from Terra's dashboard is asked for, or taken as secret=… is said."""
    slug = slug or (ask("Slug", "terra") if interactive() else "")
    given = _settings(
        name=name, dev_id=dev_id, active=active, tolerance_s=tolerance_s, stale_window_s=stale_window_s, strict=strict,
        allowlist=split(allowlist), allowlist_enforced=enforce,
    )  # fmt: skip
    secret = given_secrets([SECRET], secret_env, secret_file).get(SECRET)
    if secret is None and interactive():
        secret = ask_secret(SECRET, "Signing secret, from Terra's dashboard")
    with tried_out(dry_run):
        row = create_source(slug=slug, secret=secret or "", by=cli_actor(), **given)
        _show(row)
    say(TRIED if dry_run else f"Made. Paste its URL into Terra's dashboard: {webhook_url(row.slug)}")
    if not secret:
        say(f"It has no secret, so it refuses everything. Add one: hub sources add-secret {row.slug}.")


@app.command("set")
def set_fields(
    source: Which,
    name: Name = None,
    dev_id: DevId = None,
    active: Active = None,
    tolerance_s: Tolerance = None,
    stale_window_s: StaleWindow = None,
    strict: Strict = None,
    allowlist: Allowlist = None,
    enforce: Enforced = None,
    dry_run: DryRun = False,
) -> None:
    """Change what is named, and leave the rest. The slug is fixed; secrets: add-secret."""
    changes = _settings(
        name=name, dev_id=dev_id, active=active, tolerance_s=tolerance_s, stale_window_s=stale_window_s, strict=strict,
        allowlist=split(allowlist), allowlist_enforced=enforce,
    )  # fmt: skip
    if not changes:
        raise Refused({"": ["Nothing was named to be changed."]}, hint="hub sources set --help lists the options.")
    with tried_out(dry_run):
        _show(update_source(chosen_source(source), by=cli_actor(), **changes))
    say(TRIED if dry_run else "Changed.")


@app.command("add-secret")
def add_secret(
    source: Which,
    grace_s: Annotated[int, typer.Option(help="Seconds for which the secrets before it stay good.")] = GRACE_SECONDS,
    secret_env: SecretEnv = None,
    secret_file: SecretFile = None,
    dry_run: DryRun = False,
) -> None:
    """Make another secret from Terra's dashboard the current one; those before it stay good for a while."""
    row = chosen_source(source)
    secret = given_secrets([SECRET], secret_env, secret_file).get(SECRET)
    if secret is None:
        secret = ask_secret(SECRET, "Signing secret, from Terra's dashboard")
    with tried_out(dry_run):
        _show(add_signing_secret(row, secret, grace_s, by=cli_actor()))
    say(TRIED if dry_run else "Added: it is the current one now.")


def as_json(row: Source) -> dict[str, Any]:
    """Return a source as the API has it, with what may be told of its secrets."""
    return dict(SourceSerializer(with_last_event(Source.objects.filter(pk=row.pk)).get()).data)


def _show(row: Source) -> None:
    facts = {
        "Slug": row.slug, "Name": row.name, "Id": row.pk, "Webhook URL": webhook_url(row.slug),
        "Active": row.active, "Dev id": row.dev_id,
        "Secrets": "\n".join(entry["said"] for entry in _secrets(row)) or "none: it refuses everything",
        "Tolerance": f"{row.tolerance_s} s", "Stale window": f"{row.stale_window_s} s", "Strict": row.strict,
        "Allowlist": row.allowlist, "Allowlist enforced": row.allowlist_enforced,
    }  # fmt: skip
    show_one(as_json(row), facts)


def _secrets(row: Source) -> list[dict[str, Any]]:
    try:
        return signing_secrets_summary(row)
    except SealError as error:
        return [{"said": str(error), "not_after": None, "current": False}]


def _settings(**given: Any) -> dict[str, Any]:
    return {name: value for name, value in given.items() if value is not None}
