"""AWS Signature Version 4 as a server computes it, for test servers that must not take any signature.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
Only the Authorization header: the services behind it (SQS, STS) are not called by presigned URLs here.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qsl, quote

ALGORITHM = "AWS4-HMAC-SHA256"
TIME_FORM = "%Y%m%dT%H%M%SZ"


class Unsigned(Exception):
    """A request without a signature that can be read; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What of an HTTP request goes into its signature."""

    method: str
    target: str  # path and query, as on the wire
    headers: Mapping[str, str]  # names in lower case
    body: bytes


@dataclass(frozen=True, slots=True)
class Claim:
    """What a request says of its signature."""

    access_key: str
    day: str  # 20260701
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    sent_at: datetime


def claim_of(request: SignedRequest) -> Claim:
    """Read the Authorization header; raise ``Unsigned``."""
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    if scheme != ALGORITHM:
        raise Unsigned("Request is missing Authentication Token")
    try:
        parts = dict(part.strip().split("=", 1) for part in rest.split(","))
        access_key, day, region, service, _ = parts["Credential"].split("/")
        sent_at = datetime.strptime(request.headers["x-amz-date"], TIME_FORM).replace(tzinfo=UTC)
        names = tuple(parts["SignedHeaders"].split(";"))
        return Claim(access_key, day, region, service, names, parts["Signature"], sent_at)
    except (KeyError, ValueError) as error:
        raise Unsigned(f"Authorization header is malformed: {error}") from error


def is_right(request: SignedRequest, claim: Claim, secret: str) -> bool:
    """Tell whether the claimed signature is the one that ``secret`` gives."""
    return "host" in claim.signed_headers and hmac.compare_digest(signature(request, claim, secret), claim.signature)


def signature(request: SignedRequest, claim: Claim, secret: str) -> str:
    """Return the hexadecimal signature of a request under ``secret``."""
    scope = f"{claim.day}/{claim.region}/{claim.service}/aws4_request"
    digest = hashlib.sha256(_canonical(request, claim.signed_headers).encode()).hexdigest()
    text = "\n".join([ALGORITHM, claim.sent_at.strftime(TIME_FORM), scope, digest])
    key = f"AWS4{secret}".encode()
    for part in scope.split("/"):
        key = _hmac(key, part)
    return _hmac(key, text).hex()


def _canonical(request: SignedRequest, names: tuple[str, ...]) -> str:
    path, _, query = request.target.partition("?")
    headers = "".join(f"{name}:{' '.join(request.headers.get(name, '').split())}\n" for name in names)
    digest = hashlib.sha256(request.body).hexdigest()
    return "\n".join(
        [request.method, quote(path, safe="/-_.~%"), _canonical_query(query), headers, ";".join(names), digest]
    )


def _canonical_query(query: str) -> str:
    pairs = sorted((quote(name, safe="-_.~"), quote(value, safe="-_.~")) for name, value in parse_qsl(query, True))
    return "&".join(f"{name}={value}" for name, value in pairs)


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.new(key, text.encode(), hashlib.sha256).digest()
