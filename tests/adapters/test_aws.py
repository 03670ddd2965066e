"""How destinations on AWS sign in: what is refused before anything is sent, and what errors mean."""

from dataclasses import replace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from destinations.adapters.aws import (
    AMBIENT,
    ROLE,
    AwsAccess,
    AwsConfig,
    AwsCredentials,
    partition_of,
)
from destinations.adapters.aws_errors import COMMON, failure_of
from destinations.adapters.base import Effect, Outcome
from destinations.adapters.s3 import S3Adapter
from destinations.adapters.sqs import SqsAdapter
from destinations.egress import EgressPolicy
from destinations.identity import HubIdentity
from destinations.rules import credentials_to_send_again
from destinations.specs import problems_of

pytestmark = pytest.mark.databaseless

ROLE_ARN = "arn:aws:iam::123456789012:role/terra-hub"
HUB = HubIdentity("0198", "arn:aws:iam::999999999999:user/hub", "AKIAHUB", "hub-secret")
KEY = AwsCredentials(access_key_id="AKIAUSER", secret_access_key="user-secret")


def access(config: AwsConfig, credentials: AwsCredentials = KEY, identity: HubIdentity = HUB) -> AwsAccess:
    return AwsAccess(config, credentials, identity, EgressPolicy(), region="eu-west-1", statements=[])


@pytest.mark.parametrize(
    ("config", "credentials", "identity", "code", "says"),
    [
        (AwsConfig(), AwsCredentials(), HUB, "credentials_missing", "access_key_id"),
        (AwsConfig(), replace(KEY, secret_access_key="  "), HUB, "credentials_missing", "secret_access_key"),
        (AwsConfig(auth=ROLE, role_arn=ROLE_ARN), KEY, HubIdentity("0198"), "hub_identity_missing", "HUB_AWS_ARN"),
        (AwsConfig(auth=ROLE, role_arn=ROLE_ARN), KEY, replace(HUB, destination_id=""), "not_saved", "Save it"),
        (AwsConfig(auth=ROLE), KEY, HUB, "role_missing", "role_arn"),
        (AwsConfig(auth=ROLE, role_arn="arn:aws:iam::999999999999:role/x"), KEY, HUB, "role_of_own_account", "own"),
        (AwsConfig(auth=AMBIENT), KEY, HUB, "ambient_not_allowed", "HUB_AWS_AMBIENT=allowed"),
        (AwsConfig(auth=AMBIENT), KEY, HubIdentity("0198", aws_ambient=True), "hub_identity_missing", "HUB_AWS"),
    ],
)
def test_a_way_to_sign_in_that_lacks_something_is_named(
    config: AwsConfig, credentials: AwsCredentials, identity: HubIdentity, code: str, says: str
) -> None:
    problem = access(config, credentials, identity).problem()
    assert problem
    assert (problem.code, problem.outcome, problem.effect) == (code, Outcome.RETRY, Effect.FAILURE)
    assert says in problem.hint


@pytest.mark.parametrize(
    ("config", "identity"),
    [
        (AwsConfig(), HubIdentity()),
        (AwsConfig(auth=ROLE, role_arn=ROLE_ARN), HUB),
        (AwsConfig(auth=AMBIENT), replace(HUB, aws_ambient=True)),
    ],
)
def test_a_way_to_sign_in_that_is_complete_has_no_problem(config: AwsConfig, identity: HubIdentity) -> None:
    assert access(config, identity=identity).problem() is None


def test_every_destination_has_an_external_id_of_its_own_that_nobody_can_type() -> None:
    assert HUB.external_id == "terra-hub-0198"
    assert replace(HUB, destination_id="0199").external_id != HUB.external_id
    for values in ({"external_id": "chosen"}, {"destination_id": "other"}):
        assert "Unknown field" in str(problems_of(AwsConfig, values))
        assert "Unknown field" in str(problems_of(AwsCredentials, values))


@pytest.mark.parametrize("arn", ["arn:aws:iam::1:role/x", "arn:aws:iam::123456789012:user/x", "x" + ROLE_ARN, "*"])
def test_what_is_no_role_is_refused(arn: str) -> None:
    assert "role_arn" in problems_of(AwsConfig, {"role_arn": arn})
    assert problems_of(AwsConfig, {"role_arn": "arn:aws-us-gov:iam::123456789012:role/a/b"}) == {}


def test_each_way_asks_for_its_own_fields_and_for_no_other() -> None:
    assert set(problems_of(AwsConfig, {"auth": ROLE})) == {"role_arn"}
    assert set(problems_of(AwsCredentials, {}, {"auth": "access_key"})) == {"access_key_id", "secret_access_key"}
    for auth in (ROLE, AMBIENT):
        assert problems_of(AwsCredentials, {}, {"auth": auth}) == {}
    assert problems_of(AwsConfig, {}) == {}


def test_no_secret_is_in_what_python_shows_of_them() -> None:
    assert "secret" not in repr(KEY).replace("AwsCredentials", "")
    assert "hub-secret" not in repr(HUB)


@pytest.mark.parametrize(
    ("region", "partition"), [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-east-1", "aws-us-gov")]
)
def test_a_region_is_in_its_partition(region: str, partition: str) -> None:
    assert partition_of(region) == partition


def test_clients_take_nothing_from_the_machine_they_run_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    planted = tmp_path / "config"
    planted.write_text("[default]\naws_access_key_id = PLANTED\naws_secret_access_key = x\nregion = us-west-2\n")
    for name, value in {
        "AWS_ACCESS_KEY_ID": "PLANTED",
        "AWS_SECRET_ACCESS_KEY": "x",
        "AWS_SESSION_TOKEN": "PLANTED",
        "AWS_CONFIG_FILE": str(planted),
        "AWS_SHARED_CREDENTIALS_FILE": str(planted),
        "AWS_ENDPOINT_URL": "http://planted.example",
        "AWS_ENDPOINT_URL_SQS": "http://planted.example",
        "AWS_CA_BUNDLE": "/planted",
        "HTTPS_PROXY": "http://planted.example",
    }.items():
        monkeypatch.setenv(name, value)
    made = access(AwsConfig())
    client = made.client("sqs")
    assert client.meta.endpoint_url == "https://sqs.eu-west-1.amazonaws.com"
    assert client.meta.region_name == "eu-west-1"
    signed = client.generate_presigned_url("list_queues")
    assert "AKIAUSER" in signed
    assert "PLANTED" not in signed
    made.close()


@pytest.mark.parametrize(
    ("kind", "field", "elsewhere"),
    [
        (S3Adapter, "bucket", "another"),
        (SqsAdapter, "queue", "123456789012/another"),
        (SqsAdapter, "s3_bucket", "another"),
    ],
)
def test_a_stored_secret_is_not_used_on_another_bucket_or_queue(kind: Any, field: str, elsewhere: str) -> None:
    old = {"region": "eu-west-1", field: "123456789012/terra" if field == "queue" else "terra"}
    held = {"access_key_id": "AKIAUSER", "secret_access_key": "user-secret"}
    errors = credentials_to_send_again(kind, old, {**old, field: elsewhere}, held, ())
    assert f"config.{field} changes" in str(errors["credentials.secret_access_key"])
    assert credentials_to_send_again(kind, old, old, held, ()) == {}


# --- errors -----------------------------------------------------------------------------------
def refused(code: str, status: int = 400, operation: str = "PutObject", message: str = "words") -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return ClientError(response, operation)


NAMES = {"hub_arn": HUB.aws_arn, "external_id": HUB.external_id}


@pytest.mark.parametrize("code", COMMON)
def test_each_error_has_its_code_its_words_and_something_to_do(code: str) -> None:
    failure = failure_of(refused(code), {}, NAMES)
    assert failure.code == code
    assert failure.outcome is Outcome.RETRY
    assert failure.detail.startswith("PutObject: ")
    assert failure.hint


@pytest.mark.parametrize(
    ("code", "status", "effect", "wait"),
    [
        ("SlowDown", 503, Effect.PAUSE, 5.0),
        ("", 503, Effect.PAUSE, 5.0),
        ("429", 429, Effect.PAUSE, 5.0),
        ("InternalError", 500, Effect.FAILURE, None),
        ("SomethingNew", 400, Effect.FAILURE, None),
        ("RequestTimeout", 400, Effect.NONE, None),
    ],
)
def test_an_error_says_what_it_means_for_the_destination(
    code: str, status: int, effect: Effect, wait: float | None
) -> None:
    failure = failure_of(refused(code, status), {}, NAMES)
    assert (failure.effect, failure.retry_after) == (effect, wait)
    assert failure.code == (code if code.isalpha() else f"http_{status}")
    assert failure.status_code == status


def test_an_error_of_sts_names_the_trust_policy_and_not_the_bucket() -> None:
    failure = failure_of(refused("AccessDenied", 403, "AssumeRole"), {}, NAMES)
    assert failure.code == "AssumeRole.AccessDenied"
    assert HUB.external_id in failure.hint
    assert HUB.aws_arn in failure.hint


def test_a_services_own_table_goes_first_and_words_are_cleaned() -> None:
    table = {"AccessDenied": COMMON["SlowDown"]}
    failure = failure_of(
        refused("AccessDenied", message="the secret\nmore \x1b[31m"),
        table,
        NAMES,
        lambda text: text.replace("secret", "*"),
    )
    assert failure.effect is Effect.PAUSE
    assert failure.detail.endswith(": the *")
