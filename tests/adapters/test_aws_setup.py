"""The set-up texts for AWS are scripts: pasted into a shell as they are, they do what they say."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from destinations.adapters.s3 import S3Adapter
from destinations.adapters.s3_config import S3Config
from destinations.adapters.sqs import SqsAdapter
from destinations.adapters.sqs_config import SqsConfig
from destinations.identity import HubIdentity
from destinations.specs import load

pytestmark = pytest.mark.databaseless

HUB = HubIdentity("0198f3c2-7b7e-7c3a-9a52-0d4f6f0f9b11", "arn:aws:iam::111122223333:user/hub")
POLICY_NAME = "terra-hub-0198f3c2-7b7e-7c3a-9a52-0d4f6f0f9b11"
ROLE = {"auth": "role", "role_arn": "arn:aws:iam::123456789012:role/data/team/writer"}
AMBIENT = {"auth": "ambient"}


def s3(identity: HubIdentity = HUB, **config: Any) -> str:
    values = {"bucket": "acme-terra", "region": "eu-west-1", "prefix": "terra", **config}
    return S3Adapter.setup_for(load(S3Config, values), identity)


def sqs(identity: HubIdentity = HUB, **config: Any) -> str:
    values = {"queue": "https://sqs.eu-west-1.amazonaws.com/123456789012/terra.fifo", **config}
    return SqsAdapter.setup_for(load(SqsConfig, values), identity)


TEXTS = {
    "s3 key": s3(), "s3 role": s3(**ROLE), "s3 ambient": s3(**AMBIENT, encryption="aws:kms"),
    "s3 draft": s3(HubIdentity(), **ROLE),
    "sqs key": sqs(s3_bucket="staging"), "sqs role": sqs(**ROLE), "sqs ambient": sqs(**AMBIENT),
    "sqs draft": sqs(HubIdentity(), **AMBIENT),
}  # fmt: skip


def pasted(text: str, folder: Path) -> tuple[list[str], dict[str, Any]]:
    """Run a script in ``folder``, where ``aws`` only says how it was called; return the calls, and the documents."""
    script = f'set -eu\naws() {{ echo "$*"; }}\n{text}'
    done = subprocess.run(["bash", "-c", script], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines(), {path.name: json.loads(path.read_text()) for path in folder.iterdir()}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_each_command_finds_the_document_that_it_names(text: str, tmp_path: Path) -> None:
    calls, documents = pasted(text, tmp_path)

    assert calls
    assert documents
    named = {word.removeprefix("file://") for line in calls for word in line.split() if word.startswith("file://")}
    assert named <= documents.keys()
    assert {document["Version"] for document in documents.values()} == {"2012-10-17"}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_no_comment_opens_a_quotation_in_a_shell_that_takes_it_for_a_command(text: str) -> None:
    comments = [line for line in text.splitlines() if line.startswith("#")]
    assert comments
    assert [line for line in comments if set(line) & set("'\"`$")] == []


@pytest.mark.parametrize("text", [s3(**ROLE), sqs(**ROLE)])
def test_a_role_is_made_under_the_name_that_was_typed(text: str, tmp_path: Path) -> None:
    calls, documents = pasted(text, tmp_path)

    assert calls == [
        "iam create-role --path /data/team/ --role-name writer --assume-role-policy-document file://trust.json",
        f"iam put-role-policy --role-name writer --policy-name {POLICY_NAME} --policy-document file://policy.json",
    ]
    trusted = documents["trust.json"]["Statement"][0]
    assert trusted["Principal"] == {"AWS": HUB.aws_arn}
    assert trusted["Condition"]["StringEquals"]["sts:ExternalId"] == HUB.external_id
    assert "Principal" not in documents["policy.json"]["Statement"][0]


def test_a_second_destination_takes_no_right_of_the_first_away() -> None:
    other = HubIdentity("0198f3c2-7b7e-7c3a-9a52-0d4f6f0f9b12", HUB.aws_arn)
    for set_up in (s3, sqs):
        first, second = (set_up(identity).partition("--policy-name ")[2].split()[0] for identity in (HUB, other))
        assert first != second


def test_users_are_named_after_what_they_may_write_to_within_the_limit_of_64(tmp_path: Path) -> None:
    assert "--user-name terra-hub-acme-terra " in s3()
    assert "--user-name terra-hub-terra.fifo " in sqs()
    calls, _ = pasted(s3(bucket="b" * 63), tmp_path)
    assert calls[0] == f"iam create-user --user-name terra-hub-{'b' * 54}"


def test_a_buckets_policy_is_not_replaced_by_pasting(tmp_path: Path) -> None:
    calls, documents = pasted(s3(**AMBIENT, encryption="aws:kms"), tmp_path)

    assert calls == ["s3api get-bucket-policy --bucket acme-terra --query Policy --output text"]
    (key,) = documents["key-policy.json"]["Statement"]
    assert key["Principal"] == {"AWS": HUB.aws_arn}
    assert key["Resource"] == "*"
