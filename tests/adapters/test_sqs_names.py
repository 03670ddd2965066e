"""What an operator may write for a queue, and how events become messages: no server is needed for these."""

import json
from datetime import UTC, datetime

import pytest

from destinations.adapters.base import Message
from destinations.adapters.sqs_message import BATCH_BYTES, Entry, Unsendable, healthcheck_body, packed, pointer_body
from destinations.adapters.sqs_queue import UnknownQueue, read_queue

pytestmark = pytest.mark.databaseless

ARN = "arn:aws:sqs:eu-west-1:123456789012:terra"


@pytest.mark.parametrize(
    ("text", "region", "arn"),
    [
        ("https://sqs.eu-west-1.amazonaws.com/123456789012/terra", "eu-west-1", ARN),
        ("https://eu-west-1.queue.amazonaws.com/123456789012/terra", "eu-west-1", ARN),
        ("https://sqs.eu-west-1.api.aws/123456789012/terra", "eu-west-1", ARN),
        ("https://queue.amazonaws.com/123456789012/terra", "us-east-1", ARN.replace("eu-west-1", "us-east-1")),
        (ARN, "eu-west-1", ARN),
        ("123456789012/terra", "", ARN),
        ("123456789012/terra.fifo", "", ARN + ".fifo"),
        ("https://sqs.cn-north-1.amazonaws.com.cn/123456789012/q", "cn-north-1",
         "arn:aws-cn:sqs:cn-north-1:123456789012:q"),
        ("https://sqs.us-gov-west-1.amazonaws.com/123456789012/q", "us-gov-west-1",
         "arn:aws-us-gov:sqs:us-gov-west-1:123456789012:q"),
        ("http://localhost:4566/000000000000/terra", "", "arn:aws:sqs:eu-west-1:000000000000:terra"),
    ],
)  # fmt: skip
def test_a_queue_is_known_by_its_url_its_arn_or_account_and_name(text: str, region: str, arn: str) -> None:
    queue = read_queue(text)
    assert (queue.region, queue.arn("eu-west-1")) == (region, arn)
    assert queue.is_fifo == text.endswith(".fifo")


@pytest.mark.parametrize(
    "text",
    [
        "terra",
        "12345/terra",
        "arn:aws:sns:eu-west-1:123456789012:terra",
        "arn:aws:sqs:eu-west-1:123456789012:terra/../other",
        "http://sqs.eu-west-1.amazonaws.com/123456789012/terra",
        "https://sqs.eu-west-1.amazonaws.com/",
        "https://sqs.eu-west-1.amazonaws.com/terra",
        "https://sqs.eu-west-1.amazonaws.com/123456789012/terra?x=1",
        "https://user:password@sqs.eu-west-1.amazonaws.com/123456789012/terra",
        "123456789012/" + "x" * 81,
    ],
)
def test_what_names_no_queue_is_refused_in_words(text: str) -> None:
    with pytest.raises(UnknownQueue) as caught:
        read_queue(text)
    assert "rite" in str(caught.value) or "Put" in str(caught.value)
    assert "password@" not in str(caught.value)


@pytest.mark.parametrize(
    "host", ["sqs.eu-west-1.amazonaws.com.evil.example", "sqs.evil.example", "evilsqs.eu-west-1.amazonaws.com"]
)
def test_a_host_that_only_looks_like_aws_is_not_taken_for_it(host: str) -> None:
    queue = read_queue(f"https://{host}/123456789012/terra")
    assert (queue.region, queue.authority) == ("", host)


def message(body: bytes = b"{}", **about: str | None) -> Message:
    values: dict[str, str | None] = {"type": "activity", "user_id": "u1", "reference_id": None, **about}
    return Message("e1", str(values["type"]), body, datetime.now(UTC), values["user_id"], values["reference_id"])


def test_a_pointer_says_where_the_payload_is_and_nothing_of_it() -> None:
    body = pointer_body(message(b'{"steps": 12345}', user_id="nul\x00 \ud83d \ufffe"), "https://hub.example/p", 600)
    assert json.loads(body) == {
        "type": "s3_payload",
        "status": "success",
        "url": "https://hub.example/p",
        "expires_in": 600,
        "payload_reference": "e1",
        "event_type": "activity",
        "user_id": "nul\x00 \ud83d \ufffe",
        "reference_id": None,
    }
    assert body.isascii()
    assert body.isprintable()


def test_a_healthcheck_is_sent_as_received_and_escapes_what_a_queue_refuses() -> None:
    plain = b'{\n\t"type": "healthcheck", "trend_percentage": 1.50, "status":"ok"}\r\n'
    assert healthcheck_body(message(plain)).encode() == plain
    awkward = '{"type": "healthcheck", "note": "gr\u00f6\u00dfer \ufffe \U0001f600 \x7f"}'
    sent = healthcheck_body(message(awkward.encode()))
    assert sent.isascii()
    assert json.loads(sent) == json.loads(awkward)
    assert '"note": "gr\\u00f6\\u00dfer' in sent


@pytest.mark.parametrize("body", [b"", b"\xff\xfe"])
def test_a_healthcheck_that_is_no_text_cannot_be_sent(body: bytes) -> None:
    with pytest.raises(Unsendable):
        healthcheck_body(message(body))


def test_requests_are_filled_in_order_up_to_their_limits() -> None:
    small = [Entry(number, "e", "x") for number in range(25)]
    assert [len(group) for group in packed(small)] == [10, 10, 5]
    assert [entry.position for group in packed(small) for entry in group] == list(range(25))
    half = Entry(0, "e", "x" * (BATCH_BYTES // 2))
    assert [len(group) for group in packed([half, half, half])] == [1, 1, 1]
    exact = Entry(0, "e", "x" * (BATCH_BYTES // 2 - 21))
    assert exact.size == BATCH_BYTES // 2
    assert [len(group) for group in packed([exact, exact, exact])] == [2, 1]
    assert list(packed([])) == []
