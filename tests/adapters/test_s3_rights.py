"""What an S3 destination can do with which rights, and with which way of signing in."""

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from destinations.adapters.aws import AwsAccess
from destinations.adapters.base import Effect, Limits, Outcome, Step, StepStatus
from destinations.adapters.s3 import S3Adapter
from destinations.adapters.s3_config import statements_of
from destinations.identity import HubIdentity
from tests.adapters.contract import CANARY, event, text_of
from tests.adapters.s3_support import LOCAL, Folder, deliver, new_folder, versions
from tests.services.seaweedfs import CANARY_KEY, HUB_ARN, HUB_KEY, REGION, ROLE_ARN, Key, SeaweedServer

pytestmark = pytest.mark.databaseless

DESTINATION = "01980000-0000-7000-8000-00000000000a"
NO_KEY = Key("", "")


@pytest.fixture
def folder(seaweed: SeaweedServer, bucket: str) -> Folder:
    return new_folder(seaweed, bucket)


@pytest.fixture
def identity(seaweed: SeaweedServer) -> HubIdentity:
    """The hub's own user, who may assume a role and nothing else."""
    if seaweed.process is None:
        pytest.skip("Roles need a SeaweedFS that the tests start: unset HUB_TEST_S3.")
    return HubIdentity(DESTINATION, HUB_ARN, HUB_KEY.id, HUB_KEY.secret, aws_sts_endpoint=seaweed.endpoint)


def checked(adapter: S3Adapter) -> dict[str, Step]:
    steps = {step.name: step for step in adapter.check()}
    adapter.close()
    return steps


def policies_in(text: str) -> list[dict[str, Any]]:
    """Return the policy documents of a set-up text, as an operator copies them."""
    return [json.loads(found) for found in re.findall(r"^\{$.*?^\}$", text, re.MULTILINE | re.DOTALL)]


# --- the rights of the printed policy ---------------------------------------------------------
def test_the_printed_policy_is_enough_and_every_statement_of_it_is_needed(folder: Folder) -> None:
    (policy,) = policies_in(S3Adapter.setup(folder.adapter().config))
    key = folder.user_with(policy["Statement"])
    older, newer = versions()
    deliver(folder.adapter(key), newer)
    (late,) = deliver(folder.adapter(key), older)
    assert late.code == "superseded"
    assert {step.status for step in checked(folder.adapter(key)).values()} == {StepStatus.PASSED, StepStatus.WARNING}
    assert list(folder.bodies().values()) == [newer.body]  # and the check left nothing
    elsewhere = folder.server.client("s3", key)
    for refused in (
        lambda: elsewhere.put_object(Bucket=folder.bucket, Key="elsewhere.json", Body=b""),
        lambda: elsewhere.delete_object(Bucket=folder.bucket, Key=f"{folder.prefix}/{folder.names()[0]}"),
        lambda: elsewhere.list_objects_v2(Bucket=folder.bucket),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            refused()


def test_with_put_object_alone_everything_is_delivered_and_one_worker_keeps_the_newer(folder: Folder) -> None:
    key = folder.user("s3:PutObject")
    older, newer, newest = versions(3)
    results = deliver(folder.adapter(key), newer, older, newer)
    assert [(result.outcome, result.code) for result in results] == [
        (Outcome.DELIVERED, ""),
        (Outcome.DELIVERED, "superseded"),
        (Outcome.DELIVERED, ""),
    ]
    assert list(folder.bodies().values()) == [newer.body]
    deliver(folder.adapter(key), newest)  # another worker, which has seen nothing
    assert list(folder.bodies().values()) == [newest.body]


def test_with_put_object_alone_events_of_one_key_at_once_leave_the_newest(folder: Folder) -> None:
    key = folder.user("s3:PutObject")
    for _ in range(3):
        batch = versions(12)
        adapter = folder.adapter(key, limits=Limits(concurrency=12))
        results = adapter.deliver([*reversed(batch[6:]), *batch[:6]])
        adapter.close()
        assert {result.outcome for result in results} == {Outcome.DELIVERED}
        assert batch[-1].body in folder.bodies().values()


def test_the_check_says_what_put_object_alone_does_not_allow_and_what_it_left(folder: Folder) -> None:
    steps = checked(folder.adapter(folder.user("s3:PutObject")))
    assert (steps["write"].status, steps["precondition"].status) == (StepStatus.PASSED, StepStatus.PASSED)
    assert steps["read back"].status is StepStatus.WARNING
    assert "s3:GetObject" in steps["read back"].hint
    assert steps["clean up"].status is StepStatus.WARNING
    assert f"s3://{folder.bucket}/{folder.prefix}/terra-hub-check.json is left" in steps["clean up"].detail
    assert "s3:DeleteObject" in steps["clean up"].hint
    assert folder.names() == ["terra-hub-check.json"]


def test_rights_that_are_granted_later_count_at_once_for_a_new_version_of_the_destination(folder: Folder) -> None:
    older, newer = versions()
    deliver(folder.adapter(folder.user("s3:PutObject")), newer)
    (late,) = deliver(folder.adapter(folder.user("s3:PutObject", "s3:GetObject")), older)
    assert late.code == "superseded"


@pytest.mark.parametrize("actions", [["s3:GetObject"], ["s3:DeleteObject"]])
def test_a_user_who_may_not_write_is_told_which_right_is_missing(folder: Folder, actions: list[str]) -> None:
    key = folder.user(*actions)
    (result,) = deliver(folder.adapter(key), event())
    assert (result.outcome, result.effect, result.code) == (Outcome.RETRY, Effect.FAILURE, "AccessDenied")
    assert result.status_code == 403
    assert f"s3:PutObject on arn:aws:s3:::{folder.bucket}/*" in result.hint
    steps = checked(folder.adapter(key))
    assert list(steps)[-1] == "permission"
    assert steps["permission"].status is StepStatus.FAILED


# --- wrong keys -------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("key", "code", "step"),
    [
        (Key("AKIANOBODYKNOWSTHIS01", "x" * 40), "InvalidAccessKeyId", "authenticate"),
        (None, "SignatureDoesNotMatch", "authenticate"),  # the right key with another secret
        (NO_KEY, "credentials_missing", "authenticate"),
        (replace(CANARY_KEY, secret=" "), "credentials_missing", "authenticate"),
    ],
)
def test_a_wrong_key_is_named(folder: Folder, key: Key | None, code: str, step: str) -> None:
    key = key or replace(folder.server.writer, secret=f"{CANARY}-wrong")
    (result,) = deliver(folder.adapter(key), event())
    assert (result.outcome, result.effect, result.code) == (Outcome.RETRY, Effect.FAILURE, code)
    assert "access_key_id" in result.hint
    steps = checked(folder.adapter(key))
    assert list(steps)[-1] == step
    assert code in steps[step].detail
    assert folder.names() == []


def test_blank_keys_never_mean_those_of_the_machine(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", folder.server.writer.id)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", folder.server.writer.secret)
    (result,) = deliver(folder.adapter(NO_KEY), event())
    assert result.code == "credentials_missing"
    assert folder.names() == []


def test_a_bucket_that_does_not_exist_is_named(folder: Folder) -> None:
    """An administrator is told so; any other user is told AccessDenied, as AWS does, and the hint says it."""
    admin = folder.adapter(folder.server.admin, bucket="hub-nowhere")
    (result,) = deliver(admin, event())
    assert (result.outcome, result.effect, result.code) == (Outcome.RETRY, Effect.FAILURE, "NoSuchBucket")
    assert list(checked(folder.adapter(folder.server.admin, bucket="hub-nowhere")))[-1] == "permission"
    (result,) = deliver(folder.adapter(folder.user("s3:PutObject"), bucket="hub-nowhere"), event())
    assert result.code == "AccessDenied"
    assert "bucket" in result.hint


# --- a role -----------------------------------------------------------------------------------
ROLE = {"auth": "role", "role_arn": ROLE_ARN}


def test_a_role_writes_and_may_do_no_more_than_this_destination_needs(folder: Folder, identity: HubIdentity) -> None:
    adapter = folder.adapter(NO_KEY, identity=identity, **ROLE)
    message = event()
    (result,) = adapter.deliver([message])
    assert result.outcome is Outcome.DELIVERED, result
    assert list(folder.bodies().values()) == [message.body]
    # The role itself may write anywhere in the bucket; its session may not.
    assert adapter._link
    with pytest.raises(ClientError, match="AccessDenied"):
        adapter._link.prepare().put_as_is("elsewhere.json", b"", {})
    adapter.close()


def test_the_check_of_a_role_tells_that_it_trusts_too_widely_and_leaves_nothing(
    folder: Folder, identity: HubIdentity
) -> None:
    steps = checked(folder.adapter(NO_KEY, identity=identity, **ROLE))
    assert StepStatus.FAILED not in {step.status for step in steps.values()}, text_of(steps.values())
    assert steps["external id"].status is StepStatus.WARNING  # SeaweedFS knows no such condition
    assert "without an external id" in steps["external id"].detail
    assert folder.names() == []


def test_a_role_that_does_not_let_the_hub_in_fails_at_authenticate(folder: Folder, identity: HubIdentity) -> None:
    wrong = {"auth": "role", "role_arn": f"{ROLE_ARN}Nobody"}
    results = folder.adapter(NO_KEY, identity=identity, **wrong).deliver([event(), event()])
    assert {result.code for result in results} == {"AssumeRole.AccessDenied"}
    assert {(result.outcome, result.effect) for result in results} == {(Outcome.RETRY, Effect.FAILURE)}
    assert identity.external_id in results[0].hint
    assert HUB_ARN in results[0].hint
    steps = checked(folder.adapter(NO_KEY, identity=identity, **wrong))
    assert list(steps)[-1] == "authenticate"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        # SeaweedFS says so in the form of S3 and not of STS, so that only the status is known.
        ({"aws_access_key_id": "AKIANOBODYKNOWSTHIS01"}, "AssumeRole.http_403"),
        ({"aws_secret_access_key": "wrong"}, "AssumeRole.http_403"),
        ({"aws_arn": ""}, "hub_identity_missing"),
        ({"destination_id": ""}, "not_saved"),
        ({"aws_arn": "arn:aws:iam::123456789012:user/hub"}, "role_of_own_account"),
        ({"aws_sts_endpoint": "http://10.0.0.1"}, "egress_refused"),
    ],
)
def test_what_is_wrong_with_the_hubs_own_user_is_named(
    folder: Folder, identity: HubIdentity, change: dict[str, str], code: str
) -> None:
    (result,) = deliver(folder.adapter(NO_KEY, identity=replace(identity, **change), **ROLE), event())
    assert (result.outcome, result.effect, result.code) == (Outcome.RETRY, Effect.FAILURE, code)
    assert result.hint
    assert CANARY not in text_of([result])


def test_temporary_keys_are_renewed_before_they_end(folder: Folder, identity: HubIdentity) -> None:
    config = folder.adapter(NO_KEY, **ROLE).config
    access = AwsAccess(
        config,
        folder.adapter(NO_KEY).credentials,
        identity,
        LOCAL,
        region=REGION,
        statements=statements_of(config),
        role_seconds=900,  # the shortest that there is; they are renewed 15 minutes before their end
    )
    client = access.client("s3", endpoint_url=config.endpoint_url, s3={"addressing_style": "path"})
    signed: list[str] = []
    client.meta.events.register_first(
        "before-send.s3", lambda request, **_: signed.append(str(request.headers["Authorization"]))
    )
    for number in range(3):
        client.put_object(Bucket=folder.bucket, Key=f"{folder.prefix}/{number}", Body=b"1")
    access.close()
    assert len(set(re.findall(r"Credential=(\w+)/", " ".join(signed)))) == 3
    assert len(folder.names()) == 3


# --- the hub's own user -----------------------------------------------------------------------
def test_the_hubs_own_user_is_used_only_where_the_operator_allows_it(
    folder: Folder, identity: HubIdentity, seaweed: SeaweedServer
) -> None:
    key = folder.user("s3:PutObject")
    own = replace(identity, aws_access_key_id=key.id, aws_secret_access_key=key.secret)
    (refused,) = deliver(folder.adapter(NO_KEY, identity=own, auth="ambient"), event())
    assert (refused.code, folder.names()) == ("ambient_not_allowed", [])
    assert "HUB_AWS_AMBIENT=allowed" in refused.hint
    (result,) = deliver(folder.adapter(NO_KEY, identity=replace(own, aws_ambient=True), auth="ambient"), event())
    assert result.outcome is Outcome.DELIVERED
    assert len(folder.names()) == 1


# --- the set-up text --------------------------------------------------------------------------
def set_up(folder: Folder, **config: Any) -> str:
    identity = HubIdentity(DESTINATION, HUB_ARN)
    return S3Adapter.setup_for(folder.adapter(**config).config, identity)


def actions(statements: Sequence[dict[str, Any]]) -> list[str]:
    return [action for one in statements for action in one["Action"]]


def test_the_trust_policy_names_the_hubs_user_and_the_destinations_external_id(folder: Folder) -> None:
    trust, policy = policies_in(set_up(folder, **ROLE))
    (statement,) = trust["Statement"]
    assert statement["Principal"] == {"AWS": HUB_ARN}
    assert statement["Action"] == "sts:AssumeRole"
    assert statement["Condition"] == {"StringEquals": {"sts:ExternalId": f"terra-hub-{DESTINATION}"}}
    assert actions(policy["Statement"]) == ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"]


def test_the_bucket_policy_has_the_hubs_user_as_its_principal(folder: Folder) -> None:
    (policy,) = policies_in(set_up(folder, auth="ambient"))
    assert {json.dumps(one["Principal"]) for one in policy["Statement"]} == {json.dumps({"AWS": HUB_ARN})}
    assert actions(policy["Statement"]) == ["s3:PutObject", "s3:GetObject", "s3:DeleteObject"]
    assert policy["Statement"][0]["Resource"] == f"arn:aws:s3:::{folder.bucket}/{folder.prefix}/*"
    assert policy["Statement"][2]["Resource"] == f"arn:aws:s3:::{folder.bucket}/{folder.prefix}/terra-hub-check.json"


def test_a_kms_key_and_a_partition_are_in_the_policy(folder: Folder) -> None:
    key = "arn:aws-cn:kms:cn-north-1:123456789012:key/abc"
    text = set_up(folder, region="cn-north-1", encryption="aws:kms", kms_key_id=key, prefix="")
    (policy,) = policies_in(text)
    assert policy["Statement"][0]["Resource"] == f"arn:aws-cn:s3:::{folder.bucket}/*"
    assert policy["Statement"][3]["Action"] == ["kms:GenerateDataKey", "kms:Decrypt"]
    assert policy["Statement"][3]["Resource"] == key


def test_without_the_hubs_user_the_text_says_what_to_set(folder: Folder) -> None:
    text = S3Adapter.setup(folder.adapter(**ROLE).config)
    assert "HUB_AWS_ARN" in text
    assert "shown when the destination is saved" in text
