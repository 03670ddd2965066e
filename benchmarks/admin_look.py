"""Walks through the admin's pages once: ``python -m benchmarks.admin_look``, in the hub's environment.

{"most_read": rows that one step of a plan may read}. Prints what ``tests.admin_walk`` found.
"""

import json
import sys

import django

from benchmarks.seeding import ADMIN


def main() -> None:
    """Look at every page."""
    django.setup()
    from django.contrib.auth import get_user_model
    from django.test import Client
    from django.test.utils import setup_test_environment

    from tests.admin_walk import walk

    setup_test_environment()
    plan = json.load(sys.stdin)
    user = get_user_model().objects.get(username=ADMIN)
    client = Client(raise_request_exception=False)
    client.force_login(user)
    print(json.dumps(walk(client, user, plan["most_read"], combined=True)))


if __name__ == "__main__":
    main()
