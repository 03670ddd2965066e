"""``manage.py worker``: deliver until SIGTERM or SIGINT."""

import gc
import os
import signal
import sys
import threading
from typing import Any

from django.core.management.base import BaseCommand

from webhooks.delivering.worker import Worker

# A thread that comes back from the database or the network waits so long for a busy one to let go of
# the interpreter. Claiming, sending and settling go back and forth: Python's 5 ms held each other up.
SWITCH_SECONDS = 0.001
# Deliveries come and go by the thousand and make no cycles: Python's 700 sent its collector through all that
# lives again and again, for a fifteenth of the worker's time.
COLLECT_AFTER = 50_000


class Command(BaseCommand):
    """Run one worker process. Any number may run over one PostgreSQL."""

    help = "Deliver events to their destinations until SIGTERM. A second SIGTERM stops at once."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until told to stop."""
        sys.setswitchinterval(SWITCH_SECONDS)
        gc.freeze()
        gc.set_threshold(COLLECT_AFTER, 10, 10)
        worker = Worker()

        def stop(*_: Any) -> None:
            if worker.stopping:
                worker.hurry()
            threading.Thread(target=worker.stop).start()  # an Event's lock may be held by this very thread

        signal.signal(signal.SIGTERM, stop)
        signal.signal(signal.SIGINT, stop)
        worker.run()
        # Threads that still wait for a destination's answer must not hold the process.
        os._exit(0)
