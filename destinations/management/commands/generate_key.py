"""``manage.py generate_key``: a new entry for CREDENTIAL_KEYS."""

from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand

from destinations.crypto import generate_key


class Command(BaseCommand):
    """Print a key; store nothing."""

    help = "Print a new entry for CREDENTIAL_KEYS. Put it first, keep the old ones, run rotate_keys."
    requires_system_checks = ()  # it must run before there is a key

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Take the id of the key."""
        parser.add_argument(
            "--id", default=f"{datetime.now(UTC):k%Y%m%dT%H%M%S}", help="how the key is named in sealed values"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Print it."""
        self.stdout.write(generate_key(options["id"]))
