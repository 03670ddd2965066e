"""What the destinations on AWS share: how they sign in, and the clients that they use.

Three ways: the access key of a user that was made for the hub; a role that the hub assumes with an
external id of its own; or the hub's own user. The keys of the last two come from the hub's
settings. Blank fields never mean "look on this machine".
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from destinations.adapters.aws_errors import Failure
from destinations.egress import EgressPolicy
from destinations.hosts import EgressRefused, parse_url
from destinations.identity import HubIdentity
from destinations.specs import OnlyIf, option

if TYPE_CHECKING:
    from destinations.adapters.aws_guard import Guard

ACCESS_KEY, ROLE, AMBIENT = "access_key", "role", "ambient"
REGION_PATTERN = r"[a-z0-9][a-z0-9-]{0,62}"
ROLE_ARN_PATTERN = r"arn:aws(?:-[a-z]+)*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]{1,512}"
ROLE_SECONDS = 3600
_REFUSED_S = 5.0  # how long a refusal by STS is believed, so that a batch asks once

Statement = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsConfig:
    """How a destination on AWS signs in."""

    auth: str = option(
        "Sign in with",
        default=ACCESS_KEY,
        choices=(
            (ACCESS_KEY, "Access key of a user made for the hub"),
            (ROLE, "Role that the hub assumes"),
            (AMBIENT, "The hub's own user"),
        ),
        help="The last two need HUB_AWS_ARN and its key in the hub's settings; the last one also HUB_AWS_AMBIENT.",
    )
    role_arn: str = option(
        "Role ARN",
        only_if=OnlyIf("auth", (ROLE,)),
        pattern=ROLE_ARN_PATTERN,
        placeholder="arn:aws:iam::123456789012:role/terra-hub",
        stand_in="arn:aws:iam::123456789012:role/terra-hub",
        help="Give the role the trust policy of the set-up beside this form: it has this destination's external id.",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsCredentials:
    """The access key; empty for a role and for the hub's own user."""

    access_key_id: str = option(
        "Access key ID",
        only_if=OnlyIf("auth", (ACCESS_KEY,)),
        max_length=128,
        placeholder="AKIAIOSFODNN7EXAMPLE",
        tail=True,
        help="Of the user that the set-up makes. No secret.",
    )
    secret_access_key: str = option(
        "Secret access key",
        only_if=OnlyIf("auth", (ACCESS_KEY,)),
        max_length=512,
        secret=True,
        tail=True,
        placeholder="40 letters, digits, / and +",
        help="AWS shows it once, when the key is made. Stored sealed, and never shown again.",
    )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def config_problems(config: AwsConfig) -> dict[str, str]:
    """Return what is wrong with the way of signing in, per field, for a config that came past no form."""
    if config.auth == ROLE and not config.role_arn:
        return {"role_arn": "A role needs its ARN: arn:aws:iam::123456789012:role/terra-hub."}
    return {}


def endpoint_problem(url: str) -> str:
    """Return what is wrong with the endpoint of a service; ``""`` where it is good, or empty."""
    if not url:
        return ""
    try:
        path = parse_url(url).path
    except EgressRefused as refused:
        return f"{refused.detail} {refused.hint}".strip()
    return "" if path == "/" else "Give scheme, host and port only; bucket and queue have fields of their own."


def partition_of(region: str) -> str:
    """Return the partition that ARNs of a region are in: ``aws``, ``aws-cn``, ``aws-us-gov``."""
    for start, partition in (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov")):
        if region.startswith(start):
            return partition
    return "aws"


class AwsAccess:
    """Signs in for one destination and makes its clients. Its clients may be used by many threads."""

    def __init__(
        self,
        config: AwsConfig,
        credentials: AwsCredentials,
        identity: HubIdentity,
        policy: EgressPolicy,
        *,
        region: str,
        statements: Sequence[Statement],
        timeout_s: float = 30.0,
        connections: int = 16,
        ca_pem: str = "",
        role_seconds: int = ROLE_SECONDS,
    ) -> None:
        """Keep the set-up; send nothing yet. ``statements`` are all that an assumed role may do here."""
        self._config, self._credentials, self._identity, self._policy = config, credentials, identity, policy
        self._region, self._statements, self._role_seconds = region, statements, role_seconds
        self._timeout_s, self._connections, self._ca_pem = timeout_s, connections, ca_pem
        self._guards: list[Guard] = []
        self._signing: Any = None
        self._sts: Any = None
        self._refused: tuple[float, Exception] | None = None

    @property
    def secrets(self) -> list[str]:
        """Return every secret that an answer could echo."""
        return [text for text in (self._credentials.secret_access_key, self._identity.aws_secret_access_key) if text]

    @property
    def names(self) -> dict[str, str]:
        """Return what hints of ``aws_errors`` are filled in with."""
        return {"hub_arn": self._identity.aws_arn, "external_id": self._identity.external_id}

    def problem(self) -> Failure | None:
        """Return why no request can be signed, where that is known without asking anybody."""
        if self._config.auth == ACCESS_KEY:
            blank = not (self._credentials.access_key_id.strip() and self._credentials.secret_access_key.strip())
            return _KEY_MISSING if blank else None
        if not (self._identity.aws_access_key_id and self._identity.aws_secret_access_key and self._identity.aws_arn):
            return _HUB_USER_MISSING
        if self._config.auth == AMBIENT:
            return None if self._identity.aws_ambient else _AMBIENT_NOT_ALLOWED
        return self._role_problem()

    def client(self, service: str, *, endpoint_url: str = "", **about: Any) -> Any:
        """Return a client of ``service``; ``about`` is for botocore's ``Config``. Call ``problem`` before."""
        from destinations.adapters.aws_guard import Guard, make_client

        self._signing = self._signing or self._signer()
        guard = Guard(self._policy, timeout_s=self._timeout_s, connections=self._connections, ca_pem=self._ca_pem)
        self._guards.append(guard)
        return make_client(service, guard, self._signing, region=self._region, endpoint_url=endpoint_url, **about)

    def assume(self, external_id: str | None) -> Mapping[str, Any]:
        """Return temporary keys of the role, as STS answers; raise botocore's errors.

        Without an external id, and with a wrong one, this must fail: a check tries both.
        """
        named = {"ExternalId": external_id} if external_id else {}
        policy = json.dumps({"Version": "2012-10-17", "Statement": list(self._statements)})
        answer = self._sts_client().assume_role(
            RoleArn=self._config.role_arn,
            RoleSessionName=f"hub-{self._identity.destination_id}"[:64],
            DurationSeconds=self._role_seconds,
            Policy=policy,
            **named,
        )
        return answer["Credentials"]  # type: ignore[no-any-return]  # botocore is untyped

    def close(self) -> None:
        """Close every connection."""
        guards, self._guards = self._guards, []
        for guard in guards:
            guard.close()
        self._signing = self._sts = None

    def _role_problem(self) -> Failure | None:
        if not self._identity.external_id:
            return _NOT_SAVED
        if not re.fullmatch(ROLE_ARN_PATTERN, self._config.role_arn):
            return _ROLE_MISSING
        same_account = self._config.role_arn.split(":")[4:5] == self._identity.aws_arn.split(":")[4:5]
        return _OWN_ACCOUNT if same_account else None

    def _signer(self) -> Any:
        from botocore.credentials import Credentials, DeferredRefreshableCredentials

        if self._config.auth == ROLE:
            return DeferredRefreshableCredentials(self._refreshed, "hub-assume-role")
        if self._config.auth == AMBIENT:
            return Credentials(self._identity.aws_access_key_id, self._identity.aws_secret_access_key)
        return Credentials(self._credentials.access_key_id.strip(), self._credentials.secret_access_key.strip())

    def _refreshed(self) -> dict[str, str]:
        """Return new keys of the role; botocore asks 15 minutes before the old ones end, in one thread at a time."""
        if self._refused and monotonic() - self._refused[0] < _REFUSED_S:
            raise self._refused[1]
        try:
            keys = self.assume(self._identity.external_id)
        except Exception as error:
            self._refused = monotonic(), error
            raise
        self._refused = None
        return {
            "access_key": keys["AccessKeyId"],
            "secret_key": keys["SecretAccessKey"],
            "token": keys["SessionToken"],
            "expiry_time": keys["Expiration"].isoformat(),
        }

    def _sts_client(self) -> Any:
        from botocore.credentials import Credentials

        from destinations.adapters.aws_guard import Guard, make_client

        if self._sts is None:
            guard = Guard(self._policy, timeout_s=self._timeout_s, connections=1)
            self._guards.append(guard)
            own = Credentials(self._identity.aws_access_key_id, self._identity.aws_secret_access_key)
            self._sts = make_client(
                "sts", guard, own, region=self._region, endpoint_url=self._identity.aws_sts_endpoint
            )
        return self._sts


_KEY_MISSING = Failure(
    "credentials_missing",
    "The access key is not set.",
    "Fill in access_key_id and secret_access_key, or choose another way to sign in.",
)
_HUB_USER_MISSING = Failure(
    "hub_identity_missing",
    "The hub has no user of its own at AWS.",
    "Set HUB_AWS_ARN, HUB_AWS_ACCESS_KEY_ID and HUB_AWS_SECRET_ACCESS_KEY, or use an access key.",
)
_AMBIENT_NOT_ALLOWED = Failure(
    "ambient_not_allowed",
    "Destinations may not use the hub's own user.",
    "Set HUB_AWS_AMBIENT=allowed, or use an access key or a role.",
)
_NOT_SAVED = Failure(
    "not_saved",
    "The external id is made when the destination is saved.",
    "Save it, paste the trust policy of its set-up text at AWS, and check again.",
)
_ROLE_MISSING = Failure("role_missing", "The role's ARN is not set.", "Fill in role_arn.")
_OWN_ACCOUNT = Failure(
    "role_of_own_account",
    "The role is in the hub's own account.",
    "Use an access key or the hub's own user there: a role of the hub's account may trust more than this destination.",
)
