"""The gate before the AWS emulators refuses what AWS refuses: else the tests that rely on it would show nothing."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.services.awsgate import Gate
from tests.services.iam import Refused, Role, allow
from tests.services.ministack import SESSION, SqsServer

pytestmark = pytest.mark.databaseless

SECRET = "the secret of a test"


@pytest.fixture
def gate() -> Iterator[Gate]:
    """A gate that answers STS only."""
    with Gate(None) as made:
        yield made


def client(gate: Gate, service: str, key: str, secret: str = SECRET, token: str | None = None) -> Any:
    return SESSION.client(
        service,
        endpoint_url=gate.url,
        region_name="eu-west-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        aws_session_token=token,
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )


def code_of(call: Any, **values: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(**values)
    return str(caught.value.response["Error"]["Code"])


# --- who signs ----------------------------------------------------------------------------------
def test_only_the_right_secret_of_a_known_key_passes(sqs: SqsServer) -> None:
    key = sqs.gate.directory.add_user("someone", allow("sqs:*"), SECRET)
    assert client(sqs.gate, "sqs", key).list_queues()["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert code_of(client(sqs.gate, "sqs", key, "another").list_queues) == "SignatureDoesNotMatch"
    assert code_of(client(sqs.gate, "sqs", "AKIAUNKNOWN", SECRET).list_queues) == "InvalidClientTokenId"
    assert code_of(client(sqs.gate, "sqs", key, token="made up").list_queues) == "InvalidClientTokenId"


def test_errors_come_in_both_spellings(sqs: SqsServer) -> None:
    key = sqs.gate.directory.add_user("someone", allow("sqs:*"), SECRET)
    sqs.gate.faults.legacy_codes = False
    assert code_of(client(sqs.gate, "sqs", key, "another").list_queues) == "InvalidSignatureException"


@pytest.mark.parametrize("minutes", [-16, 16])
def test_a_clock_that_is_off_is_refused(sqs: SqsServer, minutes: int) -> None:
    key = sqs.gate.directory.add_user("someone", allow("sqs:*"), SECRET)
    sqs.gate.faults.clock_ahead = timedelta(minutes=minutes)
    assert code_of(client(sqs.gate, "sqs", key).list_queues) == "SignatureDoesNotMatch"


def test_a_request_whose_body_was_changed_is_refused(sqs: SqsServer) -> None:
    key = sqs.gate.directory.add_user("someone", allow("sqs:*"), SECRET)
    changed = client(sqs.gate, "sqs", key)
    changed.meta.events.register("before-send", lambda request, **_: setattr(request, "body", b'{"MaxResults": 7}'))
    assert code_of(changed.list_queues) == "SignatureDoesNotMatch"


# --- what is allowed ----------------------------------------------------------------------------
def test_a_policy_allows_its_actions_on_its_resource_and_nothing_else(sqs: SqsServer) -> None:
    mine, other = sqs.create_queue(), sqs.create_queue()
    key = sqs.gate.directory.add_user("sender", allow("sqs:SendMessage", resource=mine.arn), SECRET)
    sender = client(sqs.gate, "sqs", key)
    sender.send_message(QueueUrl=mine.url, MessageBody="1")
    sender.send_message_batch(QueueUrl=mine.url, Entries=[{"Id": "0", "MessageBody": "2"}])
    assert code_of(sender.send_message, QueueUrl=other.url, MessageBody="3") == "AccessDenied"
    assert code_of(sender.receive_message, QueueUrl=mine.url) == "AccessDenied"
    assert code_of(sender.get_queue_url, QueueName=mine.name) == "AccessDenied"
    assert [message["Body"] for message in mine.messages()] == ["1", "2"]
    assert other.messages() == []


def test_what_a_test_asks_for_goes_wrong_once(sqs: SqsServer) -> None:
    queue = sqs.create_queue()
    sqs.gate.faults.refusals["sqs:SendMessage"] = [Refused(503, "ServiceUnavailable", "no")]
    sender = sqs.client()
    assert code_of(sender.send_message, QueueUrl=queue.url, MessageBody="1") == "ServiceUnavailable"
    sender.send_message(QueueUrl=queue.url, MessageBody="2")
    sqs.gate.faults.fail_entry = lambda body: {"Code": "InternalError", "SenderFault": False} if body == "3" else None
    entries = [{"Id": body, "MessageBody": body} for body in ("3", "4")]
    answer = sender.send_message_batch(QueueUrl=queue.url, Entries=entries)
    assert [one["Id"] for one in answer["Successful"]] == ["4"]
    assert [(one["Id"], one["Code"], one["SenderFault"]) for one in answer["Failed"]] == [("3", "InternalError", False)]
    assert [message["Body"] for message in queue.messages()] == ["2", "4"]


# --- roles --------------------------------------------------------------------------------------
def role(principal: str, external_id: str | None = "the id") -> Role:
    condition = {"Condition": {"StringEquals": {"sts:ExternalId": external_id}}} if external_id else {}
    statement = {"Effect": "Allow", "Principal": {"AWS": principal}, "Action": "sts:AssumeRole", **condition}
    return Role({"Statement": [statement]}, allow("sqs:ListQueues"))


def test_a_role_asks_for_its_external_id_and_its_principal(gate: Gate) -> None:
    key = gate.directory.add_user("hub", allow("sts:AssumeRole"), SECRET)
    stranger = gate.directory.add_user("stranger", allow("sts:AssumeRole"), SECRET)
    arn = gate.directory.add_role("writer", role(gate.directory.users[key].arn))
    asked = {"RoleArn": arn, "RoleSessionName": "hub-1"}
    assume = client(gate, "sts", key).assume_role
    assert assume(**asked, ExternalId="the id")["Credentials"]["SessionToken"]
    assert code_of(assume, **asked, ExternalId="another") == "AccessDenied"
    assert code_of(assume, **asked) == "AccessDenied"
    assert code_of(client(gate, "sts", stranger).assume_role, **asked, ExternalId="the id") == "AccessDenied"
    assert code_of(assume, **asked, ExternalId="the id", DurationSeconds=7200) == "ValidationError"


def test_a_user_without_the_right_to_assume_is_refused(gate: Gate) -> None:
    key = gate.directory.add_user("hub", allow("sqs:*"), SECRET)
    arn = gate.directory.add_role("open", role(gate.directory.users[key].arn, None))
    assert code_of(client(gate, "sts", key).assume_role, RoleArn=arn, RoleSessionName="hub-1") == "AccessDenied"


def test_a_session_has_the_rights_of_its_role_until_it_ends(sqs: SqsServer) -> None:
    directory = sqs.gate.directory
    key = directory.add_user("hub", allow("sts:AssumeRole"), SECRET)
    made = role(directory.users[key].arn)
    arn = directory.add_role("lister", made)
    asked = {"RoleArn": arn, "RoleSessionName": "hub-1", "ExternalId": "the id"}
    held = client(sqs.gate, "sts", key).assume_role(**asked)["Credentials"]
    session = client(sqs.gate, "sqs", held["AccessKeyId"], held["SecretAccessKey"], held["SessionToken"])
    session.list_queues()
    assert code_of(session.create_queue, QueueName="no") == "AccessDenied"
    assert code_of(client(sqs.gate, "sqs", held["AccessKeyId"], held["SecretAccessKey"]).list_queues) == (
        "InvalidClientTokenId"
    )
    made.lifetime_s = 0
    held = client(sqs.gate, "sts", key).assume_role(**asked)["Credentials"]
    ended = client(sqs.gate, "sqs", held["AccessKeyId"], held["SecretAccessKey"], held["SessionToken"])
    assert code_of(ended.list_queues) == "ExpiredToken"
