"""What a PostgreSQL destination does when rows, the server or the network misbehave (T38, T40, T41, T57 to T59)."""

from collections.abc import Iterator

import pytest

from destinations.adapters.base import Effect, Outcome
from destinations.adapters.postgres import PostgresAdapter
from tests.adapters.postgres_support import (
    adapter_for,
    daily,
    event,
    news,
    only,
    outcomes,
    run_sql,
    sample,
    table_rows,
)
from tests.services.postgres import Login, PostgresServer
from tests.services.proxy import FaultProxy

pytestmark = pytest.mark.databaseless

CANARY = "canary-of-a-person"
# Counts writing statements where no rollback can take the count back.
COUNT_STATEMENTS = """
CREATE SEQUENCE statements;
CREATE FUNCTION count_statement() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql AS
  $$ BEGIN PERFORM nextval('public.statements'); RETURN NULL; END $$;
CREATE TRIGGER counted BEFORE INSERT ON terra_data_payloads EXECUTE FUNCTION count_statement();
CREATE TRIGGER counted BEFORE INSERT ON terra_other_payloads EXECUTE FUNCTION count_statement();
CREATE TRIGGER counted BEFORE INSERT ON terra_users EXECUTE FUNCTION count_statement();
"""


@pytest.fixture
def adapter(postgres_server: PostgresServer, postgres_login: Login) -> Iterator[PostgresAdapter]:
    """An adapter that has delivered one event already."""
    made = adapter_for(postgres_server, postgres_login)
    assert outcomes(made.deliver([sample("daily")])) == [Outcome.DELIVERED]
    yield made
    made.close()


@pytest.fixture
def proxy(postgres_server: PostgresServer) -> Iterator[FaultProxy]:
    with FaultProxy((postgres_server.host, postgres_server.port)) as proxy:
        yield proxy


def raising(condition: str, sqlstate: str, table: str = "terra_data_payloads") -> str:
    """Return SQL that lets ``table`` refuse rows, as an operator's own trigger may."""
    return f"""
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF {condition} THEN RAISE EXCEPTION 'no %', NEW.user_id USING ERRCODE = '{sqlstate}'; END IF;
      RETURN NEW; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse();
    """


# --- rows that cannot be written ------------------------------------------------------------
DATA, OTHER = "terra_data_payloads", "terra_other_payloads"
LAB_REPORT = {"type": "lab_report.completed"}  # a longer type than "daily", and no user


@pytest.mark.parametrize("position", [0, 250, 499], ids=["first", "middle", "last"])
@pytest.mark.parametrize(
    ("table", "change", "good", "bad", "code", "named"),
    [
        (OTHER, "ADD CHECK (payload_type <> 'bad')", "auth", {"type": "bad"}, "23514", f"{OTHER}_payload_type_check"),
        (DATA, "ALTER data_type TYPE varchar(8)", "daily", LAB_REPORT, "22001", "column data_type"),
        (DATA, "ALTER user_id SET NOT NULL", "daily", LAB_REPORT, "23502", "column user_id"),
    ],
    ids=["check", "too long", "not null"],
)
def test_one_bad_row_of_500_is_rejected_by_name_and_the_others_are_delivered(
    adapter: PostgresAdapter,
    postgres_server: PostgresServer,
    postgres_login: Login,
    position: int,
    table: str,
    change: str,
    good: str,
    bad: dict[str, str],
    code: str,
    named: str,
) -> None:
    run_sql(postgres_server, postgres_login, f"ALTER TABLE {table} {change}", COUNT_STATEMENTS)
    batch = [news(good, user_id=f"{CANARY}-{number % 50}") for number in range(500)]
    batch.sort(key=lambda message: message.event_id)  # the order in which rows are written
    batch[position] = event(bad, event_id=batch[position].event_id)

    results = adapter.deliver(batch)

    refused = results[position]
    assert (refused.outcome, refused.code, refused.effect) == (Outcome.REJECTED, code, Effect.NONE)
    assert named in refused.detail
    assert CANARY not in repr(results)
    assert [n for n, one in enumerate(results) if one.outcome is not Outcome.DELIVERED] == [position]
    written = {key for (key,) in table_rows(postgres_server, postgres_login, table, "payload_id")}
    assert written - {"daily"} == {message.event_id for message in batch} - {batch[position].event_id}
    ((inserts,),) = table_rows(postgres_server, postgres_login, "statements", "last_value")
    assert inserts <= 2 + 12  # users and payloads once each, and the search


def test_poison_is_rejected_once_and_its_neighbours_are_delivered(
    adapter: PostgresAdapter, postgres_server: PostgresServer, postgres_login: Login
) -> None:
    batch = {
        "nul": daily("a\x00b"),
        "huge": daily("u" * 5_000_000),
        "proto": event({"type": "daily", "__proto__": {"user_id": 1}, "user": {"user_id": "p", "__proto__": []}}),
        "infinite": event(b'{"type": "daily", "user": {"user_id": "i"}, "data": [{"metadata": 1e400}]}'),
        "deep": event(b'{"type": "daily", "data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        "fine": daily("fine"),
    }
    results = dict(zip(batch, adapter.deliver(list(batch.values())), strict=True))
    found = {name: (result.outcome, result.code) for name, result in results.items()}
    delivered = (Outcome.DELIVERED, "")
    assert found == {
        "nul": delivered,
        "huge": (Outcome.REJECTED, "54000"),
        "proto": delivered,
        "infinite": delivered,
        "deep": (Outcome.REJECTED, "unprocessable"),
        "fine": delivered,
    }
    assert "table terra_users, column user_id" in results["huge"].detail
    users = table_rows(postgres_server, postgres_login, "terra_data_payloads", "user_id")
    assert sorted(user for (user,) in users)[-4:] == ["a\ufffdb", "fine", "i", "p"]


def test_what_a_trigger_says_about_a_row_is_not_repeated(
    adapter: PostgresAdapter, postgres_server: PostgresServer, postgres_login: Login
) -> None:
    run_sql(postgres_server, postgres_login, raising(f"NEW.user_id = '{CANARY}'", "P0001"))
    refused, fine = adapter.deliver([daily(CANARY), daily("fine")])
    assert (refused.outcome, refused.code, fine.outcome) == (Outcome.REJECTED, "P0001", Outcome.DELIVERED)
    assert CANARY not in repr(refused)


def test_a_bad_user_row_takes_only_that_users_events_with_it(
    adapter: PostgresAdapter, postgres_server: PostgresServer, postgres_login: Login
) -> None:
    run_sql(postgres_server, postgres_login, "ALTER TABLE terra_users ADD CHECK (provider <> 'BAD')")
    results = adapter.deliver([daily("a"), daily("b", provider="BAD"), daily("c")])
    assert outcomes(results) == [Outcome.DELIVERED, Outcome.REJECTED, Outcome.DELIVERED]
    users = table_rows(postgres_server, postgres_login, "terra_data_payloads", "user_id")
    assert ("b",) not in users


def test_many_bad_rows_are_all_found(
    adapter: PostgresAdapter, postgres_server: PostgresServer, postgres_login: Login
) -> None:
    run_sql(postgres_server, postgres_login, "ALTER TABLE terra_data_payloads ADD CHECK (user_id NOT LIKE '%7')")
    batch = [daily(str(number)) for number in range(100)]
    results = adapter.deliver(batch)
    assert [str(n)[-1] == "7" for n in range(100)] == [one.outcome is Outcome.REJECTED for one in results]


@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE terra_data_payloads ADD CHECK (false) NOT VALID",
        "ALTER TABLE terra_data_payloads ADD x int NOT NULL",
    ],
    ids=["a check that nothing passes", "a column that is none of Terra's"],
)
def test_a_table_that_takes_no_row_is_the_tables_fault_and_nothing_is_rejected(
    adapter: PostgresAdapter, postgres_server: PostgresServer, postgres_login: Login, change: str
) -> None:
    run_sql(postgres_server, postgres_login, "TRUNCATE terra_data_payloads", change)
    result = only(adapter.deliver([daily(str(number)) for number in range(50)]))
    assert (result.outcome, result.effect) == (Outcome.RETRY, Effect.FAILURE)
    assert "terra_data_payloads" in result.detail


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
    adapter: PostgresAdapter, postgres_server: PostgresServer, postgres_login: Login
) -> None:
    run_sql(
        postgres_server,
        postgres_login,
        f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{postgres_login.user}'",
    )
    assert outcomes(adapter.deliver([sample("body")])) == [Outcome.DELIVERED]


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
    adapter: PostgresAdapter, postgres_server: PostgresServer, postgres_login: Login, sqlstate: str, effect: Effect
) -> None:
    run_sql(postgres_server, postgres_login, raising("true", sqlstate))
    batch = [daily(CANARY), daily("other")]
    result = only(adapter.deliver(batch))
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, sqlstate, effect)
    assert CANARY not in repr(result)
    assert table_rows(postgres_server, postgres_login, "terra_data_payloads", "payload_id") == [("daily",)]
    run_sql(postgres_server, postgres_login, "DROP FUNCTION refuse CASCADE")
    assert outcomes(adapter.deliver(batch)) == [Outcome.DELIVERED] * 2


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
    adapter: PostgresAdapter,
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
    result = only(adapter.deliver(batch))
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, code, Effect.FAILURE)
    assert said.format(**names) in f"{result.detail} {result.hint}"
    assert postgres_login.password not in repr(result)

    run_sql(postgres_server, postgres_login, mends.format(**names), end_sessions.format(**names))
    assert outcomes(adapter.deliver(batch)) == [Outcome.DELIVERED] * 2


@pytest.mark.parametrize("table", ["terra_users", "terra_data_payloads", "terra_other_payloads"])
def test_a_table_that_is_dropped_is_made_again_in_the_same_try(
    adapter: PostgresAdapter, postgres_server: PostgresServer, postgres_login: Login, table: str
) -> None:
    run_sql(postgres_server, postgres_login, f"DROP TABLE {table}")
    assert outcomes(adapter.deliver([sample("sleep"), sample("auth")])) == [Outcome.DELIVERED] * 2
    assert len(table_rows(postgres_server, postgres_login, table)) == 1


def test_a_schema_that_is_missing_is_named(postgres_server: PostgresServer, postgres_login: Login) -> None:
    adapter = adapter_for(postgres_server, postgres_login, schema="nowhere")
    result = only(adapter.deliver([sample("body")]))
    assert (result.code, result.hint) == ("3F000", 'Check the name, or run: CREATE SCHEMA "nowhere";')
    adapter.close()
