"""Starting and ending the servers that tests start themselves: by process id, with a folder of their own."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

START_SECONDS = 60
Process = subprocess.Popen[bytes]


def as_user(name: str) -> dict[str, Any]:
    """Return what makes a child run as user ``name``, where we are root: servers refuse to run as root."""
    return {"user": name, "group": _group_of(name), "extra_groups": []} if os.geteuid() == 0 else {}


def give_to(name: str, *paths: Path) -> None:
    """Make files and folders those of user ``name``, where we are root."""
    for path in paths:
        if os.geteuid() == 0:
            shutil.chown(path, name, _group_of(name))


def _group_of(name: str) -> str:
    return {"nobody": "nogroup"}.get(name, name)


def launch(command: Sequence[str], folder: Path, user: str, end_signal: str) -> Process:
    """Start a server whose words go to ``folder/log``."""
    # setpriv asks the kernel for the signal when the tests die in a way that runs no exit handler.
    guard = ["setpriv", "--pdeathsig", end_signal] if shutil.which("setpriv") else []
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [*guard, *command], cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **as_user(user)
        )


def wait_until_up(process: Process, folder: Path, connect: Callable[[], Any], refused: type[Exception]) -> None:
    """Connect until that does not raise ``refused``; raise with the server's last words where it never does."""
    give_up = time.monotonic() + START_SECONDS
    while True:
        try:
            connect().close()
            return
        except refused:
            if process.poll() is not None or time.monotonic() > give_up:
                process.kill()
                raise RuntimeError("The server did not start:\n" + (folder / "log").read_text()[-2000:]) from None
            time.sleep(0.05)


def end(process: Process, with_signal: signal.Signals) -> None:
    """Ask a server to end, and end it by force where it does not."""
    if process.poll() is not None:
        return
    process.send_signal(with_signal)
    try:
        process.wait(START_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
