"""Destinations in the admin: type first, that type's fields only, secrets in and never out."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.db import connection

from destinations.models import Destination
from destinations.registry import adapter_classes
from destinations.specs import spec_fields
from tests.admin_support import DESTINATIONS, Page, Person, page_of
from tests.api_support import make_delivery, make_destination, make_event, make_source
from tests.sink import Sink

pytestmark = pytest.mark.django_db

ADD = f"{DESTINATIONS}add/?type=webhook"
LIMITS = {"schedule": "", "timeout_s": "30", "concurrency": "16", "disable_after_hours": "120"}
HOOK: dict[str, Any] = {
    "name": "Warehouse",
    "config.url": "http://127.0.0.1:18999/hook",
    "config.delivery": "push",
    "config.auth": "none",
    **LIMITS,
}
PASSWORD = "a-password-that-must-not-show-7h2k"


@pytest.fixture
def ana() -> Person:
    return Person()


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as running:
        yield running


def edited(page: Page, **changes: Any) -> dict[str, Any]:
    """Return what the form would send, with changes."""
    held = {name: page.value(name) for name in ("name", "config.url", "version")}
    return {**HOOK, **held, **changes}


def test_the_first_page_offers_every_type_with_what_it_gives(ana: Person) -> None:
    page = ana.get(f"{DESTINATIONS}add/")

    for kind in adapter_classes():
        assert page.find("a", href=f"?type={kind.type}"), kind.type
        assert kind.label in page.text
        assert kind.summary in page.text


@pytest.mark.parametrize("kind", adapter_classes(), ids=lambda kind: kind.type)
def test_a_type_has_a_form_of_its_own_fields_only(ana: Person, kind: Any) -> None:
    page = ana.get(f"{DESTINATIONS}add/", type=kind.type)

    shown = {attrs.get("name") for tag, attrs in page.tags if tag in ("input", "select", "textarea")}
    own = {f"config.{field.name}" for field in spec_fields(kind.config_spec)}
    own |= {f"credentials.{field.name}" for field in spec_fields(kind.credentials_spec)}
    assert {name for name in shown if name and "." in name} == own
    for field in spec_fields(kind.credentials_spec):
        if field.about.secret and not field.about.multiline:
            assert page.find("input", name=f"credentials.{field.name}", type="password"), field.name


def test_an_unknown_type_leads_back_to_the_types_and_names_them(ana: Person) -> None:
    page = ana.get(f"{DESTINATIONS}add/", type="carrier-pigeon")

    assert "carrier-pigeon" in page.text
    assert page.find("a", href="?type=webhook")


def test_rarely_needed_fields_are_in_a_closed_part_until_one_is_wrong(ana: Person) -> None:
    assert ana.get(ADD).find("details")
    assert not ana.get(ADD).find("details", open="")

    page = ana.post(ADD, **{**HOOK, "schedule": "soon"})

    assert "Write seconds with commas between them" in page.text
    assert not page.find("details")  # it stands open: nobody has to look for the error


def test_a_new_destination_shows_its_secret_once(ana: Person) -> None:
    page = ana.post(ADD, **HOOK)

    made = Destination.objects.get(name="Warehouse")
    secret = made.credentials["signing_secret"]
    assert secret in page.text
    assert "no-store" in page.headers["Cache-Control"]
    assert page.find("button", **{"data-hub-copy": "secret-1"})
    assert secret not in ana.look(made).source
    assert f"…{secret[-4:]}" in ana.look(made).text


def test_a_secret_lies_in_no_session_no_history_and_no_log_entry(ana: Person) -> None:
    ana.post(ADD, **{**HOOK, "config.auth": "bearer", "credentials.token": PASSWORD})

    made = Destination.objects.get()
    for secret in (PASSWORD, made.credentials["signing_secret"]):
        rows = [*Session.objects.values_list("session_data"), *LogEntry.objects.values_list("change_message")]
        assert secret not in repr(rows)
        assert secret not in repr(ana.client.session.items())
        assert secret not in repr(ana.client.cookies)
        with connection.cursor() as cursor:
            for table in ("destinations_destination", "destinations_historicaldestination"):
                cursor.execute(f"SELECT * FROM {table}")
                assert secret not in repr(cursor.fetchall()), table
        assert secret not in ana.get(page_of(made).replace("/change/", "/history/")).source


def test_what_is_wrong_stands_at_its_field_and_the_input_stays(ana: Person) -> None:
    page = ana.post(ADD, **{**HOOK, "config.url": "http://10.1.2.3/hook", "credentials.password": PASSWORD})

    assert not Destination.objects.exists()
    after_url = page.source.partition('name="config.url"')[2].partition('name="config.delivery"')[0]
    assert "10.1.2.3" in after_url.replace('value="http://10.1.2.3/hook"', "")
    assert "EGRESS_ALLOW" in page.text  # what to change
    assert page.value("config.url") == "http://10.1.2.3/hook"
    assert page.value("name") == "Warehouse"
    assert PASSWORD not in page.source
    assert "type them again" in page.text


def test_every_wrong_field_is_told_at_once(ana: Person) -> None:
    make_destination("Taken")

    page = ana.post(ADD, **{**HOOK, "name": "Taken", "config.url": "ftp://x", "config.headers": "no colon here"})

    assert "no colon" in page.text
    page = ana.post(ADD, **{**HOOK, "name": "Taken", "config.url": "ftp://x"})
    assert "Another destination has this name." in page.text
    assert "http" in page.text
    assert Destination.objects.count() == 1


def test_headers_are_written_as_lines_or_as_json(ana: Person) -> None:
    ana.post(ADD, **{**HOOK, "config.headers": "X-Team: data: lake\nX-Env:  live"})
    ana.post(ADD, **{**HOOK, "name": "Two", "config.headers": '{"X-Team": "a"}'})

    assert Destination.objects.get(name="Warehouse").config["headers"] == {"X-Team": "data: lake", "X-Env": "live"}
    assert Destination.objects.get(name="Two").config["headers"] == {"X-Team": "a"}
    assert "X-Team: data: lake" in ana.look(Destination.objects.get(name="Warehouse")).source


def test_known_types_received_types_and_sources_can_be_chosen(ana: Person) -> None:
    make_event(type="brand_new")
    make_source("staging")

    page = ana.get(ADD)
    for name, value in (("event_types", "sleep"), ("event_types", "brand_new"), ("sources", "staging")):
        assert page.find("input", name=name, value=value), value

    ana.post(ADD, **{**HOOK, "event_types": ["sleep", "brand_new"], "sources": ["staging"]})
    made = Destination.objects.get()
    assert (made.event_types, made.sources) == (["sleep", "brand_new"], ["staging"])


def test_saving_without_a_secret_keeps_it_and_changes_only_what_was_typed(ana: Person) -> None:
    row = make_destination(credentials={"signing_secret": "kept-signing-secret", "password": PASSWORD})
    Destination.objects.filter(pk=row.pk).update(check_passed=True)

    page = ana.post(page_of(row), **edited(ana.look(row), name="Renamed"))

    row.refresh_from_db()
    assert (row.name, row.credentials["password"]) == ("Renamed", PASSWORD)
    assert row.check_passed, "a check stays good where neither address nor credentials changed"
    assert row.history.first().history_change_reason == "changed: name"
    assert "Renamed was saved." in page.text


def test_saving_what_is_there_already_changes_nothing(ana: Person) -> None:
    row = make_destination()

    page = ana.post(page_of(row), **edited(ana.look(row)))

    assert "hook was saved." in page.text
    assert Destination.objects.get().version == row.version
    assert row.history.count() == 1


def test_a_stored_secret_is_not_sent_to_a_new_address(ana: Person) -> None:
    row = make_destination(credentials={"signing_secret": "kept-signing-secret", "password": PASSWORD})

    page = ana.post(page_of(row), **edited(ana.look(row), **{"config.url": "http://127.0.0.2:18999/other"}))

    row.refresh_from_db()
    assert row.config["url"] == "http://127.0.0.1:18999/hook"
    assert "A stored secret is never sent to a new address." in page.text
    assert page.value("config.url") == "http://127.0.0.2:18999/other"


def test_a_stored_credential_is_taken_away_by_its_box(ana: Person) -> None:
    row = make_destination(credentials={"password": PASSWORD})

    ana.post(page_of(row), **edited(ana.look(row), removed_credentials=["password"]))

    row.refresh_from_db()
    assert "password" not in row.credentials
    assert row.credentials["signing_secret"]


def test_a_form_from_before_somebody_elses_change_saves_nothing(ana: Person) -> None:
    row = make_destination()
    old = ana.look(row)
    ana.press(row, "pause")

    page = ana.post(page_of(row), **edited(old, name="Mine"))

    row.refresh_from_db()
    assert row.name == "hook"
    assert "changed by somebody else meanwhile" in page.text
    assert page.value("name") == "Mine"


def test_a_secret_that_looks_like_html_ends_as_text(ana: Person) -> None:
    row = make_destination(credentials={"signing_secret": "0123456789abcdef<u>x"})

    page = ana.look(row)

    assert "…<u>x" in page.text
    assert not page.find("u")


def test_credentials_that_do_not_open_are_said_and_can_be_typed_again(ana: Person, settings: Any) -> None:
    row = make_destination()
    settings.CREDENTIAL_KEYS = ["other:" + "b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItMTI="]

    page = ana.look(row)
    assert "Type every credential again" in page.text

    ana.post(page_of(row), **edited(page, **{"credentials.signing_secret": "typed-again-0123456789"}))
    assert Destination.objects.get().credentials["signing_secret"] == "typed-again-0123456789"


# --- check -----------------------------------------------------------------------------------
def test_check_shows_its_steps_with_icon_and_text(ana: Person, sink: Sink) -> None:
    row = make_destination(config={"url": sink.url()})

    page = ana.press(row, "check")

    assert "The check passed." in page.text
    assert "Healthy" in page.text
    row.refresh_from_db()
    assert row.check_steps
    for step in row.check_steps:
        assert step["name"] in page.text
    assert "check_circle" in page.text  # the icon's name
    assert "Passed" in page.text


def test_a_failed_step_says_what_to_change(ana: Person, sink: Sink) -> None:
    sink.behave("/hook", status=401)
    row = make_destination(config={"url": sink.url()})

    page = ana.press(row, "check")

    row.refresh_from_db()
    failed = next(step for step in row.check_steps if step["status"] == "failed")
    assert "Check failed" in page.text
    assert "The check did not pass" in page.text
    assert failed["detail"] in page.text
    assert failed["hint"] in page.text


def test_a_set_up_is_checked_before_it_is_saved(ana: Person, sink: Sink) -> None:
    page = ana.post(f"{DESTINATIONS}add/check/?type=webhook", **{**HOOK, "name": "", "config.url": sink.url()})

    assert "Passed" in page.text
    assert sink.count("/hook") == 1
    assert not Destination.objects.exists()
    page = ana.post(f"{DESTINATIONS}add/check/?type=webhook", **{**HOOK, "config.url": ""})
    assert "URL: This field is required." in page.text


# --- buttons ---------------------------------------------------------------------------------
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
    page = ana.post(url, post="yes")

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
