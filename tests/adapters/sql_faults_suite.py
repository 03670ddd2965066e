"""What an SQL destination does when the server or the network misbehaves (T38, T57 to T59), whatever its type."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from destinations.adapters.base import Effect, Outcome
from tests.adapters.sql_support import CANARY, AnySqlAdapter, Place, SqlSuite, daily, only, outcomes, retried, sample
from tests.services.proxy import FaultProxy

TABLES = ["terra_users", "terra_data_payloads", "terra_other_payloads"]


@dataclass(frozen=True)
class Change:
    """What an operator changed on the other side, how it is undone, and what is said of it.

    ``{user}``, ``{password}`` and ``{database}`` are filled in.
    """

    breaks: tuple[str, ...]
    mends: tuple[str, ...]
    code: str
    said: str


class SqlFaults(SqlSuite):
    """Subclasses give ``place``, and list what their server says of changes and of the moment."""

    @pytest.fixture
    def proxy(self, place: Place) -> Iterator[FaultProxy]:
        with place.proxy() as proxy:
            yield proxy

    def lose_the_commits_answer(self, proxy: FaultProxy) -> None:
        raise NotImplementedError

    # --- connections that break -------------------------------------------------------------
    def test_a_connection_that_is_cut_after_the_commit_leaves_one_row(self, proxy: FaultProxy, place: Place) -> None:
        first = place.adapter()
        first.deliver([daily()])  # makes the tables
        first.close()
        adapter = place.adapter(port=proxy.port, ssl_mode="disable")
        message = sample("sleep")
        self.lose_the_commits_answer(proxy)
        assert retried(adapter.deliver([message])) == ("connection_lost", Effect.FAILURE)
        rows = place.rows("terra_data_payloads", "payload_id")
        assert ("sleep",) in rows  # it was committed, and the hub cannot know

        assert outcomes(adapter.deliver([message])) == [Outcome.DELIVERED]
        assert place.rows("terra_data_payloads", "payload_id") == rows
        adapter.close()

    def test_a_kept_connection_that_broke_is_replaced_without_a_failed_try(
        self, proxy: FaultProxy, place: Place
    ) -> None:
        adapter = place.adapter(port=proxy.port)
        for _ in range(3):
            assert outcomes(adapter.deliver([sample("body")])) == [Outcome.DELIVERED]
        assert proxy.connections == 1
        proxy.cut()
        assert outcomes(adapter.deliver([sample("sleep")])) == [Outcome.DELIVERED]
        assert proxy.connections == 2
        adapter.close()

    def test_a_session_that_the_server_ended_is_replaced(self, adapter: AnySqlAdapter, place: Place) -> None:
        place.end_sessions()
        assert outcomes(adapter.deliver([sample("body")])) == [Outcome.DELIVERED]

    def test_a_server_that_falls_silent_is_left_at_the_deadline(self, proxy: FaultProxy, place: Place) -> None:
        adapter = place.adapter(port=proxy.port, timeout_s=3)
        assert outcomes(adapter.deliver([sample("body")])) == [Outcome.DELIVERED]
        proxy.fall_silent()
        for step in ("in a batch", "while connecting"):
            assert retried(adapter.deliver([sample("sleep")])) == ("timeout", Effect.FAILURE), step
        adapter.close()

    def test_nothing_listens(self, place: Place, proxy: FaultProxy) -> None:
        port = proxy.port
        proxy.__exit__()
        results = place.adapter(port=port).deliver([sample("body")])
        assert retried(results) == ("connect_failed", Effect.FAILURE)
        assert str(port) in only(results).detail

    def check_a_held_lock(self, proxy: FaultProxy, place: Place, timeout_s: float, code: str, effect: Effect) -> None:
        adapter = place.adapter(port=proxy.port, timeout_s=timeout_s)
        adapter.deliver([sample("body")])
        with place.transaction() as other:
            other("UPDATE terra_users SET state = 'deauth'")
            results = adapter.deliver([sample("sleep")])
            assert retried(results) == (code, effect)
            assert "lock" in f"{only(results).detail} {only(results).hint}"
        assert outcomes(adapter.deliver([sample("sleep")])) == [Outcome.DELIVERED]
        assert proxy.connections == 1
        adapter.close()

    # --- servers that refuse ----------------------------------------------------------------
    def check_retried_as_a_whole(
        self, adapter: AnySqlAdapter, place: Place, code: str, said: tuple[str, Effect]
    ) -> None:
        place.refuse_rows("true", code)
        batch = [daily(CANARY), daily("other")]
        results = adapter.deliver(batch)
        assert retried(results) == said
        assert CANARY not in repr(results)
        assert place.rows("terra_data_payloads", "payload_id") == [("daily",)]
        place.refuse_no_more()
        assert outcomes(adapter.deliver(batch)) == [Outcome.DELIVERED] * 2

    def check_changed(self, adapter: AnySqlAdapter, place: Place, change: Change) -> None:
        names = vars(place.login)
        place.run(*(statement.format(**names) for statement in change.breaks))
        place.end_sessions()
        batch = [sample("sleep"), sample("deauth")]
        for _ in range(2):
            results = adapter.deliver(batch)
            assert retried(results) == (change.code, Effect.FAILURE), only(results)
            assert change.said.format(**names) in f"{only(results).detail} {only(results).hint}"
            assert place.login.password not in repr(results)

        place.run(*(statement.format(**names) for statement in change.mends))
        place.end_sessions()
        assert outcomes(adapter.deliver(batch)) == [Outcome.DELIVERED] * 2

    @pytest.mark.parametrize("table", TABLES)
    def test_a_table_that_is_dropped_is_made_again_in_the_same_try(
        self, adapter: AnySqlAdapter, place: Place, table: str
    ) -> None:
        place.run(f"DROP TABLE {table}")
        assert outcomes(adapter.deliver([sample("sleep"), sample("auth")])) == [Outcome.DELIVERED] * 2
        assert len(place.rows(table)) == 1
