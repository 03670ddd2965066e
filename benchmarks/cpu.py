"""What processes use, from /proc (Linux). Field numbers: proc(5), /proc/pid/stat."""

import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")
SESSION, USER_TIME, SYSTEM_TIME = 3, 11, 12  # counted from the field after the command's name


def cpu_seconds(*, pid: int = 0, session: int = 0) -> float:
    """Return the CPU seconds of one process, or of all that live in a session."""
    stats = [_stat(Path(f"/proc/{pid}"))] if pid else [_stat(path) for path in Path("/proc").glob("[0-9]*")]
    own = [stat for stat in stats if stat and (pid or int(stat[SESSION]) == session)]
    return round(sum(int(stat[USER_TIME]) + int(stat[SYSTEM_TIME]) for stat in own) / TICKS, 2)


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
