"""What a PostgreSQL destination does when the server or the network misbehaves (T38, T57 to T59)."""

from collections.abc import Iterator

import pytest

from destinations.adapters.base import Effect, Outcome
from destinations.adapters.postgres import PostgresAdapter
from tests.adapters.postgres_support import (
    CANARY,
    adapter_for,
    daily,
    only,
    outcomes,
    raising,
    run_sql,
    sample,
    table_rows,
)
from tests.services.postgres import Login, PostgresServer
from tests.services.proxy import FaultProxy

pytestmark = pytest.mark.databaseless


@pytest.fixture
def proxy(postgres_server: PostgresServer) -> Iterator[FaultProxy]:
    with FaultProxy((postgres_server.host, postgres_server.port)) as proxy:
        yield proxy


# --- connections that break -----------------------------------------------------------------
def test_a_connection_that_is_cut_after_the_commit_leaves_one_row(
    proxy: FaultProxy, postgres_server: PostgresServer, postgres_login: Login
) -> None:
    first = adapter_for(postgres_server, postgres_login)
    first.deliver([daily()])  # makes the tables
    first.close()
    adapter = adapter_for(postgres_server, postgres_login, port=proxy.port, ssl_mode="disable")
    message = sample("sleep")
    proxy.cut_at_answer(b"COMMIT\x00")
    result = only(adapter.deliver([message]))
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "connection_lost", Effect.FAILURE)
    rows = table_rows(postgres_server, postgres_login, "terra_data_payloads", "payload_id")
    assert ("sleep",) in rows  # it was committed, and the hub cannot know

    assert outcomes(adapter.deliver([message])) == [Outcome.DELIVERED]
    assert table_rows(postgres_server, postgres_login, "terra_data_payloads", "payload_id") == rows
    adapter.close()


def test_a_kept_connection_that_broke_is_replaced_without_a_failed_try(
    proxy: FaultProxy, postgres_server: PostgresServer, postgres_login: Login
) -> None:
    adapter = adapter_for(postgres_server, postgres_login, port=proxy.port)
    for _ in range(3):
        assert outcomes(adapter.deliver([sample("body")])) == [Outcome.DELIVERED]
    assert proxy.connections == 1
    proxy.cut()
    assert outcomes(adapter.deliver([sample("sleep")])) == [Outcome.DELIVERED]
    assert proxy.connections == 2
    adapter.close()


def test_a_session_that_the_server_ended_is_replaced(
    postgres_adapter: PostgresAdapter, postgres_server: PostgresServer, postgres_login: Login
) -> None:
    run_sql(
        postgres_server,
        postgres_login,
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{postgres_login.user}'",
    )
    assert outcomes(postgres_adapter.deliver([sample("body")])) == [Outcome.DELIVERED]


def test_a_server_that_falls_silent_is_left_at_the_deadline(
    proxy: FaultProxy, postgres_server: PostgresServer, postgres_login: Login
) -> None:
    adapter = adapter_for(postgres_server, postgres_login, port=proxy.port, timeout_s=1)
    assert outcomes(adapter.deliver([sample("body")])) == [Outcome.DELIVERED]
    proxy.fall_silent()
    for step in ("in a batch", "while connecting"):
        result = only(adapter.deliver([sample("sleep")]))
        assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "timeout", Effect.FAILURE), step
    adapter.close()


def test_a_lock_that_is_held_too_long_is_a_timeout_and_the_connection_lives_on(
    postgres_server: PostgresServer, postgres_login: Login, proxy: FaultProxy
) -> None:
    adapter = adapter_for(postgres_server, postgres_login, port=proxy.port, timeout_s=1)
    adapter.deliver([sample("body")])
    with postgres_server.connect(postgres_login.database) as other, other.transaction():
        other.execute("LOCK TABLE terra_data_payloads")
        result = only(adapter.deliver([sample("sleep")]))
        assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "timeout", Effect.FAILURE)
        assert "lock" in result.hint
    assert outcomes(adapter.deliver([sample("sleep")])) == [Outcome.DELIVERED]
    assert proxy.connections == 1
    adapter.close()


def test_nothing_listens(postgres_server: PostgresServer, postgres_login: Login, proxy: FaultProxy) -> None:
    port = proxy.port
    proxy.__exit__()
    result = only(adapter_for(postgres_server, postgres_login, port=port).deliver([sample("body")]))
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "connect_failed", Effect.FAILURE)
    assert str(port) in result.detail


# --- servers that refuse --------------------------------------------------------------------
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
    postgres_adapter: PostgresAdapter,
    postgres_server: PostgresServer,
    postgres_login: Login,
    sqlstate: str,
    effect: Effect,
) -> None:
    run_sql(postgres_server, postgres_login, raising("true", sqlstate))
    batch = [daily(CANARY), daily("other")]
    result = only(postgres_adapter.deliver(batch))
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, sqlstate, effect)
    assert CANARY not in repr(result)
    assert table_rows(postgres_server, postgres_login, "terra_data_payloads", "payload_id") == [("daily",)]
    run_sql(postgres_server, postgres_login, "DROP FUNCTION refuse CASCADE")
    assert outcomes(postgres_adapter.deliver(batch)) == [Outcome.DELIVERED] * 2


@pytest.mark.parametrize(
    ("breaks", "mends", "code", "said"),
    [
        (
            "REVOKE ALL ON terra_data_payloads FROM {user}",
            "GRANT ALL ON terra_data_payloads TO {user}",
            "42501",
            "GRANT SELECT, INSERT, UPDATE",
        ),
        (
            "REVOKE USAGE ON SCHEMA public FROM {user}, public",
            "GRANT USAGE ON SCHEMA public TO {user}",
            "42501",
            'GRANT USAGE, CREATE ON SCHEMA "public" TO "{user}"',
        ),
        (
            "DROP TABLE terra_users; REVOKE CREATE ON SCHEMA public FROM {user}",
            "GRANT CREATE ON SCHEMA public TO {user}",
            "42501",
            'GRANT USAGE, CREATE ON SCHEMA "public" TO "{user}"',
        ),
        (
            "ALTER TABLE terra_data_payloads RENAME start_time TO began",
            "ALTER TABLE terra_data_payloads RENAME began TO start_time",
            "42703",
            'column "start_time" of relation "terra_data_payloads"',
        ),
        (
            "ALTER TABLE terra_users ALTER state TYPE int USING 1",
            "ALTER TABLE terra_users ALTER state TYPE text",
            "42804",
            'column "state" is of type integer',
        ),
        (
            "ALTER TABLE terra_users DROP CONSTRAINT terra_users_pkey",
            "ALTER TABLE terra_users ADD PRIMARY KEY (user_id)",
            "42P10",
            "primary key",
        ),
        (
            "ALTER DATABASE {database} SET default_transaction_read_only = on",
            "SET transaction_read_only = off; ALTER DATABASE {database} RESET default_transaction_read_only",
            "25006",
            "primary server",
        ),
        ("ALTER USER {user} CONNECTION LIMIT 0", "ALTER USER {user} CONNECTION LIMIT -1", "53300", "CONNECTION LIMIT"),
        ("ALTER USER {user} NOLOGIN", "ALTER USER {user} LOGIN", "28000", "pg_hba.conf"),
        (
            "REVOKE CONNECT ON DATABASE {database} FROM {user}, public",
            "GRANT CONNECT ON DATABASE {database} TO {user}",
            "42501",
            "GRANT CONNECT ON DATABASE",
        ),
        ("ALTER USER {user} PASSWORD 'rotated'", "ALTER USER {user} PASSWORD '{password}'", "28P01", "password"),
    ],
)
def test_a_destination_that_was_changed_is_unwell_by_name_until_it_is_mended(
    postgres_adapter: PostgresAdapter,
    postgres_server: PostgresServer,
    postgres_login: Login,
    breaks: str,
    mends: str,
    code: str,
    said: str,
) -> None:
    names = vars(postgres_login)
    end_sessions = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{user}'"
    run_sql(postgres_server, postgres_login, breaks.format(**names), end_sessions.format(**names))
    batch = [sample("sleep"), sample("deauth")]
    result = only(postgres_adapter.deliver(batch))
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, code, Effect.FAILURE)
    assert said.format(**names) in f"{result.detail} {result.hint}"
    assert postgres_login.password not in repr(result)

    run_sql(postgres_server, postgres_login, mends.format(**names), end_sessions.format(**names))
    assert outcomes(postgres_adapter.deliver(batch)) == [Outcome.DELIVERED] * 2


@pytest.mark.parametrize("table", ["terra_users", "terra_data_payloads", "terra_other_payloads"])
def test_a_table_that_is_dropped_is_made_again_in_the_same_try(
    postgres_adapter: PostgresAdapter, postgres_server: PostgresServer, postgres_login: Login, table: str
) -> None:
    run_sql(postgres_server, postgres_login, f"DROP TABLE {table}")
    assert outcomes(postgres_adapter.deliver([sample("sleep"), sample("auth")])) == [Outcome.DELIVERED] * 2
    assert len(table_rows(postgres_server, postgres_login, table)) == 1


def test_a_schema_that_is_missing_is_named(postgres_server: PostgresServer, postgres_login: Login) -> None:
    adapter = adapter_for(postgres_server, postgres_login, schema="nowhere")
    result = only(adapter.deliver([sample("body")]))
    assert (result.code, result.hint) == ("3F000", 'Check the name, or run: CREATE SCHEMA "nowhere";')
    adapter.close()
