"""Erasing without a wait for commits that are under way, where none is."""

import pytest
from django.conf import settings

from destinations.models import Destination
from tests.api_support import make_destination, make_source
from tests.delivering.conftest import one_sink, sink
from tests.erasures.stage import payload_folder
from webhooks.models import Source

__all__ = ["one_sink", "sink"]


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the last look follow at once; processes that a test starts have a setting of their own."""
    monkeypatch.setattr(settings, "COMMIT_TIMEOUT_SECONDS", 0)


@pytest.fixture(autouse=True)
def _no_files_of_others() -> None:
    """Remove the files of tests whose rows were rolled back."""
    for path in payload_folder().rglob("*.json"):
        path.unlink()


@pytest.fixture
def source() -> Source:
    return make_source()


@pytest.fixture
def hook() -> Destination:
    return make_destination("hook")
