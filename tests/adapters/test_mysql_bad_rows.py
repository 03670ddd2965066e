"""Rows that a MySQL table refuses, among rows that it takes (T40, T41)."""

import pytest

from destinations.adapters.base import Outcome
from tests.adapters.mysql_support import MysqlPlace
from tests.adapters.sql_bad_rows_suite import DATA, LAB_REPORT, OTHER, BadRow, SqlBadRows
from tests.adapters.sql_support import CANARY, AnySqlAdapter, Place, daily, news, outcomes

pytestmark = pytest.mark.databaseless

CHECK_FAILED = "4025|3819"  # MariaDB, and MySQL
BAD_ROWS = {
    "check": BadRow(
        OTHER, "ADD CONSTRAINT no_bad CHECK (payload_type <> 'bad')", "auth", {"type": "bad"}, CHECK_FAILED,
        "constraint no_bad",
    ),
    "too long": BadRow(DATA, "MODIFY data_type varchar(8)", "daily", LAB_REPORT, "1406", "column data_type"),
    "not null": BadRow(DATA, "MODIFY user_id varchar(191) NOT NULL", "daily", LAB_REPORT, "1048", "column user_id"),
    "letters": BadRow(
        OTHER, "MODIFY payload_type varchar(99) CHARACTER SET latin1", "auth", {"type": "\u65e5"}, "1366",
        "column payload_type",
    ),
    "type": BadRow(OTHER, "MODIFY payload_type int", "7", {"type": "bad"}, "1366", "column payload_type"),
    "range": BadRow(OTHER, "MODIFY payload_type tinyint", "7", {"type": "999"}, "1264", "column payload_type"),
    "choice": BadRow(OTHER, "MODIFY payload_type enum('auth')", "auth", {"type": "x"}, "1265", "column payload_type"),
    "json": BadRow(OTHER, "MODIFY payload_type json", "7", {"type": "{bad"}, "4025|3140", "payload_type"),
    "date": BadRow(OTHER, "MODIFY payload_type date", "2026-01-01", {"type": "bad"}, "1292", "column payload_type"),
}  # fmt: skip


class TestMysqlBadRows(SqlBadRows):
    before = 0

    @pytest.fixture
    def place(self, mysql_place: MysqlPlace) -> MysqlPlace:
        return mysql_place

    def start_counting(self, place: Place) -> None:
        self.before = self.statements(place)

    def statements(self, place: Place) -> int:
        ((_, inserts),) = place.server.run("SHOW GLOBAL STATUS LIKE 'Com_insert'")
        return int(inserts) - self.before

    @pytest.mark.parametrize("position", [0, 250, 499], ids=["first", "middle", "last"])
    @pytest.mark.parametrize("name", ["check", "too long", "not null"])
    def test_one_bad_row_of_500_is_rejected_by_name_and_the_others_are_delivered(
        self, adapter: AnySqlAdapter, place: Place, name: str, position: int
    ) -> None:
        self.check_one_bad_row_of_500(adapter, place, BAD_ROWS[name], position)

    @pytest.mark.parametrize("name", ["letters", "type", "range", "choice", "json", "date"])
    def test_a_value_that_does_not_fit_is_rejected_by_the_name_of_its_column(
        self, adapter: AnySqlAdapter, place: Place, name: str
    ) -> None:
        self.check_one_bad_row_of_500(adapter, place, BAD_ROWS[name], 250)

    def test_poison_is_rejected_once_and_its_neighbours_are_delivered(
        self, adapter: AnySqlAdapter, place: Place
    ) -> None:
        self.check_poison(adapter, place, "1406")

    # The last is more than max_allowed_packet.
    @pytest.mark.parametrize("size", [192, 65_535, 65_536, 17_000_000])
    def test_an_id_that_no_key_holds_is_rejected_by_name(self, adapter: AnySqlAdapter, place: Place, size: int) -> None:
        refused, fine = adapter.deliver([daily("u" * size), daily("u" * 191)])
        assert (refused.outcome, refused.code, fine.outcome) == (Outcome.REJECTED, "1406", Outcome.DELIVERED)
        assert "table terra_users, column user_id" in refused.detail

    def test_rows_that_are_too_many_bytes_for_one_statement_go_in_several(
        self, adapter: AnySqlAdapter, place: Place
    ) -> None:
        quotes = "'" * 60_000  # each of which is escaped: 400 rows of 120 KB are more than max_allowed_packet
        batch = [daily(f"u{number}", scopes=quotes, reference_id=quotes) for number in range(100)]
        assert set(outcomes(adapter.deliver(batch))) == {Outcome.DELIVERED}
        assert set(outcomes(adapter.deliver([news("deauth", user_id=f"u{n}") for n in range(100)]))) == {
            Outcome.DELIVERED
        }
        states = place.rows("terra_users", "state")
        assert states == [("active",), *[("deauth",)] * 100]  # the fixture's user is the first

    def test_what_a_trigger_says_about_a_row_is_not_repeated(self, adapter: AnySqlAdapter, place: Place) -> None:
        self.check_trigger(adapter, place, "1644")

    def test_a_foreign_key_of_the_operators_holds_no_neighbours(self, adapter: AnySqlAdapter, place: Place) -> None:
        place.run(
            f"TRUNCATE {DATA}",
            "CREATE TABLE patients (id varchar(191) PRIMARY KEY) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
            "INSERT INTO patients VALUES ('a'), ('c')",
            f"ALTER TABLE {DATA} ADD CONSTRAINT known FOREIGN KEY (user_id) REFERENCES patients (id)",
        )
        results = adapter.deliver([daily("a"), daily(CANARY), daily("c")])
        assert outcomes(results) == [Outcome.DELIVERED, Outcome.REJECTED, Outcome.DELIVERED]
        assert (results[1].code, "constraint known" in results[1].detail) == ("1452", True)
        assert CANARY not in repr(results)

    @pytest.mark.parametrize(
        ("events", "change"), [(50, "ADD CHECK (1 = 0)"), (50, "ADD x int NOT NULL"), (1, "ADD x int NOT NULL")]
    )
    def test_a_table_that_takes_no_row_is_at_fault_itself_and_nothing_is_rejected(
        self, adapter: AnySqlAdapter, place: Place, events: int, change: str
    ) -> None:
        self.check_table_at_fault(adapter, place, events, change)
