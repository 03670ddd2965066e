"""Erasures in words: where one stands, what went, and where."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from destinations.models import Destination
from destinations.shown import Chip, Tone, chip, exact
from webhooks.keeping.erasures.elsewhere import CANNOT, ERASED, LEFT_OUT
from webhooks.keeping.erasures.jobs import FAILED, OPEN
from webhooks.keeping.erasures.tallies import GOT, NOT_ASKED
from webhooks.keeping.erasures.tallies import places_of as said_of
from webhooks.models import Erasure, ErasureStatus

CHIPS: Mapping[str, Chip] = {
    ErasureStatus.WAITING: Chip("Waiting", "schedule", Tone.INFO),
    ErasureStatus.RUNNING: Chip("Running", "sync", Tone.INFO),
    ErasureStatus.DONE: Chip("Done", "check_circle", Tone.GOOD),
    ErasureStatus.STOPPED: Chip("Stopped", "error", Tone.BAD),
    ErasureStatus.CANCELLED: Chip("Cancelled", "cancel", Tone.QUIET),
}
_PLACES: Mapping[str, Chip] = {
    "": Chip("Not yet", "schedule", Tone.INFO),
    ERASED: Chip("Erased", "check_circle", Tone.GOOD),
    CANNOT: Chip("Not from here", "person_off", Tone.WARN),
    FAILED: Chip("Failed", "error", Tone.BAD),
    NOT_ASKED: Chip("Not asked", "info", Tone.WARN),
    LEFT_OUT: Chip("Left out", "do_not_disturb_on", Tone.WARN),
}
_STAGES = {
    "": "A worker takes it up.", "marking": "What is known of the person is kept away from now on.",
    "holding": "What waits was cancelled; what a worker has in hand is waited for.",
    "elsewhere": "It is erased at the destinations.", "events": "Events are being erased.",
    "refused": "The quarantine is being looked through.", "traces": "What else names the person is removed.",
    "settling": "What was being taken in meanwhile is waited for.", "events_again": "A last look at events.",
    "refused_again": "A last look at the quarantine.", "finishing": "The receipt is being written.",
}  # fmt: skip
_COUNTS = {
    "events": ("event", "events"), "payloads": ("payload", "payloads"), "files": ("file", "files"),
    "deliveries": ("delivery", "deliveries"), "pending": ("of them still waits", "of them still wait"),
    "cancelled": ("of them cancelled", "of them cancelled"), "attempts": ("attempt", "attempts"),
    "quarantine": ("request in the quarantine", "requests in the quarantine"),
    "user_links": ("link between ids", "links between ids"),
    "replays_masked": ("filter of a replay", "filters of replays"),
    "texts_masked": ("text of a log", "texts of logs"), "answers": ("stored answer", "stored answers"),
    "tombstones": ("mark that keeps them away", "marks that keep them away"),
}  # fmt: skip


class Place(NamedTuple):
    """A destination of an erasure, and what became of it there."""

    name: str
    chip: Any
    delivered: int
    unconfirmed: int
    erased: int
    detail: str


def is_open(row: Erasure) -> bool:
    """Tell whether it goes on by itself."""
    return row.status in OPEN and row.status != ErasureStatus.STOPPED


def stage_in_words(row: Erasure) -> str:
    """Return what happens now, or happened, in a sentence."""
    if row.status == ErasureStatus.WAITING:
        return f"It begins at {exact(row.starts_at)}, and can be cancelled until then."
    if row.status == ErasureStatus.RUNNING:
        return _STAGES.get(row.stage, "")
    if row.status == ErasureStatus.DONE:
        return "Nothing of the person is left in the hub, except where an event of somebody else names them."
    return row.problem or "Nothing was erased."


def counts_in_words(counts: Mapping[str, int]) -> list[tuple[int, str]]:
    """Return how many of what, in a fixed order."""
    return [(counts[name], _COUNTS[name][counts[name] != 1]) for name in _COUNTS if name in counts]


def places_of(row: Erasure) -> list[Place]:
    """Return the destinations that were named or had got something, in the order of their names."""
    results = said_of(row)
    rows = Destination.objects.filter(pk__in=results).order_by("name")
    return [_place(one.name, results[str(one.pk)]) for one in rows]


def _place(name: str, said: Mapping[str, Any]) -> Place:
    detail = " ".join(filter(None, (said.get("detail", ""), said.get("hint", ""))))
    if said.get("status") == NOT_ASKED:
        detail = "It stays there: tell its owner."
    delivered, unconfirmed, erased = (said.get(name, 0) for name in (*GOT, "erased"))
    return Place(name, chip(_PLACES[said.get("status", "")]), delivered, unconfirmed, erased, detail)
