"""Who may do what at the test servers for AWS: users, roles, policies, and the sessions of roles.

Policies and trust policies are the documents that an operator pastes into IAM, so a test can use a
destination's set-up text word for word. Read are ``Action``, ``Resource``, ``Principal`` and the
condition on ``sts:ExternalId``; everything that no statement allows is refused.

The codes of refusals are those that AWS is remembered to give; they were not recorded from it.
"""

import json
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from typing import Any

ACCOUNT = "000000000000"
SHORTEST_SESSION_S, LONGEST_SESSION_S = 900, 3600
_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}")  # of RoleSessionName, by the API reference of STS
Policy = Mapping[str, Any]


class Refused(Exception):
    """A request that gets an error for an answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


@dataclass(slots=True)
class Identity:
    """A user, or a role's session: then with a token, and a time at which it ends."""

    arn: str
    secret: str
    policy: Policy
    token: str = ""
    expires: datetime | None = None
    cap: Policy | None = None  # a session's own policy: it takes away, and gives nothing

    def may(self, action: str, resource: str) -> bool:
        """Tell whether the identity may do ``action`` with ``resource``."""
        return allows(self.policy, action, resource) and (self.cap is None or allows(self.cap, action, resource))


@dataclass(frozen=True, slots=True)
class SessionKeys:
    """What AssumeRole hands out."""

    access_key: str
    secret: str
    token: str
    expires: datetime


@dataclass(slots=True)
class Role:
    """A role. ``issuer`` gets the request and the seconds, where another server's sessions are handed on."""

    trust: Policy
    policy: Policy
    issuer: Callable[[Mapping[str, str], int], SessionKeys] | None = None
    lifetime_s: int | None = None  # of the sessions, whatever was asked for: to see one end


@dataclass
class Directory:
    """All identities of one gate. Tests change them while it runs."""

    users: dict[str, Identity] = field(default_factory=dict)  # by access key
    roles: dict[str, Role] = field(default_factory=dict)  # by ARN
    sessions: dict[str, Identity] = field(default_factory=dict)  # by access key

    def add_user(self, name: str, policy: Policy, secret: str = "", account: str = ACCOUNT) -> str:
        """Make a user and return its access key; its secret is ``users[key].secret``."""
        key = f"AKIA{secrets.token_hex(8).upper()}"
        self.users[key] = Identity(f"arn:aws:iam::{account}:user/{name}", secret or secrets.token_hex(20), policy)
        return key

    def add_role(self, name: str, role: Role) -> str:
        """Make a role and return its ARN."""
        arn = f"arn:aws:iam::{ACCOUNT}:role/{name}"
        self.roles[arn] = role
        return arn

    def identity(self, access_key: str, token: str, now: datetime) -> Identity:
        """Return whose key it is; raise ``Refused`` for an unknown key, a wrong token or a session that ended."""
        found = self.users.get(access_key) or self.sessions.get(access_key)
        if found is None or found.token != token:
            raise Refused(403, "InvalidClientTokenId", "The security token included in the request is invalid.")
        if found.expires and now > found.expires:
            raise Refused(403, "ExpiredToken", "The security token included in the request is expired")
        return found

    def assume(self, caller: Identity, form: Mapping[str, str]) -> SessionKeys:
        """Answer AssumeRole; raise ``Refused`` as the trust policy, the name or the duration asks for it."""
        role = self.roles.get(form.get("RoleArn", ""))
        if role is None or not trusts(role.trust, caller.arn, form.get("ExternalId")):
            raise denied(caller, "sts:AssumeRole", form.get("RoleArn", ""))
        name, seconds = form.get("RoleSessionName", ""), int(form.get("DurationSeconds", "3600"))
        if not _SESSION_NAME.fullmatch(name):
            raise Refused(400, "ValidationError", "RoleSessionName failed to satisfy its pattern.")
        if not SHORTEST_SESSION_S <= seconds <= LONGEST_SESSION_S:
            raise Refused(400, "ValidationError", "The requested DurationSeconds exceeds the MaxSessionDuration.")
        seconds = seconds if role.lifetime_s is None else role.lifetime_s
        keys = role.issuer(form, seconds) if role.issuer else _new_keys(seconds)
        cap = json.loads(form["Policy"]) if "Policy" in form else None
        arn = form["RoleArn"].replace(":iam:", ":sts:").replace(":role/", ":assumed-role/") + f"/{name}"
        self.sessions[keys.access_key] = Identity(arn, keys.secret, role.policy, keys.token, keys.expires, cap)
        return keys


def _new_keys(seconds: int) -> SessionKeys:
    expires = datetime.now(UTC) + timedelta(seconds=seconds)
    return SessionKeys(f"ASIA{secrets.token_hex(8).upper()}", secrets.token_hex(20), secrets.token_urlsafe(60), expires)


def denied(caller: Identity, action: str, resource: str) -> Refused:
    """Return what IAM answers where no policy allows an action."""
    message = f"User: {caller.arn} is not authorized to perform: {action} on resource: {resource}"
    return Refused(403, "AccessDenied", f"{message} because no identity-based policy allows the {action} action")


def allows(policy: Policy, action: str, resource: str) -> bool:
    """Tell whether a statement of ``policy`` allows ``action`` on ``resource``."""
    return any(
        _matches(_listed(statement.get("Action")), action.lower(), lower=True)
        and _matches(_listed(statement.get("Resource")), resource)
        for statement in _listed(policy.get("Statement"))
    )


def trusts(policy: Policy, caller: str, external_id: str | None) -> bool:
    """Tell whether a trust policy lets ``caller`` in with ``external_id``."""
    for statement in _listed(policy.get("Statement")):
        asked = statement.get("Condition", {}).get("StringEquals", {}).get("sts:ExternalId")
        named = caller in _listed(statement.get("Principal", {}).get("AWS"))
        if named and "sts:AssumeRole" in _listed(statement.get("Action")) and asked in (None, external_id):
            return True
    return False


def allow(*actions: str, resource: str = "*") -> Policy:
    """Return a policy that allows ``actions`` on one resource."""
    return {"Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": resource}]}


def _listed(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _matches(patterns: Sequence[str], text: str, lower: bool = False) -> bool:
    return any(fnmatchcase(text, pattern.lower() if lower else pattern) for pattern in patterns)
