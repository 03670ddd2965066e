"""What an SQS destination puts into a queue, and what it needs for that."""

import json

import pytest

from destinations.adapters.base import Limits, Outcome
from tests.adapters.contract import Site, event, sample_events, text_of
from tests.adapters.sqs_support import (
    SqsContract,
    config_of,
    deliver,
    key_for,
    make,
    site_of,
    stored,
)
from tests.services.ministack import SqsServer

pytestmark = pytest.mark.databaseless


class TestSqsContract(SqsContract):
    """A standard queue by its URL, and a user with the rights of the set-up text alone."""

    @pytest.fixture
    def site(self, sqs: SqsServer) -> Site:
        queue = sqs.create_queue()
        config = config_of(sqs, queue)
        return site_of(sqs, queue, config, key_for(sqs, config))


class TestSqsFifoContract(SqsContract):
    """A FIFO queue by account and name: a repeat leaves one message."""

    @pytest.fixture
    def site(self, sqs: SqsServer) -> Site:
        queue = sqs.create_queue(fifo=True)
        config = config_of(sqs, queue, queue=f"000000000000/{queue.name}")
        wrong = {"queue": "000000000000/another.fifo"}
        held = key_for(sqs, {**config, "queue": "000000000000/*.fifo"})
        return site_of(
            sqs,
            queue,
            config,
            held,
            repeats_leave_one=True,
            wrong_config=wrong,
            wrong_credentials={},
            wrong_step="queue",
        )


# --- what a reader gets -------------------------------------------------------------------------
def test_an_event_is_a_pointer_and_its_payload_stays_out_of_the_queue(sqs: SqsServer) -> None:
    queue = sqs.create_queue()
    message = event(b'{"type": "activity", "steps": "a canary of a person"}', reference_id="ref-1")
    assert [result.outcome for result in deliver(make(sqs, queue), message)] == [Outcome.DELIVERED]
    (received,) = queue.messages()
    assert json.loads(received["Body"]) == {
        "type": "s3_payload",
        "status": "success",
        "url": message.payload_url,
        "expires_in": 600,
        "payload_reference": message.event_id,
        "event_type": "activity",
        "user_id": message.user_id,
        "reference_id": "ref-1",
    }
    assert received["MessageAttributes"]["terra-event-id"]["StringValue"] == message.event_id
    assert "canary of a person" not in json.dumps(received)


def test_a_healthcheck_is_sent_as_it_was_received(sqs: SqsServer) -> None:
    queue = sqs.create_queue()
    health = next(message for message in sample_events() if message.type == "healthcheck")
    deliver(make(sqs, queue), health)
    (received,) = queue.messages()
    assert received["Body"].encode() == health.body


def test_the_links_life_is_the_one_that_messages_name(sqs: SqsServer) -> None:
    queue = sqs.create_queue()
    adapter = make(sqs, queue, expires_in=3600)
    assert adapter.wants_payload_url()
    assert adapter.link_lifetime_s() == 3600
    deliver(adapter)
    assert json.loads(queue.messages()[0]["Body"])["expires_in"] == 3600


def test_requests_are_filled_with_ten_messages(sqs: SqsServer) -> None:
    queue = sqs.create_queue()
    adapter = make(sqs, queue, limits=Limits(concurrency=40))
    results = deliver(adapter, *(event() for _ in range(45)))
    assert {result.outcome for result in results} == {Outcome.DELIVERED}
    assert sorted(call.entries for call in sqs.gate.counted("sqs:SendMessageBatch")) == [5, 10, 10, 10, 10]
    assert {result.response["message_id"] for result in results} == {one["MessageId"] for one in queue.messages()}


def test_results_hold_neither_links_nor_people(sqs: SqsServer) -> None:
    message = event(user_id="canary-of-a-person")
    (result,) = deliver(make(sqs, sqs.create_queue()), message)
    shown = text_of([result])
    assert message.event_id in shown
    assert message.payload_url not in shown
    assert "canary-of-a-person" not in shown


# --- FIFO ---------------------------------------------------------------------------------------
def test_a_users_events_are_a_group_of_a_fifo_queue_and_keep_their_order(sqs: SqsServer) -> None:
    queue = sqs.create_queue(fifo=True)
    batch = [event(user_id=f"user-{number % 3}") for number in range(30)]
    deliver(make(sqs, queue), *batch)
    received = queue.messages()
    for user in ("user-0", "user-1", "user-2"):
        got = [stored(one).event_id for one in received if one["Attributes"]["MessageGroupId"] == user]
        assert got == [message.event_id for message in batch if message.user_id == user]
    ids = {one["Attributes"]["MessageDeduplicationId"] for one in received}
    assert ids == {message.event_id for message in batch}


@pytest.mark.parametrize(
    ("user_id", "group"),
    [
        (None, "no-user"),
        ("", "no-user"),
        ("a.b_c-1", "a.b_c-1"),
        ("a b", None),
        ("x" * 129, None),
        ("\x00\ud83d", None),
    ],
)
def test_a_group_is_named_by_any_user_id(sqs: SqsServer, user_id: str | None, group: str) -> None:
    queue = sqs.create_queue(fifo=True)
    assert [result.outcome for result in deliver(make(sqs, queue), event(user_id=user_id))] == [Outcome.DELIVERED]
    found = queue.messages()[0]["Attributes"]["MessageGroupId"]
    assert found == group if group else found.startswith("u-")
