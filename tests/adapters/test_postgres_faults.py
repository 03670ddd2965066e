"""What a PostgreSQL destination does when the server or the network misbehaves (T38, T57 to T59)."""

import pytest

from destinations.adapters.base import Effect
from tests.adapters.postgres_support import PostgresPlace
from tests.adapters.sql_faults_suite import Change, SqlFaults
from tests.adapters.sql_support import AnySqlAdapter, Place, only, sample
from tests.services.proxy import FaultProxy

pytestmark = pytest.mark.databaseless

CHANGES = {
    "no rights on a table": Change(
        ("REVOKE ALL ON terra_data_payloads FROM {user}",),
        ("GRANT ALL ON terra_data_payloads TO {user}",),
        "42501",
        "GRANT SELECT, INSERT, UPDATE",
    ),
    "no use of the schema": Change(
        ("REVOKE USAGE ON SCHEMA public FROM {user}, public",),
        ("GRANT USAGE ON SCHEMA public TO {user}",),
        "42501",
        'GRANT USAGE, CREATE ON SCHEMA "public" TO "{user}"',
    ),
    "no right to create": Change(
        ("DROP TABLE terra_users; REVOKE CREATE ON SCHEMA public FROM {user}",),
        ("GRANT CREATE ON SCHEMA public TO {user}",),
        "42501",
        'GRANT USAGE, CREATE ON SCHEMA "public" TO "{user}"',
    ),
    "a column renamed": Change(
        ("ALTER TABLE terra_data_payloads RENAME start_time TO began",),
        ("ALTER TABLE terra_data_payloads RENAME began TO start_time",),
        "42703",
        'column "start_time" of relation "terra_data_payloads"',
    ),
    "a column of another type": Change(
        ("ALTER TABLE terra_users ALTER state TYPE int USING 1",),
        ("ALTER TABLE terra_users ALTER state TYPE text",),
        "42804",
        'column "state" is of type integer',
    ),
    "no primary key": Change(
        ("ALTER TABLE terra_users DROP CONSTRAINT terra_users_pkey",),
        ("ALTER TABLE terra_users ADD PRIMARY KEY (user_id)",),
        "42P10",
        "primary key",
    ),
    "read-only": Change(
        ("ALTER DATABASE {database} SET default_transaction_read_only = on",),
        ("SET transaction_read_only = off; ALTER DATABASE {database} RESET default_transaction_read_only",),
        "25006",
        "primary server",
    ),
    "no connection left": Change(
        ("ALTER USER {user} CONNECTION LIMIT 0",),
        ("ALTER USER {user} CONNECTION LIMIT -1",),
        "53300",
        "CONNECTION LIMIT",
    ),
    "no login": Change(("ALTER USER {user} NOLOGIN",), ("ALTER USER {user} LOGIN",), "28000", "pg_hba.conf"),
    "no connect": Change(
        ("REVOKE CONNECT ON DATABASE {database} FROM {user}, public",),
        ("GRANT CONNECT ON DATABASE {database} TO {user}",),
        "42501",
        "GRANT CONNECT ON DATABASE",
    ),
    "another password": Change(
        ("ALTER USER {user} PASSWORD 'rotated'",), ("ALTER USER {user} PASSWORD '{password}'",), "28P01", "password"
    ),
}


class TestPostgresFaults(SqlFaults):
    @pytest.fixture
    def place(self, postgres_place: PostgresPlace) -> PostgresPlace:
        return postgres_place

    def lose_the_commits_answer(self, proxy: FaultProxy) -> None:
        proxy.cut_at_answer(b"COMMIT\x00")

    def test_a_lock_that_is_held_too_long_is_a_timeout_and_the_connection_lives_on(
        self, proxy: FaultProxy, place: Place
    ) -> None:
        self.check_a_held_lock(proxy, place, 1, "timeout", Effect.FAILURE)

    @pytest.mark.parametrize(
        ("sqlstate", "effect"),
        [
            ("40001", Effect.NONE),
            ("40P01", Effect.NONE),
            ("55P03", Effect.NONE),
            ("53100", Effect.FAILURE),
            ("53200", Effect.FAILURE),
            ("57P03", Effect.FAILURE),
            ("58030", Effect.FAILURE),
            ("XX000", Effect.FAILURE),
            ("72000", Effect.FAILURE),  # a code that the table does not know
        ],
    )
    def test_an_error_of_the_moment_or_of_the_server_is_retried_as_a_whole(
        self, adapter: AnySqlAdapter, place: Place, sqlstate: str, effect: Effect
    ) -> None:
        self.check_retried_as_a_whole(adapter, place, sqlstate, (sqlstate, effect))

    @pytest.mark.parametrize("name", CHANGES)
    def test_a_destination_that_was_changed_is_unwell_by_name_until_it_is_mended(
        self, adapter: AnySqlAdapter, place: Place, name: str
    ) -> None:
        self.check_changed(adapter, place, CHANGES[name])


def test_a_schema_that_is_missing_is_named(postgres_place: PostgresPlace) -> None:
    adapter = postgres_place.adapter(schema="nowhere")
    result = only(adapter.deliver([sample("body")]))
    assert (result.code, result.hint) == ("3F000", 'Check the name, or run: CREATE SCHEMA "nowhere";')
    adapter.close()
