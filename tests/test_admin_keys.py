"""API keys in the admin: made, shown once, found, revoked."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from destinations.access.keys import make_key, revoke_key
from destinations.access.scopes import SCOPES, permissions_of
from destinations.models import ApiKey
from tests.admin_support import Page, Person, listed
from tests.api_support import make_source, make_user
from tests.keys_support import client_of

pytestmark = [pytest.mark.django_db, pytest.mark.databaseless]

KEYS = "/admin/destinations/apikey/"
FORM = {"name": "Deploy script", "scopes": ["events:read", "deliveries:write"], "expires_at": "90"}


@pytest.fixture
def ana() -> Person:
    return Person()


def made(ana: Person, **values: Any) -> Page:
    return ana.post(f"{KEYS}add/", **{**FORM, **values})


def key_on(page: Page) -> str:
    return str(re.findall(r"hub_live_\w{8}_\w{43}", page.source)[0])


def test_a_key_is_made_and_shown_this_once_and_it_works(ana: Person) -> None:
    make_source("main")

    page = made(ana, sources=["main"])
    text, row = key_on(page), ApiKey.objects.get()
    later = [ana.get(KEYS), ana.look(row), ana.get(f"{KEYS}{row.pk}/history/"), ana.get("/admin/")]

    assert "Deploy script was made" in page.text
    assert "no-store" in page.headers["Cache-Control"]
    assert page.find("button", **{"data-hub-copy": "new-key"})
    assert (row.scopes, row.sources, row.created_by) == (FORM["scopes"], ["main"], ana.user.username)
    assert timedelta(days=89) < row.expires_at - timezone.now() <= timedelta(days=90)
    assert client_of(text).get("/api/v1/events").status_code == 200
    secret = text.removeprefix(row.prefix)
    assert all(secret not in seen.source for seen in later)
    assert secret not in repr(dict(ana.client.session)) + repr(ana.client.cookies)


def test_loading_the_page_with_the_key_again_makes_no_second_one(ana: Person) -> None:
    once = {"once": ana.get(f"{KEYS}add/").value("once")}
    assert "This field is required." in made(ana, name="", **once).text
    key_on(made(ana, **once))

    again = made(ana, **once)

    assert "This form was sent already" in again.text
    assert "hub_live_" not in again.source.replace(ApiKey.objects.get().prefix, "")
    assert ApiKey.objects.count() == 1
    key_on(made(ana, name="Another", once=ana.get(f"{KEYS}add/").value("once")))
    assert ApiKey.objects.count() == 2


@pytest.mark.parametrize(
    ("chosen", "day", "ends"),
    [
        ("never", "", None),
        ("never", "2031-05-06", None),
        ("day", "2031-05-06", datetime(2031, 5, 6, 23, 59, 59, 999999, tzinfo=UTC)),
        ("day", "9999-12-31", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    ],
)
def test_it_ends_when_it_was_said(ana: Person, chosen: str, day: str, ends: datetime | None) -> None:
    key_on(made(ana, expires_at=chosen, day=day))

    assert ApiKey.objects.get().expires_at == ends
    ana.look(ApiKey.objects.get())
    ana.get(KEYS)


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"name": ""}, "This field is required."),
        ({"name": " \u00a0 "}, "This field is required."),
        ({"scopes": None}, "Give one or more of"),
        ({"scopes": ["events:write"]}, "not one of the available choices"),
        ({"sources": ["nowhere"]}, "not one of the available choices"),
        ({"expires_at": "day"}, "Name the day."),
        ({"expires_at": "day", "day": "2001-01-01"}, "Must lie in the future."),
        ({"expires_at": "day", "day": "soon"}, "Enter a valid date."),
        ({"expires_at": "1"}, "not one of the available choices"),
        ({"name": "a\x00b"}, "Null characters are not allowed."),
    ],
)
def test_what_is_wrong_is_said_and_no_key_is_made(ana: Person, values: dict[str, Any], says: str) -> None:
    assert says in made(ana, **values).text
    assert ApiKey.objects.count() == 0


def test_nobody_is_offered_what_they_may_not_do_themselves() -> None:
    own = permissions_of(["payloads:read"])
    bert = Person("destinations.add_apikey", "destinations.view_apikey", *own)

    page = bert.get(f"{KEYS}add/")
    refused = bert.post(f"{KEYS}add/", **{**FORM, "scopes": ["erase"]})

    assert [one["value"] for one in page.find("input", name="scopes")] == ["payloads:read"]
    assert "not one of the available choices" in refused.text
    assert ApiKey.objects.count() == 0


def test_the_list_says_what_each_key_is(ana: Person) -> None:
    bert = make_user(superuser=True)
    rows = {name: make_key(name=name, scopes=SCOPES, by=bert).row for name in ("used", "old", "gone")}
    ApiKey.objects.filter(name="old").update(expires_at=timezone.now())
    revoke_key(rows["gone"])
    bert.is_active = False
    bert.save()

    for state, name in {"active": "used", "expired": "old", "revoked": "gone"}.items():
        assert listed(ana.get(KEYS, state=state), rows) == {name}
    page = ana.get(KEYS)
    assert listed(page, rows) == set(rows)
    assert page.text.count("Account off") == 3
    assert rows["old"].prefix in page.text
    assert listed(ana.get(KEYS, q=rows["old"].prefix), rows) == {"old"}


def test_a_key_is_revoked_after_a_question(ana: Person) -> None:
    row = make_key(name="CI", scopes=["events:read"]).row

    asked = ana.press(row, "revoke")
    assert "This cannot be undone" in asked.text
    assert ApiKey.objects.get().revoked_at is None
    done = ana.press(row, "revoke", sure="yes")

    assert "opens nothing any more" in done.text
    assert ApiKey.objects.get().revoked_at is not None
    assert not [form for form in done.find("form") if "/do/revoke/" in str(form.get("action"))]
    history = ana.get(f"{KEYS}{row.pk}/history/").text
    assert "revoked" in history
    assert ana.user.username in history


def test_a_key_is_neither_changed_nor_deleted(ana: Person) -> None:
    row = make_key(name="CI", scopes=["events:read"]).row

    ana.post(f"{KEYS}{row.pk}/change/", 403, name="more", scopes=list(SCOPES))
    ana.post(f"{KEYS}{row.pk}/delete/", 403)

    assert ApiKey.objects.get().scopes == ["events:read"]


def test_what_is_made_over_the_api_is_here_and_what_is_revoked_here_is_revoked_there(ana: Person) -> None:
    script: Client = client_of(key_on(made(ana, name="Maker", scopes=["keys:write"], expires_at="never")))
    body = {"name": "Made by it", "scopes": ["keys:write"]}
    other = script.post("/api/v1/api-keys", body, "application/json").json()

    page = ana.get(f"{KEYS}{other['id']}/change/")
    ana.press(ApiKey.objects.get(pk=other["id"]), "revoke", sure="yes")

    assert "by API key Maker (hub_live_" in page.text
    assert script.get(f"/api/v1/api-keys/{other['id']}").json()["state"] == "revoked"
