"""Who uses the command line: whoever can run it holds the hub's keys and database, so they may do everything."""

import os
import pwd

from destinations.access.actors import Actor
from destinations.access.scopes import SCOPES, permissions_of
from terra_hub.roles import ADMIN, ROLES


def cli_actor() -> Actor:
    """Return the ``by`` of the use cases: histories say ``by command line (ana)``, the user of the operating system."""
    return Actor(f"command line ({_os_user()})", ROLES[ADMIN] | permissions_of(SCOPES))


def _os_user() -> str:
    """Return the name of the process's user. Not from the environment: anybody can say anything there."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"
