"""Many requests in one transaction: each gets its own answer, and a bad one harms no neighbour."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import connection

from tests.hub import SECRET, Answer, Hub, own_hub, signature, until
from tests.receiving.support import (
    BODY,
    at_once,
    body_of_size,
    check_refused,
    events,
    stored_files,
    until_in_commit,
    until_read,
    writers_waiting,
)
from webhooks.keeping.payloads import read_body
from webhooks.models import Event, QuarantinedRequest, Source
from webhooks.receiving.sources import create_source

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_source_that_is_deleted_meanwhile_fails_alone(hub: Hub) -> None:
    """The database refuses its row at the commit, when all rows of the group are written already."""
    doomed = create_source(slug="doomed", secret=SECRET)
    doomed_path = f"/webhooks/terra/{doomed.slug}"
    hub.post(BODY % 0)
    hub.server.request("POST", doomed_path, b"", {})  # now the server has it in its cache

    def send(number: int) -> Answer:
        if number % 10:
            return hub.post(BODY % number, trace=f"t-{number}")
        body = BODY % number
        return hub.server.request("POST", doomed_path, body, {"terra-signature": signature(body)})

    with ThreadPoolExecutor(30) as pool:
        with writers_waiting():
            sent: list[Future[Answer]] = [pool.submit(send, number) for number in range(30)]
            until_read(hub.server, 30)
            Source.objects.filter(pk=doomed.pk).delete()
        answers = [future.result() for future in sent]
    for number, answer in enumerate(answers):
        if number % 10:
            assert answer.status == 200, answer.body
            assert read_body(Event.objects.get(pk=answer.json["event_id"]).payload) == BODY % number
        else:
            assert (answer.status, answer.headers["retry-after"]) == (503, "30")
    assert len(events(hub)) == 28


def test_a_duplicate_inside_one_group_is_answered_as_one(hub: Hub) -> None:
    with ThreadPoolExecutor(20) as pool:
        with writers_waiting():
            sent = [pool.submit(hub.post, BODY % 1, trace="same") for _ in range(20)]
        answers = [future.result().json for future in sent]
    assert len({answer["event_id"] for answer in answers}) == 1
    assert [answer["duplicate"] for answer in answers].count(False) == 1
    assert len(events(hub)) == 1


def test_a_conflict_inside_one_group_keeps_the_other_body(hub: Hub) -> None:
    with ThreadPoolExecutor(4) as pool:
        with writers_waiting():
            sent = [pool.submit(hub.post, BODY % number, trace="same") for number in range(4)]
        assert {future.result().status for future in sent} == {200}
    (event,) = events(hub)
    bodies = [bytes(item.body) for item in QuarantinedRequest.objects.filter(reason="idempotency_conflict")]
    assert sorted([*bodies, read_body(event.payload)]) == [BODY % number for number in range(4)]


def test_a_stale_body_twice_inside_one_group_is_one_event(hub: Hub) -> None:
    signed = {"terra-signature": signature(BODY % 1, at=time.time() - 3600)}
    with ThreadPoolExecutor(8) as pool:
        with writers_waiting():
            sent = [pool.submit(hub.post, BODY % 1, signed) for _ in range(8)]
        answers = [future.result().json for future in sent]
    assert {answer["event_id"] for answer in answers} == {str(event.pk) for event in events(hub)}
    assert len(events(hub)) == 1


def test_a_mixed_load_gets_each_its_own_answer(hub: Hub) -> None:
    large = body_of_size(100_000)

    def send(number: int) -> None:
        body = BODY % number
        good, again = hub.post(body, trace=f"t-{number}"), hub.post(body, trace=f"t-{number}")
        assert (good.status, again.status) == (200, 200)
        assert again.json == {"event_id": good.json["event_id"], "duplicate": True}
        assert hub.post(body, {"terra-signature": signature(body, "wrong")}).json["code"] == "signature_mismatch"
        assert hub.post(b"[%d]" % number).json["code"] == "invalid_payload"
        assert hub.server.request("POST", "/webhooks/terra/nobody", body).status == 404
        assert hub.server.request("GET", hub.path).status == 405
        stored = hub.post(large, trace=f"large-{number}")
        assert Event.objects.get(pk=stored.json["event_id"]).size == len(large)
        assert read_body(Event.objects.get(pk=good.json["event_id"]).payload) == body
        connection.close()

    at_once(send, range(24), threads=12)
    assert len(events(hub)) == 48
    assert QuarantinedRequest.objects.filter(source=hub.source).count() == 48


def test_what_was_refused_for_the_time_is_not_written_later_and_leaves_no_file(
    transactional_db: None, tmp_path: Path
) -> None:
    """A sender that was told to send again may sign afresh: written late, its event would be there twice."""
    with own_hub(tmp_path, COMMIT_TIMEOUT_SECONDS="1") as hub:
        before = stored_files()
        with writers_waiting():
            in_commit = threading.Thread(target=hub.post, args=(BODY % 0,))
            in_commit.start()
            until_in_commit()
            for body in (BODY % 1, body_of_size(200_000)):  # these wait for their turn
                check_refused(hub.post(body), 503, "store_unavailable")
            in_commit.join()
        until(lambda: hub.post(BODY % 2, trace="t-2").status == 200, what="it is taken, now or when it is sent again")
        held = [read_body(event.payload) for event in events(hub)]
        assert {BODY % 2} <= set(held) <= {BODY % 0, BODY % 2}
        assert stored_files() == before
