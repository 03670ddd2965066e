"""The lives that a hub has whose operator sets none."""

import json
import subprocess
import sys

import pytest

from tests.hub import ROOT, environment
from tests.retention.support import LIVES

pytestmark = pytest.mark.databaseless


def test_the_defaults_are_those_that_are_documented() -> None:
    env = {name: value for name, value in environment().items() if not name.startswith("RETENTION_")}
    program = f"import json, terra_hub.settings as it; print(json.dumps({{n: getattr(it, n) for n in {list(LIVES)}}}))"
    command = [sys.executable, "-c", program]
    told = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert json.loads(told.stdout) == LIVES
