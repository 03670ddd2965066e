"""What an operator finds in the bucket of an S3 destination."""

import json
import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import timedelta
from typing import Any

import pytest

from destinations.adapters.base import Limits, ListFeed, Outcome, Person, StepStatus
from destinations.adapters.objects import object_of
from destinations.adapters.s3 import S3Adapter
from destinations.specs import problems_of
from tests.adapters.contract import CANARY, SAMPLES, AdapterContract, Site, Stored, event, sample_events
from tests.adapters.erasing import ErasingContract
from tests.adapters.s3_support import LOCAL, Folder, deliver, new_folder, outcomes, stamped, versions
from tests.services import free_port
from tests.services.seaweedfs import SeaweedServer

pytestmark = pytest.mark.databaseless


@pytest.fixture
def folder(seaweed: SeaweedServer, bucket: str) -> Folder:
    return new_folder(seaweed, bucket)


@pytest.fixture
def adapter(folder: Folder) -> Iterator[S3Adapter]:
    made = folder.adapter()
    yield made
    made.close()


class TestS3Contract(ErasingContract, AdapterContract):
    @pytest.fixture
    def site(self, folder: Folder) -> Site:
        def read_back() -> list[Stored]:
            found = [folder.read(key) for key in folder.names()]
            return [Stored(one["Metadata"].get("terra-event-id", "none"), one["body"]) for one in found]

        adapter = folder.adapter()
        return Site(
            kind=S3Adapter,
            config=asdict(adapter.config),
            credentials=asdict(adapter.credentials),
            policy=LOCAL,
            read_back=read_back,
            repeats_leave_one=True,
            unreachable={"endpoint_url": f"http://127.0.0.1:{free_port()}"},
            wrong_config={},
            wrong_credentials={"secret_access_key": f"{CANARY}-wrong"},
            wrong_step="authenticate",
        )

    @pytest.fixture
    def eraser(self, folder: Folder) -> Iterator[S3Adapter]:
        objects = {"Effect": "Allow", "Action": ["s3:DeleteObject"], "Resource": [f"arn:aws:s3:::{folder.bucket}/*"]}
        listing = {"Effect": "Allow", "Action": ["s3:ListBucket"], "Resource": [f"arn:aws:s3:::{folder.bucket}"]}
        made = folder.adapter(folder.user_with([objects, listing]))
        yield made
        made.close()

    def test_a_key_that_may_only_write_names_the_rights_that_erasing_takes(self, adapter: S3Adapter) -> None:
        failed = adapter.erase(Person(("user-1",)), []).failed
        assert failed is not None
        assert "s3:ListBucket" in failed.hint
        assert "s3:DeleteObject" in failed.hint

    def test_no_secret_is_shown_anywhere(self, site: Site) -> None:
        if CANARY not in site.credentials["secret_access_key"]:
            pytest.skip(f"The secret in HUB_TEST_S3 has no {CANARY} in it, so it could not be told apart.")
        super().test_no_secret_is_shown_anywhere(site)


def test_every_sample_is_an_object_of_its_exact_bytes_with_its_metadata(folder: Folder, adapter: S3Adapter) -> None:
    for message in sample_events():
        (result,) = adapter.deliver([message])
        item = object_of(message)
        found = folder.read(item.key)
        assert found["body"] == message.body
        assert found["ContentType"] == "application/json"
        assert found["Metadata"] == dict(item.metadata)
        assert found["Metadata"]["terra-event-id"] == message.event_id
        assert found["Metadata"]["terra-reference"] == message.headers["terra-reference"]
        assert result.request["key"] == f"{folder.prefix}/{item.key}"
        assert result.request["bytes"] == len(message.body)


def test_the_key_is_that_of_terras_page(folder: Folder, adapter: S3Adapter) -> None:
    adapter.deliver([event((SAMPLES / "activity.json").read_bytes())])
    user = "40f7b0e1-89e2-43ac-a5b8-1e29c8d47cad"
    assert folder.names() == [f"2022-03-16/activity/{user}-2026-07-01T06:04:11Z.json"]


@pytest.mark.parametrize("user", ["../../up", "..", "a/b", "é\u202e", "x" * 500, "u-" + "A" * 32, " "])
def test_an_odd_user_id_stays_in_its_folder_and_gets_an_object_of_its_own(
    folder: Folder, adapter: S3Adapter, user: str
) -> None:
    bodies = [{"type": "auth", "user": {"user_id": name}} for name in (user, user + "/")]
    batch = [event(json.dumps(body).encode()) for body in bodies]
    batch[1] = replace(batch[1], received_at=batch[0].received_at)  # only the user tells them apart
    assert outcomes(adapter.deliver(batch)) == [Outcome.DELIVERED] * 2
    assert sorted(folder.bodies().values()) == sorted(message.body for message in batch)
    assert all(key.startswith("auth/u-") and key.count("/") == 1 for key in folder.names())


@pytest.mark.parametrize("size", [0, 1, 1_000_000, 8 * 1024 * 1024])
def test_bytes_of_any_size_arrive(folder: Folder, adapter: S3Adapter, size: int) -> None:
    padded = event().body[:-1] + b', "pad": "' + random.Random(size).randbytes(size // 2).hex().encode() + b'"}'
    assert outcomes(adapter.deliver([event(padded)])) == [Outcome.DELIVERED]
    assert list(folder.bodies().values()) == [padded]


# --- one effect, and the newer one stays ------------------------------------------------------
def test_a_repeat_leaves_one_object_with_the_same_bytes(folder: Folder, adapter: S3Adapter) -> None:
    message = event()
    for batch in ([message], [message, message], [message]):
        assert set(outcomes(adapter.deliver(batch))) == {Outcome.DELIVERED}
    assert list(folder.bodies().values()) == [message.body]


@pytest.mark.parametrize("overwrites", ["conditional", "read_first"])
def test_a_late_older_event_does_not_overwrite_a_newer_one(folder: Folder, overwrites: str) -> None:
    older, newer = versions()
    first, late = deliver(folder.adapter(overwrites=overwrites), newer, older)
    assert list(folder.bodies().values()) == [newer.body]
    assert (first.outcome, first.code) == (Outcome.DELIVERED, "")
    assert (late.outcome, late.code) == (Outcome.DELIVERED, "superseded")
    assert late.response == {"kept_event_id": newer.event_id}
    deliver(folder.adapter(overwrites=overwrites), older, newer)
    assert list(folder.bodies().values()) == [newer.body]


def test_a_newer_event_overwrites_an_older_one_of_another_worker(folder: Folder) -> None:
    older, newer = versions()
    for message in (older, newer):
        deliver(folder.adapter(), message)
        assert list(folder.bodies().values()) == [message.body]


def test_terras_own_clock_goes_before_the_time_of_receipt(folder: Folder, adapter: S3Adapter) -> None:
    older, newer = versions()
    later_by_receipt = stamped(newer, newer.received_at - timedelta(days=1))
    earlier_by_receipt = stamped(older, older.received_at)
    deliver(folder.adapter(), earlier_by_receipt, later_by_receipt)
    assert list(folder.bodies().values()) == [earlier_by_receipt.body]


def test_an_object_that_is_none_of_the_hubs_is_replaced(folder: Folder, adapter: S3Adapter) -> None:
    message = event()
    key = f"{folder.prefix}/{object_of(message).key}"
    folder.server.client().put_object(Bucket=folder.bucket, Key=key, Body=b"somebody else's")
    assert outcomes(adapter.deliver([message])) == [Outcome.DELIVERED]
    assert list(folder.bodies().values()) == [message.body]


def test_workers_that_race_for_one_key_leave_the_newest(folder: Folder) -> None:
    batch = versions(12)
    random.Random(7).shuffle(batch)

    def work(share: int) -> set[Outcome]:
        adapter = folder.adapter()
        # What lost too many races is tried again, as the schedule would.
        left, seen = batch[share::3], set()
        while left:
            results = adapter.deliver(left)
            seen |= {result.outcome for result in results}
            left = [one for one, result in zip(left, results, strict=True) if result.outcome is Outcome.RETRY]
        adapter.close()
        return seen

    with ThreadPoolExecutor(3) as pool:
        seen = set().union(*pool.map(work, range(3)))
    assert Outcome.REJECTED not in seen
    (body,) = folder.bodies().values()
    assert body == max(batch, key=lambda one: one.received_at).body


def test_a_newer_event_that_comes_between_the_look_and_the_write_stays(folder: Folder) -> None:
    oldest, older, newer = versions(3)
    slow, quick = folder.adapter(), folder.adapter()
    slow.deliver([oldest])

    def meanwhile(request: Any, **_: Any) -> None:
        if "If-Match" in request.headers:
            quick.deliver([newer])

    assert slow._link
    slow._link.client.meta.events.register_first("before-send.s3.PutObject", meanwhile)
    (late,) = deliver(slow, older)
    quick.close()
    assert list(folder.bodies().values()) == [newer.body]
    assert (late.outcome, late.code) == (Outcome.DELIVERED, "superseded")


def test_a_bucket_that_keeps_versions_is_no_trouble_and_the_check_says_what_stays(seaweed: SeaweedServer) -> None:
    kept = new_folder(seaweed, seaweed.create_bucket())
    on = {"Status": "Enabled"}
    kept.server.client().put_bucket_versioning(Bucket=kept.bucket, VersioningConfiguration=on)
    older, newer = versions()
    deliver(kept.adapter(), newer, older, newer)
    assert list(kept.bodies().values()) == [newer.body]
    steps = list(kept.adapter().check())
    assert StepStatus.FAILED not in {step.status for step in steps}, steps
    assert "keeps versions" in steps[-1].detail


def test_a_stream_of_many_leaves_each_once(folder: Folder) -> None:
    adapter, batch = folder.adapter(limits=Limits(concurrency=4)), [event() for _ in range(60)]
    done = [pair for group in adapter.stream(ListFeed(batch)) for pair in group]
    adapter.close()
    assert {result.outcome for _, result in done} == {Outcome.DELIVERED}
    assert sorted(folder.bodies().values()) == sorted(message.body for message in batch)


# --- what the config asks for -----------------------------------------------------------------
def test_storage_class_and_encryption_are_those_of_the_config(folder: Folder) -> None:
    deliver(folder.adapter(storage_class="STANDARD_IA", encryption="AES256"), event())
    (key,) = folder.names()
    found = folder.read(key)
    assert (found["StorageClass"], found["ServerSideEncryption"]) == ("STANDARD_IA", "AES256")


def test_the_target_names_bucket_prefix_and_place(folder: Folder) -> None:
    made = folder.adapter()
    assert made.target() == f"s3://{folder.bucket}/{folder.prefix} ({folder.server.endpoint})"
    assert folder.adapter(prefix="", endpoint_url="").target() == f"s3://{folder.bucket} (us-east-1)"
    assert folder.server.writer.secret not in made.target()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("bucket", "a..b"),
        ("bucket", "192.168.1.1"),
        ("bucket", "arn:aws:s3:::bucket"),
        ("bucket", "a/b"),
        ("prefix", "a/../b"),
        ("prefix", "a b"),
        ("region", "evil.example/"),
        ("endpoint_url", "https://s3.example.com/bucket"),
        ("endpoint_url", "https://user:password@s3.example.com"),
        ("endpoint_url", "ftp://s3.example.com"),
        ("ca_certificate", "-----BEGIN NOTHING-----"),
        ("expected_bucket_owner", "12"),
        ("encryption", "none"),
        ("role_arn", "arn:aws:iam::123456789012:user/x"),
    ],
)
def test_a_config_that_cannot_work_is_refused_at_its_field(folder: Folder, field: str, value: str) -> None:
    config = folder.config(**{field: value})
    found = problems_of(S3Adapter.config_spec, config) or S3Adapter.validate(folder.adapter(**{field: value}).config)
    assert list(found) == [field]
