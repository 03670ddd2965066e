"""The set-up as a module for Terraform: it parses, is laid out as ``terraform fmt`` does, and grants the same."""

import re
from typing import Any

import pytest

from destinations.adapters.terraform import block, quoted
from destinations.registry import adapter_class
from destinations.specs import load
from tests.adapters.terraform_support import HUB, formatted, parsed, resources

pytestmark = pytest.mark.databaseless

ROLE = {"auth": "role", "role_arn": "arn:aws:iam::123456789012:role/data/team/writer"}
S3 = {"bucket": "acme-terra", "region": "eu-west-1", "prefix": "terra"}
SQS = {"queue": "https://sqs.eu-west-1.amazonaws.com/123456789012/terra.fifo"}
SQL = {"host": "db.example.com", "database": "health_data", "username": "terra-user"}
AZURE = {"account": "acmehealth", "container": "terra"}
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "s3 key": ("s3", S3),
    "s3 role": ("s3", {**S3, **ROLE}),
    "s3 ambient": ("s3", {**S3, "auth": "ambient", "encryption": "aws:kms"}),
    "sqs key": ("sqs", {**SQS, "s3_bucket": "staging"}),
    "sqs role": ("sqs", {**SQS, **ROLE}),
    "sqs ambient": ("sqs", {**SQS, "auth": "ambient"}),
    "gcs": ("gcs", {"bucket": "acme-terra"}),
    "azure token": ("azureblob", AZURE),
    "azure key": ("azureblob", {**AZURE, "auth": "account_key"}),
    "postgres": ("postgres", SQL),
    "mysql": ("mysql", SQL),
}


def module(kind: str, **config: Any) -> str:
    made = adapter_class(kind)
    return made.terraform(load(made.config_spec, config), HUB)


@pytest.mark.parametrize(("kind", "config"), CASES.values(), ids=CASES)
def test_each_module_parses_and_is_laid_out_as_terraform_does_it(kind: str, config: dict[str, Any]) -> None:
    text = module(kind, **config)

    assert parsed(text)
    assert formatted(text) == text
    referred = set(re.findall(r"\bvar\.(\w+)", text))
    assert referred == set(re.findall(r'^variable "(\w+)"', text, re.MULTILINE))


@pytest.mark.parametrize("kind", ["webhook", "supabase"])
def test_types_that_terraform_has_nothing_for_have_no_module(kind: str) -> None:
    config = {"url": "https://a.example/hook"} if kind == "webhook" else {"project_url": "https://a.supabase.co"}
    assert module(kind, **config) == ""


@pytest.mark.parametrize("config", [{**S3, **ROLE}, {**SQS, **ROLE}], ids=["s3", "sqs"])
def test_a_role_trusts_the_hub_with_the_external_id_of_this_destination_only(config: dict[str, Any]) -> None:
    text = module("s3" if "bucket" in config else "sqs", **config)

    role = resources(text)["aws_iam_role.terra_hub"]
    assert (role["name"], role["path"]) == ("writer", "/data/team/")
    assert role["assume_role_policy"] == "${data.aws_iam_policy_document.terra_hub_trust.json}"
    trust = text.partition('"terra_hub_trust"')[2].partition("\n}\n")[0]
    assert f'identifiers = ["{HUB.aws_arn}"]' in trust
    assert 'variable = "sts:ExternalId"' in trust
    assert f'values   = ["{HUB.external_id}"]' in trust
    assert HUB.external_id == resources(text)["aws_iam_role_policy.terra_hub"]["name"]


def test_the_rights_are_those_of_the_script() -> None:
    text, script = module("s3", **S3), adapter_class("s3").setup(load(adapter_class("s3").config_spec, S3))
    assert set(re.findall(r"s3:\w+", text)) == set(re.findall(r'"(s3:\w+)"', script))
    assert set(re.findall(r"arn:aws:s3:::[^\"]+", text)) == set(re.findall(r"arn:aws:s3:::[^\"]+", script))

    grants = resources(module("postgres", **SQL))
    assert grants["postgresql_grant.terra_hub_schema"]["privileges"] == ['"USAGE"', '"CREATE"']
    assert grants["postgresql_role.terra_hub"]["name"] == "terra-user"
    grant = resources(module("mysql", **SQL))["mysql_grant.terra_hub"]
    assert grant["database"] == r"health\\_data"
    assert "delete = false" in module("azureblob", **AZURE)


def test_no_text_of_an_operator_is_read_as_a_template() -> None:
    hostile = 'a"${file("/etc/passwd")}\n%{ for x in y }\\'
    text = block("locals", {"a": quoted(hostile)})

    assert "${file" not in text.replace("$${file", "")
    assert formatted(text + "\n") == text + "\n"
    assert parsed(text + "\n")
