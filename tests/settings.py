"""The hub's settings under test.

``HUB_TEST_DATABASE`` chooses the hub's own database: ``sqlite`` (a file in a temporary folder) or
``postgres`` (a server of its own, see ``tests.services.postgres``). The test database has the name
that DATABASE_URL says, so a process that a test starts works on the very same one.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_folder = Path(tempfile.mkdtemp(prefix="hub-test-"))
atexit.register(shutil.rmtree, _folder, ignore_errors=True)


def _database_url() -> str:
    kind = os.environ.get("HUB_TEST_DATABASE", "sqlite")
    if kind == "sqlite":
        return f"sqlite:///{_folder / 'hub.sqlite3'}"
    if kind != "postgres":
        raise ValueError(f"HUB_TEST_DATABASE is {kind!r}; it is sqlite or postgres.")
    from tests.services.postgres import hub_server

    return hub_server().url(f"hub_test_{os.getpid()}")


_ENVIRONMENT = {
    "SECRET_KEY": "tests-only-" + "k" * 50,
    "CREDENTIAL_KEYS": "test:" + "dHRlc3RzLW9ubHktdGVzdHMtb25seS10ZXN0cy1vbmw=",
    "DATABASE_URL": _database_url(),
    "PAYLOAD_STORE": "file",
    "PAYLOAD_DIR": str(_folder / "payloads"),
    "PAYLOAD_REDIRECT": "false",
    "EGRESS_ALLOW": "127.0.0.0/8",
    "DEBUG": "false",
    "PUBLIC_URL": "http://localhost:8000",
    "ALLOWED_HOSTS": "localhost,127.0.0.1,testserver",
    "TRUSTED_PROXY_COUNT": "0",
    "API_RATE_PER_MINUTE": "0",
    "API_WRONG_KEYS_PER_MINUTE": "0",
    "LOG_LEVEL": "WARNING",
    "EMAIL_URL": "",
    "NOTIFY_EMAIL_TO": "",
    "NOTIFY_EMAIL_FROM": "",
    "NOTIFY_WEBHOOK_URL": "",
    # Rows of tests may be of any age. tests/retention turns it on.
    **{f"RETENTION_{what}_DAYS": "0" for what in ("PAYLOAD", "SNAPSHOT", "ATTEMPT", "EVENT", "QUARANTINE")},
    "RETENTION_SWEEP": "off",
}
for _name in _ENVIRONMENT:
    os.environ.pop(f"{_name}_FILE", None)  # would win over the value, and may name a real database
os.environ.update(_ENVIRONMENT)

from terra_hub.settings import *  # noqa: E402, F403  # reads the environment that was just set
from terra_hub.settings import DATABASES  # noqa: E402

DATABASES["default"]["TEST"] = {"NAME": DATABASES["default"]["NAME"]}
# The default hasher takes 0.3 s for each user that a test makes.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
