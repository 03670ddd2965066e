"""Whatever is sent to the API, it answers as docs/openapi.yaml says: schemathesis against a really running hub.

``make fuzz`` runs it for longer: HUB_FUZZ_EXAMPLES is the number of requests that it makes up per operation.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from destinations.access.keys import make_key
from destinations.access.scopes import SCOPES
from tests.api_scene import make_scene
from tests.hub import ROOT, own_hub

pytestmark = pytest.mark.databaseless  # it is about what the API says: once is enough
CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = int(os.environ.get("HUB_FUZZ_EXAMPLES", "0"))
# Its coverage phase goes through the boundaries of every part of every schema: thousands of requests.
PHASES = "examples,coverage,fuzzing,stateful" if EXAMPLES else "examples,fuzzing,stateful"
KEYS = {"full": SCOPES, "read-only": tuple(scope for scope in SCOPES if scope.endswith(":read"))}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("key", KEYS)
def test_whatever_is_sent_is_answered_as_documented(key: str, tmp_path: Path) -> None:
    make_scene()
    text = make_key(name="fuzz", scopes=KEYS[key]).text
    with own_hub(tmp_path, API_RATE_PER_MINUTE="0", API_WRONG_KEYS_PER_MINUTE="0") as hub:
        done = subprocess.run(
            [
                str(Path(sys.executable).with_name("schemathesis")), "--config-file", str(CONFIG), "run",
                str(ROOT / "docs" / "openapi.yaml"), "--url", f"http://127.0.0.1:{hub.server.port}",
                "--header", f"Authorization: Bearer {text}", "--phases", PHASES, "--max-examples", str(EXAMPLES or 2),
            ],
            cwd=tmp_path, capture_output=True, text=True,
        )  # fmt: skip

    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2000:]
    assert "Operations:" in done.stdout
