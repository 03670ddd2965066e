"""Servers that come as wheels from PyPI, in a virtual environment of their own: ``.services``.

What is installed is ``requirements-services.txt``, with its hashes; it is installed once, and again
when that file changes. ``HUB_TEST_INSTALL=0`` forbids it: what is missing is then named instead.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
from pathlib import Path

from tests.services import ServiceMissing

ROOT = Path(__file__).resolve().parent.parent.parent
LOCK = ROOT / "requirements-services.txt"
FOLDER = ROOT / ".services"


def program(name: str) -> Path:
    """Return the path of a program that one of the locked wheels brings; raise ``ServiceMissing``."""
    _install_once()
    path = FOLDER / "bin" / name
    if not path.exists():
        raise ServiceMissing(f"{LOCK.name} brings no program {name}. {_remedy()}")
    return path


def package(name: str) -> Path:
    """Return the folder of a package that one of the locked wheels brings; raise ``ServiceMissing``."""
    _install_once()
    found = next(FOLDER.glob(f"lib/python3*/site-packages/{name}"), None)
    if found is None:
        raise ServiceMissing(f"{LOCK.name} brings no package {name}. {_remedy()}")
    return found


def _install_once() -> None:
    FOLDER.mkdir(exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two runs of the tests must not install into each other
        wanted, stamp = hashlib.sha256(LOCK.read_bytes()).hexdigest(), FOLDER / "installed"
        if stamp.exists() and stamp.read_text() == wanted:
            return
        if os.environ.get("HUB_TEST_INSTALL") == "0":
            raise ServiceMissing(f"The servers of {LOCK.name} are not installed. {_remedy()}")
        _run(sys.executable, "-m", "venv", "--without-pip", str(FOLDER))
        install = ("install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(LOCK))
        _run(sys.executable, "-m", "pip", "--python", str(FOLDER / "bin" / "python"), *install)
        stamp.write_text(wanted)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise ServiceMissing(f"{' '.join(command)} failed: {done.stderr.strip()[-500:]}")


def _remedy() -> str:
    return f"Let the tests install them (unset HUB_TEST_INSTALL=0), or install {LOCK.name} into {FOLDER.name}."
