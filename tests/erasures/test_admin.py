"""Erasing in the admin: planned, typed, started, looked at; no page of a job names the person."""

import json

import pytest

from destinations.models import Destination
from tests.admin_support import Person, page_of
from tests.api_support import make_database, make_destination
from tests.erasures.stage import IDS, NEW, OLD, REFERENCE, body_of, carried_on, everything_of_alice, kept_event
from webhooks.keeping.erasures import jobs
from webhooks.keeping.erasures.receipts import sha256_of
from webhooks.models import Erasure, Event, Source

pytestmark = [pytest.mark.django_db, pytest.mark.databaseless]
ERASURES, ADD = "/admin/webhooks/erasure/", "/admin/webhooks/erasure/add/"


@pytest.fixture
def ana() -> Person:
    return Person()


def test_a_person_is_erased_once_their_id_was_typed_again(ana: Person, source: Source, hook: Destination) -> None:
    everything_of_alice(source, hook)
    assert "Count what would go" in ana.get(ADD).text

    asked = {"user_id": NEW, "destinations": str(hook.pk)}
    plan = ana.post(ADD, **asked, do="look")
    assert "5 events" in plan.text
    assert "2 of them still wait" in plan.text
    assert OLD in plan.text
    assert "hook 1 delivered, 3 sent without a yes. Its owner has to erase there" in plan.text
    wrong = ana.post(ADD, **asked, do="start", typed=OLD)
    assert "Nothing was erased: what you typed is another id." in wrong.text
    assert not Erasure.objects.exists()

    started = ana.post(ADD, **asked, do="start", typed=NEW)
    assert "Started. A worker carries it on" in started.text
    assert Erasure.objects.get().created_by == ana.user.username

    row = carried_on(Erasure.objects.get())
    page = ana.look(row)
    assert "Nothing of the person is left in the hub, except" in page.text
    assert "Not from here" in page.text
    for shown in (started, page, ana.get(ERASURES)):
        assert not any(one in shown.source for one in IDS)
    receipt = json.loads(ana.client.get(f"{ERASURES}{row.pk}/receipt/").content)
    assert receipt == {"receipt": row.receipt, "sha256": sha256_of(row.receipt)}
    assert row.receipt_sha256 in page.text

    assert "What comes of them" not in ana.press(row, "lift").text  # it is asked first
    assert "is taken in again" in ana.press(row, "lift", sure="yes").text
    assert "lift" not in ana.look(row).source


def test_a_note_is_shown_in_the_list_and_on_the_page(ana: Person, source: Source) -> None:
    kept_event(NEW)
    named = ana.post(ADD, user_id=NEW, note=f"of {NEW}", do="start", typed=NEW)
    assert "It holds an id of the person" in named.text
    assert not Erasure.objects.exists()

    assert 'value="OPS-&lt;4&gt;"' in ana.post(ADD, user_id=NEW, note="OPS-<4>", do="look").source
    ana.post(ADD, user_id=NEW, note="OPS-<4>", do="start", typed=NEW)
    row = Erasure.objects.get()
    assert row.note == "OPS-<4>"
    assert "OPS-<4>" in ana.look(row).text
    assert "OPS-<4>" in ana.get(ERASURES).text


def test_other_users_with_the_same_reference_id_are_told_of(ana: Person, source: Source) -> None:
    kept_event(NEW)
    kept_event("another-wearable")
    assert "1 other user id came with the same reference id" in ana.get(ADD, user_id=NEW).text
    page = ana.get(ADD, reference_id=REFERENCE)
    assert "came with the same" not in page.text
    assert "another-wearable" in page.text


def test_many_users_are_erased_only_as_the_page_has_counted_them(ana: Person) -> None:
    for number in range(6):
        kept_event(f"user-{number}", reference_id="undefined")
    asked = {"reference_id": "undefined", "typed": "undefined", "do": "start"}
    page = ana.post(ADD, reference_id="undefined", do="look")
    assert "6 user ids are erased at once" in page.text
    assert 'name="confirmed_users" value="6"' in page.source
    for confirmed in ({}, {"confirmed_users": "5"}, {"confirmed_users": "x"}):
        assert "This erases 6 user ids" in ana.post(ADD, **asked, **confirmed).text
    assert not Erasure.objects.exists()
    assert "Started." in ana.post(ADD, **asked, confirmed_users="6").text


def test_destinations_that_can_be_erased_stand_first(ana: Person, hook: Destination) -> None:
    make_database("zoo")
    page = ana.get(ADD).text
    assert page.index("zoo") < page.index("hook (its owner has to erase there)")


def test_what_is_wrong_is_said_at_its_field(ana: Person, hook: Destination) -> None:
    assert "Select a valid choice" in ana.post(ADD, user_id=NEW, destinations="nothing", do="look").text
    assert "Ensure this value has at most 255 characters" in ana.post(ADD, user_id="x" * 300, do="look").text
    assert "The hub has nothing of this person" in ana.post(ADD, user_id=NEW, do="look").text
    ana.post(ADD, user_id=NEW, do="start", typed=NEW)
    assert "has not ended yet" in ana.post(ADD, user_id=NEW, do="start", typed=NEW).text
    assert Erasure.objects.count() == 1


def test_a_stopped_one_is_resumed_or_goes_on_without_what_failed(ana: Person, hook: Destination) -> None:
    for button, status in (("resume", "running"), ("skip", "running")):
        row = _stopped(hook)
        page = ana.look(row)
        assert "The server says no." in page.text
        ana.press(row, button, sure="yes")
        row.refresh_from_db()
        assert row.status == status
        assert row.destination_results[str(hook.pk)]["status"] == {"resume": "failed", "skip": "left_out"}[button]


def test_one_that_runs_goes_on_without_what_failed_and_has_no_such_button_before(
    ana: Person, hook: Destination
) -> None:
    row = _stopped(hook)
    Erasure.objects.filter(pk=row.pk).update(status="running", stage="elsewhere", problem="")
    ana.press(row, "skip", sure="yes")
    row.refresh_from_db()
    assert (row.status, row.destination_results[str(hook.pk)]["status"]) == ("running", "left_out")
    assert "Go on without" not in ana.look(row).text


def test_where_data_remains_is_on_the_page(ana: Person, source: Source, hook: Destination) -> None:
    everything_of_alice(source, hook)
    row = carried_on(jobs.start(user_ids=[NEW]))
    assert "Not asked 1 delivered. 3 sent without a yes. It stays there: tell its owner." in ana.look(row).text


def test_one_that_waits_is_cancelled(ana: Person, source: Source) -> None:
    kept_event(NEW, body=body_of(NEW))
    row = _stopped(make_destination("other"))
    Erasure.objects.filter(pk=row.pk).update(status="waiting")
    assert "can be cancelled until then" in ana.look(row).text
    assert "Cancelled: nothing was erased." in ana.press(row, "cancel").text
    assert Event.objects.count() == 1


def test_the_progress_renews_itself_and_asks_for_the_page_where_the_status_has_changed(
    ana: Person, hook: Destination
) -> None:
    row = _stopped(hook)
    Erasure.objects.filter(pk=row.pk).update(status="running", stage="events")
    part = f"{page_of(row).removesuffix('change/')}progress/"
    same = ana.get(part, status="running", failed="")
    assert "Events are being erased." in same.text
    assert "HX-Refresh" not in same.headers
    assert ana.get(part, status="running").headers["HX-Refresh"] == "true"  # with a button to go on without
    assert ana.get(part, status="waiting", failed="").headers["HX-Refresh"] == "true"


def _stopped(to: Destination) -> Erasure:
    said = {"status": "failed", "erased": 1, "tries": 6, "detail": "The server says no.", "hint": "Grant DELETE."}
    row: Erasure = Erasure.objects.create(
        status="stopped", problem="hook: The server says no.", destination_ids=[str(to.pk)],
        destination_results={str(to.pk): said}, counts={"cancelled": 2}, starts_at=to.created_at,
        created_at=to.created_at,
    )  # fmt: skip
    return row
