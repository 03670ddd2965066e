"""What a GCS destination writes: the contract of every type, the objects, and which event stays."""

import json
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from destinations.adapters.base import Effect, Message, Outcome, Result
from destinations.adapters.gcs import GcsAdapter
from destinations.adapters.object_writes import LOOK_FIRST_BYTES
from tests.adapters.contract import AWKWARD, CANARY, AdapterContract, Site, event
from tests.adapters.erasing import ErasingContract
from tests.adapters.gcs_support import LOCAL, GcsSite, Place, as_stored, place_on
from tests.services.gcs import GcsServer

pytestmark = pytest.mark.databaseless
START = datetime(2026, 7, 1, 12, tzinfo=UTC)


class TestGcsContract(ErasingContract, AdapterContract):
    """The suite of every type, on a bucket of its own."""

    @pytest.fixture
    def site(self, gcs: GcsServer) -> Site:
        place = place_on(gcs, key_id=f"{CANARY}-0123456789abcdef")
        return GcsSite(
            kind=GcsAdapter,
            config={"bucket": place.bucket, "prefix": "terra/events"},
            credentials=as_stored(place.key),
            policy=LOCAL,
            read_back=place.stored,
            repeats_leave_one=True,
            unreachable={"nobody": True},
            wrong_config={"bucket": f"{place.bucket}-not-there"},
            wrong_credentials={},
            wrong_step="permission",
            identity=gcs.identity,
        )

    def test_no_secret_is_shown_anywhere(self, site: Site, gcs: GcsServer) -> None:
        """An existing server's key is what it is, and holds no canary."""
        needs_gate(gcs)
        super().test_no_secret_is_shown_anywhere(site)


def about(user: str = "abc123", minute: int = 0, body: bytes | None = None, **more: Any) -> Message:
    """Return an event of one user and one start time, made so many minutes after noon."""
    made = {
        "type": "daily",
        "user": {"user_id": user},
        "data": [{"metadata": {"start_time": "2026-03-12T06:00:00+00:00"}}],
        "minute": minute,
        "version": "2022-03-16",
    }
    at = START + timedelta(minutes=minute)
    headers = {"x-terra-ordering-timestamp": str(round(at.timestamp() * 1000)), "terra-reference": "ref 1"}
    message = event(json.dumps(made).encode() if body is None else body, type="daily", user_id=user, headers=headers)
    return message if not more else message.__class__(**{**as_dict(message), **more})


def as_dict(message: Message) -> dict[str, Any]:
    return {name: getattr(message, name) for name in message.__slots__}


def deliver(place: Place, *messages: Message, **config: Any) -> list[Result]:
    adapter = place.adapter(**config)
    results = list(adapter.deliver(messages))
    adapter.close()
    return results


# --- what is there afterwards -----------------------------------------------------------------------
def test_googles_own_client_reads_what_was_written(gcs: GcsServer, place: Place) -> None:
    message = about()
    (result,) = deliver(place, message, prefix="/team//blue/")
    bucket = gcs.customer(gcs.make_key("objectViewer")).bucket(place.bucket)
    blob = bucket.get_blob("team/blue/2022-03-16/daily/abc123-2026-03-12T06:00:00Z.json")
    assert blob.download_as_bytes() == message.body
    assert blob.content_type == "application/json"
    assert blob.metadata == {
        "terra-event-id": message.event_id,
        "terra-reference": "ref%201",
        "terra-ordering-timestamp": "1782907200000",
    }
    assert result.request == {"bucket": place.bucket, "key": blob.name, "bytes": len(message.body)}
    assert result.response["generation"] == str(blob.generation)


def test_many_objects_go_out_at_once_with_one_token(gcs: GcsServer, place: Place) -> None:
    batch = [event() for _ in range(40)]
    assert {result.outcome for result in deliver(place, *batch)} == {Outcome.DELIVERED}
    assert {body for body, _ in place.objects().values()} == {message.body for message in batch}
    if gcs.gate:
        assert (gcs.gate.count("POST /token"), gcs.gate.count("POST /upload/")) == (1, 40)


@pytest.mark.parametrize("size", [LOOK_FIRST_BYTES + 1, 8 * 1024 * 1024])
def test_a_large_body_arrives_and_is_not_sent_in_vain(gcs: GcsServer, place: Place, size: int) -> None:
    filler = random.Random(7).randbytes(size // 2).hex()
    old, new = (about(minute=minute, body=_large(filler, minute)) for minute in (0, 1))
    results = deliver(place, old) + deliver(place, new) + deliver(place, old)
    assert [result.code for result in results] == ["", "", "superseded"]
    assert [body for body, _ in place.objects().values()] == [new.body]
    if gcs.gate:
        assert gcs.gate.count("POST /upload/") == 2


def _large(filler: str, minute: int) -> bytes:
    return b'{"filler": "%s", %s' % (filler.encode(), about(minute=minute).body[1:])


@pytest.mark.parametrize("make", AWKWARD)
def test_no_message_leaves_the_folder_of_its_destination(place: Place, make: Callable[[], Message]) -> None:
    (result,) = deliver(place, make(), prefix="inside")
    keys = list(place.objects())
    assert len(keys) == (result.outcome is Outcome.DELIVERED)
    assert all(key.startswith("inside/") and ".." not in key.split("/") for key in keys)


@pytest.mark.parametrize("user", ["../../up", "a/b", "ü" * 200, "..", " ", "x" * 129, "%2e%2e", "a\nb", "?alt=media#x"])
def test_an_odd_user_id_gets_a_key_of_its_own(place: Place, user: str) -> None:
    messages = [about(user), about(f"{user}!")]
    assert {result.outcome for result in deliver(place, *messages)} == {Outcome.DELIVERED}
    stored = place.objects()
    assert len(stored) == 2
    assert {body for body, _ in stored.values()} == {message.body for message in messages}
    assert all(key.startswith("2022-03-16/daily/") and key.count("/") == 2 for key in stored)


# --- which event stays ---------------------------------------------------------------------------------
def test_a_newer_event_takes_the_place_and_an_older_one_does_not(place: Place) -> None:
    old, new = about(minute=1), about(minute=2)
    first, second, late = [*deliver(place, old), *deliver(place, new), *deliver(place, old)]
    assert (first.code, second.code) == ("", "")
    assert (late.outcome, late.code, late.effect) == (Outcome.DELIVERED, "superseded", Effect.NONE)
    assert late.response == {"kept_event_id": new.event_id}
    assert [body for body, _ in place.objects().values()] == [new.body]


def test_a_repeat_writes_the_same_bytes_again(place: Place) -> None:
    message = about()
    first, second = deliver(place, message)[0], deliver(place, message)[0]
    assert (second.outcome, second.code) == (Outcome.DELIVERED, "")
    assert int(second.response["generation"]) > int(first.response["generation"])
    assert [body for body, _ in place.objects().values()] == [message.body]


def test_many_workers_at_one_key_leave_the_newest_event(place: Place) -> None:
    events = [about(minute=minute) for minute in range(24)]
    shuffled = random.Random(3).sample(events, len(events))

    def work(share: list[Message]) -> list[Result]:
        adapter = place.adapter()
        results = list(adapter.deliver(share))
        # What lost too many races is due again, as after any failure.
        left = [message for message, result in zip(share, results, strict=True) if result.outcome is Outcome.RETRY]
        results += adapter.deliver(left) if left else []
        adapter.close()
        return results

    with ThreadPoolExecutor(6) as pool:
        results = [result for done in pool.map(work, [shuffled[n::6] for n in range(6)]) for result in done]
    assert {result.code for result in results} <= {"", "superseded", "conditionNotMet"}
    assert [body for body, _ in place.objects().values()] == [events[-1].body]


def test_an_object_of_somebody_else_gives_way(gcs: GcsServer, place: Place) -> None:
    message = about()
    gcs.client.bucket(place.bucket).blob("2022-03-16/daily/abc123-2026-03-12T06:00:00Z.json").upload_from_string(b"{}")
    assert deliver(place, message)[0].outcome is Outcome.DELIVERED
    assert place.stored()[0].body == message.body


def test_a_key_that_others_write_all_the_time_is_left_for_later(gcs: GcsServer, place: Place) -> None:
    gate = needs_gate(gcs)
    blob = gcs.client.bucket(place.bucket).blob("2022-03-16/daily/abc123-2026-03-12T06:00:00Z.json")
    gate.before("POST /upload/", lambda: blob.upload_from_string(b"theirs"), times=100)
    (result,) = deliver(place, about())
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "conditionNotMet", Effect.NONE)
    assert result.hint
    assert gate.count(" 412") == 8


# --- an answer that was lost (T38) --------------------------------------------------------------------------
def test_a_write_whose_answer_was_lost_leaves_one_object(gcs: GcsServer, place: Place) -> None:
    message = about()
    needs_gate(gcs).lose_answer()
    lost, again = deliver(place, message)[0], deliver(place, message)[0]
    assert (lost.outcome, lost.code, lost.effect) == (Outcome.RETRY, "connection_closed", Effect.FAILURE)
    assert again.outcome is Outcome.DELIVERED
    assert [(one.event_id, one.body) for one in place.stored()] == [(message.event_id, message.body)]


def test_a_lost_answers_retry_does_not_undo_what_came_meanwhile(gcs: GcsServer, place: Place) -> None:
    old, new = about(minute=1), about(minute=2)
    needs_gate(gcs).lose_answer()
    results = [*deliver(place, old), *deliver(place, new), *deliver(place, old)]
    assert [result.code for result in results] == ["connection_closed", "", "superseded"]
    assert place.stored()[0].event_id == new.event_id


def test_bytes_that_were_changed_on_the_way_are_not_stored(gcs: GcsServer, place: Place) -> None:
    message = about()
    needs_gate(gcs).corrupt(b'"daily"', b'"dairy"')
    (result,) = deliver(place, message)
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "invalid", Effect.NONE)
    assert place.objects() == {}
    assert deliver(place, message)[0].outcome is Outcome.DELIVERED


def needs_gate(gcs: GcsServer) -> Any:
    if gcs.gate is None:
        pytest.skip("An existing server (HUB_TEST_GCS) fails on no command.")
    return gcs.gate
