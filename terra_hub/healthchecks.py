"""The checks behind ``/readyz`` and the page ``/health``: what each looks at, what it says, and what to do."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from django.conf import settings
from django.core.checks import CheckMessage
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from destinations.crypto import SealError, key_ring
from destinations.egress import current_policy
from destinations.sealing import unreadable
from destinations.shown import exact, relative, size
from terra_hub.checks import egress_is_not_open
from terra_hub.disk import Disk, disks
from webhooks.delivering import outbox
from webhooks.durability import unsafe_settings
from webhooks.keeping.payloads import PayloadStoreDown, check_store
from webhooks.keeping.retention.state import state
from webhooks.models import Event, Worker

WORKER_SEEN_WITHIN = timedelta(seconds=60)
LATE_AFTER = timedelta(seconds=60)
QUIET_AFTER = timedelta(days=1)  # without an event
CLOCKS_DIFFER_BY = timedelta(seconds=2)
DAYS_LEFT_LOW, DAYS_LEFT_OUT = 14, 3
FREE_LOW, FREE_OUT = 0.10, 0.03
SECRETS_LOOKED_AT = 1000  # of each model
START_WORKER = "Start one: python manage.py worker"


class Level(StrEnum):
    """How grave a finding is."""

    OK = "ok"
    WAITING = "waiting"  # nothing to say yet
    SKIPPED = "skipped"  # not tried, with the reason
    WARNING = "warning"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, in words."""

    level: Level
    detail: str
    cause: str = ""  # what may be behind it
    fix: str = ""  # what to do

    @property
    def text(self) -> str:
        """Return what is the matter and what to do, in one line."""
        return f"{self.detail} {self.fix}".strip()

    def as_dict(self) -> dict[str, str]:
        """Return it for JSON."""
        return asdict(self)


class Unwell(Exception):
    """A check that failed: what is wrong and what to do."""

    def __init__(self, detail: str, cause: str = "", fix: str = "") -> None:
        """Say it."""
        super().__init__(detail)
        self.finding = Finding(Level.FAILED, detail, cause, fix)


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its name, what it runs, whether ``/readyz`` stands on it."""

    name: str
    run: Callable[[], Finding]
    ready: bool = False
    needs_database: bool = True


def _ok(detail: str) -> Finding:
    return Finding(Level.OK, detail)


# --- what the hub's work stands on ---------------------------------------------------------------
def _database() -> Finding:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    problems = unsafe_settings()
    if problems:
        raise Unwell(
            " ".join(problems), "A power cut could lose events that were answered with 200.",
            "Turn it on in the database's own settings.",
        )  # fmt: skip
    return _ok(connection.display_name)


def _migrations() -> Finding:
    executor = MigrationExecutor(connection)
    missing = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if missing:
        raise Unwell(
            f"{len(missing)} migrations are not applied.", "The hub was updated, and its database was not.",
            "Run: python manage.py migrate",
        )  # fmt: skip
    return _ok("all applied")


def _keys() -> Finding:
    try:
        return _ok(f"sealing with {key_ring().active_key_id}")
    except SealError as error:
        raise Unwell(str(error), "CREDENTIAL_KEYS is missing or malformed.", "Correct CREDENTIAL_KEYS.") from error


def _payload_store() -> Finding:
    try:
        return _ok(f"{check_store()} takes payloads")
    except PayloadStoreDown as error:
        raise Unwell(
            str(error), "Large bodies have nowhere to go: they are answered 503, and Terra sends them again.",
            "docs/payloads.md says what each store needs.",
        ) from error  # fmt: skip


def _worker() -> Finding:
    seen_at = Worker.objects.order_by("-seen_at").values_list("seen_at", flat=True).first()
    if seen_at is None:
        raise Unwell("No worker runs.", "Nothing is delivered without one; what waits is kept.", START_WORKER)
    age = outbox.now() - seen_at
    if age > WORKER_SEEN_WITHIN:
        raise Unwell(
            f"No worker was seen for {age.total_seconds():.0f} s.", "It was stopped, or it hangs. What waits is kept.",
            START_WORKER,
        )  # fmt: skip
    return _ok(f"{workers_seen()} running, seen {max(0, age.total_seconds()):.0f} s ago")


def workers_seen() -> int:
    """Return how many workers were seen lately."""
    return int(Worker.objects.filter(seen_at__gte=outbox.now() - WORKER_SEEN_WITHIN).count())


def _oldest_due() -> Finding:
    due = oldest_due()
    if due is None:
        return _ok("nothing is due")
    late = outbox.now() - due
    if late > LATE_AFTER:
        raise Unwell(
            f"The oldest due delivery is {late.total_seconds():.0f} s late.",
            "No worker runs, a destination answers slowly, or more comes in than goes out.",
            "Look at the workers above. Else start one more, or raise the concurrency of what is behind.",
        )
    return _ok(f"the oldest is {max(0, late.total_seconds()):.0f} s late")


def oldest_due() -> datetime | None:
    """Return since when the oldest delivery is due that its destination would take; ``None``: none is."""
    now = outbox.now()
    return min(
        (item.next_attempt_at for item in outbox.due_destinations() if item.next_attempt_at <= now), default=None
    )


# --- what else can be wrong ----------------------------------------------------------------------
def _secrets() -> Finding:
    lost = unreadable(SECRETS_LOOKED_AT)
    if not lost:
        return _ok("every stored secret opens")
    raise Unwell(
        f"{len(lost)} stored secrets do not open.", "They were sealed with a key that CREDENTIAL_KEYS has no more.",
        "Put the old key back behind the new one. If it is lost, type these secrets again.",
    )  # fmt: skip


def _egress() -> Finding:
    try:
        current_policy()
        wide: Sequence[CheckMessage] = egress_is_not_open()
    except ValueError as error:
        raise Unwell(
            str(error), "Nothing can be dialled while the entry is malformed.", "Correct EGRESS_ALLOW."
        ) from error
    if wide:
        return Finding(
            Level.WARNING, " ".join(one.msg for one in wide), "Whoever may edit a destination can reach that network.",
            str(wide[0].hint or ""),
        )  # fmt: skip
    if settings.EGRESS_ALLOW:
        return _ok(f"public addresses, and {', '.join(settings.EGRESS_ALLOW)}")
    return _ok("public addresses only")


def last_event_at() -> datetime | None:
    """Return when the last event was taken in."""
    last: datetime | None = Event.objects.order_by("-pk").values_list("received_at", flat=True).first()
    return last


def _last_event() -> Finding:
    last = last_event_at()
    if last is None:
        return Finding(
            Level.WAITING, "No event has come yet.", "Terra does not know the hub's address yet.",
            "Paste a source's webhook URL into Terra's dashboard.",
        )  # fmt: skip
    said = f"received {exact(last)} ({relative(last)})"
    if timezone.now() - last > QUIET_AFTER:
        return Finding(
            Level.WARNING, said, "Terra has nothing to say, does not reach the hub, or its events are refused.",
            "Look at the quarantine, then at the webhook's log in Terra's dashboard.",
        )  # fmt: skip
    return _ok(said)


def _clocks() -> Finding:
    before = timezone.now()
    theirs = outbox.now()
    after = timezone.now()
    ahead = max(before - theirs, theirs - after, timedelta(0))
    if connection.vendor != "postgresql":
        return _ok("the database has the host's clock")
    if ahead > CLOCKS_DIFFER_BY:
        return Finding(
            Level.WARNING, f"The database's clock differs from this process's by {ahead.total_seconds():.1f} s.",
            "One of the two hosts does not set its clock by the network.", "Run NTP on both, such as chrony.",
        )  # fmt: skip
    return _ok(f"they differ by less than {CLOCKS_DIFFER_BY.total_seconds():.0f} s")


def _retention() -> Finding:
    found = state()
    said = ". ".join(filter(None, [found.kept, found.done])) + "."
    if found.problems:
        return Finding(
            Level.FAILED, f"Something is not removed: {' '.join(found.problems)} {said}",
            "What has outlived its days stays until that is mended.", "docs/retention.md says what each problem means.",
        )  # fmt: skip
    if found.behind:
        return Finding(
            Level.WARNING, f"Not caught up for a day: {', '.join(found.behind)}. {said}",
            "No worker runs, much is removed for the first time, or more comes in than goes out.",
            "Look at the worker above. Else give it time: docs/retention.md says how fast it goes.",
        )  # fmt: skip
    return _ok(said)


def _disks() -> Finding:
    found = disks()
    if not found:
        return _ok("payloads and database lie elsewhere")
    said = "; ".join(map(disk_words, found))
    level = max((disk_level(disk) for disk in found), key=list(Level).index)
    if level is Level.OK:
        return _ok(said)
    return Finding(
        level, said, "More is kept than there is room for; a full disk takes no event.",
        "Enlarge the disk, keep payloads for fewer days (docs/retention.md), or move them to S3 or GCS.",
    )  # fmt: skip


def disk_words(disk: Disk) -> str:
    """Return how much room a disk has."""
    lasts = "" if disk.days_left is None else f", {days_words(disk.days_left)} at the last week's rate"
    return f"{disk.what}: {size(disk.free)} free of {size(disk.total)} ({disk.free_share:.0%}){lasts}"


def days_words(days: float) -> str:
    """Return a number of days as far as it can be known."""
    return "more than a year" if days > 365 else f"{days:,.0f} days" if days >= 2 else f"{days * 24:.0f} hours"


def disk_level(disk: Disk) -> Level:
    """Return how grave it is how little is left."""
    days = float("inf") if disk.days_left is None else disk.days_left
    if days < DAYS_LEFT_OUT or disk.free_share < FREE_OUT:
        return Level.FAILED
    return Level.WARNING if days < DAYS_LEFT_LOW or disk.free_share < FREE_LOW else Level.OK


CHECKS = (
    Check("database", _database, ready=True, needs_database=False),
    Check("migrations", _migrations, ready=True),
    Check("credential keys", _keys, ready=True, needs_database=False),
    Check("stored secrets", _secrets),
    Check("payload store", _payload_store, ready=True, needs_database=False),
    Check("worker", _worker, ready=True),
    Check("oldest due delivery", _oldest_due, ready=True),
    Check("last event", _last_event),
    Check("clocks", _clocks),
    Check("disk", _disks),
    Check("retention", _retention),
    Check("egress", _egress, needs_database=False),
)
