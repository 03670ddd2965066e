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
from destinations.terra import EVENT_TYPES
from tests.admin_support import DESTINATIONS, Page, Person, page_of
from tests.api_support import make_destination, make_event, make_source
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


def test_a_credential_that_is_no_secret_can_be_read_while_it_is_typed_and_is_not_put_back(ana: Person) -> None:
    path = f"{DESTINATIONS}add/?type=s3"
    (plain,) = ana.get(path).find("input", name="credentials.access_key_id")
    assert (plain["type"], plain["autocomplete"]) == ("text", "off")

    values = {"name": "Archive", "config.bucket": "", "config.auth": "access_key", **LIMITS}
    again = ana.post(path, **values, **{"credentials.access_key_id": "AKIA-TYPED"})
    assert again.find("input", name="credentials.access_key_id")
    assert "AKIA-TYPED" not in again.source


def test_numbers_are_shown_as_people_write_them(ana: Person) -> None:
    assert ana.get(ADD).value("timeout_s") == "30"
    row = make_destination("slow")
    ana.post(page_of(row), **edited(ana.look(row), name="slow", timeout_s="2.5"))
    assert ana.look(row).value("timeout_s") == "2.5"


def test_a_form_says_its_type_and_has_the_set_up_beside_it(ana: Person) -> None:
    for kind in adapter_classes():
        page = ana.get(f"{DESTINATIONS}add/", type=kind.type)
        assert f"{kind.label}." in page.text
        assert "stands beside the form" in page.text
        assert "Set up the other side" in page.text
    assert ana.look(make_destination()).find("a", href="#setup-title")


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
    for odd in ("Ünknown type", "x" * 41, '"><img src=x>'):
        make_event(type=odd)
    make_source("staging")

    page = ana.get(ADD)
    for name, value in (("event_types", "sleep"), ("event_types", "brand_new"), ("sources", "staging")):
        assert page.find("input", name=name, value=value), value
    assert len(page.find("input", name="event_types")) == len(EVENT_TYPES) + 1, "what looks like no type has no box"

    odd = {"event_types": ["sleep", "brand_new"], "more_event_types": "Ünknown type", "sources": ["staging"]}
    ana.post(ADD, **{**HOOK, **odd})
    made = Destination.objects.get()
    assert (made.event_types, made.sources) == (["sleep", "brand_new", "Ünknown type"], ["staging"])


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
    assert "Credentials rejected" in page.text
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
