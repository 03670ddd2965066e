"""From an event to its rows, and from many rows of one user to the newest word on it."""

from datetime import UTC, datetime

import pytest

from destinations.adapters.rows import DATA, OTHER, DataRow, OtherRow, newest_users, rows_of
from destinations.terra import InvalidPayload
from tests.adapters.sql_support import RECEIVED, USER, daily, event, news

pytestmark = pytest.mark.databaseless


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(RECEIVED.timestamp() + seconds, UTC)


def test_a_data_event_gives_a_data_row_that_spans_its_items() -> None:
    items = [
        {"metadata": {"start_time": "2026-07-01T08:00:00+02:00", "end_time": "2026-07-01T09:00:00+02:00"}},
        {"metadata": {"start_time": "2026-07-01T05:00:00+00:00", "end_time": "2026-07-01T05:30:00+00:00"}},
    ]
    message = event({"type": "activity", "user": {"user_id": "u"}, "data": items}, at=7, event_id="e1")
    rows = rows_of(message)
    assert rows.table is DATA
    assert rows.payload == DataRow(
        "e1",
        "u",
        "activity",
        at(7),
        datetime(2026, 7, 1, 5, 0, tzinfo=UTC),
        datetime(2026, 7, 1, 7, 0, tzinfo=UTC),
        "https://hub.example.com/p/e1",
    )


def test_any_other_event_gives_an_other_row_even_without_a_user() -> None:
    rows = rows_of(event({"type": "healthcheck", "status": "normal"}, event_id="e2"))
    assert (rows.table, rows.users) == (OTHER, ())
    assert rows.payload == OtherRow("e2", None, "healthcheck", RECEIVED, "https://hub.example.com/p/e2")


@pytest.mark.parametrize("text", ["", "x", "-5", "1.5", "٣", "9" * 15, "9" * 400])
def test_a_clock_that_says_nothing_gives_the_time_of_receipt(text: str) -> None:
    message = daily()
    message.headers["x-terra-ordering-timestamp"] = text  # type: ignore[index]
    assert rows_of(message).payload.created_at == RECEIVED


def test_what_a_text_column_cannot_hold_becomes_a_replacement_character() -> None:
    row = rows_of(daily("a\x00b\ud800c", reference_id="\x00", scopes="\udfff")).users[0]
    assert (row.user_id, row.reference_id, row.granted_scopes) == ("a\ufffdb\ufffdc", "\ufffd", "\ufffd")
    assert rows_of(daily("😀")).users[0].user_id == "😀"  # a pair of surrogates in JSON, one character here


def test_a_body_that_is_none_of_terras_is_refused() -> None:
    with pytest.raises(InvalidPayload):
        rows_of(event(b"[" * 200_000))


def test_the_newest_word_on_each_column_wins_whatever_the_order_of_the_batch() -> None:
    batch = [
        news("deauth", 30, scopes="new", reference_id=""),
        daily(at=10, scopes="old", reference_id="r1"),
        news("permission_change", 40, scopes=None, reference_id=None),
    ]
    for order in (batch, batch[::-1]):
        (row,) = newest_users(rows_of(message) for message in order)
        assert (row.state, row.granted_scopes, row.reference_id) == ("deauth", "new", "r1")
        assert (row.state_at, row.seen_at) == (at(30), at(40))


def test_users_come_once_each_and_in_the_order_of_their_ids() -> None:
    rows = newest_users(rows_of(daily(user)) for user in ("b", "a", "c", "a"))
    assert [row.user_id for row in rows] == ["a", "b", "c"]


def test_a_replaced_id_stays_replaced_and_the_new_one_is_active() -> None:
    moved = event({"type": "user_reauth", "old_user": {"user_id": USER}, "new_user": {"user_id": "new"}}, at=5)
    states = {row.user_id: row.state for row in newest_users([rows_of(moved), rows_of(daily(at=9))])}
    assert states == {USER: "user_reauth", "new": "active"}


def test_a_reauth_under_the_same_id_leaves_an_active_user() -> None:
    moved = event({"type": "user_reauth", "old_user": {"user_id": "u"}, "new_user": {"user_id": "u"}})
    assert [(row.user_id, row.state) for row in rows_of(moved).users] == [("u", "active")]
