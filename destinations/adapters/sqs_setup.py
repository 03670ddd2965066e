"""What an operator gives to AWS for a queue: the policy of a user, of a role with its trust, or of the hub's user."""

from destinations.adapters.aws import AMBIENT, ROLE, Statement
from destinations.adapters.aws_setup import hub_user_text, notes, policy_text, role_text, user_text
from destinations.adapters.aws_terraform import hub_user_module, role_module, user_module
from destinations.adapters.sqs_config import SqsConfig, bucket_statement, queue_of, queue_statement, region_of
from destinations.identity import HubIdentity

_NOTES = """\
Nothing more is needed. With sqs:GetQueueAttributes too, a message that is too large is refused before it is sent,
and checks say what the queue takes. A queue that is encrypted with a KMS key of your own also needs
kms:GenerateDataKey and kms:Decrypt on that key.
"""
_OTHER_ACCOUNT = "A queue of another account also has to allow it in its own policy."


def setup_text(config: SqsConfig, identity: HubIdentity) -> str:
    """Return the script for the chosen way of signing in, filled in."""
    policy = policy_text(_statements(config))
    if config.auth == ROLE:
        text = role_text(policy, config.role_arn, region_of(config), identity)
    elif config.auth == AMBIENT:
        text = hub_user_text(policy, identity) + notes(_OTHER_ACCOUNT)
    else:
        queue = queue_of(config)
        text = user_text(policy, queue.name if queue else "queue", identity)
    return f"{text}\n{notes(_NOTES)}"


def terraform_text(config: SqsConfig, identity: HubIdentity) -> str:
    """Return the module for the chosen way of signing in."""
    statements = _statements(config)
    if config.auth == ROLE:
        return role_module(statements, config.role_arn, region_of(config), identity)
    if config.auth == AMBIENT:
        return hub_user_module(statements, identity)
    queue = queue_of(config)
    return user_module(statements, queue.name if queue else "queue", identity)


def _statements(config: SqsConfig) -> list[Statement]:
    bucket = [bucket_statement(config)] if config.s3_bucket else []
    return [queue_statement(config), *bucket]
