"""What is done with a destination in the admin once it is there: buttons, deletion, list, history."""

import pytest

from destinations.models import Destination
from tests.admin_support import DESTINATIONS, Person, page_of
from tests.api_support import make_delivery, make_destination, make_event
from tests.test_admin_destinations import edited

pytestmark = pytest.mark.django_db

ADD = f"{DESTINATIONS}add/?type=webhook"
PASSWORD = "a-password-that-must-not-show-7h2k"


@pytest.fixture
def ana() -> Person:
    return Person()


def test_pause_resume_disable_enable(ana: Person) -> None:
    row = make_destination()
    for button, says, state in (
        ("pause", "Deliveries collect until you resume.", {"paused": True, "active": True}),
        ("resume", "What waits is sent now.", {"paused": False, "active": True}),
        ("disable", "New events get no delivery here.", {"paused": False, "active": False}),
        ("enable", "New events are delivered here again.", {"paused": False, "active": True}),
    ):
        page = ana.press(row, button)
        row.refresh_from_db()
        assert says in page.text
        assert {name: getattr(row, name) for name in state} == state, button
    disabled = Destination.objects.get().history.filter(history_change_reason="disabled").get()
    assert disabled.history_user == ana.user


def test_a_rotated_secret_is_shown_once_and_the_old_one_goes_on(ana: Person) -> None:
    row = make_destination()
    old = row.credentials["signing_secret"]

    page = ana.press(row, "rotate_secret", grace_s="3600", version=str(row.version))

    row.refresh_from_db()
    assert row.credentials["signing_secret"] in page.text
    assert row.credentials["previous_signing_secret"] == old
    assert row.credentials["signing_secret"] not in ana.look(row).source
    again = ana.press(row, "rotate_secret", grace_s="3600", version="1")  # the page is loaded again
    assert "changed meanwhile" in again.text
    assert row.credentials == Destination.objects.get().credentials


def test_a_type_that_signs_nothing_has_no_rotation(ana: Person) -> None:
    row = make_destination()
    Destination.objects.filter(pk=row.pk).update(type="postgres", config={"host": "127.0.0.1", "database": "d"})

    assert "Rotate signing secret" not in ana.look(row).text


@pytest.mark.parametrize("method", ["get", "head"])
def test_a_button_is_no_link(ana: Person, method: str) -> None:
    row = make_destination()

    response = getattr(ana.client, method)(page_of(row).replace("/change/", "/do/pause/"))

    assert response.status_code == 405
    row.refresh_from_db()
    assert not row.paused


def test_a_button_needs_the_forms_token(ana: Person) -> None:
    from django.test import Client

    row = make_destination()
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ana.user)

    assert strict.post(page_of(row).replace("/change/", "/do/pause/")).status_code == 403


# --- deletion, list, history -------------------------------------------------------------------
def test_deletion_asks_says_what_happens_and_keeps_the_past(ana: Person) -> None:
    row = make_destination()
    delivery = make_delivery(make_event(), row)
    url = page_of(row).replace("/change/", "/delete/")

    assert "Deliveries that wait for it are cancelled." in ana.get(url).text
    page = ana.post(url, post="yes", typed="hook")

    row.refresh_from_db()
    assert row.deleted_at
    assert row.credentials == {}
    assert "hook" not in [attrs.get("name") for _, attrs in page.tags]
    assert "0 destinations" in ana.get(DESTINATIONS).text
    assert "hook (deleted" in ana.look(delivery).text


def test_history_names_who_and_what_and_leads_to_no_old_row(ana: Person) -> None:
    row = make_destination()
    ana.post(page_of(row), **edited(ana.look(row), name="Renamed"))

    page = ana.get(page_of(row).replace("/change/", "/history/"))

    assert str(ana.user) in page.text
    assert "hook → Renamed" in page.text
    record = row.history.first()
    assert ana.client.get(page_of(row).replace("/change/", f"/history/{record.history_id}/")).status_code == 302


def test_the_list_finds_by_name_type_state_and_id(ana: Person) -> None:
    one, two = make_destination("Alpha"), make_destination("Beta")
    ana.press(two, "pause")

    def names(**query: str) -> list[str]:
        text = ana.get(DESTINATIONS, **query).text
        return [name for name in ("Alpha", "Beta") if f" {name} " in text]

    assert names() == ["Alpha", "Beta"]
    assert names(q="alph") == ["Alpha"]
    assert names(type="webhook") == ["Alpha", "Beta"]
    assert names(type="postgres") == []
    assert names(state="paused") == ["Beta"]
    assert ana.client.get(DESTINATIONS, {"q": str(one.pk)}).headers["Location"] == page_of(one)


def test_who_may_only_look_sees_facts_and_no_button(ana: Person) -> None:
    row = make_destination(credentials={"password": PASSWORD})
    ben = Person("destinations.view_destination")

    page = ben.look(row)

    assert "http://127.0.0.1:18999/hook" in page.text
    assert PASSWORD not in page.source
    assert not page.find("input", name="config.url")
    assert "Pause" not in page.text
    for button in ("pause", "check", "rotate_secret"):
        assert ben.client.post(page_of(row).replace("/change/", f"/do/{button}/")).status_code == 403
    assert ben.client.get(ADD).status_code == 403
    assert ben.client.get(f"{DESTINATIONS}add/").status_code == 403
    assert ben.client.post(f"{DESTINATIONS}add/check/?type=webhook").status_code == 403
    assert ben.client.get(page_of(row).replace("/change/", "/delete/")).status_code == 403
