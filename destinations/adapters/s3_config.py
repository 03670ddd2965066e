"""What an operator says of a bucket, and the rights that writing to it needs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from destinations.adapters.aws import REGION_PATTERN, AwsConfig, AwsCredentials, endpoint_problem, partition_of
from destinations.adapters.objects import (
    MAX_PREFIX,
    PREFIX_LETTERS,
    PREFIX_PATTERN,
    check_key,
    clean_prefix,
    prefix_problem,
)
from destinations.adapters.s3_client import AUTO, BUCKET_PATTERN, PATH, VIRTUAL, bucket_problem
from destinations.pem import EXAMPLE, MALFORMED, is_pem
from destinations.specs import OnlyIf, option

BUCKET_DEFAULT, KMS = "bucket", "aws:kms"
STANDARD = "STANDARD"
CONDITIONAL, READ_FIRST = "conditional", "read_first"


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Config(AwsConfig):
    """Where the objects go."""

    bucket: str = option(
        "Bucket",
        pattern=BUCKET_PATTERN,
        expected="a bucket's name, not its ARN",
        placeholder="my-bucket",
        help="Its name alone. The hub makes no buckets.",
    )
    region: str = option(
        "Region",
        pattern=REGION_PATTERN,
        placeholder="eu-west-1",
        help="The bucket's own. Stores other than AWS often take us-east-1 or auto.",
    )
    prefix: str = option(
        "Prefix",
        default="",
        pattern=PREFIX_PATTERN,
        max_length=MAX_PREFIX,
        expected=PREFIX_LETTERS,
        placeholder="folder/subfolder",
        help="Stands in front of every key. Empty: keys begin with the version, as on Terra's page.",
    )
    endpoint_url: str = option(
        "Endpoint", default="", placeholder="https://s3.example.com", help="Of a store other than AWS; empty for AWS."
    )
    storage_class: str = option(
        "Storage class",
        default=STANDARD,
        choices=tuple(
            (name, name) for name in (STANDARD, "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER_IR")
        ),
        help="Of the objects. Stores other than AWS may know STANDARD only.",
        advanced=True,
    )
    encryption: str = option(
        "Encryption at rest",
        default=BUCKET_DEFAULT,
        choices=((BUCKET_DEFAULT, "As the bucket says"), ("AES256", "SSE-S3 (AES256)"), (KMS, "SSE-KMS")),
        help="How the store encrypts the objects.",
        advanced=True,
    )
    kms_key_id: str = option(
        "KMS key",
        default="",
        only_if=OnlyIf("encryption", (KMS,)),
        pattern=r"[A-Za-z0-9:/_-]{1,2048}",
        placeholder="a key's ARN or id",
        help="Empty: the account's own key for S3.",
        advanced=True,
    )
    expected_bucket_owner: str = option(
        "Expected owner",
        default="",
        pattern=r"[0-9]{12}",
        placeholder="123456789012",
        help="The account that the bucket must belong to; a bucket of the same name elsewhere is then refused.",
        advanced=True,
    )
    overwrites: str = option(
        "Overwriting",
        default=CONDITIONAL,
        choices=(
            (CONDITIONAL, "Only if nothing came in between (If-None-Match, If-Match)"),
            (READ_FIRST, "Read first, then write (for stores without conditional writes)"),
        ),
        help="How a late, older event is kept from overwriting a newer one of the same key.",
        advanced=True,
    )
    addressing_style: str = option(
        "Addressing",
        default=AUTO,
        choices=((AUTO, "Path where an endpoint is set, else virtual host"), (PATH, "Path"), (VIRTUAL, "Virtual host")),
        help="Whether the bucket's name stands in the URL's path or in its host.",
        advanced=True,
    )
    ca_certificate: str = option(
        "CA certificate",
        default="",
        placeholder=EXAMPLE,
        help="PEM text of the CA that signed the endpoint's certificate. Empty: the public CAs.",
        multiline=True,
        advanced=True,
        max_length=100_000,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Credentials(AwsCredentials):
    """The access key of a user that may write to the bucket."""

    __repr__ = AwsCredentials.__repr__


def problems(config: S3Config) -> Mapping[str, str]:
    """Return what is wrong with a config, per field, beyond what its options say."""
    found = {
        "prefix": prefix_problem(config.prefix),
        "bucket": bucket_problem(config.bucket),
        "endpoint_url": endpoint_problem(config.endpoint_url),
        "ca_certificate": MALFORMED if config.ca_certificate.strip() and not is_pem(config.ca_certificate) else "",
    }
    return {name: text for name, text in found.items() if text}


def place_of(config: S3Config) -> str:
    """Return ``s3://bucket/prefix``."""
    return "/".join(filter(None, (f"s3://{config.bucket}", clean_prefix(config.prefix))))


def arn_of(config: S3Config, key: str) -> str:
    """Return the ARN of an object; ``*`` in the key stands for any text."""
    return f"arn:{partition_of(config.region)}:s3:::{config.bucket}/{key}"


def statements_of(config: S3Config) -> Sequence[Mapping[str, Any]]:
    """Return the statements of a policy with all that the hub does with the bucket, and nothing else."""
    everything = arn_of(config, "/".join(filter(None, (clean_prefix(config.prefix), "*"))))
    found = [
        _allow("WriteEvents", ["s3:PutObject"], everything),
        _allow("KeepTheNewerEvent", ["s3:GetObject"], everything),
        _allow("RemoveTheTestObject", ["s3:DeleteObject"], arn_of(config, check_key(config.prefix))),
    ]
    if config.encryption == KMS:
        key = config.kms_key_id if config.kms_key_id.startswith("arn:") else "*"
        found.append(_allow("UseTheKey", ["kms:GenerateDataKey", "kms:Decrypt"], key))
    return found


def _allow(name: str, actions: list[str], resource: str) -> Mapping[str, Any]:
    return {"Sid": name, "Effect": "Allow", "Action": actions, "Resource": resource}
