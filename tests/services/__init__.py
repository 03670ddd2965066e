"""Real servers for the tests, one module each.

For each of them: an environment variable that names an existing server wins; else the server is
started from this machine's binaries on a free port, in a temporary folder, and ended by its own
process id; else, as root and with ``CI=true`` or ``HUB_TEST_INSTALL=1``, the Debian package is
installed first; else ``ServiceMissing`` says what to install.
"""

import fcntl
import os
import secrets
import socket
import subprocess
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

ServiceT = TypeVar("ServiceT")
_LEAN = ("--no-install-recommends", "-o", "DPkg::Lock::Timeout=300")


@dataclass(frozen=True)
class Login:
    """A database, and the user that the script of the type's page made for it."""

    database: str
    user: str
    password: str


class ServiceMissing(Exception):
    """A server that this machine cannot start; the message names what to install or to set."""


def provide(start: Callable[[], ServiceT]) -> ServiceT:
    """Return the server that ``start`` gives, or skip the test; with ``CI=true``, fail it."""
    try:
        return start()
    except ServiceMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing), pytrace=False)
        pytest.skip(str(missing))


def may_install() -> bool:
    """Tell whether the tests may install Debian packages on this machine."""
    asked = os.environ.get("CI") == "true" or os.environ.get("HUB_TEST_INSTALL") == "1"
    return asked and os.geteuid() == 0


def install_debian(*packages: str) -> None:
    """Install Debian packages; raise ``ServiceMissing`` with apt's own last words where that fails."""
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    with (Path(tempfile.gettempdir()) / "hub-test-apt.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs of the tests go side by side, and apt does not wait
        for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", *_LEAN, *packages]):
            done = subprocess.run(command, env=environment, capture_output=True, text=True)
            if done.returncode:
                raise ServiceMissing(f"{' '.join(command)} failed: {done.stderr.strip()[-500:]}")


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nothing listens on right now.

    It lies below those that the kernel gives to connections (net.ipv4.ip_local_port_range, from 32768 on): a server
    ends and starts again on its port, and no connection of another lane takes it meanwhile.
    """
    while True:
        with suppress(OSError), socket.create_server(("127.0.0.1", 20_000 + secrets.randbelow(12_000))) as listener:
            return int(listener.getsockname()[1])
