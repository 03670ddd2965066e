"""What an SQS destination is set up with, and what its check finds."""

import json
from typing import Any

import pytest

from destinations.adapters.base import Effect, Outcome, StepStatus
from destinations.adapters.sqs import SqsAdapter
from destinations.adapters.sqs_config import SqsConfig
from destinations.specs import load
from tests.adapters.sqs_support import (
    SECRET,
    config_of,
    deliver,
    key_for,
    make,
    policies,
)
from tests.services.authority import Authority
from tests.services.awsgate import Gate
from tests.services.iam import Refused, allow
from tests.services.ministack import SqsServer

pytestmark = pytest.mark.databaseless

AWS_URL = "https://sqs.eu-west-1.amazonaws.com/123456789012/terra"
ROLE = "arn:aws:iam::123456789012:role/terra-hub"


# --- setting it up ------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"queue": "terra"}, "queue"),
        ({"queue": "https://sqs.example.com/123456789012/terra", "region": "eu-west-1"}, "queue"),
        ({"queue": AWS_URL, "endpoint_url": "https://sqs.example.com"}, "queue"),
        ({"queue": "https://a.example/123456789012/t", "endpoint_url": "https://b.example"}, "queue"),
        ({"queue": AWS_URL, "region": "us-east-1"}, "region"),
        ({"queue": "123456789012/terra"}, "region"),
        ({"queue": AWS_URL, "endpoint_url": "ftp://x"}, "endpoint_url"),
        ({"queue": AWS_URL, "s3_endpoint_url": "https://x.example/path"}, "s3_endpoint_url"),
        ({"queue": AWS_URL, "s3_bucket": "192.0.2.1"}, "s3_bucket"),
        ({"queue": AWS_URL, "s3_prefix": "a/../b"}, "s3_prefix"),
        ({"queue": AWS_URL, "ca_certificate": "no PEM"}, "ca_certificate"),
        ({"queue": AWS_URL, "auth": "role"}, "role_arn"),
        ({"queue": AWS_URL, "auth": "role", "role_arn": ROLE, "s3_bucket": "b-1", "expires_in": 601}, "expires_in"),
    ],
)
def test_a_set_up_that_cannot_work_is_refused_by_field(values: dict[str, Any], field: str) -> None:
    found = SqsAdapter.validate(load(SqsConfig, values))
    assert field in found
    assert found[field]


@pytest.mark.parametrize(
    "values",
    [
        {"queue": AWS_URL},
        {"queue": AWS_URL, "region": "eu-west-1"},
        {"queue": "arn:aws:sqs:eu-west-1:123456789012:terra"},
        {"queue": "123456789012/terra", "region": "eu-west-1"},
        {"queue": "https://a.example/123456789012/t", "endpoint_url": "https://a.example", "region": "eu-west-1"},
        {"queue": AWS_URL, "auth": "role", "role_arn": ROLE, "expires_in": 86400},
    ],
)
def test_every_way_to_name_a_queue_is_taken(values: dict[str, Any]) -> None:
    assert SqsAdapter.validate(load(SqsConfig, values)) == {}


def test_the_set_up_text_asks_for_the_two_rights_that_are_needed() -> None:
    (policy,) = policies({"queue": AWS_URL})
    (statement,) = policy["Statement"]
    assert statement["Action"] == ["sqs:SendMessage", "sqs:GetQueueUrl"]
    assert statement["Resource"] == "arn:aws:sqs:eu-west-1:123456789012:terra"


# --- checking -----------------------------------------------------------------------------------
def test_a_check_says_that_sending_was_not_tried_and_leaves_the_queue_empty(sqs: SqsServer) -> None:
    queue = sqs.create_queue()
    steps = {step.name: step for step in make(sqs, queue).check()}
    assert list(steps) == ["resolve", "connect", "TLS", "authenticate", "queue", "send"]
    assert steps["send"].status is StepStatus.SKIPPED
    assert "check_sends" in steps["send"].hint
    assert steps["TLS"].status is StepStatus.WARNING
    assert queue.messages() == []
    assert sqs.gate.counted("sqs:SendMessageBatch") == []


def test_a_check_sends_a_marked_healthcheck_where_the_operator_agreed(sqs: SqsServer) -> None:
    for fifo in (False, True):
        queue = sqs.create_queue(fifo=fifo)
        steps = list(make(sqs, queue, check_sends=True).check())
        assert steps[-1].status is StepStatus.PASSED
        (received,) = queue.messages()
        body = json.loads(received["Body"])
        assert body["type"] == "healthcheck"
        assert "test" in body["message"]


def test_a_check_that_may_send_finds_the_missing_right(sqs: SqsServer) -> None:
    queue = sqs.create_queue()
    key = sqs.gate.directory.add_user("looker", allow("sqs:GetQueueUrl", resource=queue.arn), SECRET)
    held = {"access_key_id": key, "secret_access_key": SECRET}
    step = list(make(sqs, queue, credentials=held, check_sends=True).check())[-1]
    assert (step.name, step.status) == ("send", StepStatus.FAILED)
    assert "sqs:SendMessage" in step.hint
    assert queue.arn in step.hint


def test_a_check_shows_the_limit_where_it_may_read_it(sqs: SqsServer) -> None:
    queue = sqs.create_queue(MaximumMessageSize="2048")
    rights = allow("sqs:SendMessage", "sqs:GetQueueUrl", "sqs:GetQueueAttributes", resource=queue.arn)
    held = {"access_key_id": sqs.gate.directory.add_user("reader", rights, SECRET), "secret_access_key": SECRET}
    steps = {step.name: step for step in make(sqs, queue, credentials=held).check()}
    assert "2,048 bytes" in steps["queue"].detail
    (unread,) = [step for step in make(sqs, queue).check() if step.name == "queue"]
    assert "2,048" not in unread.detail


# --- where messages may go ----------------------------------------------------------------------
def test_a_queue_url_on_another_host_than_the_endpoint_is_not_used(sqs: SqsServer) -> None:
    queue = sqs.create_queue()
    adapter = make(sqs, queue, queue=queue.arn)
    sqs.gate.faults.seen_as = "elsewhere.example:4566"
    failed = list(adapter.check())[-1]
    (result,) = deliver(adapter)
    assert (failed.name, failed.status) == ("queue", StepStatus.FAILED)
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "queue_url_refused", Effect.FAILURE)
    for detail in (failed.detail, result.detail):
        assert "elsewhere.example:4566" in detail
    assert sqs.gate.counted("sqs:SendMessageBatch") == []


@pytest.mark.parametrize("known", [True, False])
def test_an_endpoint_with_a_private_ca_is_trusted_where_the_ca_is_given(sqs: SqsServer, known: bool) -> None:
    queue = sqs.create_queue()
    held = key_for(sqs, config_of(sqs, queue))
    authority = Authority()
    with Gate(sqs.gate.upstream, authority) as gate:
        gate.directory = sqs.gate.directory
        there = {"endpoint_url": gate.url, "queue": queue.url.replace(sqs.url, gate.url)}
        adapter = make(sqs, queue, credentials=held, **there, ca_certificate=authority.pem if known else "")
        steps = {step.name: step for step in adapter.check()}
        (result,) = deliver(adapter)
    assert steps["TLS"].status is (StepStatus.PASSED if known else StepStatus.FAILED)
    assert (result.outcome, result.code) == ((Outcome.DELIVERED, "") if known else (Outcome.RETRY, "tls_failed"))
    assert len(queue.messages()) == (1 if known else 0)


def test_a_check_that_the_service_throttles_does_not_blame_the_key(sqs: SqsServer) -> None:
    adapter = make(sqs, sqs.create_queue())
    sqs.gate.faults.refusals["sqs:GetQueueUrl"] = [Refused(400, "ThrottlingException", "asked for by a test")]
    steps = {step.name: step.status for step in adapter.check()}
    assert (steps["authenticate"], steps["queue"]) == (StepStatus.PASSED, StepStatus.FAILED)
