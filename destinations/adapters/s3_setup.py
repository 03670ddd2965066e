"""What an operator gives to AWS: the policy of a user, of a role with its trust, or of the bucket."""

from collections.abc import Mapping, Sequence
from typing import Any

from destinations.adapters.aws import AMBIENT, ROLE
from destinations.adapters.aws_setup import HUB_USER, document, notes, policy_text, role_text, user_text
from destinations.adapters.aws_terraform import document as terraform_document
from destinations.adapters.aws_terraform import role_module, user_module
from destinations.adapters.s3_config import S3Config, statements_of
from destinations.adapters.terraform import module, quoted, resource
from destinations.identity import HubIdentity

_RIGHTS = """\
WriteEvents is needed. KeepTheNewerEvent keeps a late, older event from overwriting a newer one of the same
key, and lets checks read back what they wrote; without it, that holds within one worker only.
RemoveTheTestObject lets checks remove the object that they write; without it, one small object stays there.
To erase a person from here too, s3:ListBucket and s3:DeleteObject on all objects are needed as well.
"""
_BUCKET = """\
# The policy of the bucket. The last command replaces the one that the bucket has, so it is a comment: look at that
# one first, and add its statements to the file.
{document}
aws s3api get-bucket-policy --bucket {bucket} --query Policy --output text
# aws s3api put-bucket-policy --bucket {bucket} --policy file://bucket-policy.json
"""
_KEY = """
# The policy of the KMS key has to allow the user of the hub as well. Add this statement to it:
{document}
"""

_WHOLE_POLICY = (
    "This is the whole policy of the bucket: add the statements that it has already, or they are taken away."
)
_KEY_POLICY = "The policy of the KMS key has to hold the statement of terra_hub_key as well."


def setup_text(config: S3Config, identity: HubIdentity) -> str:
    """Return the script for the chosen way of signing in, filled in."""
    policy = policy_text(statements_of(config))
    if config.auth == ROLE:
        text = role_text(policy, config.role_arn, config.region, identity)
    elif config.auth == AMBIENT:
        text = _bucket_text(config, identity)
    else:
        text = user_text(policy, config.bucket, identity)
    return f"{text}\n{notes(_RIGHTS)}"


def terraform_text(config: S3Config, identity: HubIdentity) -> str:
    """Return the module for the chosen way of signing in."""
    if config.auth == ROLE:
        return role_module(statements_of(config), config.role_arn, config.region, identity)
    if config.auth == AMBIENT:
        return _bucket_module(config, identity)
    return user_module(statements_of(config), config.bucket, identity)


def _bucket_module(config: S3Config, identity: HubIdentity) -> str:
    about_bucket, about_key = _statements_for_hub(config, identity)
    policy = {"bucket": quoted(config.bucket), "policy": "data.aws_iam_policy_document.terra_hub.json"}
    key = [terraform_document("terra_hub_key", about_key)] if about_key else []
    return module(
        terraform_document("terra_hub", about_bucket),
        resource("aws_s3_bucket_policy", "terra_hub", policy),
        *key,
        about=[_WHOLE_POLICY, *([_KEY_POLICY] if key else [])],
    )


def _bucket_text(config: S3Config, identity: HubIdentity) -> str:
    about_bucket, about_key = _statements_for_hub(config, identity)
    text = _BUCKET.format(document=document("bucket-policy.json", policy_text(about_bucket)), bucket=config.bucket)
    return text + (_KEY.format(document=document("key-policy.json", policy_text(about_key))) if about_key else "")


def _statements_for_hub(
    config: S3Config, identity: HubIdentity
) -> tuple[list[Mapping[str, Any]], list[Mapping[str, Any]]]:
    """Return the statements of the bucket's own policy, and of its key's."""
    statements = [_for_hub(one, identity) for one in statements_of(config)]
    about_bucket = [one for one in statements if not _is_about_key(one)]
    # In a key's own policy "*" is that key: https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html
    about_key: list[Mapping[str, Any]] = [{**one, "Resource": "*"} for one in statements if _is_about_key(one)]
    return about_bucket, about_key


def _is_about_key(statement: Mapping[str, Any]) -> bool:
    actions: Sequence[str] = statement["Action"]
    return actions[0].startswith("kms:")


def _for_hub(statement: Mapping[str, Any], identity: HubIdentity) -> Mapping[str, Any]:
    """Return a statement with the hub's user as its principal."""
    named = {"Sid": statement["Sid"], "Effect": statement["Effect"]}
    return {**named, "Principal": {"AWS": identity.aws_arn or HUB_USER}, **statement}
