"""``manage.py generate_key``: a new entry for CREDENTIAL_KEYS."""

import re
from argparse import ArgumentParser
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError

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
        """Print it; refuse an id that an entry of a comma-separated list cannot hold."""
        if not re.fullmatch(r"[A-Za-z0-9._-]+", options["id"]):
            raise CommandError("The id of a key is made of letters, digits, '.', '_' and '-'.")
        self.stdout.write(generate_key(options["id"]))
