"""What a Supabase destination is set up with, and what is wrong with a set-up."""

from collections.abc import Iterator
from dataclasses import dataclass

from destinations.hosts import EgressRefused, parse_url
from destinations.pem import EXAMPLE, MALFORMED, is_pem
from destinations.specs import option

NAME = r"[A-Za-z_][A-Za-z0-9_$]{0,62}"
# Storage takes more in a bucket's name than in a host's; without "/", and not "." or "..".
BUCKET = r"[A-Za-z0-9_][A-Za-z0-9_!.*'() &$@=;:+,-]{0,99}"
SECRET_KEY = "sb_secret_"  # noqa: S105  # how keys of the newer kind begin


@dataclass(frozen=True, slots=True)
class SupabaseConfig:
    """The project, and what in it is written to."""

    project_url: str = option(
        "Project URL",
        placeholder="https://abcdefghijklmnopqrst.supabase.co",
        help="Supabase: Project Settings, Data API, Project URL. Without a path.",
    )
    bucket: str = option(
        "Bucket",
        default="terra-payloads",
        pattern=BUCKET,
        placeholder="terra-payloads",
        help="The storage bucket for payloads. It should be private.",
        max_length=100,
    )
    schema: str = option(
        "Schema",
        default="public",
        pattern=NAME,
        expected="letters, digits, _ and $",
        placeholder="public",
        help="The schema of Terra's tables; the Data API has to expose it.",
        advanced=True,
    )
    ca_certificate: str = option(
        "CA certificate",
        default="",
        placeholder=EXAMPLE,
        help="PEM text of the CA that signed the certificate of a Supabase of your own. Empty: the public CAs.",
        multiline=True,
        advanced=True,
        max_length=100_000,
    )


@dataclass(frozen=True, slots=True)
class SupabaseCredentials:
    """The key that may write."""

    api_key: str = option(
        "API key",
        secret=True,
        tail=True,
        max_length=4096,
        pattern=r"(?!sb_publishable_)[\x21-\x7e]+",
        expected="a secret key (sb_secret_…) or the service_role key (eyJ…), not a publishable one",
        placeholder="sb_secret_… or eyJ…",
        help="Supabase: Project Settings, API Keys. A secret key (sb_secret_…), or the older service_role key (eyJ…).",
    )

    def __repr__(self) -> str:
        return "<SupabaseCredentials>"


def problems(config: SupabaseConfig) -> Iterator[tuple[str, str]]:
    """Yield (field, what to change) for everything that is wrong with ``config``."""
    try:
        if parse_url(config.project_url).path != "/":
            yield "project_url", "Give the project's URL without a path, like https://abcdefghijklmnopqrst.supabase.co."
    except EgressRefused as refusal:
        yield "project_url", f"{refusal.detail} {refusal.hint}".strip()
    if config.ca_certificate.strip() and not is_pem(config.ca_certificate):
        yield "ca_certificate", MALFORMED
