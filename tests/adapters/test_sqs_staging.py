"""Payloads in a bucket of the user's own, and the links that lead to them."""

import json
import time
import urllib.error
from typing import Any
from urllib.parse import quote

import pytest

from destinations.adapters.base import Effect, Limits, Outcome, StepStatus
from destinations.adapters.objects import object_of
from tests.adapters.contract import Site, Stored, event
from tests.adapters.sqs_support import (
    SqsContract,
    config_of,
    deliver,
    downloaded,
    known_to_both,
    make,
    policies,
    site_of,
    staging,
    stored,
)
from tests.services.ministack import SqsServer
from tests.services.seaweedfs import CANARY_KEY, SeaweedServer
from tests.sink import Sink

pytestmark = pytest.mark.databaseless


class TestSqsStagedContract(SqsContract):
    """A queue by its ARN, and payloads in the user's own bucket, read back through the links in the messages."""

    @pytest.fixture
    def site(self, sqs: SqsServer, seaweed: SeaweedServer, bucket: str) -> Site:
        queue = sqs.create_queue()
        config = config_of(sqs, queue, queue=queue.arn, region="", **staging(seaweed, bucket))
        held = known_to_both(sqs, CANARY_KEY, config)
        wrong = {"s3_bucket": "hub-missing"}
        return site_of(
            sqs, queue, config, held, read_back=lambda: [self.read(one) for one in queue.messages()],
            wrong_config=wrong, wrong_credentials={}, wrong_step="bucket",
        )  # fmt: skip

    def read(self, received: dict[str, Any]) -> Stored:
        found = stored(received)
        return found if found.body is not None else Stored(found.event_id, downloaded(received))


def test_payloads_wait_in_the_users_bucket_with_the_rights_of_the_set_up_text(
    sqs: SqsServer, seaweed: SeaweedServer, bucket: str
) -> None:
    queue = sqs.create_queue()
    config = config_of(sqs, queue, **staging(seaweed, bucket), s3_prefix="staged")
    key = seaweed.create_user([policies(config)[0]["Statement"][1]])
    adapter = make(
        sqs, queue, credentials=known_to_both(sqs, key, config), **staging(seaweed, bucket), s3_prefix="staged"
    )
    assert not adapter.wants_payload_url()
    message = event()
    assert [result.outcome for result in deliver(adapter, message)] == [Outcome.DELIVERED]
    (received,) = queue.messages()
    assert downloaded(received) == message.body
    url = json.loads(received["Body"])["url"]
    assert f"/{bucket}/staged/{message.event_id}/2022-03-16/activity/{message.user_id}-" in url
    tampered = {"Body": json.dumps({"url": url.replace("activity/", "activity/x")})}
    with pytest.raises(urllib.error.HTTPError, match=r"403|404"):
        downloaded(tampered)


def test_a_link_to_the_bucket_stops_opening_when_its_life_is_over(
    sqs: SqsServer, seaweed: SeaweedServer, bucket: str
) -> None:
    queue = sqs.create_queue()
    config = config_of(sqs, queue, **staging(seaweed, bucket))
    held = known_to_both(sqs, CANARY_KEY, config)
    deliver(make(sqs, queue, credentials=held, **staging(seaweed, bucket), expires_in=1))
    time.sleep(2.1)
    with pytest.raises(urllib.error.HTTPError, match="403"):
        downloaded(queue.messages()[0])


def test_a_later_event_of_the_same_key_does_not_change_what_an_earlier_link_opens(
    sqs: SqsServer, seaweed: SeaweedServer, bucket: str
) -> None:
    queue = sqs.create_queue()
    config = config_of(sqs, queue, **staging(seaweed, bucket))
    adapter = make(sqs, queue, credentials=known_to_both(sqs, CANARY_KEY, config), **staging(seaweed, bucket))
    first = event()
    later = event(first.body + b"\n", user_id=first.user_id)
    deliver(adapter, first, later)
    assert sorted(map(downloaded, queue.messages())) == sorted([first.body, later.body])


def test_a_payload_that_hangs_leaves_its_neighbours_time_to_be_sent(sqs: SqsServer, sink: Sink) -> None:
    """Putting and sending share the time of one try; the one that hangs must not use it all up."""
    queue = sqs.create_queue()
    hung, quick = event(), event()
    there = {"s3_bucket": "a-bucket", "s3_endpoint_url": sink.url(""), "s3_region": "eu-west-1"}
    sink.behave("*", body="", headers={"ETag": '"1"'})
    sink.behave(f"/a-bucket/{quote(object_of(hung, hung.event_id).key)}", mode="hang")
    results = deliver(make(sqs, queue, limits=Limits(timeout_s=4), **there), hung, quick)
    assert [one.outcome for one in results] == [Outcome.RETRY, Outcome.DELIVERED]
    assert [stored(one).event_id for one in queue.messages()] == [quick.event_id]


def test_looking_putting_and_sending_share_one_deadline(sqs: SqsServer, sink: Sink) -> None:
    """Each would come in time by itself: the look for the queue and the put, with what is left for it, do not."""
    queue = sqs.create_queue()
    there = {"s3_bucket": "a-bucket", "s3_endpoint_url": sink.url(""), "s3_region": "eu-west-1"}
    sink.behave("*", body="", headers={"ETag": '"1"'}, delay=2.5)
    (result,) = deliver(make(sqs, queue, limits=Limits(timeout_s=4), **there))
    assert (result.outcome, result.code) == (Outcome.RETRY, "deadline")
    assert queue.messages() == []


def test_a_store_that_answers_without_an_etag_holds_nothing(sqs: SqsServer, sink: Sink) -> None:
    queue = sqs.create_queue()
    there = {"s3_bucket": "a-bucket", "s3_endpoint_url": sink.url(""), "s3_region": "eu-west-1"}
    sink.behave("*", body="<html>log in to the hotel</html>")
    (result,) = deliver(make(sqs, queue, **there))
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "bad_response", Effect.FAILURE)
    assert "s3_endpoint_url" in result.hint
    assert queue.messages() == []


@pytest.mark.parametrize(
    ("spoilt", "code", "says"),
    [
        ({"s3_bucket": "hub-missing"}, "NoSuchBucket", "s3_bucket"),
        ({"s3_bucket": "another"}, "AccessDenied", "s3:PutObject"),
    ],
)
def test_a_bucket_that_cannot_be_written_is_named_and_nothing_is_sent(
    sqs: SqsServer, seaweed: SeaweedServer, bucket: str, spoilt: dict[str, str], code: str, says: str
) -> None:
    if spoilt["s3_bucket"] == "another":
        seaweed.client().create_bucket(Bucket="another")
    queue = sqs.create_queue()
    config = config_of(sqs, queue, **staging(seaweed, bucket))
    held = known_to_both(sqs, CANARY_KEY, config)
    message = event()
    (result,) = deliver(make(sqs, queue, credentials=held, **{**staging(seaweed, bucket), **spoilt}), message)
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, code, Effect.FAILURE)
    assert says in result.hint
    assert queue.messages() == []
    deliver(make(sqs, queue, credentials=held, **staging(seaweed, bucket)), message)
    assert downloaded(queue.messages()[0]) == message.body


@pytest.mark.parametrize("actions", [["s3:PutObject"], ["s3:GetObject"]])
def test_a_check_tries_the_right_to_the_bucket_and_leaves_nothing_in_it(
    sqs: SqsServer, seaweed: SeaweedServer, bucket: str, actions: list[str]
) -> None:
    queue = sqs.create_queue()
    values = {**staging(seaweed, bucket), "s3_prefix": f"checked/{queue.name}"}
    rights = {"Effect": "Allow", "Action": actions, "Resource": [f"arn:aws:s3:::{bucket}/{values['s3_prefix']}/*"]}
    held = known_to_both(sqs, seaweed.create_user([rights]), config_of(sqs, queue, **values))
    step = {step.name: step for step in make(sqs, queue, credentials=held, **values).check()}["bucket"]
    if actions == ["s3:PutObject"]:
        assert step.status is StepStatus.PASSED
    else:
        assert step.status is StepStatus.FAILED
        assert "s3:PutObject" in step.hint
    assert seaweed.client().list_objects_v2(Bucket=bucket, Prefix=values["s3_prefix"])["KeyCount"] == 0
