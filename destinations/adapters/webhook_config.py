"""What a webhook destination is set up with, and what is wrong with a set-up."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from destinations.adapters.webhook_sealed import (
    HEADER_TEXT,
    MAX_TEXT,
    credentials_in_query,
    header_name_problem,
    header_names,
    headers_read,
    is_credential,
    query_names,
    query_read,
    stored_pairs,
)
from destinations.hosts import EgressRefused, parse_url
from destinations.pem import EXAMPLE, MALFORMED, is_pem
from destinations.specs import OnlyIf, option

PUSH, PING = "push", "ping"
NONE, BASIC, BEARER, HEADER = "none", "basic", "bearer", "header"
MAX_HEADERS = 32

_VALUE = re.compile(HEADER_TEXT)
MAX_VALUE = 2048


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
        help="Sent with each request, and shown to whoever may look. Keys and tokens go into the secret headers.",
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
        pattern=HEADER_TEXT,
        expected="printable ASCII, without line breaks",
        placeholder="eyJ… or a key of the receiver's",
        help="What the receiver gave you, without “Bearer”. Stored sealed, and never shown again.",
    )
    secret_headers: str = option(
        "Secret headers",
        default="",
        placeholder="X-Api-Key: the receiver's key",
        secret=True,
        multiline=True,
        advanced=True,
        max_length=MAX_TEXT,
        reader=headers_read,
        facts=header_names,
        help="Sent with each request, one per line. Stored sealed: the names are shown, the values never. "
        "What you type replaces all of them.",
    )
    secret_query: str = option(
        "Secret query parameters",
        default="",
        placeholder="token: as it would stand in the URL",
        secret=True,
        multiline=True,
        advanced=True,
        max_length=MAX_TEXT,
        reader=query_read,
        facts=query_names,
        help="Added to the URL, one per line, for receivers that look for their key there. Stored sealed, as the "
        "secret headers are.",
    )
    # Set by a rotation: until this time (ISO 8601), requests carry a signature of both secrets.
    previous_signing_secret: str = ""
    previous_valid_until: str = ""

    def __repr__(self) -> str:
        return "<WebhookCredentials>"


def problems(config: WebhookConfig) -> Iterator[tuple[str, str]]:
    """Yield (field, what to change) for everything that is wrong with ``config``."""
    if problem := _url_problem(config.url):
        yield "url", problem
    if ":" in config.username or not config.username.isprintable():
        yield "username", "Must not contain a colon or control characters: basic authentication cannot send them."
    problem = header_name_problem(config.auth_header) if config.auth == HEADER else ""
    if problem:
        yield "auth_header", problem
    problem = _headers_problem(config)
    if problem:
        yield "headers", problem
    if config.ca_certificate.strip() and not is_pem(config.ca_certificate):
        yield "ca_certificate", MALFORMED


def _url_problem(url: str) -> str:
    try:
        parse_url(url)
    except EgressRefused as refusal:
        return f"{refusal.detail} {refusal.hint}".strip()
    named = ", ".join(dict.fromkeys(credentials_in_query(url)))
    return (
        f"What its query has under {named[:200]} looks like a credential, and would be stored in clear: "
        "put it into Secret query parameters (credentials.secret_query)."
        if named
        else ""
    )


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
    if problem := header_name_problem(name):
        return problem
    if is_credential(name, value):
        return (
            f"{name} looks like a credential, and would be stored in clear: put it into Secret headers "
            "(credentials.secret_headers), or choose an authentication."
        )
    if len(value) > MAX_VALUE or not _VALUE.fullmatch(value):
        return f"The value of {name!a} must be 1 to {MAX_VALUE} printable ASCII characters."
    return ""


def credential_problems(config: WebhookConfig, credentials: WebhookCredentials) -> Iterator[tuple[str, str]]:
    """Yield (field, what to change) for secret headers that something else of the set-up sends already."""
    sent = {name.lower(): "the headers" for name in config.headers}
    sent |= {"authorization": "the authentication"} if config.auth in (BASIC, BEARER) else {}
    sent |= {config.auth_header.lower(): "the authentication"} if config.auth == HEADER else {}
    for name in stored_pairs(credentials.secret_headers):
        if name.lower() in sent:
            yield "secret_headers", f"{name} is sent by {sent[name.lower()]} already: take it out of one of the two."
            return
