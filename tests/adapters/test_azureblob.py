"""What an Azure Blob destination writes: the contract of every type, the blobs, and which event stays."""

import json
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from azure.core import MatchConditions

from destinations.adapters.azureblob import AzureBlobAdapter
from destinations.adapters.base import Effect, Limits, Message, Outcome, Person, Result
from destinations.adapters.object_writes import LOOK_FIRST_BYTES, MOST_ROUNDS
from tests.adapters.azureblob_support import LOCAL, Place
from tests.adapters.contract import AWKWARD, CANARY, AdapterContract, Site, event, text_of
from tests.adapters.erasing import ErasingContract
from tests.services.proxy import FaultProxy

pytestmark = pytest.mark.databaseless
START = datetime(2026, 7, 1, 12, tzinfo=UTC)
NAME = "2022-03-16/daily/abc123-2026-03-12T06:00:00Z.json"


class TestAzureBlobContract(ErasingContract, AdapterContract):
    """The suite of every type, in a container of its own, with a token of the least rights."""

    @pytest.fixture
    def place(self, azure_place: Place) -> Place:
        return azure_place

    @pytest.fixture
    def site(self, place: Place) -> Site:
        # A token has fields of its own choice, which are signed too: Content-Disposition of what it reads.
        credentials = place.token(content_disposition=CANARY)
        return Site(
            kind=AzureBlobAdapter,
            config={**place.config, "prefix": "terra/events"},
            credentials=credentials,
            policy=LOCAL,
            read_back=place.stored,
            repeats_leave_one=True,
            unreachable={"endpoint_url": f"http://127.0.0.1:59998/{place.server.account}"},
            wrong_config={},
            wrong_credentials=place.token("r", content_disposition=CANARY),
            wrong_step="permission",
        )

    @pytest.fixture(params=["token", "account key"])
    def eraser(self, request: pytest.FixtureRequest, place: Place) -> Iterator[AzureBlobAdapter]:
        credentials = place.token("rcwdl") if request.param == "token" else place.key
        config = {} if request.param == "token" else {"auth": "account_key"}
        made = place.adapter(credentials, prefix="terra/events", **config)
        yield made
        made.close()

    def test_a_token_that_may_only_write_names_the_rights_that_erasing_takes(self, adapter: AzureBlobAdapter) -> None:
        failed = adapter.erase(Person(("user-1",)), []).failed
        assert failed is not None
        assert "rcwdl" in failed.hint


def about(user: str = "abc123", minute: int = 0, body: bytes | None = None) -> Message:
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
    return event(json.dumps(made).encode() if body is None else body, type="daily", user_id=user, headers=headers)


# --- what is there afterwards -----------------------------------------------------------------------
@pytest.mark.parametrize("way", ["token", "key"])
def test_microsofts_own_client_reads_what_was_written(azure_place: Place, way: str) -> None:
    message = about()
    credentials = azure_place.key if way == "key" else None
    (result,) = azure_place.deliver(message, credentials=credentials, prefix="/team//blue=1+2@x/")
    blob = azure_place.official(f"team/blue=1+2@x/{NAME}")
    found = blob.get_blob_properties()
    assert blob.download_blob().readall() == message.body
    assert (found.content_settings.content_type, found.blob_type.value) == ("application/json", "BlockBlob")
    assert found.metadata == {
        "terra_event_id": message.event_id,
        "terra_reference": "ref%201",
        "terra_ordering_timestamp": "1782907200000",
    }
    place = f"{azure_place.server.endpoint}/{azure_place.container}"
    assert result.request == {"container": place, "key": found.name, "bytes": len(message.body)}
    assert result.response["etag"].strip('"') == found.etag.strip('"')
    assert (result.status_code, len(result.response["request_id"])) == (201, 36)


@pytest.mark.parametrize("size", [LOOK_FIRST_BYTES + 1, 8 * 1024 * 1024])
def test_a_large_body_arrives_whole(azure_place: Place, size: int) -> None:
    filler = random.Random(7).randbytes(size // 2).hex()
    old, new = (about(minute=minute, body=_large(filler, minute)) for minute in (0, 1))
    results = [azure_place.deliver(message)[0] for message in (old, new, old)]
    assert [result.code for result in results] == ["", "", "superseded"]
    assert [body for body, _ in azure_place.blobs().values()] == [new.body]


def _large(filler: str, minute: int) -> bytes:
    return b'{"filler": "%s", %s' % (filler.encode(), about(minute=minute).body[1:])


def test_many_blobs_go_out_at_once_over_kept_connections(azure_place: Place) -> None:
    with FaultProxy(azure_place.server.address) as proxy:
        adapter = azure_place.through(proxy, limits=Limits(concurrency=4))
        batch = [event() for _ in range(40)]
        assert {result.outcome for result in adapter.deliver(batch)} == {Outcome.DELIVERED}
        adapter.close()
        assert proxy.connections == 4
    assert {body for body, _ in azure_place.blobs().values()} == {message.body for message in batch}


@pytest.mark.parametrize("make", AWKWARD)
def test_no_message_leaves_the_folder_of_its_destination(azure_place: Place, make: Callable[[], Message]) -> None:
    (result,) = azure_place.deliver(make(), prefix="inside")
    names = list(azure_place.blobs())
    assert len(names) == (result.outcome is Outcome.DELIVERED)
    assert all(name.startswith("inside/") and ".." not in name.split("/") for name in names)


ODD = [
    "../../up",
    "a/b",
    "ü" * 200,
    "..",
    " ",
    "x" * 129,
    "%2e%2e",
    "a\nb",
    "?restype=container#x",
    "dot.",
    "\\",
    "a%00",
]


def test_odd_user_ids_get_names_of_their_own(azure_place: Place) -> None:
    messages = [about(user) for odd in ODD for user in (odd, f"{odd}!")]
    for credentials in (azure_place.key, azure_place.token()):
        results = azure_place.deliver(*messages, credentials=credentials)
        assert {result.outcome for result in results} == {Outcome.DELIVERED}, text_of(results)
        stored = azure_place.blobs()
        assert len(stored) == len(messages)
        assert {body for body, _ in stored.values()} == {message.body for message in messages}
        assert all(name.startswith("2022-03-16/daily/") and name.count("/") == 2 for name in stored)


def test_a_folder_never_ends_with_a_dot(azure_place: Place) -> None:
    """Azure drops a dot at the end of a segment: ``daily.`` would fall together with ``daily``."""
    message = event(b'{"type": "daily.", "user": {"user_id": "abc"}, "status": 1}', type="daily.")
    assert azure_place.deliver(message)[0].outcome is Outcome.DELIVERED
    (name,) = azure_place.blobs()
    assert name.startswith("t-")


# --- which event stays ---------------------------------------------------------------------------------
def test_a_newer_event_takes_the_place_and_an_older_one_does_not(azure_place: Place) -> None:
    old, new = about(minute=1), about(minute=2)
    first, second, late = (azure_place.deliver(message)[0] for message in (old, new, old))
    assert (first.code, second.code) == ("", "")
    assert (late.outcome, late.code, late.effect) == (Outcome.DELIVERED, "superseded", Effect.NONE)
    assert late.response == {"kept_event_id": new.event_id}
    assert [body for body, _ in azure_place.blobs().values()] == [new.body]


def test_a_repeat_writes_the_same_bytes_again(azure_place: Place) -> None:
    message = about()
    first, second = azure_place.deliver(message)[0], azure_place.deliver(message)[0]
    assert (second.outcome, second.code) == (Outcome.DELIVERED, "")
    assert second.response["etag"] != first.response["etag"]
    assert [body for body, _ in azure_place.blobs().values()] == [message.body]


def test_many_workers_at_one_name_leave_the_newest_event(azure_place: Place) -> None:
    events = [about(minute=minute) for minute in range(24)]
    shuffled = random.Random(3).sample(events, len(events))

    def work(share: list[Message]) -> list[Result]:
        adapter = azure_place.adapter()
        results = list(adapter.deliver(share))
        # What lost too many races is due again, as after any failure.
        left = [message for message, result in zip(share, results, strict=True) if result.outcome is Outcome.RETRY]
        results += adapter.deliver(left) if left else []
        adapter.close()
        return results

    with ThreadPoolExecutor(6) as pool:
        results = [result for done in pool.map(work, [shuffled[n::6] for n in range(6)]) for result in done]
    assert {result.code for result in results} <= {"", "superseded", "ConditionNotMet"}
    assert [body for body, _ in azure_place.blobs().values()] == [events[-1].body]


def test_a_blob_of_somebody_else_gives_way(azure_place: Place) -> None:
    message = about()
    azure_place.official(NAME).upload_blob(b"{}", metadata={"terra_event_id": "x"})
    assert azure_place.deliver(message)[0].outcome is Outcome.DELIVERED
    assert azure_place.stored()[0].body == message.body


def test_a_newer_event_that_comes_between_the_look_and_the_write_stays(
    azure_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, newer = about(minute=1), about(minute=2)
    azure_place.deliver(about(minute=0))
    adapter = azure_place.adapter()
    before_each_write(adapter, monkeypatch, once(lambda: azure_place.deliver(newer)))
    (late,) = adapter.deliver([old])
    adapter.close()
    assert (late.outcome, late.code) == (Outcome.DELIVERED, "superseded")
    assert azure_place.stored()[0].event_id == newer.event_id


def test_a_blob_that_is_deleted_between_the_look_and_the_write_is_written_anew(
    azure_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    message, blob = about(minute=1), azure_place.official(NAME)
    azure_place.deliver(about(minute=0))
    adapter = azure_place.adapter()
    before_each_write(adapter, monkeypatch, once(blob.delete_blob, after=1))
    (result,) = adapter.deliver([message])
    adapter.close()
    assert (result.outcome, result.code) == (Outcome.DELIVERED, "")
    assert azure_place.stored()[0].event_id == message.event_id


def test_a_name_that_others_write_all_the_time_is_left_for_later(
    azure_place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    blob, writes = azure_place.official(NAME), []
    adapter = azure_place.adapter()

    def theirs() -> None:
        writes.append(blob.upload_blob(b"theirs", overwrite=True))

    before_each_write(adapter, monkeypatch, theirs)
    (result,) = adapter.deliver([about()])
    adapter.close()
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "ConditionNotMet", Effect.NONE)
    assert result.hint
    assert len(writes) == MOST_ROUNDS
    # What the server holds to is what the official client asks of it, too.
    blob.upload_blob(b"x", overwrite=True, etag=writes[-1]["etag"], match_condition=MatchConditions.IfNotModified)


def before_each_write(adapter: AzureBlobAdapter, monkeypatch: pytest.MonkeyPatch, action: Callable[[], object]) -> None:
    """Let somebody else act right before each write of the adapter goes out."""
    write = adapter._container.write

    def delayed(*args: Any) -> Any:
        action()
        return write(*args)

    monkeypatch.setattr(adapter._container, "write", delayed)


def once(action: Callable[[], object], after: int = 1) -> Callable[[], None]:
    """Return a function that acts only when it has been called ``after`` times before."""
    calls = []

    def act() -> None:
        calls.append(1)
        if len(calls) == after + 1:
            action()

    return act


# --- an answer that was lost (T38) --------------------------------------------------------------------------
def test_a_write_whose_answer_was_lost_leaves_one_blob(azure_place: Place) -> None:
    message = about()
    with FaultProxy(azure_place.server.address) as proxy:
        proxy.cut_answer_to(b"PUT /")
        adapter = azure_place.through(proxy)
        lost, again = adapter.deliver([message])[0], adapter.deliver([message])[0]
        adapter.close()
    assert (lost.outcome, lost.code, lost.effect) == (Outcome.RETRY, "connection_closed", Effect.FAILURE)
    assert (again.outcome, again.code) == (Outcome.DELIVERED, "")
    assert [(one.event_id, one.body) for one in azure_place.stored()] == [(message.event_id, message.body)]


def test_a_lost_answers_retry_does_not_undo_what_came_meanwhile(azure_place: Place) -> None:
    old, new = about(minute=1), about(minute=2)
    with FaultProxy(azure_place.server.address) as proxy:
        proxy.cut_answer_to(b"PUT /")
        adapter = azure_place.through(proxy)
        results = [adapter.deliver([message])[0] for message in (old, new, old)]
        adapter.close()
    assert [result.code for result in results] == ["connection_closed", "", "superseded"]
    assert azure_place.stored()[0].event_id == new.event_id


def test_bytes_that_were_changed_on_the_way_are_not_stored(azure_place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter, message = azure_place.adapter(), about()
    write = adapter._container.write

    def changed(*args: Any) -> Any:
        signed = write(*args)
        signed.request.body = signed.request.body.replace(b'"daily"', b'"dairy"')
        return signed

    with monkeypatch.context() as on_the_way:
        on_the_way.setattr(adapter._container, "write", changed)
        (result,) = adapter.deliver([message])
    # Azurite says InvalidOperation for Azure's Md5Mismatch, whose effect is tried with the table.
    assert (result.outcome, result.status_code) == (Outcome.RETRY, 400)
    assert result.code in ("Md5Mismatch", "InvalidOperation")
    assert azure_place.blobs() == {}
    assert adapter.deliver([message])[0].outcome is Outcome.DELIVERED
    adapter.close()
