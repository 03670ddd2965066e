"""The fields that SQL kinds share, and what is wrong with them beyond what each field says."""

from dataclasses import dataclass

from cryptography import x509

from destinations.egress import EgressRefused
from destinations.hosts import check_host
from destinations.pem import EXAMPLE
from destinations.specs import OnlyIf, option

# Hosted servers and poolers have names such as "my-db", "postgres.project" and "user@server". They
# go to the driver as values, and are quoted in the set-up text.
LOGIN_NAME = r"[A-Za-z0-9_][A-Za-z0-9_$.@-]{0,62}"
_LETTERS = "letters, digits and _ $ . @ -"


@dataclass(frozen=True, slots=True)
class SqlConfig:
    """Where the rows go."""

    host: str = option("Host", placeholder="db.example.com", help="The server's name or IP address.", max_length=253)
    database: str = option(
        "Database", pattern=LOGIN_NAME, expected=_LETTERS, placeholder="health", help="The hub makes its tables in it."
    )
    username: str = option(
        "User name",
        pattern=LOGIN_NAME,
        expected=_LETTERS,
        placeholder="terra_user",
        help="The user that the set-up text makes.",
    )
    port: int = option("Port", default=0, minimum=1, maximum=65535)  # each type has its own
    ssl_mode: str = option(
        "TLS",
        default="verify-full",
        choices=(
            ("verify-full", "Verify the certificate and its host name"),
            ("verify-ca", "Verify the certificate, not its host name"),
            ("require", "Encrypt, but do not verify who answers"),
            ("disable", "No TLS: I accept health data in clear (private addresses only)"),
        ),
        help="How the hub makes sure that it is your server that answers.",
    )
    ca_certificate: str = option(
        "CA certificate",
        default="",
        placeholder=EXAMPLE,
        help="PEM text of the CA that signed the server's certificate. Empty: the public CAs.",
        only_if=OnlyIf("ssl_mode", ("verify-full", "verify-ca")),
        multiline=True,
        max_length=100_000,
    )

    @property
    def verifies(self) -> bool:
        """Tell whether the server has to prove who it is."""
        return self.ssl_mode in ("verify-full", "verify-ca")


@dataclass(frozen=True, slots=True)
class SqlCredentials:
    """The user's password."""

    password: str = option(
        "Password",
        secret=True,
        placeholder="the password of that user",
        help="Stored sealed, and never shown again.",
    )

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"


def problems_of(config: SqlConfig) -> dict[str, str]:
    """Return hosts that drivers read as a list, a socket or a number, and certificates that are none."""
    found = {}
    try:
        check_host(config.host)
    except EgressRefused as refused:
        found["host"] = f"{refused.detail} {refused.hint}".strip()
    pasted = config.ca_certificate.strip()
    if config.ssl_mode == "verify-ca" and not pasted:
        found["ca_certificate"] = "Paste the CA certificate: without the host name, any public CA would do."
    elif pasted and not _is_pem(pasted):
        found["ca_certificate"] = "Must be one or more certificates in PEM form (-----BEGIN CERTIFICATE-----)."
    return found


def _is_pem(text: str) -> bool:
    try:
        return bool(x509.load_pem_x509_certificates(text.encode()))
    except ValueError:
        return False
