"""What an operator finds in the tables of a PostgreSQL destination."""

import pytest

from destinations.adapters.base import Outcome
from tests.adapters.contract import CANARY
from tests.adapters.erasing import ErasingContract
from tests.adapters.postgres_support import PostgresPlace
from tests.adapters.sql_rows_suite import SqlContract, SqlRepeats, SqlSamples
from tests.adapters.sql_support import outcomes, sample
from tests.services.postgres import PostgresServer

pytestmark = pytest.mark.databaseless


class TestPostgresContract(ErasingContract, SqlContract):
    @pytest.fixture
    def place(self, postgres_server: PostgresServer) -> PostgresPlace:
        password = f"{CANARY}-password"
        return PostgresPlace(postgres_server, postgres_server.create_user_with_page_grants(password=password))


class TestPostgresSamples(SqlSamples):
    @pytest.fixture(scope="class")
    def shared_place(self, postgres_server: PostgresServer) -> PostgresPlace:
        return PostgresPlace(postgres_server, postgres_server.create_user_with_page_grants())


class TestPostgresRepeats(SqlRepeats):
    @pytest.fixture
    def place(self, postgres_place: PostgresPlace) -> PostgresPlace:
        # A default of the server's own must not change what the next statement sees.
        database = postgres_place.login.database
        postgres_place.run(f"ALTER DATABASE {database} SET default_transaction_isolation = 'repeatable read'")
        return postgres_place


def test_tables_are_made_with_the_columns_and_types_of_the_page(postgres_place: PostgresPlace) -> None:
    postgres_place.adapter().deliver([sample("activity")])
    with postgres_place.server.connect(postgres_place.login.database) as connection:
        found = connection.execute(
            "SELECT table_name, string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position) "
            "FROM information_schema.columns WHERE table_schema = 'public' GROUP BY 1 ORDER BY 1"
        ).fetchall()
    moment = "timestamp with time zone"
    assert found == [
        (
            "terra_data_payloads",
            f"payload_id text, user_id text, data_type text, created_at {moment}, start_time {moment}, "
            f"end_time {moment}, payload_url text",
        ),
        (
            "terra_other_payloads",
            f"payload_id text, user_id text, payload_type text, created_at {moment}, payload_url text",
        ),
        (
            "terra_users",
            f"user_id text, reference_id text, created_at {moment}, granted_scopes text, provider text, state text",
        ),
    ]


def test_rows_go_to_the_schema_that_was_chosen(postgres_place: PostgresPlace) -> None:
    name, user = "Terra$Hub", postgres_place.login.user
    postgres_place.run(f'CREATE SCHEMA "{name}"', f'GRANT USAGE, CREATE ON SCHEMA "{name}" TO {user}')
    adapter = postgres_place.adapter(schema=name)
    assert outcomes(adapter.deliver([sample("body")])) == [Outcome.DELIVERED]
    adapter.close()
    with postgres_place.server.connect(postgres_place.login.database) as connection:
        assert connection.execute(f'SELECT payload_id FROM "{name}".terra_data_payloads'.encode()).fetchall() == [
            ("body",)
        ]
