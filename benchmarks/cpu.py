"""What processes use, from /proc (Linux). Field numbers: proc(5), /proc/pid/stat."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
# Counted from the field after the command's name; the last two are those of children that have ended.
PARENT, SESSION, USER_TIME, SYSTEM_TIME, ENDED_USER_TIME, ENDED_SYSTEM_TIME = 1, 3, 11, 12, 13, 14


def cpu_seconds(*, pid: int = 0, session: int = 0) -> float:
    """Return the CPU seconds of one process, or of all that live in a session."""
    stats = [_stat(Path(f"/proc/{pid}"))] if pid else [_stat(path) for path in Path("/proc").glob("[0-9]*")]
    own = [stat for stat in stats if stat and (pid or int(stat[SESSION]) == session)]
    return round(sum(int(stat[USER_TIME]) + int(stat[SYSTEM_TIME]) for stat in own) / TICKS, 2)


def family_cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process and of its children, also of those that have ended.

    PostgreSQL's processes each lead a session of their own, and those of connections come and go.
    """
    stats = {path.name: _stat(path) for path in Path("/proc").glob("[0-9]*")}
    own = [stat for name, stat in stats.items() if stat and (name == str(pid) or stat[PARENT] == str(pid))]
    ended = stats.get(str(pid)) or ["0"] * (ENDED_SYSTEM_TIME + 1)
    used = sum(int(stat[USER_TIME]) + int(stat[SYSTEM_TIME]) for stat in own)
    return round((used + int(ended[ENDED_USER_TIME]) + int(ended[ENDED_SYSTEM_TIME])) / TICKS, 2)


def _stat(path: Path) -> list[str]:
    try:
        return (path / "stat").read_text().rpartition(") ")[2].split()
    except OSError:  # it ended meanwhile
        return []


def resident_mb(pid: int) -> float:
    """Return a process's resident memory in MB (10^6 bytes)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return round(int(line.split()[1]) * 1024 / 1e6, 1)
    return 0.0
