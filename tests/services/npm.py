"""What the tests take from npm: installed once into ``.services``, as a lock file names it.

``HUB_TEST_INSTALL=0`` forbids it.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.services import ServiceMissing, install_debian, may_install
from tests.services.wheels import FOLDER

OLDEST_NODE = 18  # Debian 12's


def installed(name: str, lock: Path, instead: str) -> Path:
    """Return the folder with what ``lock``'s package-lock.json names.

    ``instead`` says what to do where npm cannot be had.
    """
    node, npm = find_node(name, instead), shutil.which("npm")
    if npm is None and may_install():
        install_debian("npm")
        npm = shutil.which("npm")
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / f"{name}.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # two runs of the tests must not install into each other
        wanted = hashlib.sha256((lock / "package-lock.json").read_bytes()).hexdigest()
        stamp = FOLDER / name / "installed"
        if not (stamp.exists() and stamp.read_text() == wanted):
            _install(name, lock, node, npm, instead)
            stamp.write_text(wanted)
    return FOLDER / name / "node_modules"


def find_node(name: str, instead: str) -> Path:
    """Return a Node.js that is new enough; install Debian's where that is allowed."""
    found = _node()
    if found is None and may_install():
        install_debian("nodejs", "npm")
        found = _node()
    if found is None or _version_of(found) < OLDEST_NODE:
        raise ServiceMissing(
            f"{name} needs Node.js {OLDEST_NODE} or newer with npm. Install Debian's packages nodejs and npm (or, as "
            f"root, set HUB_TEST_INSTALL=1), or {instead}"
        )
    return Path(found)


def _node() -> str | None:
    return shutil.which("node")


def _version_of(node: str) -> int:
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.match(r"v(\d+)\.", said)
    return int(found[1]) if found else 0


def _install(name: str, lock: Path, node: Path, npm: str | None, instead: str) -> None:
    if os.environ.get("HUB_TEST_INSTALL") == "0":
        raise ServiceMissing(f"{name} is not installed. Unset HUB_TEST_INSTALL=0, or {instead}")
    if npm is None:
        raise ServiceMissing(f"npm is missing beside {node}. Install Debian's package npm, or {instead}")
    folder = FOLDER / name
    folder.mkdir(exist_ok=True)
    for file in ("package.json", "package-lock.json"):
        shutil.copy(lock / file, folder)
    # No package of the locks needs its scripts, so none is run.
    command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise ServiceMissing(f"{' '.join(command)} failed: {done.stderr.strip()[-500:]}")
