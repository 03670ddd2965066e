"""What a webhook destination is set up with, and what is wrong with a set-up."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from destinations.hosts import EgressRefused, parse_url
from destinations.pem import EXAMPLE, MALFORMED, is_pem
from destinations.specs import OnlyIf, option

PUSH, PING = "push", "ping"
NONE, BASIC, BEARER, HEADER = "none", "basic", "bearer", "header"
MAX_HEADERS = 32

# Names by https://www.rfc-editor.org/rfc/rfc9110#section-5.6.2; values without control characters.
_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_TEXT = r"[\x21-\x7e]([\x20-\x7e]*[\x21-\x7e])?"
_VALUE = re.compile(_TEXT)
MAX_VALUE = 2048
# Made by the hub, or by its HTTP client for the connection.
_TAKEN = frozenset(
    {
        "accept-encoding", "connection", "content-encoding", "content-length", "content-type", "dev-id", "expect",
        "host", "keep-alive", "te", "trailer", "trailers", "transfer-encoding", "upgrade", "user-agent",
    }
)  # fmt: skip
_TAKEN_PREFIXES = ("terra-", "x-terra-", "webhook-", "proxy-")
_SEALED_INSTEAD = frozenset({"authorization", "cookie"})


@dataclass(frozen=True, slots=True)
class WebhookConfig:
    """Where events are posted, and in which form."""

    url: str = option(
        "URL", placeholder="https://api.example.com/webhooks/terra", help="Events are posted here. https:// or http://."
    )
    delivery: str = option(
        "Delivery",
        default=PUSH,
        choices=((PUSH, "Push: the event itself"), (PING, "Ping: a link to the event")),
        help="Push posts the exact bytes that Terra sent. Ping posts an s3_payload event with a link to them.",
    )
    auth: str = option(
        "Authentication",
        default=NONE,
        choices=(
            (NONE, "None: the signature is enough"),
            (BASIC, "Basic: user name and password"),
            (BEARER, "Bearer token"),
            (HEADER, "A header of your own with a key"),
        ),
        help="What the receiver asks for, beside the signature that every request has.",
    )
    username: str = option(
        "User name",
        only_if=OnlyIf("auth", (BASIC,)),
        max_length=255,
        placeholder="terra-hub",
        help="As the receiver knows it.",
    )
    auth_header: str = option(
        "Name of the key's header",
        placeholder="X-Api-Key",
        only_if=OnlyIf("auth", (HEADER,)),
        max_length=100,
        help="The header that the receiver looks for its key in.",
    )
    headers: dict[str, str] = option(  # noqa: RUF009  # option makes a factory of it
        "More headers",
        default={},
        placeholder="X-Environment: production",
        help="Sent with each request. Not sealed: put keys and tokens into the authentication.",
        advanced=True,
    )
    ca_certificate: str = option(
        "CA certificate",
        default="",
        placeholder=EXAMPLE,
        help="PEM text of the CA that signed the receiver's certificate. Empty: the public CAs.",
        multiline=True,
        advanced=True,
        max_length=100_000,
    )


@dataclass(frozen=True, slots=True)
class WebhookCredentials:
    """The signing secret, and what the receiver asks for."""

    signing_secret: str = option(
        "Signing secret",
        default="",
        placeholder="whsec_…",
        secret=True,
        tail=True,
        generated=True,
        max_length=512,
        help=(
            "Signs each request. Empty: the hub makes one and shows it once. How receivers check with it is in the "
            "set-up text."
        ),
    )
    password: str = option(
        "Password",
        secret=True,
        only_if=OnlyIf("auth", (BASIC,)),
        max_length=1024,
        placeholder="the receiver's password",
        help="Stored sealed, and never shown again.",
    )
    token: str = option(
        "Token or key",
        secret=True,
        tail=True,
        only_if=OnlyIf("auth", (BEARER, HEADER)),
        max_length=4096,
        pattern=_TEXT,
        expected="printable ASCII, without line breaks",
        placeholder="eyJ… or a key of the receiver's",
        help="What the receiver gave you, without “Bearer”. Stored sealed, and never shown again.",
    )
    # Set by a rotation: until this time (ISO 8601), requests carry a signature of both secrets.
    previous_signing_secret: str = ""
    previous_valid_until: str = ""

    def __repr__(self) -> str:
        return "<WebhookCredentials>"


def problems(config: WebhookConfig) -> Iterator[tuple[str, str]]:
    """Yield (field, what to change) for everything that is wrong with ``config``."""
    try:
        parse_url(config.url)
    except EgressRefused as refusal:
        yield "url", f"{refusal.detail} {refusal.hint}".strip()
    if ":" in config.username or not config.username.isprintable():
        yield "username", "Must not contain a colon or control characters: basic authentication cannot send them."
    problem = _name_problem(config.auth_header) if config.auth == HEADER else ""
    if problem:
        yield "auth_header", problem
    problem = _headers_problem(config)
    if problem:
        yield "headers", problem
    if config.ca_certificate.strip() and not is_pem(config.ca_certificate):
        yield "ca_certificate", MALFORMED


def _headers_problem(config: WebhookConfig) -> str:
    if len(config.headers) > MAX_HEADERS:
        return f"Must be at most {MAX_HEADERS} headers."
    lower = [name.lower() for name in config.headers]
    if config.auth == HEADER:
        lower.append(config.auth_header.lower())
    twice = sorted({name for name in lower if lower.count(name) > 1})
    if twice:
        return f"Given more than once: {', '.join(twice)}."
    return next(filter(None, (_header_problem(name, value) for name, value in config.headers.items())), "")


def _header_problem(name: str, value: str) -> str:
    if name.lower() in _SEALED_INSTEAD:
        return f"{name} would be stored in clear: choose an authentication instead."
    if len(value) > MAX_VALUE or not _VALUE.fullmatch(value):
        return f"The value of {name!a} must be 1 to {MAX_VALUE} printable ASCII characters."
    return _name_problem(name)


def _name_problem(name: str) -> str:
    lower = name.lower()
    if not _NAME.fullmatch(name):
        return f"{name!a} is not a header name: use letters, digits and hyphens."
    if lower in _TAKEN or lower.startswith(_TAKEN_PREFIXES):
        return f"{name} is set by the hub itself."
    return ""
