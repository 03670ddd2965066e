"""What an SQS destination does when the queue, the network or the rights misbehave (T38, T44, T57, T58)."""

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import cycle

import pytest

from destinations.adapters.aws import AwsCredentials
from destinations.adapters.base import Effect, Limits, Message, Outcome, Result
from destinations.adapters.sqs import SqsAdapter
from destinations.adapters.sqs_config import SqsConfig
from destinations.adapters.sqs_link import QueueLink
from tests.adapters.contract import event
from tests.adapters.sqs_support import LOCAL, SECRET, config_of, deliver, key_for, make, stored
from tests.services.iam import Refused, allow
from tests.services.ministack import Queue, SqsServer
from tests.services.proxy import FaultProxy
from tests.sink import Sink

pytestmark = pytest.mark.databaseless

BATCH = "sqs:SendMessageBatch"


@pytest.fixture
def proxy(sqs: SqsServer) -> Iterator[FaultProxy]:
    with FaultProxy((sqs.gate.host, sqs.gate.port)) as proxy:
        yield proxy


def behind(proxy: FaultProxy, sqs: SqsServer, queue: Queue, limits: Limits | None = None) -> SqsAdapter:
    """Return an adapter whose connections go through ``proxy``."""
    held = key_for(sqs, config_of(sqs, queue))
    url = f"http://{proxy.host}:{proxy.port}"
    there = {"endpoint_url": url, "queue": queue.url.replace(sqs.url, url)}
    return make(sqs, queue, credentials=held, limits=limits, **there)


def ids(queue: Queue) -> list[str]:
    """Return which events are in the queue, sorted."""
    return sorted(stored(received).event_id for received in queue.messages())


def only(results: object) -> Result:
    assert isinstance(results, list)
    (result,) = results
    assert isinstance(result, Result)
    return result


# --- the network --------------------------------------------------------------------------------
@pytest.mark.parametrize(("fifo", "copies"), [(True, 1), (False, 2)])
def test_a_message_whose_answer_was_lost(proxy: FaultProxy, sqs: SqsServer, fifo: bool, copies: int) -> None:
    """T38: a FIFO queue holds it once, a standard one twice under the same id."""
    queue = sqs.create_queue(fifo=fifo)
    adapter = behind(proxy, sqs, queue)
    message = event()
    proxy.cut_at_answer(b"Successful")
    first = only(adapter.deliver([message]))
    assert (first.outcome, first.code, first.effect) == (Outcome.RETRY, "connection_closed", Effect.FAILURE)
    assert only(deliver(adapter, message)).outcome is Outcome.DELIVERED
    assert ids(queue) == [message.event_id] * copies
    assert {json.loads(one["Body"])["payload_reference"] for one in queue.seen} == {message.event_id}


def test_a_server_that_falls_silent_is_left_at_the_deadline(proxy: FaultProxy, sqs: SqsServer) -> None:
    queue = sqs.create_queue()
    adapter = behind(proxy, sqs, queue, Limits(timeout_s=3))
    assert only(adapter.deliver([event()])).outcome is Outcome.DELIVERED
    proxy.fall_silent()
    result = only(deliver(adapter))
    assert (result.outcome, result.effect) == (Outcome.RETRY, Effect.FAILURE)
    assert result.code in ("deadline", "timeout")


def test_a_kept_connection_that_broke_is_replaced_without_a_failed_try(proxy: FaultProxy, sqs: SqsServer) -> None:
    queue = sqs.create_queue()
    adapter = behind(proxy, sqs, queue)
    first, second = event(), event()
    adapter.deliver([first])
    proxy.cut()
    assert only(deliver(adapter, second)).outcome is Outcome.DELIVERED
    assert ids(queue) == sorted([first.event_id, second.event_id])


# --- messages that are too large ----------------------------------------------------------------
def rights_to_look(sqs: SqsServer, queue: Queue) -> dict[str, str]:
    rights = allow("sqs:SendMessage", "sqs:GetQueueAttributes", resource=queue.arn)
    return {"access_key_id": sqs.gate.directory.add_user("reader", rights, SECRET), "secret_access_key": SECRET}


def large(size: int = 3000) -> Message:
    return event(user_id="x" * size)


@pytest.mark.parametrize("may_look", [True, False])
def test_a_message_that_the_queue_does_not_take_is_rejected_at_once(sqs: SqsServer, may_look: bool) -> None:
    """T44: found before it is sent where the limit may be read, else told by the queue; never tried again."""
    queue = sqs.create_queue(MaximumMessageSize="2048")
    adapter = make(sqs, queue, credentials=rights_to_look(sqs, queue) if may_look else None)
    batch = [event(), large(), event()]
    results = adapter.deliver(batch)
    assert [result.outcome for result in results] == [Outcome.DELIVERED, Outcome.REJECTED, Outcome.DELIVERED]
    assert (results[1].code, results[1].effect) == ("message_too_large", Effect.NONE)
    assert "MaximumMessageSize" in results[1].hint
    assert ids(queue) == sorted([batch[0].event_id, batch[2].event_id])
    sent = [call.entries for call in sqs.gate.counted(BATCH)]
    assert sent == ([2] if may_look else [3])

    queue.set(MaximumMessageSize="8192")  # the operator raises the limit, and resends
    assert only(deliver(adapter, batch[1])).outcome is Outcome.DELIVERED
    assert batch[1].event_id in ids(queue)


def test_a_message_larger_than_any_queue_takes_is_not_sent(sqs: SqsServer) -> None:
    queue = sqs.create_queue()
    result = only(deliver(make(sqs, queue), large(1024 * 1024)))
    assert (result.outcome, result.code) == (Outcome.REJECTED, "message_too_large")
    assert "1,048,576" in result.detail
    assert sqs.gate.counted(BATCH) == []


def test_large_messages_share_no_request_beyond_its_limit(sqs: SqsServer) -> None:
    queue = sqs.create_queue()
    batch = [large(100_000) for _ in range(4)] + [large(600_000)]
    assert {result.outcome for result in deliver(make(sqs, queue), *batch)} == {Outcome.DELIVERED}
    assert ids(queue) == sorted(message.event_id for message in batch)
    assert sorted(call.entries for call in sqs.gate.counted(BATCH)) == [1, 2, 2]


# --- some of a batch ----------------------------------------------------------------------------
def test_of_a_batch_only_those_that_were_not_taken_are_sent_again(sqs: SqsServer) -> None:
    """T58: partial failures, one to one."""
    queue = sqs.create_queue()
    adapter = make(sqs, queue)
    batch = [event() for _ in range(20)]
    spoilt = {batch[3].event_id: "InternalError", batch[14].event_id: "ServiceUnavailable"}

    def fail(body: str) -> dict[str, object] | None:
        code = spoilt.get(json.loads(body)["payload_reference"])
        return {"Code": code, "SenderFault": False} if code else None

    sqs.gate.faults.fail_entry = fail
    results = adapter.deliver(batch)
    failed = [(message, result) for message, result in zip(batch, results, strict=True) if result.code]
    assert {message.event_id: result.code for message, result in failed} == spoilt
    assert {result.outcome for _, result in failed} == {Outcome.RETRY}
    assert {result.outcome for result in results if not result.code} == {Outcome.DELIVERED}

    sqs.gate.clear()
    assert {one.outcome for one in deliver(adapter, *(message for message, _ in failed))} == {Outcome.DELIVERED}
    assert ids(queue) == sorted(message.event_id for message in batch)
    assert [call.entries for call in sqs.gate.counted(BATCH)] == [2]


@pytest.mark.parametrize(
    ("said", "outcome", "code", "effect"),
    [
        ("InternalError", Outcome.RETRY, "InternalError", Effect.FAILURE),
        ("RequestThrottled", Outcome.RETRY, "RequestThrottled", Effect.PAUSE),
        ("InvalidMessageContents", Outcome.REJECTED, "InvalidMessageContents", Effect.NONE),
        ("AWS.SimpleQueueService.KmsDisabled", Outcome.RETRY, "KmsDisabled", Effect.FAILURE),
        ("NeverHeardOf", Outcome.RETRY, "NeverHeardOf", Effect.NONE),
        ("", Outcome.RETRY, "bad_response", Effect.FAILURE),
    ],
)
def test_each_message_gets_what_the_queue_said_of_it(
    sqs: SqsServer, said: str, outcome: Outcome, code: str, effect: Effect
) -> None:
    bad, good = event(), event()
    failure = {"Code": said, "SenderFault": True} if said else {"SenderFault": True}
    sqs.gate.faults.fail_entry = lambda body: failure if bad.event_id in body else None
    results = deliver(make(sqs, sqs.create_queue()), bad, good)
    assert (results[0].outcome, results[0].code, results[0].effect) == (outcome, code, effect)
    assert results[0].detail
    assert results[1].outcome is Outcome.DELIVERED


@pytest.mark.parametrize(
    "body",
    [
        '{"Successful": [{}]}',
        '{"Successful": [{"MessageId": "1"}], "Failed": [{}]}',
        '{"Successful": [null], "Failed": null}',
        '{"Successful": [{"Id": "9", "MessageId": "1"}]}',
        "{}",
        "<html>log in to the hotel</html>",
    ],
)
@pytest.mark.parametrize("named_by", ["url", "arn"])
def test_a_success_that_names_no_message_is_none(sink: Sink, body: str, named_by: str) -> None:
    sink.behave("*", status=200, body=body, headers={"Content-Type": "application/x-amz-json-1.0"})
    url = sink.url("/123456789012/terra")
    queue = url if named_by == "url" else "arn:aws:sqs:eu-west-1:123456789012:terra"
    config = SqsConfig(queue=queue, region="eu-west-1", endpoint_url=sink.url(""))
    held = AwsCredentials(access_key_id="AKIAUSER", secret_access_key=SECRET)
    results = deliver(SqsAdapter(config, held, policy=LOCAL), event(), event())
    assert [(one.outcome, one.code, one.effect) for one in results] == [
        (Outcome.RETRY, "bad_response", Effect.FAILURE)
    ] * 2
    assert "something else than this service answers there" in results[0].hint


def test_a_limit_that_changes_meanwhile_leaves_no_message_out(sqs: SqsServer) -> None:
    """Another thread may ask for the limit while this one goes by it: each look at it finds another one."""
    limits = cycle([1024, 1024 * 1024])

    class Wavering(QueueLink):
        _limit = property(lambda _: next(limits), lambda _, __: None)

    queue = sqs.create_queue()
    adapter = make(sqs, queue)
    batch = [large(), event(), large()]
    for start in range(4):
        for _ in range(start):
            next(limits)
        adapter._link = Wavering(adapter.config, adapter.credentials, adapter.identity, LOCAL, adapter.limits)
        results = deliver(adapter, *batch)
        assert {(one.outcome, one.code) for one in results} <= {
            (Outcome.DELIVERED, ""),
            (Outcome.REJECTED, "message_too_large"),
        }


def test_a_request_that_one_message_spoilt_is_sent_again_message_by_message(sqs: SqsServer) -> None:
    queue = sqs.create_queue()
    refused = Refused(400, "InvalidMessageContents", "Invalid characters found.")
    sqs.gate.faults.refusals[BATCH] = [refused, refused]  # the whole request, then the first message alone
    batch = [event() for _ in range(3)]
    results = deliver(make(sqs, queue), *batch)
    assert [result.outcome for result in results] == [Outcome.REJECTED, Outcome.DELIVERED, Outcome.DELIVERED]
    assert ids(queue) == sorted(message.event_id for message in batch[1:])


# --- a queue that asks for patience -------------------------------------------------------------
@pytest.mark.parametrize(
    ("status", "code", "effect"),
    [
        (403, "RequestThrottled", Effect.PAUSE),
        (400, "ThrottlingException", Effect.PAUSE),
        (503, "ServiceUnavailable", Effect.PAUSE),
        (403, "OverLimit", Effect.PAUSE),
        (500, "InternalFailure", Effect.FAILURE),
    ],
)
def test_a_queue_that_is_pressed_too_hard_is_left_alone_and_then_gets_everything(
    sqs: SqsServer, status: int, code: str, effect: Effect
) -> None:
    queue = sqs.create_queue()
    adapter = make(sqs, queue)
    batch = [event(), event()]
    sqs.gate.faults.refusals[BATCH] = [Refused(status, code, "asked for by a test")]
    for result in adapter.deliver(batch):
        assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, code, effect)
        assert (result.retry_after is not None) == (effect is Effect.PAUSE)
        assert result.hint
    assert {result.outcome for result in deliver(adapter, *batch)} == {Outcome.DELIVERED}
    assert ids(queue) == sorted(message.event_id for message in batch)


# --- what somebody changed ----------------------------------------------------------------------
class Broken:
    """A way to break a destination that works, and to mend it."""

    def __init__(self, sqs: SqsServer, queue: Queue, key: str) -> None:
        self.sqs, self.queue, self.key = sqs, queue, key
        self.user = sqs.gate.directory.users[key]
        self.policy = self.user.policy

    def revoke(self) -> Callable[[], None]:
        self.user.policy = allow("sqs:ReceiveMessage")
        return lambda: setattr(self.user, "policy", self.policy)

    def rotate(self) -> Callable[[], None]:
        self.user.secret = "another"
        return lambda: setattr(self.user, "secret", SECRET)

    def delete_key(self) -> Callable[[], None]:
        users = self.sqs.gate.directory.users
        del users[self.key]
        return lambda: users.update({self.key: self.user})

    def delete_queue(self) -> Callable[[], None]:
        client = self.sqs.client()
        client.delete_queue(QueueUrl=self.queue.url)

        def make_again() -> None:
            client.create_queue(QueueName=self.queue.name)

        return make_again

    def skew(self) -> Callable[[], None]:
        self.sqs.gate.faults.clock_ahead = timedelta(hours=1)
        return self.sqs.gate.clear


@pytest.mark.parametrize("legacy", [True, False])
@pytest.mark.parametrize(
    ("name", "codes", "says"),
    [
        ("revoke", {"AccessDenied"}, "sqs:SendMessage"),
        ("rotate", {"SignatureDoesNotMatch"}, "secret_access_key"),
        ("delete_key", {"InvalidClientTokenId", "UnrecognizedClientException"}, "access_key_id"),
        ("delete_queue", {"QueueDoesNotExist"}, "make the queue"),
        ("skew", {"SignatureDoesNotMatch"}, "clock"),
    ],
)
def test_what_somebody_changed_is_named_until_it_is_mended(
    sqs: SqsServer, name: str, codes: set[str], says: str, legacy: bool
) -> None:
    """T57: the error has a name of its own and a hint; after the change is undone, a resend delivers."""
    queue = sqs.create_queue()
    held = key_for(sqs, config_of(sqs, queue))
    adapter = make(sqs, queue, credentials=held)
    assert only(adapter.deliver([event()])).outcome is Outcome.DELIVERED
    mend = getattr(Broken(sqs, queue, held["access_key_id"]), name)()
    sqs.gate.faults.legacy_codes = legacy
    message = event()
    result = only(adapter.deliver([message]))
    assert (result.outcome, result.effect) == (Outcome.RETRY, Effect.FAILURE)
    assert result.code in codes
    assert says in f"{result.hint} {result.detail}"
    mend()
    assert only(deliver(adapter, message)).outcome is Outcome.DELIVERED
    assert message.event_id in ids(queue)


@pytest.mark.parametrize("way", ["url", "arn"])
def test_the_right_to_look_a_queue_up_is_needed_only_where_it_is_not_named_by_its_url(sqs: SqsServer, way: str) -> None:
    queue = sqs.create_queue()
    key = sqs.gate.directory.add_user("sender", allow("sqs:SendMessage", resource=queue.arn), SECRET)
    held = {"access_key_id": key, "secret_access_key": SECRET}
    adapter = make(sqs, queue, credentials=held, queue=queue.url if way == "url" else queue.arn)
    steps = {step.name: step for step in adapter.check()}
    result = only(deliver(adapter))
    assert "sqs:GetQueueUrl" in steps["queue"].hint
    assert (steps["queue"].status.value, result.code) == (
        ("warning", "") if way == "url" else ("failed", "AccessDenied")
    )
