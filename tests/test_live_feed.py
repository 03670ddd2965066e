"""The live tail's parts: what is read again, who is dropped, and when nothing is read."""

import asyncio
import json
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection

from tests.api_support import make_attempt, make_delivery, make_destination, make_event
from webhooks.live import endpoint, feed, rows
from webhooks.live.feed import MOST_WAITING, Feed, Stream
from webhooks.live.people import Watcher
from webhooks.live.rows import MOST_ROWS, Look, Wanted, Window

pytestmark = pytest.mark.django_db(transaction=True)


def run(work: Coroutine[Any, Any, Any]) -> Any:
    """Run on an event loop of its own: the browser's tests leave one running in this thread."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def keys(found: Look) -> list[str]:
    return [row.key for row in found.rows]


def test_what_is_committed_late_is_still_shown_and_nothing_twice() -> None:
    window = Window()
    window.look()
    first = make_event()
    assert keys(window.look()) == [f"e:{first.pk}"]

    late = make_event(datetime.now(UTC) - timedelta(seconds=8))  # its id was made before the other one's
    delivery = make_delivery(late, make_destination())
    newer, older = make_attempt(delivery, 1, pk=1002), None
    assert sorted(keys(window.look())) == [f"a:{newer.pk}", f"e:{late.pk}"]
    older = make_attempt(delivery, 2, pk=1001)
    assert keys(window.look()) == [f"a:{older.pk}"]
    assert keys(window.look()) == []


def test_places_are_given_up_once_they_are_old(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "OVERLAP", timedelta(0))
    window = Window()
    for _ in range(5):
        make_event()
        window.look()
    assert len(window.places) == 1


def test_many_at_once_are_counted_and_not_shown() -> None:
    window = Window()
    window.look()
    for _ in range(MOST_ROWS + 7):
        make_event()
    found = window.look()
    assert len(found.rows) == MOST_ROWS
    assert found.left_out == 7


def test_a_look_costs_a_handful_of_queries(django_assert_max_num_queries: Any) -> None:
    for number in range(5):
        make_attempt(make_delivery(make_event(), make_destination(f"hook {number}")), 1)
    with django_assert_max_num_queries(6):
        assert len(rows.look(None).rows) == 10


def some_rows(count: int) -> list[rows.Row]:
    moment = datetime.now(UTC)
    return [rows.Row(f"e:{n}", moment, "daily", "", "s", frozenset(), False, {"states": []}) for n in range(count)]


def new_stream(user: int = 1) -> Stream:
    return Stream(Watcher(user, True), Wanted())


def test_a_row_that_the_first_look_and_the_poller_both_find_is_sent_once() -> None:
    async def work() -> bytes:
        stream = new_stream()
        for found in (some_rows(2), some_rows(3)):
            stream.offer(found, 0, None)
        return await stream.next(0.01)

    sent = json.loads(run(work()).split(b"data: ")[1])["rows"]
    assert [row["key"] for row in sent] == ["e:0", "e:1", "e:2"]


def test_a_reader_who_is_too_far_behind_is_dropped_and_nothing_is_kept_for_it() -> None:
    async def work() -> bytes:
        stream = new_stream()
        *first, last = some_rows(MOST_WAITING + 1)
        stream.offer(first, 0, None)
        assert not stream.ended
        stream.offer([last], 0, None)
        assert stream.ended == "slow"
        return await stream.next(0.01)

    assert run(work()).endswith(b": still here\n\n")


class Client:
    """The other side of a stream: takes ``most`` pieces, and then no more."""

    def __init__(self, most: int) -> None:
        self.most, self.pieces = most, list[Any]()

    async def receive(self) -> Any:
        await asyncio.sleep(3600)

    async def send(self, message: Any) -> None:
        if len(self.pieces) >= self.most:
            await asyncio.sleep(3600)
        self.pieces.append(message)


def test_a_client_that_takes_nothing_more_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "SEND_SECONDS", 0.05)
    client, stream = Client(most=2), None

    async def work() -> Stream:
        stream = new_stream()
        stream.offer(some_rows(3), 0, None)
        await endpoint._serve(stream, {}, client.receive, client.send)
        return stream

    stream = run(work())
    assert stream.ended == "slow"
    assert len(client.pieces) == 2


def test_a_stream_holds_so_many_bytes_and_the_browser_connects_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "MOST_BYTES", 500)
    client = Client(most=1000)

    async def work() -> None:
        stream = new_stream()

        async def send(message: Any) -> None:
            await client.send(message)
            if not stream.ended:
                stream.offer(some_rows(1), 0, None)  # one more row for each piece that is taken

        await endpoint._serve(stream, {}, client.receive, send)

    run(work())
    assert client.pieces[-2]["body"] == b"event: end\ndata: full\n\n"
    assert client.pieces[-1]["more_body"] is False
    assert 500 < sum(len(piece.get("body", b"")) for piece in client.pieces) < 1000


def test_one_poller_feeds_everybody_and_rests_when_nobody_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "POLL_SECONDS", 0.01)
    looks = []

    class Counted(Window):
        def look(self) -> Look:
            looks.append(1)
            return super().look()

    monkeypatch.setattr(feed, "Window", Counted)

    async def work() -> None:
        one = Feed()
        streams = [new_stream(number) for number in range(3)]
        for stream in streams:
            one.join(stream)
        await asyncio.get_running_loop().run_in_executor(None, in_own_connection)
        got = [json.loads((await stream.next(60)).split(b"data: ")[1])["rows"] for stream in streams]
        assert got[0] == got[1] == got[2]
        assert len(got[0]) == 1
        for stream in streams:
            one.leave(stream)
        while not one.idle:
            await asyncio.sleep(0.01)
        before = len(looks)
        await asyncio.sleep(0.1)
        assert len(looks) == before

    run(work())


def in_own_connection() -> None:
    make_event()
    connection.close()


def test_a_process_has_so_many_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "MOST_STREAMS", 3)

    async def work() -> None:
        one = Feed()
        for number in range(3):
            one.join(new_stream(number))
        with pytest.raises(feed.TooManyStreams):
            one.join(new_stream(99))
        one.close()
        assert [stream.ended for stream in one.streams] == ["stopping"] * 3
        for stream in one.streams:
            one.leave(stream)
        while not one.idle:
            await asyncio.sleep(0.01)

    run(work())
