"""What ``aws_setup`` says, for Terraform's provider of AWS: a user, a role, or a policy for the hub's own user."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from destinations.adapters.aws_setup import hub_user, policy_name, role_name, user_name
from destinations.adapters.terraform import block, data, listed, module, quoted, resource, secret_output
from destinations.identity import HubIdentity

Statements = Sequence[Mapping[str, Any]]
_DOCUMENT = "data.aws_iam_policy_document.{}.json"
_STATE = "The secret key is in Terraform's state: keep that as you keep secrets, or make the key by hand."
_EXTERNAL_ID = "The hub makes the external id. Nobody can choose another one for this destination."
_OWN_USER = "What the user of the hub may do here. Apply it in the account of that user."


def user_module(statements: Statements, target: str, identity: HubIdentity) -> str:
    """Return a user with a policy and an access key, named after the bucket or queue."""
    user = "aws_iam_user.terra_hub.name"
    return module(
        document("terra_hub", statements),
        resource("aws_iam_user", "terra_hub", {"name": quoted(user_name(target))}),
        _policy("aws_iam_user_policy", "user", user, identity),
        resource("aws_iam_access_key", "terra_hub", {"user": user}),
        block('output "access_key_id"', {"value": "aws_iam_access_key.terra_hub.id"}),
        secret_output("secret_access_key", "aws_iam_access_key.terra_hub.secret"),
        about=[_STATE],
    )


def role_module(statements: Statements, role_arn: str, region: str, identity: HubIdentity) -> str:
    """Return the role of that ARN: what it trusts, and what it may do."""
    path, name = role_name(role_arn)
    about = {"name": quoted(name)} | ({"path": quoted(f"/{path}/")} if path else {})
    return module(
        data("aws_iam_policy_document", "terra_hub_trust", _trust(region, identity)),
        resource("aws_iam_role", "terra_hub", about | {"assume_role_policy": _DOCUMENT.format("terra_hub_trust")}),
        document("terra_hub", statements),
        _policy("aws_iam_role_policy", "role", "aws_iam_role.terra_hub.name", identity),
        about=[_EXTERNAL_ID],
    )


def hub_user_module(statements: Statements, identity: HubIdentity) -> str:
    """Return a policy for the hub's own user, beside those of other destinations."""
    user = quoted(identity.aws_arn.rpartition("/")[2] or "YOUR_HUB_USER")
    return module(
        document("terra_hub", statements), _policy("aws_iam_user_policy", "user", user, identity), about=[_OWN_USER]
    )


def document(name: str, statements: Statements) -> str:
    """Return a policy document with these statements."""
    return data("aws_iam_policy_document", name, *map(_statement, statements))


def _statement(about: Mapping[str, Any]) -> str:
    values = {"sid": quoted(about["Sid"])} if "Sid" in about else {}
    actions, resources = about["Action"], about["Resource"]
    values |= {
        "effect": quoted(about["Effect"]),
        "actions": listed(_many(actions)),
        "resources": listed(_many(resources)),
    }
    principal = [_principal(about["Principal"]["AWS"])] if "Principal" in about else []
    return block("statement", values, *principal)


def _trust(region: str, identity: HubIdentity) -> str:
    condition = {
        "test": quoted("StringEquals"),
        "variable": quoted("sts:ExternalId"),
        "values": listed([identity.external_id or "YOUR_EXTERNAL_ID"]),
    }
    return block(
        "statement",
        {"effect": quoted("Allow"), "actions": listed(["sts:AssumeRole"])},
        _principal(hub_user(region, identity)),
        block("condition", condition),
    )


def _principal(arn: str) -> str:
    return block("principals", {"type": quoted("AWS"), "identifiers": listed([arn])})


def _policy(kind: str, of: str, value: str, identity: HubIdentity) -> str:
    about = {"name": quoted(policy_name(identity)), of: value, "policy": _DOCUMENT.format("terra_hub")}
    return resource(kind, "terra_hub", about)


def _many(value: str | Iterable[str]) -> Iterable[str]:
    return [value] if isinstance(value, str) else value
