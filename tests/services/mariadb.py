"""MariaDB from Debian's binaries, with TLS under a private CA: what the hub's MySQL destinations are tried on.

``HUB_TEST_MYSQL=mysql://user:password@host:port/database`` (an administrator, with GRANT OPTION)
uses an existing server instead, MariaDB or MySQL; the tests then make databases and users there,
and drop them at the end.
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
from urllib.parse import unquote, urlsplit

import pymysql

from tests.services import Login, ServiceMissing, free_port, install_debian, may_install
from tests.services.authority import Authority
from tests.services.processes import as_user, end, give_to, launch, wait_until_up

USER = "nobody"
ADMIN = "hub_admin"
# Nothing in a test outlives its server, so a test server need not survive a power cut.
UNSAFE_AND_FAST = {"innodb-flush-log-at-trx-commit": "0"}
# The script of Terra's page *Destinations*, word for word but for the names, and nothing more.
PAGE_SCRIPT = (
    "CREATE USER '{user}'@'%' IDENTIFIED BY '{password}'",
    "GRANT CREATE, SELECT, INSERT, UPDATE, DELETE ON {database}.* TO '{user}'@'%'",
)
MISSING = (
    "MariaDB is missing. Install Debian's packages mariadb-server-core and mariadb-client-core (or, as root, set "
    "HUB_TEST_INSTALL=1), or name a server: HUB_TEST_MYSQL=mysql://administrator:password@host:port/database"
)


@dataclass
class MariadbServer:
    """A running server, and the administrator's way into it."""

    host: str
    port: int
    admin: Mapping[str, Any]  # user, password
    authority: Authority | None = None  # None where an existing server is used: its CA is not known
    command: Sequence[str] = ()
    process: subprocess.Popen[bytes] | None = None
    folder: Path | None = None
    _databases: list[str] = field(default_factory=list)
    _users: list[str] = field(default_factory=list)

    def connect(self, database: str = "") -> "pymysql.Connection[Any]":
        """Connect as the administrator, in autocommit mode."""
        known = {"host": self.host, "port": self.port, "ssl_disabled": self.authority is not None, **self.admin}
        return pymysql.connect(database=database or None, autocommit=True, charset="utf8mb4", **known)

    def run(self, *statements: str, database: str = "") -> tuple[tuple[Any, ...], ...]:
        """Run statements as the administrator; return the rows of the last one."""
        with self.connect(database) as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return cursor.fetchall()

    @property
    def version(self) -> str:
        """Return the server's own name for itself, such as ``10.11.19-MariaDB-0+deb12u1``."""
        ((version,),) = self.run("SELECT VERSION()")
        return str(version)

    def create_database(self) -> str:
        """Make an empty database and return its name."""
        name = f"hub_test_{secrets.token_hex(6)}"
        # As servers were set up that are older than utf8mb4: the hub's tables bring their own.
        self.run(f"CREATE DATABASE {name} CHARACTER SET latin1")
        self._databases.append(name)
        return name

    def create_user_with_page_grants(self, database: str = "", password: str = "") -> Login:
        """Make a user with exactly the page's script; without a name in a new database, with a password of its own."""
        user, password = f"terra_user_{secrets.token_hex(6)}", password or secrets.token_hex(16)
        login = Login(database or self.create_database(), user, password)
        self.run(*(line.format(**vars(login)) for line in PAGE_SCRIPT))
        self._users.append(login.user)
        return login

    def kill(self) -> None:
        """End the server as a power cut would."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def start_again(self) -> None:
        """Start the server on what it left on disk, at the same port."""
        assert self.folder is not None
        self.process = launch(self.command, self.folder, USER, "TERM")
        wait_until_up(self.process, self.folder, self.connect, pymysql.Error)

    def stop(self) -> None:
        """End the server that was started here, by its process id; tidy up on an existing one."""
        if self.process is None:
            self.run(*(f"DROP DATABASE IF EXISTS {name}" for name in self._databases), "DO 0")
            self.run(*(f"DROP USER IF EXISTS '{name}'@'%'" for name in self._users), "DO 0")
        else:
            end(self.process, signal.SIGTERM)
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


@lru_cache(maxsize=1)
def destination_server() -> MariadbServer:
    """Return the session's server for destinations, started on first use; it is stopped at exit."""
    url = os.environ.get("HUB_TEST_MYSQL", "")
    server = _existing(url) if url else start()
    atexit.register(server.stop)
    return server


def _existing(url: str) -> MariadbServer:
    parts = urlsplit(url)
    admin = {"user": unquote(parts.username or "root"), "password": unquote(parts.password or "")}
    return MariadbServer(parts.hostname or "127.0.0.1", parts.port or 3306, admin)


def start(*, fsync: bool = False, settings: Mapping[str, str] | None = None) -> MariadbServer:
    """Start a new server on a free port; benchmarks ask for ``fsync``, so that a commit costs what it costs."""
    installer, binary = find_binaries()
    folder = Path(tempfile.mkdtemp(prefix="hub-mariadb-"))
    admin, authority, port = {"user": ADMIN, "password": secrets.token_hex(16)}, Authority(), free_port()
    _prepare(installer, folder, admin["password"], authority)
    options = _options(folder, port) | ({} if fsync else UNSAFE_AND_FAST) | dict(settings or {})
    switches = [f"--{name}={value}" if value else f"--{name}" for name, value in options.items()]
    command = [binary, "--no-defaults", *switches]
    server = MariadbServer("127.0.0.1", port, admin, authority, command, folder=folder)
    server.start_again()
    return server


def find_binaries() -> tuple[str, str]:
    """Return the programs that make and that run a server; install them where that is allowed."""
    found = _binaries()
    if found is None and may_install():
        install_debian("mariadb-server-core", "mariadb-client-core")
        found = _binaries()
    if found is None:
        raise ServiceMissing(MISSING)
    return found


def _binaries() -> tuple[str, str] | None:
    path = os.environ.get("PATH", "") + ":/usr/sbin"
    installer, binary = shutil.which("mariadb-install-db", path=path), shutil.which("mariadbd", path=path)
    return (installer, binary) if installer and binary else None


def _prepare(installer: str, folder: Path, password: str, authority: Authority) -> None:
    certificate, key = authority.issue("127.0.0.1", "localhost")
    admin = f"'{ADMIN}'@'%'"
    first_words = (
        f"CREATE USER IF NOT EXISTS {admin} IDENTIFIED BY '{password}';\n"
        f"GRANT ALL ON *.* TO {admin} WITH GRANT OPTION;\n"
    )
    for name, content in {"init.sql": first_words.encode(), "server.crt": certificate, "server.key": key}.items():
        (folder / name).touch(0o600)
        (folder / name).write_bytes(content)
    give_to(USER, folder, *folder.iterdir())
    command = [installer, "--no-defaults", f"--datadir={folder / 'data'}", "--skip-test-db"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, **as_user(USER))


def _options(folder: Path, port: int) -> dict[str, str]:
    return {
        "datadir": str(folder / "data"), "socket": str(folder / "socket"), "port": str(port),
        "bind-address": "127.0.0.1", "skip-name-resolve": "", "skip-log-bin": "",
        "innodb-buffer-pool-size": "64M", "init-file": str(folder / "init.sql"),
        "ssl-cert": str(folder / "server.crt"), "ssl-key": str(folder / "server.key"),
    }  # fmt: skip
