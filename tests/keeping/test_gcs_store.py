"""The payload store in a bucket of Google Cloud Storage: bodies, links, and what is wrong in words."""

import json
import urllib.request
import uuid
from typing import Any

import pytest

from terra_hub.payload_store import gcs_store
from tests.keeping.test_s3_store import NOWHERE
from tests.receiving.support import body_of_size
from tests.services import provide
from tests.services.gcs import GcsServer, gcs_service
from webhooks.keeping.payloads import (
    PayloadMissing,
    PayloadStoreDown,
    body_of,
    check_store,
    discard_body,
    fresh_link,
    open_body,
    put_body,
)
from webhooks.models import Payload

pytestmark = pytest.mark.databaseless

LARGE = body_of_size(200_000)
LARGEST = body_of_size(12 * 1024 * 1024)  # goes up in several requests


@pytest.fixture(scope="session")
def gcs() -> GcsServer:
    return provide(gcs_service)


@pytest.fixture(scope="session")
def gcs_bucket(gcs: GcsServer) -> str:
    return gcs.make_bucket()


def use(settings: Any, gcs: GcsServer, bucket: str, **changed: str) -> str:
    """Keep this process's payloads at a prefix of the test's own; return the prefix."""
    prefix = f"hub-{uuid.uuid4().hex[:12]}"
    options = {"bucket": bucket, "prefix": prefix, "endpoint": gcs.api, "key": json.dumps(gcs.make_key())} | changed
    settings.STORAGES = settings.STORAGES | {"payloads": gcs_store(**options)}
    return prefix


def behind_the_gate(gcs: GcsServer) -> str:
    """Return the server's own address: its gate lets neither uploads in several requests nor signed links through."""
    return "http://{}:{}".format(*gcs.gate.upstream) if gcs.gate else gcs.api


@pytest.mark.parametrize("body", [LARGE, LARGEST], ids=["one request", "several"])
def test_a_body_comes_back_byte_for_byte_and_can_be_discarded(
    settings: Any, gcs: GcsServer, gcs_bucket: str, body: bytes
) -> None:
    prefix = use(settings, gcs, gcs_bucket, endpoint=gcs.api if body is LARGE else behind_the_gate(gcs))
    name = put_body(uuid.uuid4(), body)
    assert gcs.objects(gcs_bucket)[f"{prefix}/{name}"][0] == body
    assert body_of(None, name) == body
    assert b"".join(open_body(Payload(store_name=name))) == body
    discard_body(name)
    with pytest.raises(PayloadMissing):
        body_of(None, name)
    discard_body(name)  # what is gone is no error


def test_a_fresh_link_opens_the_body(settings: Any, gcs: GcsServer, gcs_bucket: str) -> None:
    endpoint = behind_the_gate(gcs)
    use(settings, gcs, gcs_bucket, endpoint=endpoint)
    link = fresh_link(Payload(store_name=put_body(uuid.uuid4(), LARGE)), 60)
    assert link.startswith(f"{endpoint}/{gcs_bucket}/")
    assert "X-Goog-Expires=60" in link
    with urllib.request.urlopen(link) as download:
        assert (download.read(), download.headers["Content-Type"]) == (LARGE, "application/json")


def test_the_check_writes_one_small_object(settings: Any, gcs: GcsServer, gcs_bucket: str) -> None:
    prefix = use(settings, gcs, gcs_bucket)
    assert check_store() == f"gs://{gcs_bucket}/{prefix} at {gcs.api}"
    assert f"{prefix}/readiness-probe.txt" in gcs.objects(gcs_bucket)


def test_a_missing_bucket_is_no_missing_body(settings: Any, gcs: GcsServer) -> None:
    use(settings, gcs, "another-bucket-that-nobody-made")
    for ask in (lambda: body_of(None, "2026/01/01/x.json"), lambda: put_body(uuid.uuid4(), LARGE)):
        with pytest.raises(PayloadStoreDown, match="PAYLOAD_GCS_BUCKET"):
            ask()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"endpoint": NOWHERE}, "cannot be reached"),
        ({"key": '{"type": "service_account"}'}, "PAYLOAD_GCS_KEY is not the JSON key"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_change(
    settings: Any, gcs: GcsServer, gcs_bucket: str, wrong: dict[str, str], said: str
) -> None:
    use(settings, gcs, gcs_bucket, **wrong)
    with pytest.raises(PayloadStoreDown, match=said):
        put_body(uuid.uuid4(), LARGE)


def test_an_account_without_the_role_is_told_which(settings: Any, gcs: GcsServer, gcs_bucket: str) -> None:
    use(settings, gcs, gcs_bucket, key=json.dumps(gcs.make_key("objectViewer")))
    with pytest.raises(PayloadStoreDown, match=r"roles/storage\.objectAdmin"):
        put_body(uuid.uuid4(), LARGE)


def test_a_key_that_was_deleted_is_told(settings: Any, gcs: GcsServer, gcs_bucket: str) -> None:
    key = gcs.make_key() | {"private_key_id": "0" * 40}
    use(settings, gcs, gcs_bucket, key=json.dumps(key))
    with pytest.raises(PayloadStoreDown, match="PAYLOAD_GCS_KEY"):
        put_body(uuid.uuid4(), LARGE)
