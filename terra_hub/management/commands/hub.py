"""``manage.py hub``: the command line of the hub."""

import sys
from typing import Any

from django.core.management.base import BaseCommand
from django.db import connections


class Command(BaseCommand):
    """Hand everything after ``hub`` to the command line, whose help, usage and exit codes are its own."""

    help = "Look after the hub: destinations, sources, events, deliveries, keys. manage.py hub --help says more."

    def run_from_argv(self, argv: list[str]) -> None:
        """Run a command and exit with its code."""
        sys.exit(finish(argv[2:], f"{argv[0].rpartition('/')[2]} {argv[1]}"))

    def handle(self, *args: Any, **options: Any) -> None:
        """Run a command from Django's ``call_command``: its words are the arguments."""
        from terra_hub.cli.main import run

        run(args, "hub")


def finish(arguments: list[str], prog_name: str, completion: bool = False) -> int:
    """Run a command as the whole of this process, and return its exit code."""
    from terra_hub.cli.main import run

    try:
        return run(arguments, prog_name, completion)
    finally:
        connections.close_all()
