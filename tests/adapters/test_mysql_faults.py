"""What a MySQL destination does when the server or the network misbehaves (T38, T57 to T59)."""

import threading
from collections.abc import Iterator

import pytest

from destinations.adapters.base import Effect, Outcome
from tests.adapters.mysql_support import MysqlPlace
from tests.adapters.sql_faults_suite import Change, SqlFaults
from tests.adapters.sql_support import AnySqlAdapter, Place, daily, only, outcomes, sample
from tests.services import provide
from tests.services.mariadb import MariadbServer, start
from tests.services.proxy import FaultProxy

pytestmark = pytest.mark.databaseless

GRANT = "GRANT CREATE, SELECT, INSERT, UPDATE, DELETE ON"
CHANGES = {
    "no rights on a table": Change(
        ("REVOKE INSERT ON {database}.* FROM '{user}'@'%'",),
        ("GRANT INSERT ON {database}.* TO '{user}'@'%'",),
        "1142", "command INSERT, table terra_users) Run: " + GRANT,
    ),
    "no rights on a column": Change(
        (
            "REVOKE UPDATE ON {database}.* FROM '{user}'@'%'",
            "GRANT UPDATE (user_id) ON {database}.terra_users TO '{user}'@'%'",
            "UPDATE terra_users SET provider = 'OTHER'",
            "GRANT UPDATE ON {database}.terra_data_payloads TO '{user}'@'%'",
        ),
        (
            "REVOKE UPDATE (user_id) ON {database}.terra_users FROM '{user}'@'%'",
            "REVOKE UPDATE ON {database}.terra_data_payloads FROM '{user}'@'%'",
            "GRANT UPDATE ON {database}.* TO '{user}'@'%'",
        ),
        "1143", GRANT,
    ),
    "no right to create": Change(
        ("REVOKE CREATE ON {database}.* FROM '{user}'@'%'", "DROP TABLE terra_users"),
        ("GRANT CREATE ON {database}.* TO '{user}'@'%'",),
        "1142", "command CREATE",
    ),
    "a column renamed": Change(
        ("ALTER TABLE terra_data_payloads CHANGE start_time began datetime(6)",),
        ("ALTER TABLE terra_data_payloads CHANGE began start_time datetime(6)",),
        "1054", "column start_time",
    ),
    "a column of another's without a default": Change(
        ("ALTER TABLE terra_users ADD extra int NOT NULL",),
        ("ALTER TABLE terra_users DROP extra",),
        "1364", "column extra",
    ),
    "no primary key": Change(
        ("ALTER TABLE terra_users DROP PRIMARY KEY",),
        ("ALTER TABLE terra_users ADD PRIMARY KEY (user_id)",),
        "table_unfit", "ALTER TABLE `{database}`.terra_users ADD PRIMARY KEY (user_id)",
    ),
    "another unique key": Change(
        ("ALTER TABLE terra_data_payloads ADD UNIQUE KEY one_each (user_id)",),
        ("ALTER TABLE terra_data_payloads DROP KEY one_each",),
        "table_unfit", "terra_data_payloads DROP INDEX `one_each`",
    ),
    "no transactions": Change(
        ("ALTER TABLE terra_users ENGINE=MyISAM",),
        ("ALTER TABLE terra_users ENGINE=InnoDB",),
        "table_unfit", "terra_users ENGINE=InnoDB",
    ),
    "a view": Change(
        ("ALTER TABLE terra_users RENAME users", "CREATE VIEW terra_users AS SELECT * FROM users"),
        ("DROP VIEW terra_users", "ALTER TABLE users RENAME terra_users"),
        "table_unfit", "is a view",
    ),
    "read-only": Change(("SET GLOBAL read_only = 1",), ("SET GLOBAL read_only = 0",), "1290", "primary server"),
    "no connection left": Change(
        ("ALTER USER '{user}'@'%' WITH MAX_QUERIES_PER_HOUR 1",),
        ("ALTER USER '{user}'@'%' WITH MAX_QUERIES_PER_HOUR 0", "FLUSH USER_RESOURCES"),
        "1226", "MAX_QUERIES_PER_HOUR",
    ),
    "no login": Change(
        ("ALTER USER '{user}'@'%' ACCOUNT LOCK",), ("ALTER USER '{user}'@'%' ACCOUNT UNLOCK",),
        "4151", "ALTER USER '{user}'@'%' ACCOUNT UNLOCK",
    ),
    "an expired password": Change(
        ("ALTER USER '{user}'@'%' PASSWORD EXPIRE",),
        ("ALTER USER '{user}'@'%' PASSWORD EXPIRE NEVER", "SET PASSWORD FOR '{user}'@'%' = PASSWORD('{password}')"),
        "1820", "ALTER USER '{user}'@'%' IDENTIFIED BY",
    ),
    "no rights at all": Change(
        ("REVOKE ALL PRIVILEGES, GRANT OPTION FROM '{user}'@'%'",),
        ("GRANT CREATE, SELECT, INSERT, UPDATE, DELETE ON {database}.* TO '{user}'@'%'",),
        "1044", GRANT,
    ),
    "another password": Change(
        ("ALTER USER '{user}'@'%' IDENTIFIED BY 'rotated'",), ("ALTER USER '{user}'@'%' IDENTIFIED BY '{password}'",),
        "1045", "password",
    ),
}  # fmt: skip


class TestMysqlFaults(SqlFaults):
    @pytest.fixture
    def place(self, mysql_place: MysqlPlace) -> MysqlPlace:
        return mysql_place

    def lose_the_commits_answer(self, proxy: FaultProxy) -> None:
        proxy.cut_answer_to(b"\x03COMMIT")  # COM_QUERY

    def test_a_lock_that_is_held_too_long_is_named_and_the_connection_lives_on(
        self, proxy: FaultProxy, place: Place
    ) -> None:
        self.check_a_held_lock(proxy, place, 2, "1205", Effect.NONE)

    @pytest.mark.parametrize(
        ("number", "code", "effect"),
        [
            ("1020", "1020", Effect.NONE),
            ("1205", "1205", Effect.NONE),
            ("1213", "1213", Effect.NONE),
            ("1021", "1021", Effect.FAILURE),
            ("1040", "1040", Effect.FAILURE),
            ("1114", "1114", Effect.FAILURE),
            ("1969", "timeout", Effect.FAILURE),
            ("3024", "timeout", Effect.FAILURE),
            ("9999", "9999", Effect.FAILURE),  # a number that the table does not know
        ],
    )
    def test_an_error_of_the_moment_or_of_the_server_is_retried_as_a_whole(
        self, adapter: AnySqlAdapter, place: Place, number: str, code: str, effect: Effect
    ) -> None:
        self.check_retried_as_a_whole(adapter, place, number, (code, effect))

    @pytest.mark.parametrize("name", CHANGES)
    def test_a_destination_that_was_changed_is_unwell_by_name_until_it_is_mended(
        self, adapter: AnySqlAdapter, place: Place, name: str
    ) -> None:
        self.check_changed(adapter, place, CHANGES[name])

    def test_a_statement_that_takes_too_long_is_a_timeout_and_the_connection_lives_on(
        self, adapter: AnySqlAdapter, place: Place, proxy: FaultProxy
    ) -> None:
        place.run(
            "CREATE TRIGGER slow BEFORE INSERT ON terra_data_payloads FOR EACH ROW "
            "SET NEW.payload_url = CONCAT(NEW.payload_url, SLEEP(5))"
        )
        patient = place.adapter(port=proxy.port, timeout_s=3)
        result = only(patient.deliver([sample("sleep")]))
        assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "timeout", Effect.FAILURE)
        place.run("DROP TRIGGER slow")
        assert outcomes(patient.deliver([sample("sleep")])) == [Outcome.DELIVERED]
        assert proxy.connections == 1
        patient.close()


@pytest.fixture(scope="module")
def own_server() -> Iterator[MariadbServer]:
    """A server that these tests may kill and fill up, and that keeps what it has committed."""
    server = provide(lambda: start(fsync=True))
    yield server
    server.stop()


def test_a_server_that_is_killed_in_the_middle_of_batches_has_each_row_once_in_the_end(
    own_server: MariadbServer,
) -> None:
    place = MysqlPlace(own_server, own_server.create_user_with_page_grants())
    adapter = place.adapter(timeout_s=5)
    adapter.deliver([sample("daily")])  # makes the tables
    left = [daily(f"user-{number % 40}", number) for number in range(2000)]
    written = {"daily", *(message.event_id for message in left)}
    killed = threading.Event()

    def kill() -> None:
        while len(place.rows("terra_data_payloads", "payload_id")) < 300:
            pass
        own_server.kill()
        killed.set()

    killer = threading.Thread(target=kill)
    killer.start()
    codes = set()
    while left:
        part, left = left[:100], left[100:]
        results = adapter.deliver(part)
        codes |= {result.code for result in results}
        left += [message for message, result in zip(part, results, strict=True) if result.outcome is Outcome.RETRY]
        assert Outcome.REJECTED not in outcomes(results)
        if killed.is_set() and own_server.process and own_server.process.poll() is not None:
            adapter.deliver(part[:1])  # nobody answers
            own_server.start_again()
    killer.join()
    adapter.close()
    assert codes <= {"", "connection_lost", "connect_failed"}
    assert codes > {""}
    assert {key for (key,) in place.rows("terra_data_payloads", "payload_id")} == written
    assert len(place.rows("terra_data_payloads", "payload_id")) == len(written)


def test_a_server_that_takes_no_more_connections_is_named(own_server: MariadbServer) -> None:
    place = MysqlPlace(own_server, own_server.create_user_with_page_grants())
    own_server.run("SET GLOBAL max_connections = 10")  # the least that the server takes
    held = [own_server.connect() for _ in range(9)]
    adapter, other = place.adapter(), place.adapter()
    try:
        assert outcomes(adapter.deliver([sample("body")])) == [Outcome.DELIVERED]
        result = only(other.deliver([sample("sleep")]))
    finally:
        for connection in held:
            connection.close()
        own_server.run("SET GLOBAL max_connections = 151")
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "1040", Effect.FAILURE)
    assert "max_connections" in result.hint
    assert outcomes(other.deliver([sample("sleep")])) == [Outcome.DELIVERED]
    adapter.close()
    other.close()
