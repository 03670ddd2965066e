"""What comes of an erased person is answered and stored nowhere, whichever way it comes."""

import time
from pathlib import Path

import pytest
from django.conf import settings

from tests.api_support import refused as refusal_of
from tests.erasures.stage import (
    BOB,
    IDS,
    NEW,
    OLD,
    REFERENCE,
    body_of,
    carried_on,
    files_that_name,
    payload_folder,
    reauth,
    refused,
    rows_that_name,
)
from tests.hub import Hub, on_postgres, signature
from webhooks.keeping.erasures import jobs
from webhooks.models import Event, QuarantinedRequest, UserLink
from webhooks.receiving.quarantine import admit
from webhooks.receiving.samples import send_sample

LAB = b'{"type":"lab_report.completed","event_id":"lab-1","data":{"reference_id":"%b"}}' % REFERENCE.encode()
ERASED = {"erased": True, "detail": "This person was erased from the hub: nothing was stored."}


def stored(hub: Hub) -> tuple[int, int]:
    """Return how many events and refused requests there are."""
    return Event.objects.filter(source=hub.source).count(), QuarantinedRequest.objects.count()


def aged(body: bytes, hours: float) -> dict[str, str]:
    """Return the header of a body that was signed so long ago."""
    return {"terra-signature": signature(body, at=time.time() - hours * 3600)}


def test_late_retries_and_captured_requests_are_answered_and_stored_nowhere(hub: Hub) -> None:
    large = body_of(OLD, pad=100_000)
    for trace, body in (("t-1", body_of(NEW)), ("t-2", large), ("t-3", reauth()), ("t-4", LAB)):
        assert hub.post(body, trace=trace).json["duplicate"] is False
    assert hub.post(body_of(NEW), {"terra-signature": "t=1,v1=00"}).status == 400
    assert rows_that_name(*IDS)
    assert files_that_name(payload_folder(), *IDS)

    assert carried_on(jobs.start(reference_ids=[REFERENCE])).status == "done"

    late = [hub.post(body_of(NEW), trace="t-1"), hub.post(large, trace="t-2"), hub.post(LAB, trace="t-4")]
    late += [hub.post(reauth(), trace="t-3"), hub.post(body_of(NEW), aged(body_of(NEW), 5), trace="t-1")]
    fresh = [hub.post(body_of(NEW, kind="sleep")), hub.post(body_of(OLD, pad=200_000)), hub.post(reauth(OLD, "new-3"))]
    captured = [hub.post(body, aged(body, 5), trace="another") for body in (body_of(NEW), large, LAB)]
    for answer in (*late, *fresh, *captured):
        assert (answer.status, answer.json) == (200, ERASED)
    too_old = [hub.post(body, aged(body, 72)) for body in (body_of(NEW), reauth(), LAB, large)]
    forged = [hub.post(body_of(OLD), {"terra-signature": "t=1,v1=00"})]
    assert {answer.status for answer in (*too_old, *forged)} == {400}
    assert stored(hub) == (0, 0)
    assert rows_that_name(*IDS) == []
    assert files_that_name(payload_folder(), *IDS) == []
    assert not any(one in hub.server.process.output() for one in IDS)  # type: ignore[union-attr]  # it runs


def test_others_are_taken_in_as_before_and_so_is_the_person_under_a_new_id(hub: Hub) -> None:
    carried_on(jobs.start(reference_ids=[REFERENCE], user_ids=[NEW]))
    assert hub.post(body_of(BOB, reference="bob")).json["duplicate"] is False
    assert hub.post(body_of("a-new-user-of-alice")).json["duplicate"] is False
    assert hub.post(LAB).json["duplicate"] is False  # with no user in it, and never seen before
    assert hub.post(body_of(BOB), {"terra-signature": "t=1,v1=00"}).status == 400
    assert stored(hub) == (3, 1)


def test_a_lifted_person_comes_back_and_what_was_erased_does_not(hub: Hub) -> None:
    hub.post(body_of(NEW), trace="t-1")
    row = carried_on(jobs.start(user_ids=[NEW]))
    assert jobs.lift(row) == 1
    assert not jobs.keeps_away(row)
    assert hub.post(body_of(NEW, kind="sleep")).json["duplicate"] is False
    assert hub.post(body_of(NEW), trace="t-1").json == ERASED
    assert hub.post(body_of(NEW), aged(body_of(NEW), 5), trace="another").json == ERASED
    assert stored(hub) == (1, 0)


def test_neither_the_quarantine_nor_a_sample_brings_them_back(hub: Hub) -> None:
    carried_on(jobs.start(user_ids=[NEW]))
    body = body_of(NEW, pad=100_000)
    item = refused(hub.source, body, {"terra-signature": signature(body)})
    assert refusal_of(admit, item).code == "erased"
    assert refusal_of(send_sample, hub.source, body).code == "erased"
    item.refresh_from_db()
    assert item.admitted_at is None
    assert stored(hub) == (0, 1)
    assert files_that_name(payload_folder(), NEW) == []


def test_a_new_id_by_user_reauth_is_the_same_person(hub: Hub) -> None:
    assert hub.post(reauth("id-number-1", "id-number-2")).status == 200
    assert hub.post(reauth("id-number-2", "id-number-3")).status == 200
    assert hub.post(reauth("id-number-2", "id-number-3")).status == 200  # another request, the same link
    assert UserLink.objects.count() == 2
    for one in ("id-number-1", "id-number-2", "id-number-3"):
        hub.post(body_of(one, reference=""))
    assert carried_on(jobs.start(user_ids=["id-number-2"])).receipt["user_ids"] == 3
    assert rows_that_name("id-number-") == []


def test_an_id_of_before_links_were_written_is_found_in_the_payloads(hub: Hub) -> None:
    hub.post(reauth("id-number-1", "id-number-2"))
    hub.post(body_of("id-number-1", reference=""))
    UserLink.objects.all().delete()
    assert carried_on(jobs.start(user_ids=["id-number-2"])).receipt["counts"]["events"] == 2
    assert rows_that_name("id-number-") == []


@pytest.mark.skipif(on_postgres(), reason="PostgreSQL's own files are its vacuum's matter: docs/erasure.md")
def test_no_page_of_the_database_file_holds_them_any_more(hub: Hub) -> None:
    for number in range(60):
        who = (NEW, BOB)[number % 2]
        hub.post(body_of(who, reference=f"{who}-{number}", pad=97 * number))
        hub.post(body_of(who, pad=50 * number), {"terra-signature": "t=1,v1=00"})
    assert NEW.encode() in _bytes()
    carried_on(jobs.start(user_ids=[NEW]))
    assert NEW.encode() not in _bytes()
    assert BOB.encode() in _bytes()


def _bytes() -> bytes:
    path = Path(settings.DATABASES["default"]["NAME"])
    return b"".join(one.read_bytes() for one in (path, path.with_name(f"{path.name}-wal")) if one.exists())
