"""Roles with an external id for SeaweedFS, which knows none: the gate asks for it, SeaweedFS gives the keys."""

from collections.abc import Callable, Mapping
from datetime import UTC

from tests.services.iam import SessionKeys
from tests.services.seaweedfs import HUB_KEY, ROLE_ARN, SeaweedServer


def sessions_of(store: SeaweedServer) -> Callable[[Mapping[str, str], int], SessionKeys]:
    """Return an issuer for a role of the gate: sessions of the store's own role, capped as was asked."""
    client = store.client("sts", HUB_KEY)

    def issue(form: Mapping[str, str], seconds: int) -> SessionKeys:
        answer = client.assume_role(
            RoleArn=ROLE_ARN,
            RoleSessionName=form["RoleSessionName"],
            DurationSeconds=seconds,
            **{name: form[name] for name in ("Policy",) if name in form},
        )
        keys = answer["Credentials"]
        expires = keys["Expiration"].astimezone(UTC)
        return SessionKeys(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"], expires)

    return issue
