"""``hub quarantine``: requests that were refused, and taking them in after all."""

from collections import Counter
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from django.db.models import QuerySet

from destinations.rules import Refused
from destinations.shown import exact, size
from terra_hub.cli.asking import confirm
from terra_hub.cli.base import DryRun, Group, Yes
from terra_hub.cli.errors import Code
from terra_hub.cli.finding import Limit, Since, SourceName, Until, by_uuid, each, found, source_id, times
from terra_hub.cli.output import Column, progress, say, show_done, show_one, show_rows
from terra_hub.cli.people import cli_actor
from webhooks.api.quarantine_serializers import QuarantineDetailSerializer, QuarantineSerializer
from webhooks.finding.quarantine import STATES, RefusedWanted, refused_scan, state_of
from webhooks.models import REASONS, QuarantinedRequest
from webhooks.receiving.quarantine import admit_each, verify_again, verify_each
from webhooks.receiving.refusals import REMEDIES

app = Group("Requests that were not taken in.")
Which = Annotated[str, typer.Argument(metavar="REQUEST", help="Its id.")]
Some = Annotated[list[str] | None, typer.Argument(metavar="[REQUEST]...", help="Ids. Or none, and --all.")]
Reason = Annotated[str, typer.Option(help=f"Refused for this: {', '.join(REASONS)}.")]
All = Annotated[bool, typer.Option("--all", help="All that are kept and that --reason, --source, --since leave.")]
_AT_ONCE = 100  # that are admitted between two movements of the bar
_EXAMPLES = 3  # reasons against requests that are named


def _state(row: QuarantinedRequest) -> str:
    return STATES[state_of(row.admitted_at, row.event_id)]


COLUMNS = [
    Column("Received", lambda row: exact(row.received_at), whole=True),
    Column("Reason", lambda row: row.reason),
    Column("Source", lambda row: row.source.slug),
    Column("State", _state),
    Column("Id", lambda row: row.pk, whole=True),
]


def as_json(row: QuarantinedRequest) -> dict[str, Any]:
    """Return a refused request as the API has it in a list."""
    return dict(QuarantineSerializer(row).data)


def _rows() -> QuerySet[QuarantinedRequest]:
    rows: QuerySet[QuarantinedRequest] = QuarantinedRequest.objects.select_related("source")
    return rows.defer("body", "headers", "source__signing")


def _wanted(reason: str, source: str, state: str, since: str, until: str) -> RefusedWanted:
    if reason and reason not in REASONS:
        raise Refused({"reason": [f"Must be one of: {', '.join(REASONS)}."]})
    if state and state not in STATES:
        raise Refused({"state": [f"Must be one of: {', '.join(STATES)}."]})
    return RefusedWanted(reason=reason, source_id=source_id(source), state=state, **times(since, until))


@app.command("list")
def list_all(
    reason: Reason = "",
    source: SourceName = "",
    state: Annotated[str, typer.Option(help=f"What became of it: {', '.join(STATES)}.")] = "",
    since: Since = "",
    until: Until = "",
    limit: Limit = 50,
) -> None:
    """List refused requests, newest first."""
    scan = refused_scan(_wanted(reason, source, state, since, until))
    show_rows(found(scan, _rows(), limit), COLUMNS, as_json, "Nothing was refused that fits.")


@app.command("show")
def show(request: Which) -> None:
    """Show a refused request: why, what to change, and whether it would pass now."""
    row = by_uuid(QuarantinedRequest.objects.select_related("source"), request, "refused request")
    verdict = verify_again(row)
    value = {**QuarantineDetailSerializer(row).data, "passes": not verdict, "verdict": verdict}
    show_one(value, _facts(row, verdict))


def _facts(row: QuarantinedRequest, verdict: str) -> dict[str, Any]:
    kept = "kept" if row.body is not None else "not kept"
    return {
        "Id": row.pk, "Received": exact(row.received_at), "Source": row.source.slug, "From": row.remote_address,
        "Reason": f"{row.reason}: {row.reason_words}", "Detail": row.detail, "What to change": REMEDIES.get(row.reason),
        "Body": f"{size(row.size)}, {kept}", "State": _state(row), "Event": row.event_id,
        "Now": verdict or "It would pass: hub quarantine admit takes it in.",
        "Headers": "\n".join(f"{name}: {value}" for name, value in sorted(row.headers.items())),
    }  # fmt: skip


@app.command("verify")
def verify(request: Annotated[list[str], typer.Argument(metavar="REQUEST...", help="Ids.")]) -> None:
    """See whether refused requests would pass now; nothing is changed. Exit code 4: one would not."""
    verdicts = [(row, verify_again(row)) for row in _named(request)]
    columns = [
        Column("Id", lambda one: one[0].pk, whole=True),
        Column("Passes", lambda one: not one[1], whole=True),
        Column("Why not", lambda one: one[1]),
    ]
    show_rows(verdicts, columns, lambda one: {"id": one[0].pk, "passes": not one[1], "verdict": one[1]}, "")
    if any(verdict for _, verdict in verdicts):
        raise typer.Exit(Code.CHECK_FAILED)


def _named(ids: Sequence[str]) -> list[QuarantinedRequest]:
    rows = QuarantinedRequest.objects.select_related("source")
    return [by_uuid(rows, text, "refused request") for text in ids]


@app.command("admit")
def admit(
    request: Some = None,
    all: All = False,
    reason: Reason = "",
    source: SourceName = "",
    since: Since = "",
    until: Until = "",
    yes: Yes = False,
    dry_run: DryRun = False,
) -> None:
    """Take refused requests in, where they pass now: each becomes an event, and is delivered."""
    narrowed = bool(reason or source or since or until)
    if bool(request) == all or (narrowed and not all):
        raise Refused({"": ["Name requests; or say --all, and which by --reason, --source, --since or --until."]})
    keys = _keys_of(_wanted(reason, source, "kept", since, until)) if all else [row.pk for row in _named(request or ())]
    if not keys:
        show_done({"admitted": 0, "refused": 0, "reasons": {}, "dry_run": dry_run})
        say("Nothing is kept that fits.")
        return
    if all and not dry_run:
        confirm(f"Take in those of {len(keys):,} refused requests that pass now?", yes)
    _tell(*_go_through(keys, dry_run), dry_run)


def _keys_of(wanted: RefusedWanted) -> list[Any]:
    return [row.pk for row in each(refused_scan(wanted), QuarantinedRequest.objects.only("pk"))]


def _go_through(keys: Sequence[Any], dry_run: bool) -> tuple[int, Counter[str]]:
    """Admit requests, oldest first, or only look whether they pass; return how many do, and what is against others."""
    passed, against = 0, Counter[str]()
    ordered = sorted(keys)
    with progress("Verifying" if dry_run else "Admitting", len(ordered)) as bar:
        for start in range(0, len(ordered), _AT_ONCE):
            part = ordered[start : start + _AT_ONCE]
            rows = QuarantinedRequest.objects.filter(pk__in=part).select_related("source").order_by("pk")
            tried = verify_each(rows) if dry_run else admit_each(rows, by=cli_actor())
            against.update(one.reason for one in tried if one.reason)
            passed += sum(not one.reason for one in tried)
            bar(start + len(part))
    return passed, against


def _tell(passed: int, against: Counter[str], dry_run: bool) -> None:
    refused = sum(against.values())
    show_done({"admitted": passed, "refused": refused, "reasons": dict(against), "dry_run": dry_run})
    say(f"Dry run: {passed:,} would be admitted." if dry_run else f"{passed:,} admitted: they are delivered like any.")
    for text, count in against.most_common(_EXAMPLES):
        say(f"{count:,} refused still: {text}")
    if refused and not passed:
        raise typer.Exit(Code.FAILED)
