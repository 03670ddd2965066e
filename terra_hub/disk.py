"""The room that is left where the hub keeps its data on this host, and for how many days it lasts."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.utils import timezone

from webhooks.stats import Span, received_series

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Disk:
    """One local disk that the hub writes to."""

    what: str  # what of the hub lies there
    free: int  # bytes
    total: int
    days_left: float | None  # at the rate of the last week's bodies; None: nothing came yet

    @property
    def free_share(self) -> float:
        """Return how much of it is free, 0 to 1."""
        return self.free / self.total if self.total else 0.0


def disks(now: datetime | None = None) -> list[Disk]:
    """Return each local disk that payloads or the SQLite file lie on; none where both are elsewhere.

    The log and the indexes grow too, so a disk lasts for fewer days than it would for bodies alone.
    """
    found: dict[int, list[tuple[str, Path]]] = {}
    for what, path in _places():
        found.setdefault(path.stat().st_dev, []).append((what, path))
    rate = bytes_per_day(now) if found else 0.0
    return [_disk(" and ".join(what for what, _ in places), places[0][1], rate) for places in found.values()]


def _disk(what: str, path: Path, rate: float) -> Disk:
    usage = shutil.disk_usage(path)
    return Disk(what, usage.free, usage.total, usage.free / rate if rate else None)


def _places() -> Iterator[tuple[str, Path]]:
    if settings.PAYLOAD_STORE == "file":
        yield "payloads", _existing(Path(settings.PAYLOAD_DIR))
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite" and "memory" not in name:
        yield "the database", _existing(Path(name))


def _existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that is there: the store makes its folder with the first body."""
    path = path.absolute()
    return next(place for place in (path, *path.parents) if place.exists())


def bytes_per_day(now: datetime | None = None) -> float:
    """Return the bytes of bodies that come in per day: over the last week, or since the first of it that had any."""
    now = now or timezone.now()
    points = received_series(Span.WEEK, now)
    since = next((point.starts_at for point in points if point.events), None)
    if since is None:
        return 0.0
    return sum(point.bytes for point in points) * (DAY / max(now - since, timedelta(hours=1)))
