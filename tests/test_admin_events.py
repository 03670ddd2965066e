"""Events in the admin: facts, deliveries, and the payload for those who may see it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry

from tests.admin_support import DESTINATIONS, EVENTS, Page, Person, listed, page_of
from tests.api_support import make_delivery, make_destination, make_event
from webhooks.admin.bodies import SHOWN_BYTES
from webhooks.keeping.payloads import put_body
from webhooks.models import Delivery, Event, Payload

pytestmark = pytest.mark.django_db


@pytest.fixture
def ana() -> Person:
    return Person()


def payload_of(event: Event) -> str:
    return page_of(event).replace("/change/", "/payload/")


def test_an_event_shows_its_facts_and_where_its_deliveries_stand(ana: Person) -> None:
    event = make_event(type="sleep", user_id="user-1", reference_id="ref-1", provider="GARMIN", headers={"dev-id": "d"})
    make_delivery(event, make_destination("Warehouse"), "delivered", attempt_count=2, settled_at=datetime.now(UTC))
    make_delivery(event, make_destination("Mirror"), "dead", attempt_count=9, last_error_code="http_500")

    page = ana.look(event)

    for said in ("sleep", "user-1", "ref-1", "GARMIN", str(event.pk), "dev-id"):
        assert said in page.text
    assert "Delivered with attempt 2" in page.text
    assert "Given up after 9 attempts" in page.text
    assert "(http_500)" in page.text
    assert not page.find("input", name="_save")


def test_an_event_without_deliveries_says_why(ana: Person) -> None:
    assert "no active destination took events of this type" in ana.look(make_event()).text


def test_the_payload_is_shown_as_text_and_who_saw_it_is_written_down(ana: Person) -> None:
    body = '{"type":"daily","note":"<script>alert(1)</script> é \u202e\\u0000"}'.encode()
    event = make_event(body=body)

    page = ana.get(payload_of(event))

    assert page.pre() == body.decode().replace("\u202e", "\\u202e")
    assert len(page.find("script", src=None)) == 0
    assert "no-store" in page.headers["Cache-Control"]
    entry = LogEntry.objects.get(object_id=str(event.pk))
    assert (entry.user_id, entry.get_change_message()) == (ana.user.pk, "Payload viewed.")
    assert "Payload viewed." in ana.get(page_of(event).replace("/change/", "/history/")).text
    assert "alert(1)" not in ana.look(event).source  # never on the event's own page


def test_the_log_says_who_saw_which_payload(ana: Person, caplog: pytest.LogCaptureFixture) -> None:
    event = make_event()

    with caplog.at_level("INFO"):
        ana.get(payload_of(event))

    record = next(line for line in caplog.messages if "payload_viewed" in line)
    assert str(event.pk) in record
    assert str(ana.user.pk) in record


def test_a_large_payload_is_cut_between_characters_and_downloads_whole(ana: Person) -> None:
    body = b'{"type":"daily","x":"' + b" " * (SHOWN_BYTES - 22) + "é".encode() * 1000 + b'"}'
    event = make_event(body=body)
    Payload.objects.filter(pk=event.pk).update(body=None, store_name=put_body(event.pk, body))

    page = ana.get(payload_of(event))
    assert page.pre() == body[: SHOWN_BYTES - 1].decode()
    assert "The first 256.0 KiB of" in page.text

    response = ana.client.get(payload_of(event) + "raw/")
    assert b"".join(response.streaming_content) == body  # type: ignore[attr-defined]
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert response.headers["Content-Disposition"] == f'attachment; filename="{event.pk}.json"'
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert LogEntry.objects.filter(change_message="Payload downloaded.").count() == 1


def test_a_payload_that_is_gone_is_said(ana: Person) -> None:
    event = make_event()
    Payload.objects.all().delete()

    assert "no longer kept" in ana.look(event).text
    response = ana.client.get(payload_of(event), follow=True)
    assert "The payload is no longer kept." in response.content.decode()
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("permissions", [("webhooks.view_event",), ("webhooks.view_payload",)])
def test_a_payload_needs_a_permission_of_its_own(permissions: tuple[str, ...]) -> None:
    event, ben = make_event(), Person(*permissions)

    for url in (payload_of(event), payload_of(event) + "raw/"):
        assert ben.client.get(url).status_code == 403
    assert not LogEntry.objects.exists()
    if "webhooks.view_event" in permissions:
        assert "Show the payload" not in ben.look(event).text


def test_an_event_is_resent_to_where_it_would_go_now(ana: Person) -> None:
    event = make_event()
    done = make_delivery(event, make_destination("one"), "delivered")
    make_destination("two")

    page = ana.press(event, "resend")

    assert "2 deliveries are due now." in page.text
    done.refresh_from_db()
    assert (done.status, done.trigger) == ("pending", "resend")
    assert Delivery.objects.filter(event=event, destination__name="two").exists()


def test_a_resend_that_goes_nowhere_says_so(ana: Person) -> None:
    assert "No active destination takes this event." in ana.press(make_event(), "resend").text


def test_filters_and_search_keep_what_they_say(ana: Person) -> None:
    made = {
        "sleep": make_event(type="sleep", user_id="ana", reference_id="ref-1", provider="GARMIN"),
        "daily": make_event(type="daily", user_id="ben", reference_id="ref-2"),
        "old": make_event(datetime.now(UTC) - timedelta(days=3), type="body"),
        "new": make_event(type="brand_new"),
    }

    def shown(**query: str) -> set[str]:
        return listed(ana.get(EVENTS, **query), made)

    assert shown() == {"sleep", "daily", "old", "new"}
    assert shown(type="sleep") == {"sleep"}
    assert shown(type="brand_new") == {"new"}
    assert shown(hours="24") == {"sleep", "daily", "new"}
    assert shown(user_id="ana") == {"sleep"}
    assert shown(provider="garmin") == {"sleep"}
    assert "Replay all that match" in ana.get(EVENTS, user_id="ana").text
    assert "Replay all that match" not in ana.get(EVENTS, user_id="ana", provider="GARMIN").text  # no replay knows it
    assert shown(reference_id="ref-2", type="daily") == {"daily"}
    assert shown(reference_id="ref-2", type="sleep") == set()
    assert shown(q="an") == set()
    assert shown(q="a\x00b") == {"sleep", "daily", "old", "new"}  # refused with a message
    assert ana.client.get(EVENTS, {"q": " ref-2 "}).headers["Location"] == f"{EVENTS}?reference_id=ref-2"
    assert ana.client.get(EVENTS, {"q": str(made["sleep"].pk)}).headers["Location"] == page_of(made["sleep"])


def test_a_pasted_user_id_that_is_a_uuid_finds_the_users_events(ana: Person) -> None:
    user = "d81ea08d-ad4d-44bd-8394-ee4b68a3f96f"
    made = {"theirs": make_event(user_id=user), "another": make_event()}

    assert listed(Page(ana.client.get(EVENTS, {"q": user}, follow=True)), made) == {"theirs"}


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"hours": "x"}, "hours: Select a valid choice."),
        ({"type": "a\x00b"}, "type: Select a valid choice."),
        ({"since": "yesterday"}, "since: Write a time like 2026-03-12T06:00:00Z."),
        ({"source": "none-such"}, "source: Select a valid choice."),
        ({"destination": "x"}, "destination: Select a valid choice."),
    ],
)
def test_a_filter_that_makes_no_sense_is_named_and_shows_nothing(ana: Person, query: dict[str, str], said: str) -> None:
    event = make_event()

    page = ana.get(EVENTS, **query)

    assert said in page.text
    assert listed(page, {"event": event}) == set()


def test_a_place_that_is_none_is_said_and_shows_the_beginning(ana: Person) -> None:
    event = make_event()

    page = ana.get(EVENTS, before="x")

    assert "“x” is no place in this list" in page.text
    assert listed(page, {"event": event}) == {"event"}


@pytest.mark.parametrize("lookup", ["headers__icontains", "user_id__contains", "source__name", "size__gt"])
def test_a_column_without_an_index_cannot_be_filtered_by(ana: Person, lookup: str) -> None:
    assert ana.client.get(EVENTS, {lookup: "1"}).headers["Location"] == "?"


@pytest.mark.parametrize("path", [EVENTS, DESTINATIONS])
def test_a_filter_that_a_list_does_not_have_is_named_and_left_out(ana: Person, path: str, caplog: Any) -> None:
    answer = ana.client.get(path, {"q": "x", "p": "2", "status": "dead", "colour": "red"}, follow=True)
    page = Page(answer)

    assert answer.redirect_chain == [("?q=x&p=2", 302)]  # type: ignore[attr-defined]
    assert "This list has no filter “status”, “colour”: it is shown without." in page.text
    assert ("outcome" if path == EVENTS else "state") in page.text.partition("Those of the address can be:")[2]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_nobody_makes_changes_or_deletes_events(ana: Person) -> None:
    event = make_event()
    assert ana.client.get(f"{EVENTS}add/").status_code == 403
    assert ana.client.post(page_of(event), {"type": "x"}).status_code == 403
    assert ana.client.post(page_of(event).replace("/change/", "/delete/"), {"post": "yes"}).status_code == 403
    form: dict[str, Any] = {"action": "delete_selected", "_selected_action": [str(event.pk)], "post": "yes"}
    ana.client.post(EVENTS, form)
    assert Event.objects.filter(pk=event.pk).exists()
    assert 'value="delete_selected"' not in ana.get(EVENTS).source
