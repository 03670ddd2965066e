"""Bodies of every size and in every framing: the stored bytes are those that were signed."""

import asyncio
import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from tests.hub import SAMPLES, Answer, Hub, signature
from tests.receiving.support import (
    BODY,
    body_kept,
    body_of_size,
    check_refused,
    events,
    kept,
    post_chunked,
    raw,
    stored_files,
)
from webhooks.keeping.payloads import body_of, read_body
from webhooks.models import Event, QuarantinedRequest
from webhooks.receiving.groupcommit import StoreUnavailable, committer
from webhooks.receiving.intake import Incoming, accept, in_thread, judge, store_large_body
from webhooks.receiving.routing import RoutingTable
from webhooks.receiving.sources import as_live
from webhooks.receiving.writing import Entry, Written, write_entries

pytestmark = pytest.mark.django_db(transaction=True)

MB = 1024 * 1024
LIMIT = settings.INLINE_BODY_BYTES


def stored(answer: Answer) -> Event:
    assert answer.status == 200, answer.body
    event: Event = Event.objects.select_related("payload").get(pk=answer.json["event_id"])
    return event


def test_t42_what_is_stored_has_the_hash_of_what_was_sent(hub: Hub) -> None:
    for size in (LIMIT, LIMIT + 1, MB, 10 * MB, 30 * MB):
        body = body_of_size(size)
        event = stored(hub.post(body))
        assert (event.size, event.type) == (size, "daily")
        assert bytes(event.payload.sha256) == hashlib.sha256(body).digest()
        assert hashlib.sha256(read_body(event.payload)).digest() == hashlib.sha256(body).digest()
        in_store = size > LIMIT
        assert (event.payload.body is None, bool(event.payload.store_name)) == (in_store, in_store)


def test_nothing_and_one_byte_are_no_payload(hub: Hub) -> None:
    for body in (b"", b"1"):
        check_refused(hub.post(body), 400, "invalid_payload")
    assert [bytes(item.body) for item in QuarantinedRequest.objects.order_by("id")] == [b"", b"1"]


def test_a_large_body_lies_in_the_payload_store(hub: Hub) -> None:
    before = stored_files()
    event = stored(hub.post(body_of_size(LIMIT + 1)))
    (file,) = stored_files() - before
    assert str(file).endswith(event.payload.store_name)
    assert file.read_bytes() == body_of_size(LIMIT + 1)


def test_a_repeat_of_a_large_body_leaves_no_file_behind(hub: Hub) -> None:
    body = body_of_size(2 * MB)
    first = hub.post(body, trace="t")
    before = stored_files()
    assert hub.post(body, trace="t").json == {"event_id": first.json["event_id"], "duplicate": True}
    assert stored_files() == before
    assert read_body(stored(first).payload) == body


def test_another_large_body_under_a_known_key_is_kept_whole(hub: Hub) -> None:
    hub.post(BODY % 1, trace="t")
    before = stored_files()
    other = body_of_size(2 * MB)
    assert hub.post(other, trace="t").json["duplicate"]
    item = kept(hub, "idempotency_conflict")
    assert body_kept(item) == other
    assert stored_files() == before


def test_a_commit_that_is_tried_again_keeps_its_own_body(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection may break after the database has committed: the second try then meets its own event."""

    def write(entry: Entry) -> Written:
        with transaction.atomic():
            return write_entries([entry], RoutingTable())[0]

    async def commit_twice(entry: Entry) -> Written:
        await in_thread(write, entry)
        return await in_thread(write, entry)

    monkeypatch.setattr(committer, "commit", commit_twice)
    body = body_of_size(LIMIT + 1)
    incoming = Incoming({"terra-signature": signature(body)}, body, None)
    with ThreadPoolExecutor(1) as thread:  # browser tests leave an event loop running in this one
        written = thread.submit(asyncio.run, accept(as_live(hub.source), incoming)).result()
    assert read_body(Event.objects.get(pk=written.event_id).payload) == body


def test_a_payload_store_that_takes_nothing_gives_503(hub: Hub, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "a-file").touch()
    with pytest.raises(StoreUnavailable, match="payload store"):
        _store_under(str(tmp_path / "a-file"), hub, monkeypatch)
    assert not events(hub)


def _store_under(location: str, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    from webhooks.keeping import payloads
    from webhooks.keeping.stores.files import FilePayloadStore

    store = FilePayloadStore(location=location)
    monkeypatch.setattr(payloads, "_store", lambda: store)
    body = body_of_size(LIMIT + 1)
    incoming = Incoming({"terra-signature": signature(body)}, body, None)
    store_large_body(judge(as_live(hub.source), incoming, timezone.now()))


def test_a_chunked_body_is_read_to_its_end(hub: Hub) -> None:
    for size, chunk in ((60, 1), (LIMIT + 1, 4096), (3 * MB, 100_000)):
        body = body_of_size(size)
        event = stored(post_chunked(hub, body, chunk))
        assert body_of(event.payload.body, event.payload.store_name) == body
        assert event.size == size


def test_a_chunked_repeat_is_the_same_event(hub: Hub) -> None:
    body = SAMPLES["activity"]
    signed = {"terra-signature": signature(body)}
    plain = hub.post(body, signed, trace=None)
    headers = signed | {"Transfer-Encoding": "chunked"}
    sent = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    assert raw(hub.server, hub.path, headers, sent).json == {"event_id": plain.json["event_id"], "duplicate": True}


def test_a_length_that_lies(hub: Hub) -> None:
    body = BODY % 1
    signed = {"terra-signature": signature(body)}
    too_long = raw(hub.server, hub.path, signed | {"Content-Length": str(len(body) + 1)}, body, ends=True)
    check_refused(too_long, 400, "body_incomplete")
    assert f"{len(body)} of {len(body) + 1} bytes" in too_long.json["detail"]
    too_short = raw(hub.server, hub.path, signed | {"Content-Length": str(len(body) - 1)}, body)
    check_refused(too_short, 400, "signature_mismatch")
    assert not events(hub)


def test_a_chunked_body_that_breaks_off_is_never_an_event(hub: Hub) -> None:
    body = BODY % 1
    headers = {"terra-signature": signature(body), "Transfer-Encoding": "chunked"}
    for sent in (b"%x\r\n%b\r\n" % (len(body) - 5, body[:-5]), b"zz\r\n", b"5\r\n{}"):
        assert raw(hub.server, hub.path, headers, sent, ends=True).status == 400
    assert not events(hub)
