"""The fields of an Azure Blob destination, and the address that it speaks to.

Names: https://learn.microsoft.com/rest/api/storageservices/naming-and-referencing-containers--blobs--and-metadata
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from destinations.adapters.azureblob_secrets import MAX_TOKEN, facts_of_token, read_key, read_token
from destinations.adapters.objects import MAX_PREFIX, PREFIX_PATTERN, clean_prefix, prefix_problem
from destinations.hosts import EgressRefused, Endpoint, parse_url
from destinations.pem import EXAMPLE, MALFORMED, is_pem
from destinations.specs import OnlyIf, option

SAS_TOKEN, ACCOUNT_KEY = "sas_token", "account_key"  # names of choices
MAX_SEGMENTS = 250  # of a prefix; Azure takes 254 in all
_OF_AN_ACCOUNT = re.compile(r"([^.]+)\.blob\.core\..+")  # storage accounts of every cloud of Microsoft's


@dataclass(frozen=True, slots=True)
class AzureBlobConfig:
    """Where the blobs go, and how the hub signs in."""

    account: str = option(
        "Storage account",
        pattern=r"[a-z0-9]{3,24}",
        placeholder="mystorageaccount: 3 to 24 small letters and digits",
        help="Its name alone.",
    )
    container: str = option(
        "Container",
        pattern=r"(?=.{3,63}\Z)[a-z0-9]+(?:-[a-z0-9]+)*",
        placeholder="terra-events: 3 to 63 small letters, digits and single hyphens",
        help="Its name alone. The hub makes no containers.",
    )
    prefix: str = option(
        "Prefix",
        default="",
        pattern=PREFIX_PATTERN,
        max_length=MAX_PREFIX,
        placeholder="folder/subfolder",
        help="Stands in front of every name. Empty: names begin with the version, as on Terra's page.",
    )
    auth: str = option(
        "Sign in with",
        default=SAS_TOKEN,
        choices=(
            (SAS_TOKEN, "SAS token of the container (create, write, read)"),
            (ACCOUNT_KEY, "Account key (opens the whole account)"),
        ),
        help="A SAS token can be kept to this container, ends by itself, and is revoked with its access policy.",
    )
    endpoint_url: str = option(
        "Endpoint",
        default="",
        placeholder="https://mystorageaccount.blob.core.chinacloudapi.cn",
        help=(
            "Of another cloud than Azure's public one, or of a server of your own. Empty: "
            "https://<account>.blob.core.windows.net. Azurite: http://host:10000/devstoreaccount1."
        ),
    )
    ca_certificate: str = option(
        "CA certificate",
        default="",
        placeholder=EXAMPLE,
        help="PEM text of the CA that signed the endpoint's certificate. Empty: the public CAs.",
        multiline=True,
        advanced=True,
        max_length=100_000,
    )


@dataclass(frozen=True, slots=True)
class AzureBlobCredentials:
    """What opens the container."""

    sas_token: str = option(
        "SAS token",
        placeholder="sv=2024-11-04&si=terra-hub&sr=c&sig=…",
        secret=True,
        only_if=OnlyIf("auth", (SAS_TOKEN,)),
        reader=read_token,
        facts=facts_of_token,
        max_length=MAX_TOKEN,
        help="Of the container, with the permissions rcw. The set-up text makes one.",
    )
    account_key: str = option(
        "Account key",
        placeholder="88 letters, digits, / and +, with == at the end",
        secret=True,
        tail=True,
        only_if=OnlyIf("auth", (ACCOUNT_KEY,)),
        reader=read_key,
        help="One of the account's two keys, in base64. Not the connection string.",
    )

    def __repr__(self) -> str:
        return "<AzureBlobCredentials>"


def endpoint_of(config: AzureBlobConfig) -> str:
    """Return the URL that containers are under, without a final slash."""
    url = config.endpoint_url or f"https://{config.account}.blob.core.windows.net"
    try:
        return parse_url(url).url.rstrip("/")
    except EgressRefused:
        return url  # refused again, in words, when it is dialled


def place_of(config: AzureBlobConfig) -> str:
    """Return ``https://account.blob.core.windows.net/container``."""
    return f"{endpoint_of(config)}/{config.container}"


def missing_secret(config: AzureBlobConfig) -> tuple[str, str]:
    """Say, as (detail, hint), that there is nothing to sign with."""
    return f"The destination has no usable {config.auth}.", f"Edit the destination and fill in {config.auth}."


def problems(config: AzureBlobConfig) -> Iterator[tuple[str, str]]:
    """Yield (field, what to change) for everything that is wrong with ``config``."""
    if problem := prefix_problem(config.prefix) or _segments_problem(config.prefix):
        yield "prefix", problem
    if config.endpoint_url and (problem := _endpoint_problem(config)):
        yield "endpoint_url", problem
    if config.ca_certificate.strip() and not is_pem(config.ca_certificate):
        yield "ca_certificate", MALFORMED


def _segments_problem(prefix: str) -> str:
    segments = clean_prefix(prefix).split("/")
    if len(segments) > MAX_SEGMENTS:
        return f"Must have at most {MAX_SEGMENTS} segments."
    if any(segment.endswith(".") for segment in segments):
        return "No segment may end with a dot: Azure drops it there."
    return ""


def _endpoint_problem(config: AzureBlobConfig) -> str:
    try:
        endpoint = parse_url(config.endpoint_url)
    except EgressRefused as refusal:
        return f"{refusal.detail} {refusal.hint}".strip()
    return _path_problem(config, endpoint) or _host_problem(config, endpoint)


def _path_problem(config: AzureBlobConfig, endpoint: Endpoint) -> str:
    if endpoint.path.rstrip("/") in ("", f"/{config.account}"):
        return ""
    return (
        f"Its path must be empty, or /{config.account} where the server has accounts in the path (Azurite). "
        "The container has a field of its own."
    )


def _host_problem(config: AzureBlobConfig, endpoint: Endpoint) -> str:
    named = _OF_AN_ACCOUNT.fullmatch(endpoint.host)
    if named and named[1] != config.account:
        return f"It is that of the account {named[1]}, and account says {config.account}."
    return ""
