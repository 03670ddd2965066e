"""Takes the pictures of ``docs/screenshots``: see ``scripts/screenshots``."""

import os
import sys
from pathlib import Path

import django

FOLDER = Path(__file__).resolve().parent.parent.parent / "docs" / "screenshots"

os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"
# Playwright's synchronous interface runs an event loop in this thread, which Django takes for async code.
os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
django.setup()

from tests.screenshots.pictures import take_all  # noqa: E402  # needs the settings
from tests.screenshots.stage import stage  # noqa: E402

if __name__ == "__main__":
    with stage() as ready:
        for path in take_all(ready, FOLDER):
            sys.stdout.write(f"{path.relative_to(Path.cwd())}  {path.stat().st_size // 1024} KiB\n")
