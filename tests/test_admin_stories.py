"""What an event's and a delivery's page tell: why it went nowhere, who signed it, what changed between two tries."""

import shlex
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.http import HttpResponse

from destinations.models import Destination
from destinations.services import disable, update_destination
from tests.admin_support import DELIVERIES, EVENTS, QUARANTINE, Page, Person, page_of
from tests.api_support import make_attempt, make_delivery, make_destination, make_event, make_source
from tests.hub import signature
from webhooks.admin.curl import curl_of
from webhooks.finding.anything import find_anything
from webhooks.models import Event, Payload, QuarantinedRequest, Replay, Source
from webhooks.receiving.sources import add_signing_secret, create_source

pytestmark = pytest.mark.django_db

SECRET, NEXT = "the-first-signing-secret", "the-second-signing-secret"
NOW = datetime(2026, 3, 12, 6, 0, tzinfo=UTC)


@pytest.fixture
def ana() -> Person:
    return Person()


# --- the list of events -------------------------------------------------------------------------
def test_each_delivery_is_a_dot_with_words_and_trouble_comes_first(ana: Person) -> None:
    event = make_event()
    rows = [make_delivery(event, make_destination(f"hook {n}"), "delivered") for n in range(8)]
    dead = make_delivery(event, make_destination("Broken"), "dead", last_error_code="http_500")
    retried = make_delivery(event, make_destination("Slow"), "pending", last_error_code="timeout")

    page = ana.get(EVENTS)

    dots = [attrs for attrs in page.find("a") if "hub-dot" in (attrs.get("class") or "")]
    assert [attrs["href"] for attrs in dots] == [page_of(row) for row in (dead, retried, *rows[:4])]
    assert "Broken: Dead letter (http_500)" in page.text
    assert "Slow: Failed, will be tried again (timeout)" in page.text
    assert "+4 more deliveries" in page.text


def test_a_short_user_id_is_copied_whole(ana: Person) -> None:
    make_event(user_id="d81ea08d-ad4d-44bd-8394-ee4b68a3f96f")

    page = ana.get(EVENTS)

    assert "d81ea08d-ad4d… " in page.text
    assert page.find("button", **{"data-hub-copy-text": "d81ea08d-ad4d-44bd-8394-ee4b68a3f96f"})


def test_the_list_leads_to_the_replay_of_what_it_shows(ana: Person) -> None:
    event = make_event(type="sleep", user_id="ana")
    row = make_delivery(event, make_destination(), "dead", last_error_code="http_500")

    def link(url: str, **query: str) -> str:
        links = [
            str(attrs["href"]) for attrs in ana.get(url, **query).find("a") if "replay/add" in str(attrs.get("href"))
        ]
        return next((one for one in links if "kind=" in one), "")

    assert link(EVENTS) == ""
    assert link(EVENTS, type="sleep", user_id="ana").endswith("?kind=matching&type=sleep&user_id=ana")
    failed = {"destination": str(row.destination_id), "status_code": "500"}
    found = link(DELIVERIES, **failed)
    assert found.endswith(f"?kind=failed&destination={row.destination_id}&error_code=http_500")
    assert ana.client.get(found).status_code == 200
    assert link(DELIVERIES, status="dead") == ""
    assert link(DELIVERIES, destination=str(row.destination_id), status="delivered") == ""
    assert "Replay all that match" not in Person("webhooks.view_event").get(EVENTS, type="sleep").text


# --- an event that went nowhere --------------------------------------------------------------------
def test_an_event_that_went_nowhere_says_why_for_each_destination(ana: Person) -> None:
    event = make_event(type="sleep")
    make_destination("Types", event_types=["daily", "body"])
    make_destination("Sources", sources=[make_source("other").slug])
    disable(make_destination("Off"))
    make_destination("Now")

    text = ana.look(event).text

    for said in (
        "Types : It takes other types: daily, body. Choose this type there too.",
        "Sources : It takes other sources: other. Choose main there too.",
        "Off : It is disabled: it gets nothing until it is enabled.",
        "Now : It takes such events now, but did not when this one came. Resend sends it there.",
    ):
        assert said in text, said


def test_a_hub_without_destinations_offers_to_add_one(ana: Person) -> None:
    page = ana.look(make_event())

    assert "There is no destination yet." in page.text
    assert page.find("a", href="/admin/destinations/destination/add/")


# --- large requests -----------------------------------------------------------------------------
def chunk(number: int, **columns: Any) -> Event:
    return make_event(NOW + timedelta(seconds=number), type="daily", terra_reference="large-1", **columns)


def test_chunks_of_a_large_request_are_counted_against_what_terra_announced(ana: Person) -> None:
    announced = {"type": "large_request_sending", "terra_reference": "large-1"}
    first = make_event(NOW, body=b'{"type":"large_request_sending","expected_payloads":3}', **announced)
    chunks = [chunk(1), chunk(2)]
    make_event(type="daily", terra_reference="another")
    chunk(9, source=make_source("other"))  # with the same reference, by chance

    for event in (first, *chunks):
        page = ana.look(event)
        assert "2 of 3 chunks" in page.text
        assert page.find("a", href=f"{EVENTS}?terra_reference=large-1")


@pytest.mark.parametrize(
    "said", [b"{}", b"[]", b"no json", b'{"expected_payloads":true}', b'{"expected_payloads":"9"}']
)
def test_chunks_that_nobody_announced_are_only_counted(ana: Person, said: bytes) -> None:
    make_event(NOW, body=said, type="large_request_sending", terra_reference="large-1")

    assert "2 events with this reference" in ana.look([chunk(1), chunk(2)][0]).text


def test_an_event_alone_with_its_reference_is_no_group(ana: Person) -> None:
    assert "with this reference" not in ana.look(chunk(1)).text


# --- verified -----------------------------------------------------------------------------------
def signed(secret: str, body: bytes = b'{"type":"daily"}', **columns: Any) -> Event:
    source = Source.objects.filter(slug="signing").first() or create_source(slug="signing", secret=SECRET)
    header = signature(body, secret, NOW.timestamp() - 7)
    return make_event(NOW, body=body, source=source, headers={"terra-signature": header}, **columns)


def test_the_timeline_says_which_secret_signed_and_how_old_that_was(ana: Person) -> None:
    row = make_delivery(signed(SECRET), make_destination(), created_at=NOW)

    assert "Signed with the source's current secret, 7 s old when it came." in ana.look(row).text
    add_signing_secret(Source.objects.get(slug="signing"), NEXT)
    text = ana.look(row).text
    assert "Signed with an earlier secret of the source, which is being replaced, 7 s old" in text
    for step in ("Received", "Verified", "Stored", "Queued", "Next try"):
        assert step in text
    assert SECRET not in ana.look(row).source


def test_a_secret_that_is_gone_and_a_body_in_the_store_are_said_for_what_they_are(ana: Person) -> None:
    unknown = signed("a-secret-nobody-has")
    assert "with a secret that the source no longer has" in ana.look(unknown).text
    Payload.objects.filter(pk=unknown.pk).update(body=None, store_name="x")
    text = ana.look(unknown).text
    assert "Signed 2026-03-12 05:59:53 UTC" in text
    assert "secret that" not in text
    assert "Signed" not in ana.look(make_event(headers={"terra-signature": "nonsense"})).text


# --- attempts -------------------------------------------------------------------------------------
REQUEST = {
    "method": "POST",
    "url": "https://example.com/it's?token=****",
    "headers": {"Authorization": "****", "X-Odd": "$(reboot) `id` \"'", "terra-signature": "t=1,v1=ab"},
}


def test_a_request_is_a_curl_command_that_names_secrets_and_runs_nothing() -> None:
    words = shlex.split(curl_of(REQUEST, "event.json").replace("\\\n", ""))

    assert words == [
        "SECRET_IN_URL=put the secret part of the URL here",
        "AUTHORIZATION=put the secret part of the header Authorization here",
        "curl", "-X", "POST", "https://example.com/it's?token=${SECRET_IN_URL}",
        "-H", "Authorization: ${AUTHORIZATION}", "-H", "X-Odd: $(reboot) `id` \"'",
        "-H", "terra-signature: t=1,v1=ab", "--data-binary", "@event.json",
    ]  # fmt: skip
    assert "'X-Odd: $(reboot) `id` \"'" in curl_of(REQUEST, "event.json")
    assert curl_of({"table": "public.t", "payload_id": "7"}, "event.json") == ""
    assert "\u202e" not in curl_of({**REQUEST, "headers": {"a": "\u202eb"}}, "event.json")


def test_an_attempt_shows_headers_body_and_where_it_was_cut(ana: Person) -> None:
    job = Replay.objects.create(kind="failed", created_by="ben", created_at=NOW)
    row = make_delivery(make_event(), make_destination())
    answer = {"status": 500, "headers": {"server": "nginx"}, "body": "x" * 2048, "truncated": True}
    make_attempt(row, 1, request=REQUEST, response=answer, trigger="replay", replay=job)
    make_attempt(row, 2, request={"table": "public.t"}, response={"message_id": "m-1"})

    page = ana.look(row)

    for said in (
        "server nginx", "Truncated at 2.0 KiB", '"table": "public.t"', '"message_id": "m-1"', "Authorization ****",
        f"Replayed by ben, job {job.pk}",
    ):  # fmt: skip
        assert said in page.text, said
    assert page.find("a", href=f"/admin/webhooks/replay/{job.pk}/change/")


def test_two_attempts_are_compared_and_edits_between_them_named(ana: Person) -> None:
    row = make_delivery(make_event(), make_destination())
    before, after = datetime.now(UTC) - timedelta(hours=1), datetime.now(UTC) + timedelta(hours=1)
    make_attempt(row, 1, started_at=before, status_code=500, request=REQUEST)
    changed = {**REQUEST, "headers": {**REQUEST["headers"], "X-Odd": "even"}}  # type: ignore[dict-item]
    make_attempt(row, 2, started_at=before, status_code=502, error_code="http_502", request=REQUEST)
    make_attempt(row, 3, started_at=after, status_code=200, outcome="delivered", error_code="", request=changed)
    update_destination(Destination.objects.get(), by=ana.user, name="Renamed")

    text = ana.look(row).text.partition("What changed between two attempts")[2]
    assert "HTTP status 500 200" in text
    assert "Error http_500 –" in text
    assert "Request headers X-Odd $(reboot) `id` \"' even" in text
    assert "the destination was edited:" in text
    assert f"by {ana.user.get_username()}" in text
    text = ana.look(row, one="1", two="2").text.partition("What changed between two attempts")[2]
    assert "HTTP status 500 502" in text
    assert "X-Odd $" not in text
    assert "nobody edited the destination" in text
    assert "HTTP status 500 200" in ana.look(row, one="99", two="x").text


def test_what_waits_is_tried_now(ana: Person) -> None:
    row = make_delivery(make_event(), make_destination(), attempt_count=2, retry_count=2, last_error_code="http_500")

    page = ana.press(row, "try_now")

    assert "1 delivery is due now." in page.text
    assert "Due since" in page.text


# --- payloads --------------------------------------------------------------------------------------
def test_a_view_is_written_down_once_and_bytes_without_a_view_too(ana: Person) -> None:
    event = make_event(body=b'{"type":"daily","n":12345678901234567890}')
    base = page_of(event).replace("/change/", "/payload/")

    def notes() -> list[str]:
        rows = LogEntry.objects.filter(object_id=str(event.pk)).order_by("pk")
        return [entry.get_change_message() for entry in rows]

    (tree,) = ana.get(base).find("div", id="payload-tree")
    url = base + str(tree["data-hub-payload"])
    response: Any = ana.client.get(url)
    assert b"".join(response.streaming_content) == b'{"type":"daily","n":12345678901234567890}'
    assert "no-store" in response.headers["Cache-Control"]
    assert notes() == ["Payload viewed."]

    ana.client.get(base + "bytes/")
    ana.client.get(base + "bytes/?view=forged")
    assert notes() == ["Payload viewed.", "Payload fetched.", "Payload fetched."]
    ben, eve = Person("webhooks.view_event", "webhooks.view_payload"), Person("webhooks.view_event")
    assert ben.client.get(url).status_code == 200
    assert len(notes()) == 4, "somebody else's view"
    assert eve.client.get(url).status_code == 403
    assert len(notes()) == 4


# --- quarantine ---------------------------------------------------------------------------------
def refused(secret: str, body: bytes) -> QuarantinedRequest:
    header = {"terra-signature": signature(body, secret, NOW.timestamp())}
    return QuarantinedRequest.objects.create(
        source=Source.objects.get(slug="signing"), reason="signature_mismatch", headers=header, body=body,
        size=len(body), received_at=NOW,
    )  # fmt: skip


def test_ticked_requests_are_verified_again_and_what_passes_is_admitted(ana: Person) -> None:
    create_source(slug="signing", secret=SECRET)
    passing = [refused(SECRET, b'{"type":"daily","n":%d}' % n) for n in range(2)]
    failing = refused("another-secret-altogether", b'{"type":"daily"}')
    ticked = [str(one.pk) for one in (*passing, failing)]

    page = ana.post(QUARANTINE, action="admit_chosen", _selected_action=ticked)

    assert "2 requests were admitted." in page.text
    assert "1 would be refused again. signature_mismatch" in page.text
    assert Event.objects.count() == 2
    assert QuarantinedRequest.objects.filter(admitted_at=None).get() == failing
    assert LogEntry.objects.filter(change_message="Admit.").count() == 2
    page = ana.look(failing)
    assert "Compare the source's signing secret with the one in Terra's dashboard" in page.text
    assert page.find("a", href=page_of(failing.source))
    again = ana.post(QUARANTINE, action="admit_chosen", _selected_action=[str(passing[0].pk)])
    assert "Nothing to do" in again.text


def test_admitting_many_needs_its_permission() -> None:
    create_source(slug="signing", secret=SECRET)
    item = refused(SECRET, b'{"type":"daily"}')
    ben = Person("webhooks.view_quarantinedrequest")

    ben.client.post(QUARANTINE, {"action": "admit_chosen", "_selected_action": [str(item.pk)]})

    assert not Event.objects.exists()


# --- finding ------------------------------------------------------------------------------------
def location(ana: Person, path: str, term: Any) -> str:
    response: HttpResponse = ana.client.get(path, {"q": str(term)})
    return str(response.headers.get("Location", ""))


@pytest.mark.parametrize("path", ["/admin/find/", EVENTS, DELIVERIES, QUARANTINE])
def test_an_id_leads_to_its_page_from_every_box(ana: Person, path: str) -> None:
    event = make_event(user_id="ana", terra_reference="large-1")
    row = make_delivery(event, make_destination("Warehouse"))
    item = QuarantinedRequest.objects.create(source=event.source, reason="x", received_at=NOW)

    for one in (event, row, row.destination, item):
        assert location(ana, path, one.pk) == page_of(one)
    assert location(ana, path, "ana") == f"{EVENTS}?user_id=ana"
    assert location(ana, path, "large-1") == f"{EVENTS}?terra_reference=large-1"
    page = ana.get(path, q="nobody <b>knows</b>")
    assert "“ nobody <b>knows</b> ”" in page.text or "“nobody <b>knows</b>”" in page.text
    assert "Searching inside bodies is not there." in page.text


def test_an_id_of_several_things_lists_them_unless_the_list_has_one_of_its_own(ana: Person) -> None:
    row = make_delivery(make_event(user_id="ana"), make_destination())
    Replay.objects.create(id=row.pk, kind="failed", created_at=NOW)

    page = ana.get("/admin/find/", q=str(row.pk))
    assert "Delivery hook" in page.text
    assert "Replay failed" in page.text
    assert location(ana, DELIVERIES, row.pk) == page_of(row)
    assert location(ana, EVENTS, row.pk) == f"/admin/find/?q={row.pk}"


def test_nobody_finds_what_they_may_not_see() -> None:
    event = make_event(user_id="ana")
    row = make_delivery(event, make_destination("Warehouse"))
    ben = Person("webhooks.view_event")

    assert location(ben, "/admin/find/", event.pk) == page_of(event)
    for term in (row.pk, row.destination_id, "Warehouse"):
        assert find_anything(str(term))
        assert "Nothing that you may see is known by" in Page(ben.client.get("/admin/find/", {"q": str(term)})).text
