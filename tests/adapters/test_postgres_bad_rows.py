"""Rows that a PostgreSQL table refuses, among rows that it takes (T40, T41)."""

import pytest

from destinations.adapters.base import Outcome
from tests.adapters.postgres_support import PostgresPlace
from tests.adapters.sql_bad_rows_suite import DATA, LAB_REPORT, OTHER, BadRow, SqlBadRows
from tests.adapters.sql_support import AnySqlAdapter, Place, daily, outcomes

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
BAD_ROWS = {
    "check": BadRow(
        OTHER, "ADD CHECK (payload_type <> 'bad')", "auth", {"type": "bad"}, "23514", f"{OTHER}_payload_type_check"
    ),
    "too long": BadRow(DATA, "ALTER data_type TYPE varchar(8)", "daily", LAB_REPORT, "22001", "column data_type"),
    "not null": BadRow(DATA, "ALTER user_id SET NOT NULL", "daily", LAB_REPORT, "23502", "column user_id"),
}


class TestPostgresBadRows(SqlBadRows):
    @pytest.fixture
    def place(self, postgres_place: PostgresPlace) -> PostgresPlace:
        return postgres_place

    def start_counting(self, place: Place) -> None:
        place.run(COUNT_STATEMENTS)

    def statements(self, place: Place) -> int:
        ((inserts,),) = place.rows("statements", "last_value")
        return int(inserts)

    @pytest.mark.parametrize("position", [0, 250, 499], ids=["first", "middle", "last"])
    @pytest.mark.parametrize("name", BAD_ROWS)
    def test_one_bad_row_of_500_is_rejected_by_name_and_the_others_are_delivered(
        self, adapter: AnySqlAdapter, place: Place, name: str, position: int
    ) -> None:
        self.check_one_bad_row_of_500(adapter, place, BAD_ROWS[name], position)

    def test_poison_is_rejected_once_and_its_neighbours_are_delivered(
        self, adapter: AnySqlAdapter, place: Place
    ) -> None:
        self.check_poison(adapter, place, "54000")

    def test_what_a_trigger_says_about_a_row_is_not_repeated(self, adapter: AnySqlAdapter, place: Place) -> None:
        self.check_trigger(adapter, place, "P0001")

    def test_a_constraint_that_waits_for_the_commit_holds_no_neighbours(
        self, adapter: AnySqlAdapter, place: Place
    ) -> None:
        place.run(
            f"TRUNCATE {DATA}",
            "CREATE TABLE patients (id text PRIMARY KEY); INSERT INTO patients VALUES ('a'), ('c')",
            f"ALTER TABLE {DATA} ADD FOREIGN KEY (user_id) REFERENCES patients DEFERRABLE INITIALLY DEFERRED",
            f"GRANT ALL ON patients TO {place.login.user}",
        )
        results = adapter.deliver([daily("a"), daily("b"), daily("c")])
        assert outcomes(results) == [Outcome.DELIVERED, Outcome.REJECTED, Outcome.DELIVERED]
        assert (results[1].code, "user_id_fkey" in results[1].detail) == ("23503", True)

    @pytest.mark.parametrize(
        ("events", "change"),
        [(50, "ADD CHECK (false) NOT VALID"), (50, "ADD x int NOT NULL"), (1, "ADD x int NOT NULL")],
    )
    def test_a_table_that_takes_no_row_is_at_fault_itself_and_nothing_is_rejected(
        self, adapter: AnySqlAdapter, place: Place, events: int, change: str
    ) -> None:
        self.check_table_at_fault(adapter, place, events, change)
