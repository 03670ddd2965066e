"""axe-core, Deque's accessibility checker, from npm. ``HUB_TEST_AXE=<path of axe.min.js>`` uses another one."""

import os
from functools import lru_cache
from pathlib import Path

from tests.services import npm

LOCK = Path(__file__).with_name("axe_core")  # package.json and package-lock.json


@lru_cache(maxsize=1)
def axe_script() -> str:
    """Return the script that a page is checked with, installed where it has to be; raise ``ServiceMissing``."""
    named = os.environ.get("HUB_TEST_AXE")
    folder = None if named else npm.installed("axe-core", LOCK, "name a script: HUB_TEST_AXE=<path of axe.min.js>")
    return Path(named or f"{folder}/axe-core/axe.min.js").read_text()
