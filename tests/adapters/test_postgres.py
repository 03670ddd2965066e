"""What an operator finds in the tables of a PostgreSQL destination."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest

from destinations.adapters.base import Outcome
from destinations.adapters.postgres import PostgresAdapter
from tests.adapters.contract import CANARY, AdapterContract, Site, Stored
from tests.adapters.postgres_support import (
    LOCAL,
    RECEIVED,
    USER,
    adapter_for,
    daily,
    event,
    news,
    outcomes,
    run_sql,
    sample,
    table_rows,
)
from tests.services import free_port
from tests.services.postgres import Login, PostgresServer

pytestmark = pytest.mark.databaseless

GARMIN = (USER, "your-user-123", None, "ACTIVITY_EXPORT,HEALTH_EXPORT", "GARMIN")
FORTY_TWO = (
    "8dadb06f-9ce3-4b6e-a7e7-3f7f2c0a9b11",
    "user-42",
    datetime(2024, 11, 2, 9, 15, 30, tzinfo=UTC),
    "activity,sleep,daily",
    "GARMIN",
)
MORE_SCOPES = (*GARMIN[:3], "ACTIVITY_EXPORT,HEALTH_EXPORT,BODY_EXPORT", "GARMIN")
GOOGLE = (*FORTY_TWO[:4], "GOOGLE")
NEW_ID = ("9c8b7a65-4321-4fed-a0b9-87c6d5e4f321", *GARMIN[1:])


def july(day: int, hour: int, minute: int = 0, second: int = 0) -> datetime:
    month = 6 if day == 30 else 7
    return datetime(2026, month, day, hour, minute, second, tzinfo=UTC)


DAY = (july(30, 23), july(1, 23))  # 1 July in London, where the clock is an hour ahead of UTC
JUNE = (datetime(2025, 6, 1, tzinfo=UTC), datetime(2025, 6, 1, tzinfo=UTC))
NO_TIMES = (None, None)
# Read off the sample files by hand: (user, state of its row), type, span of the items.
DATA_SAMPLES: dict[str, tuple[Any, str, Any]] = {
    "activity": ((*GARMIN, "active"), "activity", (july(1, 6, 4, 11), july(1, 6, 52, 48))),
    "activity-full": ((*FORTY_TWO, "active"), "activity", JUNE),
    "activity-large": ((*FORTY_TWO, "active"), "activity", JUNE),
    "athlete": ((*GARMIN, "active"), "athlete", NO_TIMES),
    "athlete-full": ((*FORTY_TWO, "active"), "athlete", NO_TIMES),
    "body": ((*GARMIN, "active"), "body", DAY),
    "body-full": ((*FORTY_TWO, "active"), "body", JUNE),
    "daily": ((*GARMIN, "active"), "daily", DAY),
    "daily-full": ((*FORTY_TWO, "active"), "daily", JUNE),
    "health_observation": ((*FORTY_TWO, "active"), "health_observation", JUNE),
    "hormone": ((*FORTY_TWO, "active"), "hormone", JUNE),
    "lab_report.completed": (None, "lab_report.completed", NO_TIMES),
    "lab_report.failed": (None, "lab_report.failed", NO_TIMES),
    "menstruation": ((*GARMIN, "active"), "menstruation", DAY),
    "menstruation-full": ((*FORTY_TWO, "active"), "menstruation", JUNE),
    "nutrition": ((*GARMIN, "active"), "nutrition", DAY),
    "nutrition-full": ((*FORTY_TWO, "active"), "nutrition", JUNE),
    "planned_workout": ((*FORTY_TWO, "active"), "planned_workout", JUNE),
    "sleep": ((*GARMIN, "active"), "sleep", (july(30, 22, 12), july(1, 6, 2))),
    "sleep-full": ((*FORTY_TWO, "active"), "sleep", JUNE),
}
OTHER_SAMPLES: dict[str, tuple[Any, str]] = {
    "access_revoked": ((*GARMIN, "access_revoked"), "access_revoked"),
    "auth": ((*GARMIN, "active"), "auth"),
    "auth-2": ((*FORTY_TWO, "active"), "auth"),
    "auth-error": ((*FORTY_TWO, None), "auth"),
    "auth_cancelled": (None, "auth_cancelled"),
    "connection_error": ((*GARMIN, "connection_error"), "connection_error"),
    "deauth": ((*GARMIN, "deauth"), "deauth"),
    "google_no_datasource": ((*GOOGLE, None), "google_no_datasource"),
    "healthcheck": (None, "healthcheck"),
    "large_request_processing": ((*GARMIN, None), "large_request_processing"),
    "large_request_sending": ((*GARMIN, None), "large_request_sending"),
    "permission_change": ((*MORE_SCOPES, None), "permission_change"),
    "rate_limit_hit": ((*FORTY_TWO, None), "rate_limit_hit"),
    "s3_payload": (None, "s3_payload"),
    "s3_payload-2": (None, "s3_payload"),
    "user_reauth": ((*NEW_ID, "active"), "user_reauth"),
}


class TestPostgresContract(AdapterContract):
    @pytest.fixture
    def site(self, postgres_server: PostgresServer) -> Site:
        login = postgres_server.create_user_with_page_grants(password=f"{CANARY}-password")

        def read_back() -> list[Stored]:
            with postgres_server.connect(login.database) as connection:
                made = "SELECT relname FROM pg_class WHERE relname LIKE 'terra%payloads'"
                tables = [name for (name,) in connection.execute(made)]
                return [Stored(key) for table in tables for key, *_ in table_rows(postgres_server, login, table)]

        adapter = adapter_for(postgres_server, login)
        return Site(
            kind=PostgresAdapter,
            config=asdict(adapter.config),
            credentials=asdict(adapter.credentials),
            policy=LOCAL,
            read_back=read_back,
            repeats_leave_one=True,
            unreachable={"port": free_port()},
            wrong_config={},
            wrong_credentials={"password": f"{CANARY}-wrong"},
            wrong_step="authenticate",
        )


@pytest.fixture(scope="module")
def shared_login(postgres_server: PostgresServer) -> Login:
    return postgres_server.create_user_with_page_grants()


@pytest.fixture
def empty_adapter(postgres_server: PostgresServer, shared_login: Login) -> Iterator[PostgresAdapter]:
    made = adapter_for(postgres_server, shared_login)
    made.deliver([daily()])  # makes the tables
    run_sql(postgres_server, shared_login, "TRUNCATE terra_users, terra_data_payloads, terra_other_payloads")
    yield made
    made.close()


def test_every_sample_file_is_expected_here() -> None:
    from tests.adapters.postgres_support import SAMPLES

    assert {path.stem for path in SAMPLES.glob("*.json")} == {*DATA_SAMPLES, *OTHER_SAMPLES}


@pytest.mark.parametrize("name", DATA_SAMPLES)
def test_a_data_sample_gives_its_rows(
    name: str, empty_adapter: PostgresAdapter, postgres_server: PostgresServer, shared_login: Login
) -> None:
    user, kind, span = DATA_SAMPLES[name]
    assert outcomes(empty_adapter.deliver([sample(name)])) == [Outcome.DELIVERED]
    expected = (name, user and user[0], kind, RECEIVED, *span, f"https://hub.example.com/p/{name}")
    assert table_rows(postgres_server, shared_login, "terra_data_payloads") == [expected]
    assert table_rows(postgres_server, shared_login, "terra_other_payloads") == []
    assert table_rows(postgres_server, shared_login, "terra_users") == ([user] if user else [])


@pytest.mark.parametrize("name", OTHER_SAMPLES)
def test_any_other_sample_gives_its_rows(
    name: str, empty_adapter: PostgresAdapter, postgres_server: PostgresServer, shared_login: Login
) -> None:
    user, kind = OTHER_SAMPLES[name]
    assert outcomes(empty_adapter.deliver([sample(name)])) == [Outcome.DELIVERED]
    expected = (name, user and user[0], kind, RECEIVED, f"https://hub.example.com/p/{name}")
    assert table_rows(postgres_server, shared_login, "terra_other_payloads") == [expected]
    assert table_rows(postgres_server, shared_login, "terra_data_payloads") == []
    replaced = [(*GARMIN, "user_reauth")] if name == "user_reauth" else []
    assert table_rows(postgres_server, shared_login, "terra_users") == replaced + ([user] if user else [])


def test_tables_are_made_with_the_columns_and_types_of_the_page(
    postgres_adapter: PostgresAdapter, postgres_server: PostgresServer, postgres_login: Login
) -> None:
    postgres_adapter.deliver([sample("activity")])
    with postgres_server.connect(postgres_login.database) as connection:
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


def test_the_same_event_again_leaves_one_row_with_the_newest_link(
    postgres_adapter: PostgresAdapter, postgres_server: PostgresServer, postgres_login: Login
) -> None:
    message = sample("sleep")
    again = replace(message, payload_url="https://hub.example.com/after-the-old-link-was-revoked")
    for batch in ([message, message], [message], [again]):
        assert set(outcomes(postgres_adapter.deliver(batch))) == {Outcome.DELIVERED}
    rows = table_rows(postgres_server, postgres_login, "terra_data_payloads", "payload_id, payload_url")
    assert ("sleep", again.payload_url) in rows
    assert len(rows) == 2  # the other one is the fixture's


@pytest.mark.parametrize("steps", [[0, 1], [1, 0], [0, 1, 0, 1]], ids=["in order", "late", "repeated"])
@pytest.mark.parametrize("separate", [False, True], ids=["one batch", "batch by batch"])
def test_an_older_event_does_not_undo_a_newer_one(
    steps: list[int],
    separate: bool,
    empty_adapter: PostgresAdapter,
    postgres_server: PostgresServer,
    shared_login: Login,
) -> None:
    events = [daily(at=1, scopes="old", reference_id="ref"), news("deauth", 2, scopes="new", reference_id=None)]
    chosen = [events[step] for step in steps]
    for batch in [[one] for one in chosen] if separate else [chosen]:
        assert set(outcomes(empty_adapter.deliver(batch))) == {Outcome.DELIVERED}
    rows = table_rows(postgres_server, shared_login, "terra_users", "state, granted_scopes, reference_id")
    assert rows == [("deauth", "new", "ref")]


def test_a_user_who_comes_back_is_active_again(
    empty_adapter: PostgresAdapter, postgres_server: PostgresServer, shared_login: Login
) -> None:
    for message in (news("auth", 1), news("access_revoked", 2), news("rate_limit_hit", 3)):
        empty_adapter.deliver([message])
    assert table_rows(postgres_server, shared_login, "terra_users", "state") == [("access_revoked",)]
    empty_adapter.deliver([daily(at=4)])
    assert table_rows(postgres_server, shared_login, "terra_users", "state") == [("active",)]


def test_a_replaced_id_never_becomes_active_again(
    empty_adapter: PostgresAdapter, postgres_server: PostgresServer, shared_login: Login
) -> None:
    moved = event({"type": "user_reauth", "old_user": {"user_id": USER}, "new_user": {"user_id": "new"}}, at=5)
    for message in (daily(at=6), moved, daily(at=4), daily(at=9)):
        empty_adapter.deliver([message])
    assert table_rows(postgres_server, shared_login, "terra_users", "user_id, state") == [
        (USER, "user_reauth"),
        ("new", "active"),
    ]


def test_four_adapters_that_write_the_same_new_events_leave_one_row_each(
    postgres_server: PostgresServer, postgres_login: Login
) -> None:
    batch = [daily(f"user-{number % 37}", number) for number in range(300)]

    def deliver(turn: int) -> list[Outcome]:
        adapter = adapter_for(postgres_server, postgres_login)
        order = batch if turn % 2 else batch[::-1]
        found = [outcome for start in range(0, 300, 100) for outcome in outcomes(adapter.deliver(order[start:][:100]))]
        adapter.close()
        return found

    with ThreadPoolExecutor(4) as pool:
        found = [outcome for some in pool.map(deliver, range(4)) for outcome in some]
    assert found == [Outcome.DELIVERED] * 1200
    keys = [key for (key,) in table_rows(postgres_server, postgres_login, "terra_data_payloads", "payload_id")]
    assert keys == sorted(message.event_id for message in batch)
    assert len(table_rows(postgres_server, postgres_login, "terra_users")) == 37


def test_four_adapters_that_miss_the_tables_at_once_make_them_once(
    postgres_server: PostgresServer, postgres_login: Login
) -> None:
    adapters = [adapter_for(postgres_server, postgres_login) for _ in range(4)]
    together = Barrier(4)

    def deliver(adapter: PostgresAdapter) -> list[Outcome]:
        together.wait()
        return outcomes(adapter.deliver([daily(), news("auth")]))

    with ThreadPoolExecutor(4) as pool:
        for _ in range(6):
            assert list(pool.map(deliver, adapters)) == [[Outcome.DELIVERED] * 2] * 4
            run_sql(
                postgres_server, postgres_login, "DROP TABLE terra_users, terra_data_payloads, terra_other_payloads"
            )
    for adapter in adapters:
        adapter.close()


def test_an_older_event_that_waited_for_a_newer_one_does_not_undo_it(
    postgres_server: PostgresServer, postgres_login: Login
) -> None:
    database = postgres_login.database
    # A default of the server's own must not change what the next statement sees.
    strict = f"ALTER DATABASE {database} SET default_transaction_isolation = 'repeatable read'"
    run_sql(postgres_server, postgres_login, strict)
    adapter = adapter_for(postgres_server, postgres_login)
    adapter.deliver([news("connection_error", 1)])
    with ThreadPoolExecutor(1) as pool, postgres_server.connect(database) as other_writer:
        other_writer.execute("BEGIN")
        other_writer.execute("UPDATE terra_users SET state = 'deauth'")
        late = pool.submit(adapter.deliver, [daily(at=2)])
        waits = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        with postgres_server.connect(database) as watcher:
            while not watcher.execute(waits).fetchall():
                assert not late.done()
        newer = ["e", USER, "deauth", RECEIVED + timedelta(seconds=3), ""]
        other_writer.execute("INSERT INTO terra_other_payloads VALUES (%s, %s, %s, %s, %s)", newer)
        other_writer.execute("COMMIT")
    assert outcomes(late.result()) == [Outcome.DELIVERED]
    assert table_rows(postgres_server, postgres_login, "terra_users", "state") == [("deauth",)]
    adapter.close()


def test_rows_go_to_the_schema_that_was_chosen(postgres_server: PostgresServer, postgres_login: Login) -> None:
    name = "Terra$Hub"
    run_sql(
        postgres_server,
        postgres_login,
        f'CREATE SCHEMA "{name}"',
        f'GRANT USAGE, CREATE ON SCHEMA "{name}" TO {postgres_login.user}',
    )
    adapter = adapter_for(postgres_server, postgres_login, schema=name)
    assert outcomes(adapter.deliver([sample("body")])) == [Outcome.DELIVERED]
    adapter.close()
    with postgres_server.connect(postgres_login.database) as connection:
        assert connection.execute(f'SELECT payload_id FROM "{name}".terra_data_payloads'.encode()).fetchall() == [
            ("body",)
        ]
