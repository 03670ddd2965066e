#!/usr/bin/env python3
"""Django's command line for the hub."""

import os
import sys


def main() -> None:
    """Run the command named on the command line."""
    if sys.argv[1:2] == ["hub"]:
        from terra_hub.entry import hub

        sys.exit(hub(sys.argv[2:], f"{sys.argv[0].rpartition('/')[2]} hub"))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "terra_hub.settings")
    from django.core.exceptions import ImproperlyConfigured

    from terra_hub.entry import command_problem

    try:
        if problem := command_problem(sys.argv[1:]):
            sys.exit(f"Error: {problem}")
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"Error: {error}")


if __name__ == "__main__":
    main()
