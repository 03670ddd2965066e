"""The fields of a GCS destination, and the addresses that it speaks to."""

from collections.abc import Iterator
from dataclasses import dataclass

from destinations.adapters.gcs_key import MAX_BYTES, TOKEN_URI, public_facts, rebuilt
from destinations.adapters.objects import MAX_PREFIX, PREFIX_LETTERS, PREFIX_PATTERN, prefix_problem
from destinations.identity import HubIdentity
from destinations.specs import option

API = "https://storage.googleapis.com"
ROLE = "roles/storage.objectAdmin"
# https://cloud.google.com/storage/docs/buckets#naming: 3 to 63 characters; with dots, so many in each part.
_PART = r"[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?"
_BUCKET = rf"(?=.{{3,222}}\Z){_PART}(?:\.{_PART})*"


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where Google's two APIs are. No config and no key decides that, only the hub's own operator."""

    api: str = API
    token: str = TOKEN_URI


def endpoints_of(identity: HubIdentity) -> Endpoints:
    """Return Google's own endpoints, or those of a test server that the hub's settings name."""
    return Endpoints(identity.gcs_endpoint or API, identity.gcs_token_endpoint or TOKEN_URI)


@dataclass(frozen=True, slots=True)
class GcsConfig:
    """Where the objects go."""

    bucket: str = option(
        "Bucket",
        pattern=_BUCKET,
        expected="a bucket's name, without gs://",
        placeholder="my-bucket",
        help="Its name alone. The hub makes no buckets.",
    )
    prefix: str = option(
        "Prefix",
        default="",
        pattern=PREFIX_PATTERN,
        max_length=MAX_PREFIX,
        expected=PREFIX_LETTERS,
        placeholder="folder/subfolder",
        help="Stands in front of every key. Empty: keys begin with the version, as on Terra's page.",
    )


@dataclass(frozen=True, slots=True)
class GcsCredentials:
    """The key of a service account: what is stored of it is JSON with four fields of Google's file."""

    service_account_key: str = option(
        "Service account key",
        placeholder='{"type": "service_account", …}',
        secret=True,
        multiline=True,
        upload=True,
        reader=rebuilt,
        facts=public_facts,
        max_length=MAX_BYTES,
        help=f"The JSON file of a service account that has {ROLE} on the bucket.",
    )

    def __repr__(self) -> str:
        return "<GcsCredentials>"


def problems(config: GcsConfig) -> Iterator[tuple[str, str]]:
    """Yield (field, what to change) for everything that is wrong with ``config``."""
    if problem := prefix_problem(config.prefix):
        yield "prefix", problem
    if config.bucket.startswith("goog") or "google" in config.bucket:
        yield "bucket", "Google lets no bucket have a name that begins with goog or contains google."
