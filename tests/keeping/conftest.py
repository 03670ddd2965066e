"""The receiver of the delivering tests, and a store that nobody has seen anything of yet."""

import pytest

from tests.delivering.conftest import one_sink as one_sink
from tests.delivering.conftest import sink as sink
from tests.keeping.s3 import Bucket
from tests.services import provide
from tests.services.seaweedfs import seaweed_server
from webhooks.keeping import storehealth


@pytest.fixture(autouse=True)
def unseen_store(monkeypatch: pytest.MonkeyPatch) -> None:
    """Forget what an earlier test's store did: the process remembers it for seconds."""
    monkeypatch.setattr(storehealth, "_seen", storehealth._Seen())


@pytest.fixture(scope="session")
def one_bucket() -> str:
    return provide(seaweed_server).create_bucket()


@pytest.fixture
def bucket(one_bucket: str) -> Bucket:
    """An empty place of the test's own on the session's S3 server."""
    return Bucket(seaweed_server(), one_bucket)
