"""The one connection of a PostgreSQL destination: dialled by vetted address, bounded by a deadline.

libpq would fill whatever is not given from PG* variables and from files in the home folder, so
every parameter that decides where a password goes, or what proves the server, is given here.
Parameters: https://www.postgresql.org/docs/current/libpq-connect.html
"""

import re
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import IO, Any, TypeVar

import certifi
import psycopg
from psycopg.abc import PQGen

from destinations.adapters.postgres_errors import describe, verdict_of
from destinations.adapters.postgres_sql import Statement, names_of
from destinations.adapters.sql_errors import (
    CONNECTION_LOST,
    LOST_HINT,
    METHOD_REFUSED,
    TIMEOUT,
    TLS_FAILED,
    UNKNOWN_CODE,
    StatementFailed,
    Unwell,
    filled,
    one_line,
)
from destinations.adapters.sql_link import SqlLink
from destinations.egress import EgressPolicy
from destinations.hosts import check_host

ResultT = TypeVar("ResultT")
UNDEFINED_TABLE = "42P01"
CANCEL_SECONDS = 1.0
# The server is to give up first: its answer keeps the connection, the hub's own deadline costs it.
SERVER_HEAD_START_MS = 250
# A path that cannot exist: libpq turns ``require`` into ``verify-ca`` where the home folder has a root.crt.
NO_FILE = "/dev/null/none"
_TLS_HINT = "Paste the server's CA certificate, and give the host name that the server's certificate has."

# What libpq says where a login fails: it hands no SQLSTATE on, so its words, and the server's in
# English, are all there is. A server that speaks another language gives connect_failed with its words.
_SAID = re.compile(r".*?port \d+ failed: (FATAL:)?\s*", re.DOTALL)  # what stands before the words themselves
_LOGIN_ERRORS: tuple[tuple[str, str, str], ...] = (
    (r"password authentication failed", "28P01", ""),
    (r"no pg_hba.conf entry|pg_hba.conf rejects", "28000", ""),
    (r"^role .* (does not exist|is not permitted to log in)", "28000", ""),
    (r"^database .* does not exist", "3D000", ""),
    (r"permission denied for database", "42501", "Run: GRANT CONNECT ON DATABASE {database} TO {username};"),
    (r"too many (clients|connections)|remaining connection slots", "53300", ""),
    (r"^the database system is", "57P03", ""),
    (r"authentication method requirement", METHOD_REFUSED, "Let the server ask for scram-sha-256, or allow md5 here."),
    (r"did not complete authentication", METHOD_REFUSED, "The server asks for no password: set up scram-sha-256."),
    (r"server does not support SSL", TLS_FAILED, "Turn TLS on at the server (ssl = on)."),
    (r"SSL error|certificate", TLS_FAILED, _TLS_HINT),
)


class Overdue(Exception):
    """The deadline passed while the server had not answered."""


class PostgresStatementFailed(StatementFailed):
    """One statement of a run failed: its index, and the driver's error."""

    def __init__(self, index: int, error: psycopg.Error) -> None:
        """Keep both; the message is empty, because the driver's may hold values of rows."""
        super().__init__()
        self.index, self.error = index, error

    @property
    def is_missing_table(self) -> bool:
        """Tell whether a table is not there."""
        return self.error.sqlstate == UNDEFINED_TABLE

    def as_unwell(self, names: Mapping[str, str]) -> Unwell:
        """Return what it says of the destination; ``names`` fill the hint."""
        verdict = verdict_of(self.error.sqlstate)
        code = TIMEOUT if self.error.sqlstate == "57014" else self.error.sqlstate or UNKNOWN_CODE
        return Unwell(code, describe(self.error), filled(verdict.hint, names), verdict.blame.effect)


class _Connection(psycopg.Connection[Any]):
    """A connection whose every wait ends at ``deadline``, a time of ``monotonic``."""

    deadline = float("inf")

    def wait(self, gen: PQGen[ResultT], interval: float = 0.1, timeout: float | None = None) -> ResultT:
        """Wait as psycopg does, looking at the deadline at least every ``interval`` seconds; raise ``Overdue``."""
        try:
            return super().wait(self._until_deadline(gen), interval, timeout)
        except Overdue:
            self._give_up(gen)
            raise

    def _until_deadline(self, gen: PQGen[ResultT]) -> PQGen[ResultT]:
        try:
            wanted = next(gen)
            while True:
                ready = yield wanted
                if monotonic() > self.deadline:  # also while bytes come in: a server that drips is late as well
                    raise Overdue
                wanted = gen.send(ready)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]  # StopIteration carries the generator's result

    def _give_up(self, gen: PQGen[Any]) -> None:
        """Ask the server to stop what it is doing, for a moment only, and close."""
        with suppress(psycopg.Error):
            self.cancel_safe(timeout=CANCEL_SECONDS)
        self.close()
        with suppress(psycopg.Error):
            gen.close()  # its tidying up fails on the closed connection: here, and not when it is collected


class Link(SqlLink[_Connection]):
    """A link whose every statement goes out in a pipeline."""

    def __init__(self, config: Any, credentials: Any, policy: EgressPolicy) -> None:
        """Serve one destination (a ``PostgresConfig`` and ``PostgresCredentials``); dial nothing yet."""
        super().__init__(config, credentials, policy)
        self._ca_file: IO[bytes] | None = None

    @property
    def statement_ms(self) -> int:
        """Return the milliseconds that the server may take: a little less, so that it is the first to give up."""
        return max(SERVER_HEAD_START_MS, self.remaining_ms - SERVER_HEAD_START_MS)

    def run(self, statements: Sequence[Statement]) -> "list[psycopg.Cursor[Any]]":
        """Send all statements in one go and return their cursors.

        Raises ``StatementFailed`` for the first that fails (none after it is run), and ``Unwell``
        where the connection or the time is gone.
        """
        cursors: list[psycopg.Cursor[Any]] = []
        try:
            error = self._send(statements, cursors)
        except Overdue:
            self.close()
            raise Unwell(TIMEOUT, "The server did not answer in time.", verdict_of("57014").hint) from None
        if error is None:
            return cursors
        if self.connection.closed:
            raise self._lost(error)
        raise PostgresStatementFailed(next(i for i, cursor in enumerate(cursors) if cursor.pgresult is None), error)

    def _send(self, statements: Sequence[Statement], cursors: "list[psycopg.Cursor[Any]]") -> psycopg.Error | None:
        """Fill ``cursors``; return the first error. The answers to what follows an error come with the block's end."""
        error: psycopg.Error | None = None
        try:
            with self.connection.pipeline():
                try:
                    for query, values in statements:
                        cursors.append(self.connection.cursor())
                        cursors[-1].execute(query, values)
                except psycopg.Error as failed:  # an answer that came while others were being sent
                    error = failed
        except psycopg.Error as failed:
            error = error or failed
        return error

    def _lost(self, error: psycopg.Error) -> Unwell:
        self.close()
        if error.sqlstate is None:
            return Unwell(CONNECTION_LOST, "The connection broke before the server had answered.", LOST_HINT)
        return Unwell(error.sqlstate, f"The connection was lost: {verdict_of(error.sqlstate).reason}.", LOST_HINT)

    def recover(self) -> None:
        """Leave a failed transaction, so that the connection can be used again."""
        if self._connection is None:
            return
        try:
            self.run([("ROLLBACK", ())])
        except (Unwell, StatementFailed):
            self.close()

    def close(self) -> None:
        """Close the connection, and remove the CA file that was written for it."""
        if self._connection is not None:
            self._connection.close()
        if self._ca_file is not None:
            self._ca_file.close()
        self._connection = self._ca_file = None

    def _bound(self) -> None:
        if self._connection is not None:
            self._connection.deadline = self._deadline

    def _connect(self, address: str, timeout_s: float) -> _Connection:
        try:
            return _Connection.connect(autocommit=True, prepare_threshold=None, **self._parameters(address, timeout_s))
        except psycopg.errors.ConnectionTimeout:
            problem = self._no_answer(address)
        except psycopg.Error as error:
            problem = self._login_problem(str(error), address)
        # Outside of the handler: the driver's exception holds the password, in its connection's options.
        raise problem

    def _login_problem(self, message: str, address: str) -> Unwell:
        said = one_line(_SAID.sub("", message))
        for words, code, hint in _LOGIN_ERRORS:
            if re.search(words, said):
                return Unwell(code, said, filled(hint or verdict_of(code).hint, names_of(self._config)))
        return self._not_connected(address, said)

    def _parameters(self, address: str, timeout_s: float) -> dict[str, Any]:
        config = self._config
        return {
            "host": check_host(config.host),  # what the certificate must name
            "hostaddr": address,  # what is dialled
            "port": config.port,
            "dbname": config.database,
            "user": config.username,
            "password": self._credentials.password or "",  # None would ask the environment
            "passfile": "/dev/null",
            "require_auth": config.auth_method,
            "channel_binding": "prefer",
            "sslmode": config.ssl_mode,
            "sslrootcert": self._trusted(),
            "sslcertmode": "disable",  # never hand out a client certificate of the hub's home folder
            "gssencmode": "disable",
            "options": "",  # none: also not PGOPTIONS, and poolers refuse any
            "client_encoding": "utf8",
            "application_name": "terra-hub",
            "target_session_attrs": "any",
            "connect_timeout": max(1, int(timeout_s)),
            "tcp_user_timeout": max(1000, round(timeout_s * 1000)),
            "keepalives_idle": 30,
            "keepalives_interval": 10,
            "keepalives_count": 3,
        }

    def _trusted(self) -> str:
        """Return the path of the certificates that the server's must be signed by."""
        pasted = self._config.ca_certificate.strip()
        if self._config.ssl_mode == "disable" or (self._config.ssl_mode == "require" and not pasted):
            return NO_FILE
        if not pasted:
            # Not "system": the OpenSSL inside the driver's wheel looks into a folder that no system has.
            return certifi.where()
        if self._ca_file is None:
            # libpq reads a path, not a text, and again for a cancel: mode 0600, gone with the connection.
            self._ca_file = tempfile.NamedTemporaryFile(prefix="hub-ca-", suffix=".pem")  # noqa: SIM115  # closed by close()
            self._ca_file.write(pasted.encode() + b"\n")
            self._ca_file.flush()
        return self._ca_file.name
