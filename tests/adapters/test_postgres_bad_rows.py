"""Rows that a PostgreSQL table refuses, among rows that it takes (T40, T41)."""

import pytest

from destinations.adapters.base import Effect, Outcome
from destinations.adapters.postgres import PostgresAdapter
from tests.adapters.postgres_support import CANARY, daily, event, news, only, outcomes, raising, run_sql, table_rows
from tests.services.postgres import Login, PostgresServer

pytestmark = pytest.mark.databaseless

# Counts writing statements where no rollback can take the count back.
COUNT_STATEMENTS = """
CREATE SEQUENCE statements;
CREATE FUNCTION count_statement() RETURNS trigger SECURITY DEFINER LANGUAGE plpgsql AS
  $$ BEGIN PERFORM nextval('public.statements'); RETURN NULL; END $$;
CREATE TRIGGER counted BEFORE INSERT ON terra_data_payloads EXECUTE FUNCTION count_statement();
CREATE TRIGGER counted BEFORE INSERT ON terra_other_payloads EXECUTE FUNCTION count_statement();
CREATE TRIGGER counted BEFORE INSERT ON terra_users EXECUTE FUNCTION count_statement();
"""


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
    postgres_adapter: PostgresAdapter,
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

    results = postgres_adapter.deliver(batch)

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
    postgres_adapter: PostgresAdapter, postgres_server: PostgresServer, postgres_login: Login
) -> None:
    batch = {
        "nul": daily("a\x00b"),
        "huge": daily("u" * 5_000_000),
        "proto": event({"type": "daily", "__proto__": {"user_id": 1}, "user": {"user_id": "p", "__proto__": []}}),
        "infinite": event(b'{"type": "daily", "user": {"user_id": "i"}, "data": [{"metadata": 1e400}]}'),
        "deep": event(b'{"type": "daily", "data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
        "fine": daily("fine"),
    }
    results = dict(zip(batch, postgres_adapter.deliver(list(batch.values())), strict=True))
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
    postgres_adapter: PostgresAdapter, postgres_server: PostgresServer, postgres_login: Login
) -> None:
    run_sql(postgres_server, postgres_login, raising(f"NEW.user_id = '{CANARY}'", "P0001"))
    refused, fine = postgres_adapter.deliver([daily(CANARY), daily("fine")])
    assert (refused.outcome, refused.code, fine.outcome) == (Outcome.REJECTED, "P0001", Outcome.DELIVERED)
    assert CANARY not in repr(refused)


def test_a_bad_user_row_takes_only_that_users_events_with_it(
    postgres_adapter: PostgresAdapter, postgres_server: PostgresServer, postgres_login: Login
) -> None:
    run_sql(postgres_server, postgres_login, "ALTER TABLE terra_users ADD CHECK (provider <> 'BAD')")
    results = postgres_adapter.deliver([daily("a"), daily("b", provider="BAD"), daily("c")])
    assert outcomes(results) == [Outcome.DELIVERED, Outcome.REJECTED, Outcome.DELIVERED]
    users = table_rows(postgres_server, postgres_login, "terra_data_payloads", "user_id")
    assert ("b",) not in users


def test_many_bad_rows_are_all_found(
    postgres_adapter: PostgresAdapter, postgres_server: PostgresServer, postgres_login: Login
) -> None:
    run_sql(postgres_server, postgres_login, "ALTER TABLE terra_data_payloads ADD CHECK (user_id NOT LIKE '%7')")
    batch = [daily(str(number)) for number in range(100)]
    results = postgres_adapter.deliver(batch)
    assert [str(n)[-1] == "7" for n in range(100)] == [one.outcome is Outcome.REJECTED for one in results]


def test_a_batch_with_very_many_bad_rows_is_settled_in_a_few_tries(
    postgres_adapter: PostgresAdapter, postgres_server: PostgresServer, postgres_login: Login
) -> None:
    run_sql(postgres_server, postgres_login, "ALTER TABLE terra_data_payloads ADD CHECK (user_id NOT LIKE 'odd%')")
    left = [daily(f"{'odd' if number % 2 else 'even'}-{number}") for number in range(120)]
    settled = {}
    while left:
        results = postgres_adapter.deliver(left)
        settled |= {m.event_id: (m.body, r) for m, r in zip(left, results, strict=True) if r.outcome != Outcome.RETRY}
        remaining = [m for m, r in zip(left, results, strict=True) if r.outcome == Outcome.RETRY]
        assert len(remaining) < len(left)
        assert {r.effect for r in results} == {Effect.NONE}
        left = remaining
    assert {b"odd" in body: result.outcome for body, result in settled.values()} == {
        True: Outcome.REJECTED,
        False: Outcome.DELIVERED,
    }


def test_a_constraint_that_waits_for_the_commit_holds_no_neighbours(
    postgres_adapter: PostgresAdapter, postgres_server: PostgresServer, postgres_login: Login
) -> None:
    run_sql(
        postgres_server,
        postgres_login,
        "TRUNCATE terra_data_payloads",
        "CREATE TABLE patients (id text PRIMARY KEY); INSERT INTO patients VALUES ('a'), ('c')",
        "ALTER TABLE terra_data_payloads ADD FOREIGN KEY (user_id) REFERENCES patients DEFERRABLE INITIALLY DEFERRED",
        f"GRANT ALL ON patients TO {postgres_login.user}",
    )
    results = postgres_adapter.deliver([daily("a"), daily("b"), daily("c")])
    assert outcomes(results) == [Outcome.DELIVERED, Outcome.REJECTED, Outcome.DELIVERED]
    assert (results[1].code, "user_id_fkey" in results[1].detail) == ("23503", True)


@pytest.mark.parametrize(
    ("events", "change"), [(50, "ADD CHECK (false) NOT VALID"), (50, "ADD x int NOT NULL"), (1, "ADD x int NOT NULL")]
)
def test_a_table_that_takes_no_row_is_at_fault_itself_and_nothing_is_rejected(
    postgres_adapter: PostgresAdapter, postgres_server: PostgresServer, postgres_login: Login, events: int, change: str
) -> None:
    change = f"ALTER TABLE terra_data_payloads {change}"
    run_sql(postgres_server, postgres_login, "TRUNCATE terra_data_payloads", change)
    result = only(postgres_adapter.deliver([daily(str(number)) for number in range(events)]))
    assert (result.outcome, result.effect) == (Outcome.RETRY, Effect.FAILURE)
    assert "terra_data_payloads" in result.detail
