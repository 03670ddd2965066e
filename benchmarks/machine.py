"""What a result was measured on: no names, no addresses, no paths."""

import os
import platform
import sqlite3
import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.services.postgres import find_binaries

ROOT = Path(__file__).resolve().parent.parent
FSYNCS = 100


def describe() -> dict[str, Any]:
    """Return processor, memory, kernel, versions, and what a flush to disk costs here."""
    return {
        "cpu": _field("/proc/cpuinfo", "model name"),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gb": round(int(_field("/proc/meminfo", "MemTotal").split()[0]) * 1024 / 1e9, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "postgresql": _said([str(find_binaries() / "postgres"), "--version"]).split()[2],
        "sqlite": sqlite3.sqlite_version,
        "fsync_ms": fsync_ms(),
        "load_before": round(os.getloadavg()[0], 2),
    }


def fsync_ms() -> float:
    """Return the median time of writing 8 KB to a file of the temporary folder and flushing it, in ms."""
    took = []
    with tempfile.TemporaryFile() as file:
        for _ in range(FSYNCS):
            started = time.perf_counter()
            os.pwrite(file.fileno(), os.urandom(8192), 0)
            os.fdatasync(file.fileno())
            took.append((time.perf_counter() - started) * 1000)
    return round(statistics.median(took), 2)


def commit() -> str:
    """Return the commit that is measured, with ``+`` where files differ from it."""
    changed = _said(["git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no"])
    return _said(["git", "-C", str(ROOT), "rev-parse", "--short=12", "HEAD"]) + ("+" if changed else "")


def _field(path: str, name: str) -> str:
    for line in Path(path).read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def _said(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
