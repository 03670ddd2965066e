"""Rows that an SQL table refuses, among rows that it takes (T40, T41), whatever the type of the destination."""

from dataclasses import dataclass
from typing import Any

from destinations.adapters.base import Effect, Outcome
from tests.adapters.sql_support import CANARY, AnySqlAdapter, Place, SqlSuite, daily, event, news, only, outcomes

DATA, OTHER = "terra_data_payloads", "terra_other_payloads"
LAB_REPORT = {"type": "lab_report.completed"}  # a longer type than "daily", and no user
MOST_STATEMENTS = 2 + 12  # users and payloads once each, and the search


@dataclass(frozen=True)
class BadRow:
    """What an operator changed, the kind of event that still fits, one that does not, and what is said of it."""

    table: str
    change: str  # of ALTER TABLE
    good: str
    bad: dict[str, Any]
    code: str  # two with a "|" between them where servers differ
    named: str


class SqlBadRows(SqlSuite):
    """Subclasses give ``place``, count statements, and list what their server says of bad rows."""

    def start_counting(self, place: Place) -> None:
        raise NotImplementedError

    def statements(self, place: Place) -> int:
        """Return how many statements wrote rows since then, also those that failed."""
        raise NotImplementedError

    def check_one_bad_row_of_500(self, adapter: AnySqlAdapter, place: Place, row: BadRow, position: int) -> None:
        place.run(f"ALTER TABLE {row.table} {row.change}")
        self.start_counting(place)
        batch = [news(row.good, user_id=f"{CANARY}-{number % 50}") for number in range(500)]
        batch.sort(key=lambda message: message.event_id)  # the order in which rows are written
        batch[position] = event(row.bad, event_id=batch[position].event_id)

        results = adapter.deliver(batch)

        refused = results[position]
        assert (refused.outcome, refused.effect) == (Outcome.REJECTED, Effect.NONE)
        assert refused.code in row.code.split("|")
        assert row.named in refused.detail
        assert CANARY not in repr(results)
        assert [n for n, one in enumerate(results) if one.outcome is not Outcome.DELIVERED] == [position]
        assert self.statements(place) <= MOST_STATEMENTS
        written = {key for (key,) in place.rows(row.table, "payload_id")}
        assert written - {"daily"} == {message.event_id for message in batch} - {batch[position].event_id}

    def check_poison(self, adapter: AnySqlAdapter, place: Place, too_long: str) -> None:
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
            "huge": (Outcome.REJECTED, too_long),
            "proto": delivered,
            "infinite": delivered,
            "deep": (Outcome.REJECTED, "unprocessable"),
            "fine": delivered,
        }
        assert "table terra_users, column user_id" in results["huge"].detail
        users = place.rows(DATA, "user_id")
        assert sorted(user for (user,) in users)[-4:] == ["a\ufffdb", "fine", "i", "p"]

    def check_trigger(self, adapter: AnySqlAdapter, place: Place, code: str) -> None:
        place.refuse_rows(f"NEW.user_id = '{CANARY}'", code)
        refused, fine = adapter.deliver([daily(CANARY), daily("fine")])
        assert (refused.outcome, refused.code, fine.outcome) == (Outcome.REJECTED, code, Outcome.DELIVERED)
        assert CANARY not in repr(refused)

    def test_a_bad_user_row_takes_only_that_users_events_with_it(self, adapter: AnySqlAdapter, place: Place) -> None:
        place.run("ALTER TABLE terra_users ADD CHECK (provider <> 'BAD')")
        results = adapter.deliver([daily("a"), daily("b", provider="BAD"), daily("c")])
        assert outcomes(results) == [Outcome.DELIVERED, Outcome.REJECTED, Outcome.DELIVERED]
        assert ("b",) not in place.rows(DATA, "user_id")
        assert ("b",) not in place.rows("terra_users", "user_id")

    def test_many_bad_rows_are_all_found(self, adapter: AnySqlAdapter, place: Place) -> None:
        place.run(f"ALTER TABLE {DATA} ADD CHECK (user_id NOT LIKE '%7')")
        results = adapter.deliver([daily(str(number)) for number in range(100)])
        assert [str(n)[-1] == "7" for n in range(100)] == [one.outcome is Outcome.REJECTED for one in results]

    def test_a_batch_with_very_many_bad_rows_is_settled_in_a_few_tries(
        self, adapter: AnySqlAdapter, place: Place
    ) -> None:
        place.run(f"ALTER TABLE {DATA} ADD CHECK (user_id NOT LIKE 'odd%')")
        left = [daily(f"{'odd' if number % 2 else 'even'}-{number}") for number in range(120)]
        settled = {}
        while left:
            results = adapter.deliver(left)
            pairs = list(zip(left, results, strict=True))
            settled |= {m.event_id: (m.body, r) for m, r in pairs if r.outcome != Outcome.RETRY}
            remaining = [m for m, r in pairs if r.outcome == Outcome.RETRY]
            assert len(remaining) < len(left)
            assert {r.effect for r in results} == {Effect.NONE}
            left = remaining
        assert {b"odd" in body: result.outcome for body, result in settled.values()} == {
            True: Outcome.REJECTED,
            False: Outcome.DELIVERED,
        }

    def check_table_at_fault(self, adapter: AnySqlAdapter, place: Place, events: int, change: str) -> None:
        place.run(f"TRUNCATE {DATA}", f"ALTER TABLE {DATA} {change}")
        result = only(adapter.deliver([daily(str(number)) for number in range(events)]))
        assert (result.outcome, result.effect) == (Outcome.RETRY, Effect.FAILURE)
        assert DATA in result.detail
