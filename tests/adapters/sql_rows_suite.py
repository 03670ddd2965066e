"""What an operator finds in the tables of an SQL destination, whatever its type. Subclasses give the places."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta
from threading import Barrier
from typing import Any

import pytest

from destinations.adapters.base import Outcome
from tests.adapters.contract import CANARY, AdapterContract, Site, Stored
from tests.adapters.sql_support import (
    LOCAL,
    RECEIVED,
    SAMPLES,
    USER,
    AnySqlAdapter,
    Place,
    SqlSuite,
    daily,
    event,
    news,
    outcomes,
    sample,
)
from tests.services import free_port

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


class SqlContract(AdapterContract, SqlSuite):
    """The contract; the subclass gives a ``place`` with CANARY in the password."""

    @pytest.fixture
    def site(self, place: Place) -> Site:
        def read_back() -> list[Stored]:
            tables = sorted(name for name in place.tables() if name.endswith("payloads"))
            return [Stored(key) for table in tables for (key,) in place.rows(table, "payload_id")]

        adapter = place.adapter()
        return Site(
            kind=place.kind,
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


class SqlSamples:
    """What each sample leaves; ``shared_place`` is emptied before each test."""

    @pytest.fixture
    def shared_place(self) -> Place:
        raise NotImplementedError

    @pytest.fixture
    def adapter(self, shared_place: Place) -> Iterator[AnySqlAdapter]:
        made = shared_place.adapter()
        made.deliver([daily()])  # makes the tables
        shared_place.empty()
        yield made
        made.close()

    def test_every_sample_file_is_expected_here(self) -> None:
        assert {path.stem for path in SAMPLES.glob("*.json")} == {*DATA_SAMPLES, *OTHER_SAMPLES}

    @pytest.mark.parametrize("name", DATA_SAMPLES)
    def test_a_data_sample_gives_its_rows(self, name: str, adapter: AnySqlAdapter, shared_place: Place) -> None:
        user, kind, span = DATA_SAMPLES[name]
        assert outcomes(adapter.deliver([sample(name)])) == [Outcome.DELIVERED]
        expected = (name, user and user[0], kind, RECEIVED, *span, f"https://hub.example.com/p/{name}")
        assert shared_place.rows("terra_data_payloads") == [expected]
        assert shared_place.rows("terra_other_payloads") == []
        assert shared_place.rows("terra_users") == ([user] if user else [])

    @pytest.mark.parametrize("name", OTHER_SAMPLES)
    def test_any_other_sample_gives_its_rows(self, name: str, adapter: AnySqlAdapter, shared_place: Place) -> None:
        user, kind = OTHER_SAMPLES[name]
        assert outcomes(adapter.deliver([sample(name)])) == [Outcome.DELIVERED]
        expected = (name, user and user[0], kind, RECEIVED, f"https://hub.example.com/p/{name}")
        assert shared_place.rows("terra_other_payloads") == [expected]
        assert shared_place.rows("terra_data_payloads") == []
        replaced = [(*GARMIN, "user_reauth")] if name == "user_reauth" else []
        assert shared_place.rows("terra_users") == replaced + ([user] if user else [])

    @pytest.mark.parametrize("steps", [[0, 1], [1, 0], [0, 1, 0, 1]], ids=["in order", "late", "repeated"])
    @pytest.mark.parametrize("separate", [False, True], ids=["one batch", "batch by batch"])
    def test_an_older_event_does_not_undo_a_newer_one(
        self, steps: list[int], separate: bool, adapter: AnySqlAdapter, shared_place: Place
    ) -> None:
        events = [daily(at=1, scopes="old", reference_id="ref"), news("deauth", 2, scopes="new", reference_id=None)]
        chosen = [events[step] for step in steps]
        for batch in [[one] for one in chosen] if separate else [chosen]:
            assert set(outcomes(adapter.deliver(batch))) == {Outcome.DELIVERED}
        rows = shared_place.rows("terra_users", "state, granted_scopes, reference_id")
        assert rows == [("deauth", "new", "ref")]

    def test_an_older_event_fills_what_a_newer_one_left_empty(
        self, adapter: AnySqlAdapter, shared_place: Place
    ) -> None:
        for message in (news("rate_limit_hit", 9, scopes=None, reference_id=None), daily(at=1, scopes="s")):
            adapter.deliver([message])
        rows = shared_place.rows("terra_users", "state, granted_scopes, reference_id")
        assert rows == [("active", "s", "r")]

    def test_a_user_who_comes_back_is_active_again(self, adapter: AnySqlAdapter, shared_place: Place) -> None:
        for message in (news("auth", 1), news("access_revoked", 2), news("rate_limit_hit", 3)):
            adapter.deliver([message])
        assert shared_place.rows("terra_users", "state") == [("access_revoked",)]
        adapter.deliver([daily(at=4)])
        assert shared_place.rows("terra_users", "state") == [("active",)]

    def test_a_replaced_id_never_becomes_active_again(self, adapter: AnySqlAdapter, shared_place: Place) -> None:
        moved = event({"type": "user_reauth", "old_user": {"user_id": USER}, "new_user": {"user_id": "new"}}, at=5)
        for message in (daily(at=6), moved, daily(at=4), daily(at=9)):
            adapter.deliver([message])
        assert shared_place.rows("terra_users", "user_id, state") == [(USER, "user_reauth"), ("new", "active")]

    def test_ids_that_differ_in_a_letter_are_two_users(self, adapter: AnySqlAdapter, shared_place: Place) -> None:
        users = ["A", "a", "\u00e4", "a\u0308", "\U0001f600", "\U0001f601", "a\u200b"]
        for batch in ([daily(user) for user in users], [news("deauth", user_id=user) for user in users]):
            assert set(outcomes(adapter.deliver(batch))) == {Outcome.DELIVERED}
        rows = shared_place.rows("terra_users", "user_id, state")
        assert sorted(rows) == sorted((user, "deauth") for user in users)


class SqlRepeats(SqlSuite):
    """What many writers, or one that repeats itself, leave; ``place`` is a fixture of the subclass."""

    def test_the_same_event_again_leaves_one_row_with_the_newest_link(self, place: Place) -> None:
        adapter = place.adapter()
        message = sample("sleep")
        again = replace(message, payload_url="https://hub.example.com/after-the-old-link-was-revoked")
        for batch in ([message, message], [message], [again]):
            assert set(outcomes(adapter.deliver(batch))) == {Outcome.DELIVERED}
        adapter.close()
        assert place.rows("terra_data_payloads", "payload_id, payload_url") == [("sleep", again.payload_url)]

    def test_four_adapters_that_write_the_same_new_events_leave_one_row_each(self, place: Place) -> None:
        batch = [daily(f"user-{number % 37}", number) for number in range(300)]

        def deliver(turn: int) -> list[Outcome]:
            adapter = place.adapter()
            order = batch if turn % 2 else batch[::-1]
            parts = [order[start:][:100] for start in range(0, 300, 100)]
            found = [outcome for part in parts for outcome in outcomes(adapter.deliver(part))]
            adapter.close()
            return found

        with ThreadPoolExecutor(4) as pool:
            found = [outcome for some in pool.map(deliver, range(4)) for outcome in some]
        assert found == [Outcome.DELIVERED] * 1200
        keys = [key for (key,) in place.rows("terra_data_payloads", "payload_id")]
        assert sorted(keys) == sorted(message.event_id for message in batch)
        assert len(place.rows("terra_users")) == 37

    def test_an_older_event_that_waited_for_a_newer_one_does_not_undo_it(self, place: Place) -> None:
        adapter = place.adapter()
        adapter.deliver([news("connection_error", 1)])
        with ThreadPoolExecutor(1) as pool:
            with place.transaction() as other_writer:
                other_writer("UPDATE terra_users SET state = 'deauth'")
                late = pool.submit(adapter.deliver, [daily(at=2)])
                while not place.someone_waits():
                    assert not late.done()
                newer = RECEIVED + timedelta(seconds=3)
                row = f"'e', '{USER}', 'deauth', '{newer:%Y-%m-%d %H:%M:%S}{place.utc}', ''"
                other_writer(f"INSERT INTO terra_other_payloads VALUES ({row})")
            assert outcomes(late.result()) == [Outcome.DELIVERED]
        assert place.rows("terra_users", "state") == [("deauth",)]
        adapter.close()

    def test_four_adapters_that_miss_the_tables_at_once_make_them_once(self, place: Place) -> None:
        adapters = [place.adapter() for _ in range(4)]
        together = Barrier(4)

        def deliver(adapter: AnySqlAdapter) -> list[Outcome]:
            together.wait()
            return outcomes(adapter.deliver([daily(), news("auth")]))

        with ThreadPoolExecutor(4) as pool:
            for _ in range(6):
                assert list(pool.map(deliver, adapters)) == [[Outcome.DELIVERED] * 2] * 4
                place.run("DROP TABLE terra_users, terra_data_payloads, terra_other_payloads")
        for adapter in adapters:
            adapter.close()
