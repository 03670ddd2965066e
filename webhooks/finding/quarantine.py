"""Which index serves a filter of the quarantine, and what is tested of its rows."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from webhooks.finding.byindex import by_index
from webhooks.finding.events import equals, sources_among, within
from webhooks.finding.scans import Scan
from webhooks.models import QuarantinedRequest

STATES = {"kept": "Kept", "admitted": "Admitted", "repeats": "Repeats an event"}


@dataclass(frozen=True, slots=True)
class RefusedWanted:
    """A filter of refused requests; what is empty is not asked."""

    reason: str = ""
    source_id: UUID | None = None
    sources: Collection[UUID] | None = None  # ids: of others nothing is found; None: of every source
    state: str = ""  # of STATES
    since: datetime | None = None
    until: datetime | None = None


def refused_scan(wanted: RefusedWanted) -> Scan:
    """Return how the requests that are wanted are found: newest first, by source and time; the rest is tested."""
    rows = within(QuarantinedRequest.objects.all(), wanted.since, wanted.until)
    tests, columns = [], []
    if wanted.reason:
        tests.append(equals("reason", wanted.reason))
        columns.append("reason")
    if wanted.state:
        tests.append(lambda row: state_of(row["admitted_at"], row["event_id"]) == wanted.state)
        columns += ["admitted_at", "event_id"]
    among = sources_among(wanted.source_id, wanted.sources)
    if among is None:
        return Scan((rows,), columns=tuple(columns), tests=tests)
    arms = tuple(by_index(rows, {"source_id": one}) for one in sorted(among))
    return Scan(arms, ("source_id",), columns=tuple(columns), tests=tests)


def state_of(admitted_at: datetime | None, event_id: UUID | None) -> str:
    """Return what became of a refused request: a key of ``STATES``."""
    if admitted_at:
        return "admitted"
    return "repeats" if event_id else "kept"
