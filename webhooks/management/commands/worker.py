"""``manage.py worker``: deliver until SIGTERM or SIGINT."""

import os
import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from webhooks.delivering.worker import Worker


class Command(BaseCommand):
    """Run one worker process. Any number may run over one PostgreSQL."""

    help = "Deliver events to their destinations until SIGTERM. A second SIGTERM stops at once."

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until told to stop."""
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
