"""The one connection of a MySQL destination: a vetted socket, handed to the driver.

The driver itself dials nothing, reads no option file and opens no file for the server (LOCAL
INFILE is off; a server may ask for one in answer to any statement). Parameters:
https://pymysql.readthedocs.io/en/latest/modules/connections.html
"""

import ssl
from collections.abc import Mapping, Sequence
from contextlib import suppress
from time import monotonic
from typing import Any

import certifi
import pymysql

from destinations.adapters.mysql_errors import DEADLOCK, NO_SUCH_TABLE, TOO_SLOW, describe, verdict_of
from destinations.adapters.mysql_socket import BoundedContext, Deadline, dialled
from destinations.adapters.mysql_sql import STRICT_MODE, begin_limits, names_of
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
from destinations.hosts import check_host, with_port

Rows = Sequence[tuple[Any, ...]]
BAD_ANSWER = "bad_answer"
# The driver's own numbers: https://dev.mysql.com/doc/mysql-errors/8.4/en/client-error-reference.html
_LOST, _TLS_ERROR, _NO_PLUGIN = (2006, 2013), 2026, 2059
_TLS_HINT = "Paste the server's CA certificate, and give the host name that the server's certificate has."
_TLS_OFF_HINT = "Turn TLS on at the server (ssl_cert and ssl_key)."
_METHOD_HINT = "Make the user with caching_sha2_password (over TLS) or mysql_native_password."
_SHA2_HINT = "Choose a TLS mode other than disable: this method hands out the password unless TLS hides it."

# Ways of asking that hand the password, or what stands for it, to whoever asks; and one whose
# library is not among the hub's requirements.
_NEVER = ("mysql_clear_password", "mysql_old_password", "dialog", "client_ed25519")
# These hand the password out where the server does not know its hash by heart; under TLS that is
# their design, without TLS they encrypt it with any key that the other side sends.
_UNDER_TLS_ONLY = ("caching_sha2_password", "sha256_password")


class _MethodRefused(Exception):
    """The server asks for the password in a way that is not answered."""


class _Refuse:
    """Stands where the driver looks for a method's handler."""

    def __init__(self, _connection: Any) -> None:
        pass

    def authenticate(self, _packet: Any) -> None:
        raise _MethodRefused


class MysqlStatementFailed(StatementFailed):
    """A statement failed: the server's number, its SQLSTATE, and its words, which may hold values of rows."""

    def __init__(self, error: pymysql.Error) -> None:
        """Take the driver's error apart; the message of this one stays empty."""
        super().__init__()
        self.number, self.words = _parts_of(error)
        self.sqlstate = str(getattr(error, "sqlstate", None) or "")
        self.table = ""

    @property
    def is_missing_table(self) -> bool:
        """Tell whether a table is not there."""
        return self.number == NO_SUCH_TABLE

    @property
    def is_deadlock(self) -> bool:
        """Tell whether the transaction was a deadlock's victim, as a table that is being made may let it be."""
        return self.number == DEADLOCK

    def as_unwell(self, names: Mapping[str, str]) -> Unwell:
        """Return what it says of the destination; ``names`` fill the hint."""
        verdict = verdict_of(self.number)
        code = TIMEOUT if self.number in TOO_SLOW else str(self.number) if self.number else UNKNOWN_CODE
        return Unwell(code, self.said(), filled(verdict.hint, names), verdict.blame.effect)

    def said(self) -> str:
        """Return the line about it, with the table where it is known."""
        return describe(self.number, self.sqlstate, self.words, self.table)


class MysqlLink(SqlLink["pymysql.Connection[Any]"]):
    """A link that runs one statement at a time; MySQL's protocol knows no pipeline."""

    def __init__(self, config: Any, credentials: Any, policy: EgressPolicy) -> None:
        """Serve one destination (a ``MysqlConfig`` and ``MysqlCredentials``); dial nothing yet."""
        super().__init__(config, credentials, policy)
        self._shared_deadline = Deadline()

    def run(self, query: str, values: Sequence[Any] = ()) -> tuple[int, Rows]:
        """Run one statement; return how many rows it touched, and the rows that it gave.

        Raises ``StatementFailed`` where the server refused it, and ``Unwell`` where the
        connection or the time is gone.
        """
        connection = self.connection
        try:
            with connection.cursor() as cursor:
                touched = cursor.execute(query, tuple(values) if values else None)
                return int(touched or 0), cursor.fetchall()
        except pymysql.Error as error:
            problem = self._failed(connection, error)
        except Exception as error:  # the driver trusts what it parses: a strange server makes it raise anything
            problem = _bad_answer(error)
            self.close()
        # Outside of the handler: the driver's frames hold the password, and values of rows.
        raise problem

    def begin(self) -> None:
        """Open a transaction; from here on the server gives up a little before the deadline."""
        self.run(begin_limits(self.remaining_ms))
        self.run("START TRANSACTION")

    def recover(self) -> None:
        """Leave a failed transaction, so that the connection can be used again."""
        if self._connection is None:
            return
        try:
            self.run("ROLLBACK")
        except (Unwell, StatementFailed):
            self.close()

    def close(self) -> None:
        """Say goodbye and close the connection."""
        if self._connection is not None:
            with suppress(Exception):  # it may be closed already, or its server gone
                self._connection.close()
        self._connection = None

    def _failed(self, connection: "pymysql.Connection[Any]", error: pymysql.Error) -> Exception:
        number, _ = _parts_of(error)
        if number not in _LOST and connection.open:
            return MysqlStatementFailed(error)
        self.close()
        if self._shared_deadline.is_over:
            return Unwell(TIMEOUT, "The server did not answer in time.", verdict_of(TOO_SLOW[0]).hint)
        return Unwell(CONNECTION_LOST, "The connection broke before the server had answered.", LOST_HINT)

    def _bound(self) -> None:
        self._shared_deadline.at = self._deadline

    def _connect(self, address: str, timeout_s: float) -> "pymysql.Connection[Any]":
        self._shared_deadline.at = monotonic() + timeout_s
        connection = pymysql.Connection(defer_connect=True, **self._parameters())
        try:
            connection.connect(dialled(address, self._config.port, self._shared_deadline))
            return connection
        except _MethodRefused:
            problem = self._method_refused()
        except pymysql.Error as error:
            problem = self._login_problem(error, address)
        except OSError as error:
            problem = self._dial_problem(error, address)
        except Exception as error:
            problem = _bad_answer(error)
        raise problem

    def _login_problem(self, error: pymysql.Error, address: str) -> Unwell:
        number, words = _parts_of(error)
        cause = getattr(error, "original_exception", None)
        if isinstance(cause, OSError):
            return self._dial_problem(cause, address)
        if not number:
            return _bad_answer(error)
        if number in _LOST:
            if self._shared_deadline.is_over:
                return self._no_answer(address)
            return Unwell(CONNECTION_LOST, f"{with_port(address, self._config.port)} closed the connection.", LOST_HINT)
        if number == _TLS_ERROR:
            return Unwell(TLS_FAILED, "The server does not speak TLS.", _TLS_OFF_HINT)
        if number == _NO_PLUGIN:
            return self._method_refused()
        hint = filled(verdict_of(number).hint, names_of(self._config))
        return Unwell(str(number), f"{verdict_of(number).reason}: {one_line(words)}", hint)

    def _dial_problem(self, error: OSError, address: str) -> Unwell:
        if isinstance(error, ssl.SSLError):
            said = getattr(error, "verify_message", "") or error.reason or "the handshake failed"
            return Unwell(TLS_FAILED, f"TLS failed: {one_line(said)}.", _TLS_HINT)
        if isinstance(error, TimeoutError):
            return self._no_answer(address)
        return self._not_connected(address, error.strerror or type(error).__name__)

    def _method_refused(self) -> Unwell:
        detail = "The server asks for the password in a way that the hub does not answer."
        hint = _SHA2_HINT if self._config.ssl_mode == "disable" else _METHOD_HINT
        return Unwell(METHOD_REFUSED, detail, hint)

    def _parameters(self) -> dict[str, Any]:
        config = self._config
        refused = _NEVER + (_UNDER_TLS_ONLY if config.ssl_mode == "disable" else ())
        tls: dict[str, Any] = {"ssl_disabled": True} if config.ssl_mode == "disable" else {"ssl": self._context()}
        return tls | {
            "host": check_host(config.host),  # what the certificate must name; the driver never dials it
            "port": config.port,
            "user": config.username,
            "password": (self._credentials.password or "").encode(),  # a str would be sent as Latin-1
            "database": config.database,
            "charset": "utf8mb4",
            "collation": "utf8mb4_bin",
            "sql_mode": STRICT_MODE,
            # Locks no gaps between keys, and sees what others committed when a batch looks a second time.
            "init_command": "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
            "autocommit": True,
            "local_infile": False,
            "auth_plugin_map": dict.fromkeys(refused, _Refuse),
            "program_name": "terra-hub",
        }

    def _context(self) -> ssl.SSLContext:
        """Return a TLS context of the hub's own: TLS 1.2 or newer, and the trust that ``ssl_mode`` asks for."""
        context = BoundedContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = self._config.ssl_mode == "verify-full"
        if not self._config.verifies:
            context.verify_mode = ssl.CERT_NONE
            return context
        pasted = self._config.ca_certificate.strip()
        if pasted:
            context.load_verify_locations(cadata=pasted)
        else:
            context.load_verify_locations(cafile=certifi.where())
        return context


def _parts_of(error: pymysql.Error) -> tuple[int, str]:
    """Return the number and the words of a driver's error; 0 where it has no number."""
    number, *words = [*error.args, ""] if error.args else [0, ""]
    return (number, str(words[0])) if isinstance(number, int) else (0, str(number))


def _bad_answer(error: Exception) -> Unwell:
    detail = f"The other side does not speak MySQL as it should ({type(error).__name__})."
    return Unwell(BAD_ANSWER, detail, "Check that the host and the port are those of a MySQL or MariaDB server.")
