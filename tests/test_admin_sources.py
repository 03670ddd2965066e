"""Sources in the admin: the URL to copy, the secret that goes in and never out, the allowlist."""

from typing import Any

import pytest

from destinations.terra import TERRA_ADDRESSES
from tests.admin_support import SOURCES, Page, Person, page_of
from tests.api_support import make_source
from webhooks.models import Source

pytestmark = pytest.mark.django_db

SECRET = "a-signing-secret-from-terra-9x3q"
FORM = {
    "slug": "production", "name": "Production", "secret": SECRET, "active": "on", "tolerance_s": "300",
    "stale_window_s": "172800", "allowlist": "", "dev_id": "",
}  # fmt: skip


@pytest.fixture
def ana() -> Person:
    return Person()


def changed(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in {**FORM, **values}.items() if name not in ("slug", "secret")}


def test_a_new_source_shows_its_webhook_url_and_not_its_secret(ana: Person, settings: Any) -> None:
    page = ana.post(f"{SOURCES}add/", **FORM)

    made = Source.objects.get()
    assert made.signing["secrets"][0]["secret"] == SECRET
    assert f"{settings.PUBLIC_URL}/webhooks/terra/production" in page.text
    assert page.find("button", **{"data-hub-copy": "webhook-url"})
    assert SECRET not in page.source
    assert f"ends …{SECRET[-4:]}, changed" in page.text
    assert made.history.get().history_user == ana.user


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("slug", "No Spaces", "slug"),
        ("slug", "", "required"),
        ("secret", "short", "at least 8 characters"),
        ("allowlist", "1.2.3.4\nnot-an-address", "not-an-address"),
        ("tolerance_s", "soon", "whole number"),
        ("allowlist_enforced", "on", "refuses every request"),
    ],
)
def test_what_is_wrong_is_said_and_the_input_stays(ana: Person, field: str, value: str, says: str) -> None:
    page = ana.post(f"{SOURCES}add/", **{**FORM, field: value})

    assert not Source.objects.exists()
    assert says in page.text
    assert page.value("name") == "Production"
    assert SECRET not in page.source


def test_a_slug_that_is_taken_is_said_at_its_field(ana: Person) -> None:
    make_source("production")

    assert "already exists" in ana.post(f"{SOURCES}add/", **FORM).text


def test_terras_addresses_are_one_click_away_and_the_slug_is_fixed(ana: Person) -> None:
    row = make_source()

    page = ana.look(row)

    (button,) = page.find("button", **{"data-hub-fill": "id_allowlist"})
    assert (button["data-hub-lines"] or "").split() == list(TERRA_ADDRESSES)
    assert len(TERRA_ADDRESSES) == 10
    assert not page.find("input", name="slug")


def test_an_allowlist_is_kept_as_lines(ana: Person) -> None:
    row = make_source()

    ana.post(page_of(row), **changed(allowlist="18.133.218.210\n10.0.0.0/8, 2001:db8::/32", allowlist_enforced="on"))

    row.refresh_from_db()
    assert row.allowlist == ["18.133.218.210", "10.0.0.0/8", "2001:db8::/32"]
    assert row.allowlist_enforced
    assert "18.133.218.210\n10.0.0.0/8\n2001:db8::/32" in ana.look(row).source


def test_a_source_is_switched_off(ana: Person) -> None:
    row = make_source()

    page = ana.post(page_of(row), **changed(active=None))

    row.refresh_from_db()
    assert not row.active
    assert "Switched off: its URL answers 404." in page.text


def test_a_replaced_secret_leaves_the_old_one_live_for_the_grace(ana: Person) -> None:
    row = make_source()

    page = ana.press(row, "replace_secret", secret=SECRET, grace_s="3600")

    row.refresh_from_db()
    current, old = row.signing["secrets"]
    assert (current["secret"], current["not_after"]) == (SECRET, None)
    assert old["not_after"]
    assert "Live until" in page.text
    assert SECRET not in page.source


def test_a_secret_that_is_too_short_replaces_nothing(ana: Person) -> None:
    row = make_source()
    before = row.signing

    page = ana.press(row, "replace_secret", secret="short", grace_s="3600")

    row.refresh_from_db()
    assert "at least 8 characters" in page.text
    assert row.signing == before


def test_nobody_deletes_a_source_and_its_history_holds_no_secret(ana: Person) -> None:
    row = make_source()
    ana.press(row, "replace_secret", secret=SECRET, grace_s="0")

    assert ana.client.post(page_of(row).replace("/change/", "/delete/"), {"post": "yes"}).status_code == 403
    page = ana.get(page_of(row).replace("/change/", "/history/"))
    assert "signing secret added" in page.text
    assert SECRET not in page.source


def test_who_may_only_look_sees_the_settings_and_changes_nothing() -> None:
    row = make_source()
    ben = Person("webhooks.view_source")

    page: Page = ben.look(row)

    assert "Tolerance (seconds)" in page.text
    assert not page.find("input", name="secret")
    assert ben.client.post(page_of(row).replace("/change/", "/do/replace_secret/")).status_code == 403
    assert ben.client.post(page_of(row), changed()).status_code == 403
