"""Places at which a fault test may kill the process: reliability tests T2 and T9.

Nothing happens unless HUB_FAILPOINT names the place. ``HUB_FAILPOINT=settled`` kills at the
first pass; ``settled:20`` at the twentieth.
"""

import itertools
import os
import signal

_name, _, _count = os.environ.get("HUB_FAILPOINT", "").partition(":")
_passes = itertools.count(1)


def failpoint(name: str) -> None:
    """Kill this process with SIGKILL if a fault test asked for it here."""
    if name == _name and next(_passes) >= int(_count or 1):
        os.kill(os.getpid(), signal.SIGKILL)
