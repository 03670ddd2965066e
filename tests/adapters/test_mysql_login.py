"""How a MySQL destination is reached, proven and checked, and what it never gives away."""

import os
import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from destinations.adapters.base import Outcome, StepStatus
from tests.adapters.mysql_support import MysqlPlace
from tests.adapters.sql_login_suite import SqlLogin
from tests.adapters.sql_support import Place, deliver_once, failed, outcomes, sample
from tests.services import Login, provide
from tests.services.mariadb import MariadbServer, start

pytestmark = pytest.mark.databaseless

CHANGED_BY_TRIGGER = "CREATE TRIGGER t BEFORE INSERT ON terra_users FOR EACH ROW SET NEW.provider = ''"
FINDS = {
    "no CREATE": (
        ("REVOKE CREATE ON {database}.* FROM '{user}'@'%'",), "permission", "TO '{user}'@'%'",
    ),
    "no INSERT": (("REVOKE INSERT ON {database}.* FROM '{user}'@'%'",), "permission", "Run: GRANT INSERT ON"),
    "no UPDATE": (("REVOKE UPDATE ON {database}.* FROM '{user}'@'%'",), "permission", "Run: GRANT UPDATE ON"),
    "no SELECT": (("REVOKE SELECT ON {database}.* FROM '{user}'@'%'",), "permission", "Run: GRANT SELECT ON"),
    "no rights": (
        ("REVOKE ALL PRIVILEGES, GRANT OPTION FROM '{user}'@'%'",), "authenticate", "GRANT CREATE, SELECT, INSERT",
    ),
    "no column": (("ALTER TABLE terra_users DROP provider",), "permission", "ADD COLUMN provider text"),
    "no key": (("ALTER TABLE terra_users DROP PRIMARY KEY",), "permission", "ADD PRIMARY KEY (user_id)"),
    "unique": (("ALTER TABLE terra_users ADD UNIQUE one (provider(9))",), "permission", "DROP INDEX `one`"),
    "engine": (("ALTER TABLE terra_users ENGINE=MyISAM",), "permission", "ENGINE=InnoDB"),
    "constraint": (
        ("ALTER TABLE terra_other_payloads ADD CONSTRAINT no_check CHECK (payload_type <> 'check')",),
        "write", "constraint no_check",
    ),
    "trigger": ((CHANGED_BY_TRIGGER,), "read back", "triggers"),
}  # fmt: skip


class TestMysqlLogin(SqlLogin):
    wrong_name = "not valid for '127.0.0.2'"
    wrong_names = (("database", "a.b"), ("database", "a b"), ("database", "../x"), ("database", "x" * 65))

    @pytest.fixture
    def place(self, mysql_place: MysqlPlace) -> MysqlPlace:
        return mysql_place

    @pytest.mark.parametrize("name", FINDS)
    def test_a_check_finds_what_would_fail_every_delivery(self, place: Place, name: str) -> None:
        self.check_finds(place, *FINDS[name])

    def test_a_check_asks_for_the_rights_of_tables_that_are_not_there_yet(self, place: Place) -> None:
        place.run(f"REVOKE INSERT ON {place.login.database}.* FROM '{place.login.user}'@'%'")
        step, text = failed(list(place.adapter().check()))
        assert (step, "GRANT INSERT ON" in text) == ("permission", True)

    def test_a_check_says_why_it_wrote_nothing_where_the_tables_are_missing(self, place: Place) -> None:
        steps = {step.name: step for step in place.adapter().check()}
        assert [steps[name].status for name in ("write", "read back")] == [StepStatus.SKIPPED] * 2
        assert "first delivery" in steps["write"].detail


# --- who answers ----------------------------------------------------------------------------
@pytest.fixture(scope="module")
def plain_server() -> Iterator[MariadbServer]:
    """A server without TLS."""
    server = provide(lambda: start(settings={"skip-ssl": ""}))
    yield server
    server.stop()


def test_a_server_without_tls_is_refused_before_the_password_is_offered(plain_server: MariadbServer) -> None:
    place = MysqlPlace(plain_server, plain_server.create_user_with_page_grants())
    for mode in ("verify-full", "verify-ca", "require"):
        result = deliver_once(place.adapter(ssl_mode=mode))
        assert (result.code, "ssl_cert" in result.hint) == ("tls_failed", True)
    assert deliver_once(place.adapter(ssl_mode="disable")).outcome is Outcome.DELIVERED


# --- who asks: servers that are none, or that want more than they should get ------------------
def packet(number: int, payload: bytes) -> bytes:
    return struct.pack("<I", len(payload))[:3] + bytes([number]) + payload


def greeting(method: str) -> bytes:
    """Return the first packet of a MySQL 8 server without TLS (protocol 10) that asks in one way."""
    capabilities = 0x0000_8000 | 0x0000_0200 | 0x0008_0000  # SECURE_CONNECTION, PROTOCOL_41, PLUGIN_AUTH
    low, high = struct.pack("<H", capabilities & 0xFFFF), struct.pack("<H", capabilities >> 16)
    salt = bytes(range(1, 21))
    rest = low + b"\x21" + struct.pack("<H", 2) + high + bytes([21]) + bytes(10) + salt[8:] + b"\0"
    return packet(0, b"\x0a8.4.0\0" + struct.pack("<I", 1) + salt[:8] + b"\0" + rest + method.encode() + b"\0")


OK = b"\0\0\0\2\0\0\0"


@contextmanager
def hostile_server(*answers: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Speak these packets, one for each that comes; give the port and what was sent."""
    heard: list[bytes] = []

    def serve() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                with client, suppress(OSError):
                    for answer in answers:
                        client.sendall(answer)
                        heard.append(client.recv(65536))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1], heard
        listener.shutdown(socket.SHUT_RDWR)


SWITCH = b"\xfe%s\0" + bytes(range(1, 21)) + b"\0"


@pytest.mark.parametrize("method", ["mysql_clear_password", "dialog", "mysql_old_password", "client_ed25519"])
@pytest.mark.parametrize("first", ["mysql_native_password", "caching_sha2_password"])
def test_a_server_that_wants_the_password_itself_does_not_get_it(
    mysql_place: MysqlPlace, method: str, first: str
) -> None:
    ask = packet(2, SWITCH.replace(b"%s", method.encode()))
    with hostile_server(greeting(first), ask, packet(4, OK)) as (port, heard):
        result = deliver_once(mysql_place.adapter(port=port, ssl_mode="disable", password="canary-password"))
    assert (result.outcome, result.code) == (Outcome.RETRY, "auth_method_refused")
    assert b"canary" not in b"".join(heard)
    assert "mysql_native_password" in result.hint or "TLS" in result.hint


def test_without_tls_a_password_is_not_encrypted_with_any_key_that_a_server_sends(mysql_place: MysqlPlace) -> None:
    wants_all = packet(2, b"\x01\x04")  # caching_sha2_password: "full authentication"
    with hostile_server(greeting("caching_sha2_password"), wants_all, packet(4, OK)) as (port, heard):
        result = deliver_once(mysql_place.adapter(port=port, ssl_mode="disable", password="canary-password"))
    assert (result.code, "TLS" in result.hint) == ("auth_method_refused", True)
    assert b"\x02" not in heard[1:]  # "send me your key"


def test_a_server_that_asks_for_a_file_gets_none(mysql_place: MysqlPlace, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary of a file")
    wants_file = packet(1, b"\xfb" + os.fsencode(secret))  # in answer to the second statement
    answers = (greeting("mysql_native_password"), packet(2, OK), packet(1, OK), wants_file, packet(3, OK))
    with hostile_server(*answers) as (port, heard):
        result = deliver_once(mysql_place.adapter(port=port, ssl_mode="disable", timeout_s=2))
    assert (result.outcome, result.code) == (Outcome.RETRY, "bad_answer")
    assert b"canary" not in b"".join(heard)


@pytest.mark.parametrize(
    "words",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        packet(0, b""),
        packet(0, b"\x0a"),
        packet(7, b"x"),
    ],
    ids=["ssh", "http", "empty", "cut short", "out of order"],
)
def test_a_server_of_another_kind_is_a_failed_try(mysql_place: MysqlPlace, words: bytes) -> None:
    with hostile_server(words) as (port, _):
        result = deliver_once(mysql_place.adapter(port=port, timeout_s=1))
    assert result.outcome is Outcome.RETRY
    assert result.code in ("bad_answer", "connection_lost", "timeout")


def test_a_server_that_drips_is_left_at_the_deadline(mysql_place: MysqlPlace) -> None:
    stop = threading.Event()

    def drip() -> None:
        client, _ = listener.accept()
        with client, suppress(OSError):
            client.sendall(struct.pack("<I", 60_000))
            while not stop.wait(0.2):
                client.sendall(b"x")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=drip, daemon=True).start()
        result = deliver_once(mysql_place.adapter(port=listener.getsockname()[1], timeout_s=1))
    stop.set()
    assert (result.outcome, result.code) == (Outcome.RETRY, "timeout")


def test_no_file_of_options_has_a_say(mysql_place: MysqlPlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".my.cnf").write_text(f"[client]\npassword={mysql_place.login.password}\nport=1\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name, value in {
        "MYSQL_PWD": mysql_place.login.password,
        "MYSQL_HOST": "192.0.2.1",
        "MYSQL_TCP_PORT": "1",
    }.items():
        monkeypatch.setenv(name, value)
    assert deliver_once(mysql_place.adapter()).outcome is Outcome.DELIVERED
    assert deliver_once(mysql_place.adapter(password="")).code == "1045"


# --- what the page promises -----------------------------------------------------------------
def test_the_set_up_text_does_what_it_says_and_grants_nothing_else(mysql_server: MariadbServer) -> None:
    login = Login(mysql_server.create_database(), "Terra-user.7@host", "your_password")
    place = MysqlPlace(mysql_server, login)
    place.run("DROP USER IF EXISTS 'Terra-user.7@host'@'%'")
    adapter = place.adapter()
    place.run(*filter(None, adapter.setup(adapter.config).split("\n")))
    assert StepStatus.FAILED not in {step.status for step in adapter.check()}
    assert outcomes(adapter.deliver([sample("daily"), sample("user_reauth")])) == [Outcome.DELIVERED] * 2
    adapter.close()
    grants = " ".join(grant for (grant,) in mysql_server.run("SHOW GRANTS FOR 'Terra-user.7@host'@'%'"))
    assert "SELECT, INSERT, UPDATE, DELETE, CREATE ON `" in grants
    neighbour = mysql_server.create_user_with_page_grants(login.database.replace("_", "x"))
    mysql_server.run(f"CREATE DATABASE {neighbour.database}")
    try:
        assert deliver_once(place.adapter(database=neighbour.database)).code == "1044"
    finally:
        mysql_server.run(f"DROP DATABASE {neighbour.database}", "DROP USER 'Terra-user.7@host'@'%'")


def test_a_database_that_is_missing_is_named(mysql_place: MysqlPlace) -> None:
    mysql_place.run(f"GRANT CREATE ON *.* TO '{mysql_place.login.user}'@'%'")
    result = deliver_once(mysql_place.adapter(database="no-where"))
    assert (result.code, "CREATE DATABASE `no-where`;" in result.hint) == ("1049", True)
