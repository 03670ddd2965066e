"""What is wrong with a bucket is said in words, with what to change; a body that is gone is no store that is down."""

import uuid
from typing import Any

import pytest

from tests.keeping.s3 import Bucket
from tests.keeping.test_s3_store import LARGE, NOWHERE
from webhooks.keeping.payloads import (
    PayloadMissing,
    PayloadStoreDown,
    body_of,
    check_store,
    discard_body,
    put_body,
)

pytestmark = pytest.mark.databaseless


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"secret_key": "not-the-secret"}, "Correct PAYLOAD_S3_SECRET_ACCESS_KEY."),
        ({"key_id": "NOBODY"}, "Correct PAYLOAD_S3_ACCESS_KEY_ID."),
        ({"endpoint": NOWHERE}, "Look at PAYLOAD_S3_ENDPOINT"),
    ],
)
def test_what_is_wrong_is_said_with_what_to_change(
    settings: Any, bucket: Bucket, wrong: dict[str, str], said: str
) -> None:
    bucket.use(settings, **wrong)
    for ask in (check_store, lambda: put_body(uuid.uuid4(), LARGE), lambda: body_of(None, "2026/01/01/x.json")):
        with pytest.raises(PayloadStoreDown, match=said) as caught:
            ask()
        assert bucket.server.admin.secret not in str(caught.value)
        assert "not-the-secret" not in str(caught.value)


def test_a_missing_bucket_is_no_missing_body(settings: Any, bucket: Bucket) -> None:
    bucket.use(settings)
    with pytest.raises(PayloadMissing):
        body_of(None, "2026/01/01/x.json")
    bucket.use(settings, bucket="another-bucket-that-nobody-made")
    for ask in (lambda: body_of(None, "2026/01/01/x.json"), lambda: put_body(uuid.uuid4(), LARGE)):
        with pytest.raises(PayloadStoreDown, match="PAYLOAD_S3_BUCKET"):
            ask()


def test_a_right_that_is_missing_is_named(settings: Any, bucket: Bucket) -> None:
    reader = bucket.user_who_may("s3:GetObject")
    bucket.use(settings, key_id=reader.id, secret_key=reader.secret)
    with pytest.raises(PayloadStoreDown, match="Allow s3:PutObject"):
        put_body(uuid.uuid4(), LARGE)
    with pytest.raises(PayloadStoreDown, match="Allow s3:PutObject"):
        check_store()


def test_the_rights_that_the_docs_name_are_enough(settings: Any, bucket: Bucket) -> None:
    hub = bucket.user_who_may("s3:PutObject", "s3:GetObject", "s3:DeleteObject")
    bucket.use(settings, key_id=hub.id, secret_key=hub.secret)
    check_store()
    name = put_body(uuid.uuid4(), LARGE)
    assert body_of(None, name) == LARGE
    discard_body(name)
    assert bucket.keys() == [f"{bucket.prefix}/readiness-probe.txt"]


def test_the_check_writes_at_most_once_a_minute(settings: Any, bucket: Bucket) -> None:
    bucket.use(settings)
    assert check_store() == f"{bucket.place} at {bucket.server.endpoint}"
    bucket.client.delete_object(Bucket=bucket.name, Key=f"{bucket.prefix}/readiness-probe.txt")
    check_store()
    assert bucket.keys() == []
