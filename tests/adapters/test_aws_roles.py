"""Destinations that assume a role, with an STS that knows external ids: right, wrong, missing, and renewed in time."""

import json
import os
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from botocore.exceptions import ClientError

from destinations.adapters.aws import AwsAccess, AwsConfig, AwsCredentials
from destinations.adapters.base import Effect, Outcome, Result, Step, StepStatus
from destinations.adapters.s3 import S3Adapter
from destinations.adapters.sqs import SqsAdapter
from destinations.identity import HubIdentity
from tests.adapters.contract import CANARY, event, text_of
from tests.adapters.s3_support import Folder, new_folder
from tests.adapters.sqs_support import LOCAL, config_of, deliver, downloaded, make, policies, staging
from tests.services.iam import ACCOUNT, Role, allow
from tests.services.ministack import Queue, SqsServer
from tests.services.seaweedfs import Key, SeaweedServer
from tests.services.stores import sessions_of

pytestmark = pytest.mark.databaseless

HUB_SECRET = f"{CANARY}+of+the+hub"
HUB_ACCOUNT = "999999999999"
ANYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}
ROLE_ARN = f"arn:aws:iam::{ACCOUNT}:role/terra-hub"


@pytest.fixture
def hub(sqs: SqsServer) -> HubIdentity:
    """The hub's own user, which may assume roles and nothing else, and one of its destinations."""
    directory = sqs.gate.directory
    key = directory.add_user("hub", allow("sts:AssumeRole"), HUB_SECRET, HUB_ACCOUNT)
    arn = directory.users[key].arn
    return HubIdentity("0198-of-a-destination", arn, key, HUB_SECRET, aws_sts_endpoint=sqs.gate.url)


def role_of(sqs: SqsServer, hub: HubIdentity, config: dict[str, Any], name: str = "terra-hub") -> Role:
    """Paste the set-up text into IAM: the role's policy, and its trust policy."""
    rights, trust = policies({**config, "auth": "role", "role_arn": ROLE_ARN}, hub)
    role = Role(trust, rights)
    sqs.gate.directory.add_role(name, role)
    return role


def adapter_of(sqs: SqsServer, queue: Queue, hub: HubIdentity, **values: Any) -> SqsAdapter:
    return make(sqs, queue, credentials={}, identity=hub, auth="role", role_arn=ROLE_ARN, **values)


def steps_of(adapter: SqsAdapter) -> dict[str, Step]:
    return {step.name: step for step in adapter.check()}


def only(results: Any) -> Result:
    (result,) = results
    assert isinstance(result, Result)
    return result


# --- who is let in ------------------------------------------------------------------------------
def test_a_role_with_the_trust_policy_of_the_set_up_text_delivers(sqs: SqsServer, hub: HubIdentity) -> None:
    queue = sqs.create_queue()
    role_of(sqs, hub, config_of(sqs, queue))
    adapter = adapter_of(sqs, queue, hub)
    steps = steps_of(adapter)
    assert {step.status for step in steps.values()} <= {StepStatus.PASSED, StepStatus.WARNING, StepStatus.SKIPPED}
    assert steps["external id"].status is StepStatus.PASSED
    assert only(deliver(adapter)).outcome is Outcome.DELIVERED
    assert len(queue.messages()) == 1
    assert (
        sqs.gate.counted("sqs:SendMessageBatch")[0].arn
        == f"arn:aws:sts::{ACCOUNT}:assumed-role/terra-hub/hub-0198-of-a-destination"
    )
    ids = [call.form.get("ExternalId") for call in sqs.gate.counted("sts:AssumeRole")]
    assert ids.count("terra-hub-0198-of-a-destination") >= 2  # the check's, and the delivery's
    assert None in ids  # the check tried without


def test_another_destination_of_the_hub_is_not_let_in(sqs: SqsServer, hub: HubIdentity) -> None:
    queue = sqs.create_queue()
    role_of(sqs, hub, config_of(sqs, queue))
    other = adapter_of(sqs, queue, replace(hub, destination_id="0199-of-another"))
    failed = list(other.check())[-1]
    result = only(deliver(other))
    assert (failed.name, failed.status) == ("authenticate", StepStatus.FAILED)
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "AssumeRole.AccessDenied", Effect.FAILURE)
    for hint in (failed.hint, result.hint):
        assert "terra-hub-0199-of-another" in hint
        assert hub.aws_arn in hint
    assert queue.messages() == []


def test_a_set_up_that_is_not_saved_has_no_external_id_and_asks_nobody(sqs: SqsServer, hub: HubIdentity) -> None:
    queue = sqs.create_queue()
    role_of(sqs, hub, config_of(sqs, queue))
    (step,) = adapter_of(sqs, queue, replace(hub, destination_id="")).check()
    assert (step.name, step.status) == ("authenticate", StepStatus.FAILED)
    assert "Save" in step.hint
    assert assumed(sqs) == 0


def test_a_check_warns_of_a_role_that_trusts_without_the_external_id(sqs: SqsServer, hub: HubIdentity) -> None:
    queue = sqs.create_queue()
    role = role_of(sqs, hub, config_of(sqs, queue))
    trust = json.loads(json.dumps(role.trust))
    del trust["Statement"][0]["Condition"]
    role.trust = trust
    adapter = adapter_of(sqs, queue, hub)
    step = steps_of(adapter)["external id"]
    assert step.status is StepStatus.WARNING
    assert "without" in step.detail
    assert "trust policy" in step.hint
    assert only(deliver(adapter)).outcome is Outcome.DELIVERED  # a warning, no more


# --- what is wrong with the hub's side, or changes later -----------------------------------------
@pytest.mark.parametrize(
    ("change", "code", "says"),
    [
        ({"aws_secret_access_key": "another"}, "AssumeRole.SignatureDoesNotMatch", "HUB_AWS_SECRET_ACCESS_KEY"),
        ({"aws_access_key_id": "AKIAUNKNOWN"}, "AssumeRole.InvalidClientTokenId", "HUB_AWS_ACCESS_KEY_ID"),
    ],
)
def test_a_wrong_key_of_the_hub_itself_is_told_from_one_of_the_destination(
    sqs: SqsServer, hub: HubIdentity, change: dict[str, str], code: str, says: str
) -> None:
    queue = sqs.create_queue()
    role_of(sqs, hub, config_of(sqs, queue))
    result = only(deliver(adapter_of(sqs, queue, replace(hub, **change))))
    assert (result.outcome, result.code) == (Outcome.RETRY, code)
    assert says in result.hint


def test_a_role_that_is_closed_and_opened_again(sqs: SqsServer, hub: HubIdentity) -> None:
    """T57: the destination is unwell by name meanwhile, and a resend delivers."""
    queue = sqs.create_queue()
    role = role_of(sqs, hub, config_of(sqs, queue))
    trust, role.trust = role.trust, {"Statement": []}
    message = event()
    result = only(deliver(adapter_of(sqs, queue, hub), message))
    assert (result.code, result.effect) == ("AssumeRole.AccessDenied", Effect.FAILURE)
    role.trust = trust
    assert only(deliver(adapter_of(sqs, queue, hub), message)).outcome is Outcome.DELIVERED


def test_a_role_may_do_at_most_what_its_own_policy_says(sqs: SqsServer, hub: HubIdentity) -> None:
    queue = sqs.create_queue()
    role = role_of(sqs, hub, config_of(sqs, queue))
    role.policy = allow("sqs:SendMessage", resource=queue.arn + "-another")
    result = only(deliver(adapter_of(sqs, queue, hub)))
    assert result.code == "AccessDenied"
    assert queue.arn in result.hint


def test_a_session_of_a_mighty_role_can_do_nothing_but_send(sqs: SqsServer, hub: HubIdentity) -> None:
    queue, other = sqs.create_queue(), sqs.create_queue()
    role = role_of(sqs, hub, config_of(sqs, queue))
    role.policy = allow("*")
    assert only(deliver(adapter_of(sqs, queue, hub))).outcome is Outcome.DELIVERED
    session = list(sqs.gate.directory.sessions.values())[-1]
    assert session.may("sqs:SendMessage", queue.arn)
    assert not session.may("sqs:SendMessage", other.arn)
    assert not session.may("sqs:ReceiveMessage", queue.arn)


# --- temporary credentials ----------------------------------------------------------------------
def assumed(sqs: SqsServer) -> int:
    return len(sqs.gate.counted("sts:AssumeRole"))


def test_credentials_are_renewed_before_they_end_and_not_without_need(sqs: SqsServer, hub: HubIdentity) -> None:
    queue = sqs.create_queue()
    role = role_of(sqs, hub, config_of(sqs, queue))
    adapter = adapter_of(sqs, queue, hub)
    role.lifetime_s = 300  # under ten minutes left: each use renews them, though they are still good
    for times in (1, 2, 3):
        assert only(adapter.deliver([event()])).outcome is Outcome.DELIVERED
        assert assumed(sqs) >= times
    role.lifetime_s = 3600
    adapter.deliver([event()])
    before = assumed(sqs)
    for _ in range(3):
        assert only(adapter.deliver([event()])).outcome is Outcome.DELIVERED
    adapter.close()
    assert assumed(sqs) == before
    assert len(queue.messages()) == 7


def test_a_session_that_ended_at_the_service_is_replaced_with_the_next_try(sqs: SqsServer, hub: HubIdentity) -> None:
    """T57: the token expires while the adapter runs, earlier than it was said to."""
    queue = sqs.create_queue()
    role_of(sqs, hub, config_of(sqs, queue))
    adapter = adapter_of(sqs, queue, hub)
    adapter.deliver([event()])
    for session in sqs.gate.directory.sessions.values():
        session.expires = datetime.now(UTC) - timedelta(minutes=1)
    message = event()
    result = only(adapter.deliver([message]))
    assert (result.outcome, result.code) == (Outcome.RETRY, "ExpiredToken")
    assert only(deliver(adapter, message)).outcome is Outcome.DELIVERED


def test_nothing_of_a_role_is_shown(sqs: SqsServer, hub: HubIdentity) -> None:
    queue = sqs.create_queue()
    role_of(sqs, hub, config_of(sqs, queue))
    for identity in (hub, replace(hub, aws_secret_access_key=f"{CANARY}-wrong")):
        adapter = adapter_of(sqs, queue, identity)
        shown = text_of([*adapter.check(), *adapter.deliver([event()])]) + repr(adapter) + adapter.target()
        shown += adapter.setup_for(adapter.config, identity) + repr(identity)
        adapter.close()
        assert CANARY not in shown
        for session in sqs.gate.directory.sessions.values():
            assert session.secret not in shown
            assert session.token not in shown


# --- buckets ------------------------------------------------------------------------------------
def s3_role(sqs: SqsServer, hub: HubIdentity, folder: Folder) -> Role:
    """Paste the set-up text of an S3 destination; the sessions are SeaweedFS's own."""
    text = S3Adapter.setup_for(s3_of(folder, hub).config, hub)
    documents = [json.loads(found) for found in re.findall(r"^\{$.*?^\}$", text, re.MULTILINE | re.DOTALL)]
    rights, trust = sorted(documents, key=lambda one: "Principal" in one["Statement"][0])
    role = Role(trust, rights, sessions_of(folder.server))
    sqs.gate.directory.add_role("terra-hub", role)
    return role


def s3_of(folder: Folder, hub: HubIdentity) -> S3Adapter:
    return folder.adapter(Key("", ""), identity=hub, auth="role", role_arn=ROLE_ARN)


@pytest.fixture
def folder(seaweed: SeaweedServer, bucket: str) -> Folder:
    if seaweed.process is None:
        pytest.skip("Roles need a SeaweedFS that the tests start: unset HUB_TEST_S3.")
    return new_folder(seaweed, bucket)


def test_a_bucket_is_written_through_a_role_with_the_right_external_id_only(
    sqs: SqsServer, hub: HubIdentity, folder: Folder
) -> None:
    role = s3_role(sqs, hub, folder)
    steps = {step.name: step for step in s3_of(folder, hub).check()}
    assert steps["external id"].status is StepStatus.PASSED
    assert StepStatus.FAILED not in {step.status for step in steps.values()}
    message = event()
    assert only(s3_of(folder, hub).deliver([message])).outcome is Outcome.DELIVERED
    assert list(folder.bodies().values()) == [message.body]

    other = only(s3_of(folder, replace(hub, destination_id="0199-of-another")).deliver([event()]))
    assert (other.outcome, other.code) == (Outcome.RETRY, "AssumeRole.AccessDenied")
    assert "terra-hub-0199-of-another" in other.hint
    assert len(folder.names()) == 1

    trust = json.loads(json.dumps(role.trust))
    del trust["Statement"][0]["Condition"]
    role.trust = trust
    warned = {step.name: step for step in s3_of(folder, hub).check()}["external id"]
    assert warned.status is StepStatus.WARNING


def test_a_buckets_credentials_are_renewed_before_they_end(sqs: SqsServer, hub: HubIdentity, folder: Folder) -> None:
    role = s3_role(sqs, hub, folder)
    role.lifetime_s = 900  # a quarter of an hour: botocore renews them from then on
    adapter = s3_of(folder, hub)
    for times in (1, 2, 3):
        assert only(adapter.deliver([event()])).outcome is Outcome.DELIVERED
        assert assumed(sqs) >= times
    role.lifetime_s = None
    adapter.deliver([event()])
    before = assumed(sqs)
    assert only(adapter.deliver([event()])).outcome is Outcome.DELIVERED
    adapter.close()
    assert assumed(sqs) == before


def test_payloads_are_staged_with_a_role_and_its_links_open(
    sqs: SqsServer, hub: HubIdentity, seaweed: SeaweedServer, bucket: str
) -> None:
    queue = sqs.create_queue()
    role = role_of(sqs, hub, config_of(sqs, queue, **staging(seaweed, bucket)))
    role.issuer = sessions_of(seaweed)
    adapter = adapter_of(sqs, queue, hub, **staging(seaweed, bucket))
    assert steps_of(adapter)["bucket"].status is StepStatus.PASSED
    message = event()
    assert only(deliver(adapter, message)).outcome is Outcome.DELIVERED
    assert downloaded(queue.messages()[0]) == message.body


# --- STS itself ---------------------------------------------------------------------------------
def test_sts_gives_keys_for_the_right_external_id_only(sqs: SqsServer, hub: HubIdentity) -> None:
    """Against the gate, or against the STS that HUB_TEST_STS names."""
    named = existing_sts()
    if named is None:
        role_of(sqs, hub, config_of(sqs, sqs.create_queue()))
    identity, role_arn, region = named or (hub, ROLE_ARN, sqs.region)
    config = AwsConfig(auth="role", role_arn=role_arn)
    access = AwsAccess(config, AwsCredentials(), identity, LOCAL, region=region, statements=[ANYTHING])
    assert access.problem() is None
    assert access.assume(identity.external_id)["SessionToken"]
    for wrong in (None, "another-id"):
        with pytest.raises(ClientError, match="AccessDenied"):
            access.assume(wrong)
    access.close()


def existing_sts() -> tuple[HubIdentity, str, str] | None:
    """Return what HUB_TEST_STS=https://key:secret@sts.eu-west-1.amazonaws.com?role=…&user=…&destination=… names.

    The role trusts the user with the external id ``terra-hub-<destination>``.
    """
    parts = urlsplit(os.environ.get("HUB_TEST_STS", ""))
    if not parts.hostname:
        return None
    asked = dict(parse_qsl(parts.query))
    endpoint = f"{parts.scheme}://{parts.hostname}" + (f":{parts.port}" if parts.port else "")
    key, secret = unquote(parts.username or ""), unquote(parts.password or "")
    identity = HubIdentity(asked["destination"], asked["user"], key, secret, aws_sts_endpoint=endpoint)
    return identity, asked["role"], asked.get("region", "eu-west-1")
