"""What an operator runs at AWS: a script of comments, policy documents and commands, pasted as a whole.

No comment has a quotation mark: zsh, the shell of macOS, reads pasted comments as commands, and a quote would go on.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from destinations.adapters.aws import partition_of
from destinations.identity import HubIdentity

HUB_USER = "arn:aws:iam::<the hub's account>:user/<the hub's user: set HUB_AWS_ARN>"
NOT_SAVED = "<shown when the destination is saved>"
_LONGEST_USER_NAME = 64

_USER = """\
# A user for the hub, with this policy and no other:
{document}
aws iam create-user --user-name {user}
aws iam put-user-policy --user-name {user} --policy-name {name} --policy-document file://policy.json

# Its access key, for the form of the destination:
aws iam create-access-key --user-name {user}
"""
_ROLE = """\
# A role that trusts the user of the hub, and only together with the external id of this destination. The hub
# makes the id, and nobody can choose another one for this destination.
{trust}
aws iam create-role {role} --assume-role-policy-document file://trust.json
# Where the role is there already:
# aws iam update-assume-role-policy --role-name {short} --policy-document file://trust.json

# What it may do, and nothing else:
{document}
aws iam put-role-policy --role-name {short} --policy-name {name} --policy-document file://policy.json
"""
_HUB_USER = """\
# What the user of the hub may do here:
{document}
aws iam put-user-policy --user-name {user} --policy-name {name} --policy-document file://policy.json
"""


def user_text(policy: str, target: str, identity: HubIdentity) -> str:
    """Return how a user with ``policy`` is made, named after the bucket or queue that it is for."""
    user, name = user_name(target), policy_name(identity)
    return _USER.format(document=document("policy.json", policy), user=user, name=name)


def user_name(target: str) -> str:
    """Return the name of a user for one bucket or queue."""
    return f"terra-hub-{target}"[:_LONGEST_USER_NAME]


def role_text(policy: str, role_arn: str, region: str, identity: HubIdentity) -> str:
    """Return how the role of that ARN is made: what it trusts, and what it may do."""
    path, short = role_name(role_arn)
    return _ROLE.format(
        trust=document("trust.json", trust_text(region, identity)),
        document=document("policy.json", policy),
        role=f"--path /{path}/ --role-name {short}" if path else f"--role-name {short}",
        short=short,
        name=policy_name(identity),
    )


def role_name(role_arn: str) -> tuple[str, str]:
    """Return (path, name) of the role of that ARN; the path without slashes at its ends."""
    path, _, name = role_arn.partition(":role/")[2].rpartition("/")
    return path, name


def hub_user_text(policy: str, identity: HubIdentity) -> str:
    """Return how the hub's own user gets ``policy``, beside those of other destinations."""
    user = identity.aws_arn.rpartition("/")[2] or '"<the hub\'s user>"'
    return _HUB_USER.format(document=document("policy.json", policy), user=user, name=policy_name(identity))


def document(file: str, text: str) -> str:
    """Return the lines that write a document into a file, for a shell."""
    return f"cat > {file} <<'END'\n{text}\nEND"


def notes(text: str) -> str:
    """Return lines of words as comments of the script."""
    return "".join(f"# {line}\n" for line in text.splitlines())


def policy_name(identity: HubIdentity) -> str:
    """Return the name of a destination's inline policy."""
    # One of its own per destination: put-user-policy would replace that of another one of the same user.
    return identity.external_id or "terra-hub"


def policy_text(statements: Sequence[Mapping[str, Any]]) -> str:
    """Return statements as a policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)}, indent=2)


def trust_text(region: str, identity: HubIdentity) -> str:
    """Return the trust policy of a role for one destination: the hub's user, with this external id only."""
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": hub_user(region, identity)},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": identity.external_id or NOT_SAVED}},
    }
    return policy_text([statement])


def hub_user(region: str, identity: HubIdentity) -> str:
    """Return the ARN of the hub's own user, or what to put in its place."""
    return identity.aws_arn or HUB_USER.replace("arn:aws:", f"arn:{partition_of(region)}:")
