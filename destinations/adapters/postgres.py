"""PostgreSQL: one row per event, one row per user, and a link to each payload."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any, ClassVar

from cryptography import x509

from destinations import terra
from destinations.adapters.base import Adapter, Limits, Message, Outcome, Result, Step
from destinations.adapters.postgres_batch import COMMIT, Batch, Refusal, create_missing
from destinations.adapters.postgres_check import check_steps
from destinations.adapters.postgres_errors import TIMEOUT, Unwell, filled
from destinations.adapters.postgres_link import Link, StatementFailed
from destinations.adapters.postgres_sql import PAGE_SCRIPT, TerraTables, names_of
from destinations.adapters.rows import EventRows, rows_of
from destinations.egress import EgressPolicy, EgressRefused
from destinations.hosts import check_host, with_port
from destinations.specs import option

UNDEFINED_TABLE = "42P01"
NAME = r"[A-Za-z_][A-Za-z0-9_$]{0,62}"
# Hosted servers and poolers have names such as "my-db", "postgres.project" and "user@server". These
# two go to the driver as values, and are quoted in the set-up text.
LOGIN_NAME = r"[A-Za-z0-9_][A-Za-z0-9_$.@-]{0,62}"


@dataclass(frozen=True, slots=True)
class PostgresConfig:
    """Where the rows go."""

    host: str = option("Host", placeholder="db.example.com", max_length=253)
    database: str = option("Database", pattern=LOGIN_NAME, placeholder="letters, digits and _ $ . @ -")
    username: str = option("User name", pattern=LOGIN_NAME, placeholder="letters, digits and _ $ . @ -")
    port: int = option("Port", default=5432, minimum=1, maximum=65535)
    schema: str = option("Schema", default="public", pattern=NAME, placeholder="letters, digits, _ and $")
    ssl_mode: str = option(
        "TLS",
        default="verify-full",
        choices=(
            ("verify-full", "Verify the certificate and its host name"),
            ("verify-ca", "Verify the certificate, not its host name"),
            ("require", "Encrypt, but do not verify who answers"),
            ("disable", "No TLS: I accept health data in clear (private addresses only)"),
        ),
    )
    ca_certificate: str = option(
        "CA certificate",
        default="",
        help="PEM text of the CA that signed the server's certificate. Empty: the public CAs.",
        multiline=True,
        advanced=True,
        max_length=100_000,
    )
    auth_method: str = option(
        "Password method",
        default="scram-sha-256",
        help="How the server may ask for the password; anything else is refused.",
        choices=(("scram-sha-256", "SCRAM-SHA-256"), ("scram-sha-256,md5", "SCRAM-SHA-256 or MD5 (old servers)")),
        advanced=True,
    )


@dataclass(frozen=True, slots=True)
class PostgresCredentials:
    """The user's password."""

    password: str = option("Password", secret=True)

    def __repr__(self) -> str:
        return "<PostgresCredentials>"


class PostgresAdapter(Adapter[PostgresConfig, PostgresCredentials]):
    """Writes batches in one transaction over one kept connection.

    Needs the rights of the page's script and no more: it creates Terra's three tables when they
    are missing, also while it runs, and never alters or drops one.
    """

    type = "postgres"
    label = "PostgreSQL"
    summary = "Rows in terra_users, terra_data_payloads and terra_other_payloads, with a link to each payload."
    config_spec = PostgresConfig
    credentials_spec = PostgresCredentials
    max_batch = 500
    # The TLS fields too: weaker TLS would show the password's proof to whoever is in between.
    host_fields: ClassVar[frozenset[str]] = frozenset(
        {"host", "port", "database", "username", "ssl_mode", "ca_certificate", "auth_method"}
    )

    def __init__(
        self,
        config: PostgresConfig,
        credentials: PostgresCredentials,
        limits: Limits | None = None,
        policy: EgressPolicy | None = None,
    ) -> None:
        """Keep the set-up; open no connection yet."""
        super().__init__(config, credentials, limits, policy)
        self._link = Link(config, credentials, self.policy)
        self._tables = TerraTables(config.schema)

    def target(self) -> str:
        """Return ``db.example.com:5432/database, schema public``."""
        return f"{with_port(self.config.host, self.config.port)}/{self.config.database}, schema {self.config.schema}"

    def deliver(self, batch: Sequence[Message]) -> Sequence[Result]:
        """Write the rows of a batch; a repeat of an event leaves one row."""
        started = monotonic()
        self._link.start(self.limits.timeout_s)
        read = [_read(message) for message in batch]
        events = [rows for rows in read if isinstance(rows, EventRows)]
        if not events:
            return [rows for rows in read if isinstance(rows, Result)]
        try:
            written = self._write(events)
        except Unwell as unwell:
            result = unwell.result(duration_ms=_since(started))
            return [result if isinstance(rows, EventRows) else rows for rows in read]
        took = _since(started)
        return [self._result(written, rows, took) if isinstance(rows, EventRows) else rows for rows in read]

    def check(self) -> Iterator[Step]:
        """Try every right that writing needs, in a transaction that is rolled back."""
        link = Link(self.config, self.credentials, self.policy)
        link.start(self.limits.timeout_s)
        try:
            yield from check_steps(link, self._tables, self.config)
        finally:
            link.close()

    @classmethod
    def setup(cls, config: PostgresConfig) -> str:
        """Return the page's script with this destination's names in it."""
        return "\n".join(filled(line, names_of(config)) for line in PAGE_SCRIPT)

    @classmethod
    def validate(cls, config: PostgresConfig) -> Mapping[str, str]:
        """Refuse what libpq would read as a list of hosts or a socket, and certificates that are none."""
        found = {}
        try:
            check_host(config.host)
        except EgressRefused as refused:
            found["host"] = f"{refused.detail} {refused.hint}".strip()
        if config.ssl_mode == "verify-ca" and not config.ca_certificate.strip():
            found["ca_certificate"] = "Paste the CA certificate: without the host name, any public CA would do."
        elif config.ca_certificate.strip() and not _is_pem(config.ca_certificate):
            found["ca_certificate"] = "Must be one or more certificates in PEM form (-----BEGIN CERTIFICATE-----)."
        return found

    def close(self) -> None:
        """Close the connection."""
        self._link.close()

    def _write(self, events: Sequence[EventRows]) -> Batch:
        """Write ``events``; once each, make missing tables and replace a connection that broke while it was idle."""
        may_create = True
        while True:
            try:
                self._link.open()
                batch = Batch(self._link, self._tables, events)
                batch.write()
                return batch
            except StatementFailed as failed:
                self._link.recover()
                if failed.error.sqlstate != UNDEFINED_TABLE or not may_create:
                    raise failed.as_unwell(names_of(self.config)) from None
                may_create = False
                self._create_tables()
            except Unwell as unwell:
                if self._link.is_fresh or self._link.is_open or unwell.code == TIMEOUT:
                    self._link.recover()
                    raise

    def _create_tables(self) -> None:
        try:
            self._link.open()
            create_missing(self._link, self._tables)
            self._link.run([COMMIT])
        except StatementFailed as failed:
            self._link.recover()
            raise failed.as_unwell(names_of(self.config)) from None

    def _result(self, written: Batch, rows: EventRows, took_ms: int) -> Result:
        request = {"table": f"{self.config.schema}.{rows.table.name}", "payload_id": rows.payload.payload_id}
        refusal = written.refusal_of(rows)
        if refusal is None:
            return Result(Outcome.DELIVERED, duration_ms=took_ms, request=request)
        return _refused(refusal, took_ms, request)


def _refused(refusal: Refusal, took_ms: int, request: Mapping[str, Any]) -> Result:
    outcome = Outcome.REJECTED if refusal.is_final else Outcome.RETRY
    hint = "Change the table or its constraint, then resend." if refusal.is_final else ""
    return Result(outcome, refusal.code, refusal.detail, hint, duration_ms=took_ms, request=request)


def _read(message: Message) -> EventRows | Result:
    try:
        return rows_of(message)
    except terra.InvalidPayload as invalid:
        return Result(Outcome.REJECTED, "unprocessable", str(invalid))


def _is_pem(text: str) -> bool:
    try:
        return bool(x509.load_pem_x509_certificates(text.encode()))
    except ValueError:
        return False


def _since(started: float) -> int:
    return round((monotonic() - started) * 1000)
