"""The WSGI entry point: ``granian --interface wsgi terra_hub.wsgi:application``."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "terra_hub.settings")
application = get_wsgi_application()
