"""``manage.py rotate_keys``: seal every credential again under the first key of CREDENTIAL_KEYS."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from destinations.crypto import key_ring
from destinations.sealing import rotate


class Command(BaseCommand):
    """Rotate; may be stopped and run again at any time, while the hub runs."""

    help = "Seal every credential again under the first key of CREDENTIAL_KEYS."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take whether only to look."""
        parser.add_argument("--dry-run", action="store_true", help="say what would be done, and change nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        """Rotate and say what was found; fail where a value does not open."""
        report = rotate(write=not options["dry_run"])
        done = "would be sealed" if options["dry_run"] else "were sealed"
        self.stdout.write(
            f"{report.older} values {done} again under the key {key_ring().active_key_id!r}; "
            f"{report.current} were sealed with it before."
        )
        if report.unreadable:
            raise CommandError(
                f"{len(report.unreadable)} values do not open with any key of CREDENTIAL_KEYS: "
                f"{', '.join(report.unreadable)}. Put the key back, or enter these credentials again."
            )
        if not options["dry_run"]:
            self.stdout.write(
                "Keys other than the first are no longer in use: they can be taken out of CREDENTIAL_KEYS."
            )
