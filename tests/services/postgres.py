"""PostgreSQL from Debian's binaries, with TLS under a private CA.

``HUB_TEST_POSTGRES=postgresql://user:password@host:port/database`` (a superuser) uses an existing
server instead; the tests then make databases and users there, and drop them at the end.
"""

import atexit
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tests.services import Login, ServiceMissing, free_port, install_debian, may_install
from tests.services.authority import Authority
from tests.services.processes import as_user, end, give_to, launch, wait_until_up

USER = "postgres"
# Nothing in a test outlives its server, so a test server need not survive a power cut.
UNSAFE_AND_FAST = {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
# The script of Terra's page *Destinations*, word for word but for the names, and nothing more.
PAGE_SCRIPT = (
    "CREATE USER {user} WITH PASSWORD {password}",
    "GRANT CONNECT ON DATABASE {database} TO {user}",
    "GRANT USAGE ON SCHEMA public TO {user}",
    "GRANT CREATE ON SCHEMA public TO {user}",
)


@dataclass
class PostgresServer:
    """A running server, and the superuser's way into it."""

    host: str
    port: int
    superuser_dsn: str
    authority: Authority | None = None  # None where an existing server is used: its CA is not known
    process: subprocess.Popen[bytes] | None = None
    folder: Path | None = None
    command: Sequence[str] = ()  # what starts it; empty where an existing server is used
    kept: bool = False  # its folder stays when it stops
    _databases: list[str] = field(default_factory=list)
    _users: list[str] = field(default_factory=list)

    def connect(self, database: str = "") -> "psycopg.Connection[Any]":
        """Connect as the superuser, in autocommit mode; without a name, to the maintenance database."""
        return psycopg.connect(self.dsn(database), autocommit=True)

    def dsn(self, database: str = "") -> str:
        """Return the superuser's connection string for ``database``."""
        return make_conninfo(self.superuser_dsn, **({"dbname": database} if database else {}))

    def url(self, database: str) -> str:
        """Return the superuser's URL for ``database``, in the form of the setting DATABASE_URL."""
        known = conninfo_to_dict(self.superuser_dsn)
        return f"postgres://{known['user']}:{known.get('password', '')}@{self.host}:{self.port}/{database}"

    def create_database(self) -> str:
        """Make an empty database and return its name."""
        name = f"hub_test_{secrets.token_hex(6)}"
        with self.connect() as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        self._databases.append(name)
        return name

    def create_user_with_page_grants(self, database: str = "", password: str = "") -> Login:
        """Make a user with exactly the page's script; without a name in a new database, with a password of its own."""
        user, password = f"terra_user_{secrets.token_hex(6)}", password or secrets.token_hex(16)
        login = Login(database or self.create_database(), user, password)
        parts = {
            "user": sql.Identifier(login.user),
            "password": sql.Literal(login.password),
            "database": sql.Identifier(login.database),
        }
        with self.connect(login.database) as connection:
            for line in PAGE_SCRIPT:
                connection.execute(sql.SQL(line).format(**parts))
        self._users.append(login.user)
        return login

    def launch(self) -> None:
        """Start the server of ``folder``, also one that was killed, and wait until it answers."""
        assert self.folder
        self.process = launch(self.command, self.folder, USER, "INT")
        wait_until_up(self.process, self.folder, self.connect, psycopg.OperationalError)

    def stop(self) -> None:
        """End the server that was started here, by its process id; tidy up on an existing one."""
        if self.process is None:
            self._drop_all()
        else:
            end(self.process, signal.SIGINT)  # fast shutdown: clients are cut off
        if self.folder is not None and not self.kept:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _drop_all(self) -> None:
        with self.connect() as connection:
            for name in self._databases:
                connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            for name in self._users:
                connection.execute(sql.SQL("DROP USER IF EXISTS {}").format(sql.Identifier(name)))


@lru_cache(maxsize=1)
def destination_server() -> PostgresServer:
    """Return the session's server for destinations, started on first use."""
    return existing_or_new()


@lru_cache(maxsize=1)
def hub_server() -> PostgresServer:
    """Return the server that holds the hub's own database, started on first use.

    It is not the destinations' one: the hub never dials its own database as a destination.
    """
    return existing_or_new()


def existing_or_new() -> PostgresServer:
    """Return the server that HUB_TEST_POSTGRES names, else a new one; it is stopped at exit."""
    dsn = os.environ.get("HUB_TEST_POSTGRES", "")
    server = _existing(dsn) if dsn else start()
    atexit.register(server.stop)
    return server


def _existing(dsn: str) -> PostgresServer:
    known = conninfo_to_dict(dsn)
    return PostgresServer(str(known.get("host", "127.0.0.1")), int(known.get("port") or 5432), dsn)


def start(
    *, fsync: bool = False, settings: Mapping[str, str] | None = None, keep: Path | None = None
) -> PostgresServer:
    """Start a server on a free port; benchmarks ask for ``fsync``, so that a commit costs what it costs.

    It is new, and gone when it stops, unless ``keep`` names the folder that it lies in, now and the next time.
    """
    binaries = find_binaries()
    folder, port = keep or Path(tempfile.mkdtemp(prefix="hub-postgres-")), free_port()
    authority = _prepare_once(binaries, folder)
    password = (folder / "password").read_text()
    options = _options(folder, port) | ({} if fsync else UNSAFE_AND_FAST) | dict(settings or {})
    command = [str(binaries / "postgres"), "-D", str(folder / "data")]
    command += [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
    dsn = make_conninfo(
        "", host="127.0.0.1", port=port, user="postgres", password=password, dbname="postgres", gssencmode="disable"
    )
    server = PostgresServer("127.0.0.1", port, dsn, authority, folder=folder, command=command, kept=keep is not None)
    server.launch()
    return server


def _prepare_once(binaries: Path, folder: Path) -> Authority | None:
    """Make a cluster where there is none; return the CA of its certificate, which only its maker knows."""
    if (folder / "data" / "PG_VERSION").exists():
        return None
    authority = Authority()
    _prepare(binaries, folder, secrets.token_hex(16), authority)
    return authority


def find_binaries() -> Path:
    """Return the folder of the newest PostgreSQL here; install it where that is allowed."""
    found = _newest_binaries()
    if found is None and may_install():
        install_debian("postgresql")
        found = _newest_binaries()
    if found is None:
        raise ServiceMissing(
            "PostgreSQL is missing. Install Debian's package postgresql (or, as root, set HUB_TEST_INSTALL=1), "
            "or name a server: HUB_TEST_POSTGRES=postgresql://superuser:password@host:port/database"
        )
    return found


def _newest_binaries() -> Path | None:
    debian = [path.parent for path in Path("/usr/lib/postgresql").glob("*/bin/initdb")]
    if debian:
        return max(debian, key=lambda folder: int(folder.parent.name))
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def _prepare(binaries: Path, folder: Path, password: str, authority: Authority) -> None:
    certificate, key = authority.issue("127.0.0.1", "localhost")
    for name, content in {"password": password.encode(), "server.crt": certificate, "server.key": key}.items():
        (folder / name).touch(0o600)
        (folder / name).write_bytes(content)
    give_to(USER, folder, *folder.iterdir())
    command = [
        binaries / "initdb", "-D", folder / "data", "-U", "postgres", "--pwfile", folder / "password",
        "--auth-host=scram-sha-256", "--auth-local=reject", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync",
    ]  # fmt: skip
    subprocess.run(command, cwd=folder, check=True, capture_output=True, **as_user(USER))


def _options(folder: Path, port: int) -> dict[str, str]:
    return {
        "port": str(port), "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "ssl": "on",
        "ssl_cert_file": str(folder / "server.crt"), "ssl_key_file": str(folder / "server.key"),
    }  # fmt: skip
