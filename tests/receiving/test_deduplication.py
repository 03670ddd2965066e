"""One event per idempotency key and source, whoever sends it, as often as it comes."""

import hashlib
import random
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.hub import SAMPLES, SECRET, Answer, Hub, on_postgres, own_hub, signature
from tests.receiving.support import BODY, at_once, body_kept, events, kept
from webhooks.keeping.payloads import read_body
from webhooks.models import Delivery, Event, QuarantinedRequest
from webhooks.receiving.sources import create_source

pytestmark = pytest.mark.django_db(transaction=True)


def check_one_event_each(answers: dict[str, list[Answer]], hub: Hub) -> None:
    """Check that every answer is 200, and that all answers of one trace id name its only event."""
    for trace, given in answers.items():
        assert {answer.status for answer in given} == {200}, trace
        (event_id,) = {answer.json["event_id"] for answer in given}
        event = Event.objects.get(pk=event_id)
        assert event.headers["x-terra-trace-id"] == trace
        assert [answer.json["duplicate"] for answer in given].count(False) == 1
    assert len(events(hub)) == len(answers)


def storm(hub: Hub, ids: int, senders: int) -> dict[str, list[Answer]]:
    """Post each of ``ids`` trace ids from ``senders`` threads, each in an order of its own."""
    traces = [f"t-{number}" for number in range(ids)]

    def send_all(sender: int) -> list[tuple[str, Answer]]:
        shuffled = random.Random(sender).sample(traces, ids)
        return [(trace, hub.post(BODY % traces.index(trace), trace=trace)) for trace in shuffled]

    answers: dict[str, list[Answer]] = {trace: [] for trace in traces}
    for sent in at_once(send_all, range(senders)):
        for trace, answer in sent:
            answers[trace].append(answer)
    return answers


def test_t34_one_trace_id_from_many_senders_at_once(hub: Hub) -> None:
    hub.webhook("http://127.0.0.1:8099/hook")
    check_one_event_each(storm(hub, ids=50, senders=32), hub)
    assert Delivery.objects.count() == 50
    assert not QuarantinedRequest.objects.exists()


@pytest.mark.skipif(not on_postgres(), reason="SQLite works with one web process")
def test_t34_with_two_server_processes(transactional_db: None, tmp_path: Path) -> None:
    with own_hub(tmp_path, processes=2) as hub:
        check_one_event_each(storm(hub, ids=30, senders=16), hub)


def test_t35_the_same_key_with_another_body(hub: Hub) -> None:
    first = hub.post(BODY % 1, trace="t")
    second = hub.post(BODY % 2, trace="t")
    assert (second.status, second.json) == (200, {"event_id": first.json["event_id"], "duplicate": True})
    (event,) = events(hub)
    assert read_body(event.payload) == BODY % 1
    item = kept(hub, "idempotency_conflict")
    assert (body_kept(item), item.event_id) == (BODY % 2, event.pk)
    for body in (BODY % 1, BODY % 2):
        assert hashlib.sha256(body).hexdigest() in item.detail


def test_t36_without_a_trace_id_the_reference_and_the_body_count(hub: Hub) -> None:
    first = hub.post(BODY % 1, {"terra-reference": "r"}, trace=None)
    later = {"terra-reference": "r", "terra-signature": signature(BODY % 1, at=time.time() - 10)}
    assert hub.post(BODY % 1, later, trace=None).json["event_id"] == first.json["event_id"]  # Terra's retry
    assert not hub.post(BODY % 2, {"terra-reference": "r"}, trace=None).json["duplicate"]
    assert not hub.post(BODY % 1, {"terra-reference": "s"}, trace=None).json["duplicate"]
    assert len(events(hub)) == 3


def test_t36_without_a_reference_the_time_and_the_body_count(hub: Hub) -> None:
    signed = [{"terra-signature": signature(BODY % 1, at=time.time() - age)} for age in (0, 100)]
    answers = [hub.post(BODY % 1, headers, trace=None).json for headers in (signed[0], signed[0], signed[1])]
    assert [answer["duplicate"] for answer in answers] == [False, True, False]


def test_t37_chunks_that_share_a_reference(hub: Hub) -> None:
    chunks = [(f"large:chunk:{number}", BODY % number) for number in range(50)]
    sent = [*chunks, *chunks[::10]]
    random.Random(7).shuffle(sent)
    answers = at_once(lambda chunk: hub.post(chunk[1], {"terra-reference": "large"}, trace=chunk[0]), sent)
    assert Counter(answer.status for answer in answers) == {200: 55}
    assert Counter(answer.json["duplicate"] for answer in answers) == {False: 50, True: 5}
    assert sorted(read_body(event.payload) for event in events(hub)) == sorted(body for _, body in chunks)
    assert Event.objects.filter(terra_reference="large").count() == 50


def test_chunks_without_trace_ids_are_told_apart_by_their_bodies(hub: Hub) -> None:
    for number in (0, 1, 0, 2):
        assert hub.post(BODY % number, {"terra-reference": "large"}, trace=None).status == 200
    assert len(events(hub)) == 3


def test_a_lab_report_is_known_by_its_own_id(hub: Hub) -> None:
    body = SAMPLES["lab_report.completed"]
    first = hub.post(body, {"terra-reference": "a"}, trace=None).json
    again = hub.post(
        body, {"terra-reference": "b", "terra-signature": signature(body, at=time.time() - 50)}, trace=None
    )
    assert again.json == {"event_id": first["event_id"], "duplicate": True}
    # With a trace id it is that which counts.
    assert not hub.post(body, trace="t").json["duplicate"]


def test_the_same_key_from_two_sources_is_two_events(hub: Hub) -> None:
    first = hub.post(BODY % 1, trace="t").json
    other, hub.source = hub.source, create_source(slug="another-source", secret=SECRET)
    assert hub.post(BODY % 1, trace="t").json["duplicate"] is False
    hub.source = other
    assert hub.post(BODY % 1, trace="t").json == {"event_id": first["event_id"], "duplicate": True}
    assert Event.objects.count() == 2


def test_a_key_of_any_length_and_any_characters_is_one_key(hub: Hub) -> None:
    long = ["x" * 159 + "a", "x" * 159 + "b", "x" * 3000, "x" * 3001]
    for trace in [*long, *long]:
        assert hub.post(BODY % 1, trace=trace).status == 200
    assert len(events(hub)) == 4
