"""Replays from the command line: what one would be, starting it, and watching it to its end."""

import time
from datetime import timedelta
from typing import Annotated, Any

import typer
from django.utils import timezone

from destinations.rules import Refused
from destinations.shown import span
from terra_hub.cli.asking import ask, confirm, interactive
from terra_hub.cli.base import manner
from terra_hub.cli.errors import Code
from terra_hub.cli.output import Progressed, print_line, progress, say, show_one
from terra_hub.cli.people import cli_actor
from terra_hub.healthchecks import START_WORKER, workers_seen
from webhooks.api.replay_serializers import ReplayDetailSerializer, estimate_in
from webhooks.keeping import replays
from webhooks.keeping.estimates import COUNTED, Estimate, warnings
from webhooks.keeping.forecast import forecast
from webhooks.keeping.progress import Progress, progress_of
from webhooks.keeping.selections import Selection
from webhooks.models import Replay, ReplayStatus

POLL_SECONDS = 0.5
_TOLD_EVERY = timedelta(seconds=30)
Rate = Annotated[int | None, typer.Option(min=1, help="Deliveries per second at most.")]
Confirm = Annotated[
    int | None,
    typer.Option("--confirm", min=0, metavar="N", help=f"Start it: N deliveries (needed above {COUNTED:,})."),
]
Detach = Annotated[bool, typer.Option("--detach", "-d", help="Do not wait for its end: print its number alone.")]


def carry_out(
    selection: Selection, rate: int | None, confirmed: int | None, yes: bool, detach: bool, dry_run: bool
) -> None:
    """Start a replay once it is confirmed, and watch it; or say what it would be."""
    _, found = replays.judged(selection, rate)
    if dry_run:
        _show_estimate(found, rate)
        return
    confirmed = _agreed(found, rate, confirmed, yes)
    row = replays.start(selection, cli_actor().get_username(), rate, confirmed)
    say(f"Replay {row.pk} started.")
    if detach:
        _print_started(row)
    else:
        watch(row)


def _print_started(row: Replay) -> None:
    if manner().json:
        show_one(as_json(row), {})
    else:
        print_line(str(row.pk))
        say(f"A worker carries it on. See how far it is: hub replays watch {row.pk}")


def as_json(row: Replay) -> dict[str, Any]:
    """Return a replay as the API has it, with how far it is."""
    return dict(ReplayDetailSerializer(row).data)


# --- what it would be ------------------------------------------------------------------------------------------
def _show_estimate(found: Estimate, rate: int | None) -> None:
    takes = forecast(found, rate)
    show_one(estimate_in(found, takes, timezone.now()), _estimate_facts(found, rate))
    say("Dry run: nothing was started.")


def _estimate_facts(found: Estimate, rate: int | None) -> dict[str, Any]:
    takes = forecast(found, rate)
    of_sample = f" of the {found.sample} that were looked at" if found.sample and not found.exact else ""
    facts = {
        "Deliveries": found.text,
        "Destinations": [one.name for one in found.destinations],
        "Takes": span(round(takes.seconds)) if takes.seconds is not None else "not known yet",
        "Delivered before": f"{found.delivered}{of_sample}" if found.delivered else None,
        "Payload gone": f"{found.payload_gone}{of_sample}" if found.payload_gone else None,
        "On their way": f"{found.on_their_way}{of_sample}" if found.on_their_way else None,
        "Repeats": "\n".join(f"{label}: {text}" for label, text in warnings(found.destinations).items()),
    }
    return {label: fact for label, fact in facts.items() if fact}


def _agreed(found: Estimate, rate: int | None, confirmed: int | None, yes: bool) -> int | None:
    """Return the count that was confirmed, by option or at the terminal; raise ``Refused`` where it was not."""
    if confirmed is not None:
        return confirmed
    if found.count <= COUNTED:
        if not yes:
            _say_facts(found, rate)
        confirm(f"Deliver {found.text} again?", yes)
        return None
    if not interactive():
        told = f"These are {found.text} deliveries, which have to be confirmed."
        raise Refused({"confirm": [told]}, code="count_not_confirmed", hint=f"Add --confirm {found.count}.")
    _say_facts(found, rate)
    return _typed(ask(f"These are {found.text} deliveries. Type the number to start", secret=False))


def _say_facts(found: Estimate, rate: int | None) -> None:
    if interactive():
        say(*(f"{label}: {_flat(fact)}" for label, fact in _estimate_facts(found, rate).items()))


def _flat(fact: Any) -> str:
    return ", ".join(fact) if isinstance(fact, list) else str(fact)


def _typed(text: str) -> int:
    digits = text.replace(",", "").replace(".", "").strip()
    if not (digits.isascii() and digits.isdecimal()):
        raise Refused({"": ["That was no number, so nothing was started."]}, code="count_not_confirmed")
    return int(digits)


# --- watching ----------------------------------------------------------------------------------------------------
def watch(row: Replay) -> None:
    """Follow a replay to its end; Ctrl-C ends the watching alone. Raise ``Exit`` where it was stopped or cancelled."""
    try:
        row = _followed(row)
    except KeyboardInterrupt as error:
        say("", f"It goes on without you. hub replays watch {row.pk} looks again; hub replays pause {row.pk} stops it.")
        raise typer.Exit(Code.INTERRUPTED) from error
    show_one(as_json(row), facts(row))
    if row.status in (ReplayStatus.STOPPED, ReplayStatus.CANCELLED):
        raise typer.Exit(Code.FAILED)


def _followed(row: Replay) -> Replay:
    with progress(f"Replay {row.pk}", 100) as bar:
        told_at = timezone.now() - _TOLD_EVERY
        while not ended(row):
            told_at = _tell_of_workers(told_at)
            _move(bar, row)
            time.sleep(POLL_SECONDS)
            row.refresh_from_db()
        _move(bar, row)
    return row


def ended(row: Replay) -> bool:
    """Tell whether nothing more happens to a replay by itself."""
    if row.status == ReplayStatus.CANCELLED:
        return row.finished_at is not None
    return row.status in (ReplayStatus.DONE, ReplayStatus.STOPPED, ReplayStatus.PAUSED)


def _tell_of_workers(told_at: Any) -> Any:
    """Say where nothing can move, every now and then."""
    now = timezone.now()
    if now - told_at < _TOLD_EVERY:
        return told_at
    if not workers_seen():
        say(f"No worker runs, so nothing moves. {START_WORKER}")
    return now


def _move(bar: Progressed, row: Replay) -> None:
    found = progress_of(row, timezone.now())
    bar(found.percent, words(row, found))


def words(row: Replay, found: Progress) -> str:
    """Return how far it is: ``45 %, 1,234 of 2,750, 56/s, 27 s left, 3 dead``."""
    done = max(0, found.queued - found.waiting - found.restored)
    rate = _rate(row, done)
    parts = [
        f"{found.percent} %", f"{done:,} of {found.expected:,}", f"{rate:,.0f}/s" if rate is not None else "",
        f"{span(round(found.left.total_seconds()))} left" if found.left else "",
        f"{found.dead:,} dead" if found.dead else "", row.status if ended(row) else "",
    ]  # fmt: skip
    return ", ".join(filter(None, parts))


def _rate(row: Replay, done: int) -> float | None:
    """Return deliveries per second since it was started or resumed."""
    seconds = (timezone.now() - row.measured_from).total_seconds() if row.measured_from else 0
    lately = done - row.measured_queued
    return lately / seconds if seconds > 0 and lately > 0 and row.status == ReplayStatus.RUNNING else None


def facts(row: Replay) -> dict[str, Any]:
    """Return what is shown of one replay."""
    from destinations.models import Destination
    from destinations.shown import exact

    found = progress_of(row, timezone.now())
    names = Destination.objects.filter(pk__in=row.destination_ids).order_by("name").values_list("name", flat=True)
    told = {
        "Replay": row.pk, "Kind": f"{row.kind}: {row.get_kind_display().lower()}", "Status": row.status,
        "Problem": row.problem or None, "Progress": words(row, found),
        "Delivered": f"{found.delivered:,}", "Dead letters": f"{found.dead:,}", "Waiting": f"{found.waiting:,}",
        "Left out": f"{found.skipped:,}", "Put back": f"{found.restored:,}",
        "Destinations": list(names) or "where each event would go",
        "Selection": [f"{name}={value}" for name, value in row.selection.items() if name != "last_delivery"],
        "Started": f"{exact(row.created_at)} by {row.created_by or 'nobody named'}",
        "Ended": exact(row.finished_at) if row.finished_at else None,
    }  # fmt: skip
    return {label: fact for label, fact in told.items() if fact is not None}
