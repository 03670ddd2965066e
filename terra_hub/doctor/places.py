"""Where files lie: on what kind of file system, and how long a flush to it takes."""

import os
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from django.conf import settings

from terra_hub.doctor.running import Skipped
from terra_hub.healthchecks import Finding, Level, Unwell

_IN_MEMORY = frozenset({"tmpfs", "ramfs"})
_OVER_NETWORK = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "ceph", "glusterfs", "afs", "lustre"})
_LAYERS = frozenset({"overlay", "overlayfs", "aufs"})
_UNKNOWN = "an unknown file system"
_SLOW_MS = 100.0
_FLUSHES = 5
_MOUNTS = Path("/proc/self/mountinfo")


def payload_folder() -> Finding:
    """Flush a file in the payload folder a few times, as is done for each large body before its 200."""
    if settings.PAYLOAD_STORE != "file":
        raise Skipped(f"Payloads are kept by {settings.PAYLOAD_STORE}, which answers once it has them safe.")
    folder = Path(settings.PAYLOAD_DIR).absolute()
    if not folder.is_dir():
        raise Skipped(f"{folder} is not there yet: it is made with the first large body.")
    try:
        took = _flush_ms(folder)
    except OSError as error:
        raise Unwell(
            f"{folder} takes no file: {error.strerror}.", "Large bodies are answered 503 until it does.",
            "Give the hub's user the right to write there, or room.",
        ) from error  # fmt: skip
    kind = file_system_of(folder)
    found = judged(f"a flush of 64 KB takes {took:.1f} ms, on {kind}", kind)
    if found.level is Level.OK and took > _SLOW_MS:
        return Finding(
            Level.WARNING, found.detail, "The disk is slow, or busy with something else.",
            "Each large body waits so long for its 200: use another disk, or S3 or GCS (docs/payloads.md).",
        )  # fmt: skip
    return found


def _flush_ms(folder: Path) -> float:
    took = []
    with tempfile.TemporaryFile(dir=folder) as file:
        for _ in range(_FLUSHES):
            file.write(os.urandom(64 * 1024))
            started = perf_counter()
            file.flush()
            os.fsync(file.fileno())
            took.append(1000 * (perf_counter() - started))
    return median(took)


def judged(said: str, kind: str, *, shared: bool = False) -> Finding:
    """Judge a file system by its kind; ``shared``: what lies there is the SQLite file, with its memory-mapped index."""
    if kind in _IN_MEMORY:
        return Finding(
            Level.WARNING, f"{said}, which is memory.", "Whatever is there is gone when the host restarts.",
            "Use a folder on a disk.",
        )  # fmt: skip
    if kind in _LAYERS:
        return Finding(
            Level.WARNING, f"{said}, which is a container's own layer.", "It is gone with the container.",
            "Mount a volume there.",
        )  # fmt: skip
    if kind in _OVER_NETWORK or kind.startswith("fuse."):
        return _far_away(said, shared)
    return Finding(Level.OK, said)


def _far_away(said: str, shared: bool) -> Finding:
    if shared:
        return Finding(
            Level.FAILED, f"{said}, which is a network's or a program's.",
            "SQLite's locks and its write-ahead log do not work there: events can be lost.",
            "Use a local disk, or PostgreSQL.",
        )  # fmt: skip
    return Finding(
        Level.WARNING, f"{said}, which is a network's or a program's.",
        "Whether a flush there outlives a power cut is up to its server.",
        "Look at its settings (NFS: export with sync), or use S3 or GCS (docs/payloads.md).",
    )  # fmt: skip


def file_system_of(path: Path) -> str:
    """Return the kind of file system that a path is on, as the kernel calls it: ``ext4``, ``tmpfs``, ``nfs4``."""
    try:
        lines = _MOUNTS.read_text(errors="replace").splitlines()
    except OSError:
        return _UNKNOWN
    kind, length = _UNKNOWN, 0
    for line in lines:  # id, parent, device, root, mount point, options, optional fields, "-", kind, …
        fields = line.split(" ")
        point = fields[4].encode().decode("unicode_escape")
        if path.is_relative_to(point) and len(point) >= length:  # a later line covers an earlier one
            kind, length = fields[fields.index("-") + 1], len(point)
    return kind
