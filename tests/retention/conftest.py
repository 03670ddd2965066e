"""Lives as the hub has them unless it is told otherwise: other tests keep everything for ever."""

from typing import Any

import pytest

from tests.retention.support import LIVES
from webhooks.keeping import storehealth


@pytest.fixture(autouse=True)
def lives(settings: Any) -> None:
    """Keep things for as long as the defaults say."""
    for name, value in LIVES.items():
        setattr(settings, name, value)


@pytest.fixture(autouse=True)
def unseen_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what an earlier test's store did: the process remembers it for seconds."""
    monkeypatch.setattr(storehealth, "_seen", storehealth._Seen())
