"""Many events on their way: payloads one by one and side by side, rows together.

Rows are written in batches: of all that is there when there is nothing else to begin, and of many together
under load. One batch is under way at a time, so that this worker is never its own rival for a user's row.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

from destinations import terra
from destinations.adapters.base import Feed, Message, Outcome, Result
from destinations.adapters.objects import EventObject, object_of
from destinations.adapters.rows import EventRows, rows_of
from destinations.adapters.supabase_api import Api
from destinations.adapters.supabase_errors import Fault, Judge, Unwell
from destinations.adapters.supabase_flow import Answer, Flow, Steps
from destinations.adapters.supabase_objects import put
from destinations.adapters.supabase_rows import RowWriter
from destinations.http import HttpRequest

MOST_ROWS = 500  # events of one batch
MOST_HELD = 1000  # events in hand
# While bodies of so many bytes are in hand, no more are taken. Those of events whose object is in count too:
# a message is handed back with its result as it was taken, body and all.
MOST_BYTES = 64 * 1024 * 1024
# While there are more events to take, rows wait until so many can go together, for each request that may be under way.
ENOUGH_PER_REQUEST = 16


@dataclass(slots=True)
class _Item:
    """One event in hand."""

    message: Message
    rows: EventRows
    made: EventObject
    started: float = field(default_factory=monotonic)


class Stream:
    """Takes events from a feed, and says which requests to send next."""

    def __init__(self, api: Api, judge: Judge, writer: RowWriter, feed: Feed, concurrency: int) -> None:
        """Have up to ``concurrency`` requests under way."""
        self._api, self._judge, self._writer, self._feed = api, judge, writer, feed
        self._room, self._bytes = MOST_HELD, 0
        self._enough = min(ENOUGH_PER_REQUEST * concurrency, MOST_ROWS // 2)
        self._flow = Flow()
        self._done: list[tuple[Message, Result]] = []
        self._ready: deque[_Item] = deque()  # the object is in, the rows are not
        self._writing = False
        # Events whose object is under way, by its key, with those of the same key that wait behind it.
        self._keys: dict[str, deque[_Item]] = {}

    def requests(self, most: int) -> Sequence[HttpRequest]:
        """Return up to ``most`` requests to send now."""
        found = self._flow.take(most)
        while len(found) < most and self._begin(most - len(found)):
            found += self._flow.take(most - len(found))
        return found

    def answered(self, request: HttpRequest, answer: Answer) -> None:
        """Take the answer to one of those requests."""
        self._flow.answered(request, answer)

    def take_done(self) -> list[tuple[Message, Result]]:
        """Return what is finished since the last call."""
        done, self._done = self._done, []
        self._room += len(done)
        self._bytes -= sum(len(message.body) for message, _ in done)
        return done

    def _begin(self, most: int) -> bool:
        """Take new events, or start a batch of rows; tell whether there was anything to start."""
        if len(self._ready) >= self._enough and self._begin_rows():
            return True
        has_room = self._room > 0 and self._bytes < MOST_BYTES
        messages = self._feed.take(min(most, self._room)) if has_room else []
        self._room -= len(messages)
        self._bytes += sum(len(message.body) for message in messages)
        for message in messages:
            self._accept(message)
        return bool(messages) or self._begin_rows()

    def _begin_rows(self) -> bool:
        if self._writing or not self._ready:
            return False
        self._writing = True
        batch = [self._ready.popleft() for _ in range(min(len(self._ready), MOST_ROWS))]
        # Rows that go together have the time of the youngest: no event is cut short by an older one.
        self._flow.start(self._write_rows(batch), max(item.started for item in batch), self._api.timeout_s)
        return True

    def _accept(self, message: Message) -> None:
        try:
            facts = terra.read(message.body)
            made = object_of(message, facts=facts)
            rows = rows_of(replace(message, payload_url=self._api.object_url(made.key)), facts)
        except terra.InvalidPayload as invalid:
            self._done.append((message, Result(Outcome.REJECTED, "unprocessable", str(invalid))))
            return
        item = _Item(message, rows, made)
        if made.key in self._keys:
            self._keys[made.key].append(item)
        else:
            self._keys[made.key] = deque()
            self._start(item)

    def _start(self, item: _Item) -> None:
        item.started = monotonic()  # not while it waited for another of its key
        self._flow.start(self._put_object(item), item.started, self._api.timeout_s)

    def _put_object(self, item: _Item) -> Steps[None]:
        key = item.made.key
        fault = yield from put(self._api, self._judge, item.made, item.message.body)
        if fault:
            self._finish(item, fault)
        else:
            self._ready.append(item)
        if waiting := self._keys[key]:
            self._start(waiting.popleft())
        else:
            del self._keys[key]

    def _write_rows(self, batch: Sequence[_Item]) -> Steps[None]:
        faults: Iterable[Fault | None]
        try:
            faults = yield from self._writer.write([item.rows for item in batch])
        except Unwell as unwell:
            faults = [unwell.fault] * len(batch)
        for item, fault in zip(batch, faults, strict=True):
            self._finish(item, fault)
        self._writing = False

    def _finish(self, item: _Item, fault: Fault | None) -> None:
        about: dict[str, Any] = {
            "duration_ms": round((monotonic() - item.started) * 1000),
            "request": {
                "object": f"{self._api.config.bucket}/{item.made.key}",
                "table": f"{self._api.config.schema}.{self._writer.table_name(item.rows.table)}",
                "payload_id": item.rows.payload.payload_id,
            },
        }
        self._done.append((item.message, fault.result(**about) if fault else Result(Outcome.DELIVERED, **about)))
