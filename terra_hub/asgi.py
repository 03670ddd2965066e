"""The entry point of the web server: ``granian --interface asginl terra_hub.asgi:application``.

Terra's webhooks go to ``receiving.endpoint``, what ``hub doctor`` posts to ``receiving.doctor``, and the stream of
the live tail to ``live.endpoint``; all else is Django's WSGI application, in threads
(docs/decisions/0005-asgi-at-intake.md).
"""

import os
import sys
from typing import Any, cast

from django.core.wsgi import get_wsgi_application

from terra_hub.entry import key_problem, settings_problem

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "terra_hub.settings")
if problem := settings_problem() or key_problem():
    sys.exit(f"Error: {problem}")  # else all but /healthz would be 500
# The group commit's thread comes back from the database several times a commit, and waits so long for the
# busy event loop to let go of the interpreter. Python's 5 ms made a commit slower than its flush to disk.
SWITCH_SECONDS = 0.0005

sys.setswitchinterval(SWITCH_SECONDS)
django = get_wsgi_application()  # before the imports below: it sets Django up

from terra_hub.threads import InThreads  # noqa: E402
from webhooks.live.endpoint import LiveTail  # noqa: E402
from webhooks.receiving.doctor import DoctorsDoor  # noqa: E402
from webhooks.receiving.endpoint import Endpoint  # noqa: E402

application = Endpoint(cast(Any, DoctorsDoor(cast(Any, LiveTail(cast(Any, InThreads(django)))))))
