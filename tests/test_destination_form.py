"""What depends on a choice, which event types can be chosen, and where a refusal stands: form and API alike."""

from typing import Any

import pytest

from destinations.models import Destination
from tests.admin_support import DESTINATIONS, Page, Person, at_field, page_of
from tests.api_support import CANARY, Api, make_destination, make_event, messages
from tests.test_admin_destinations import HOOK as FORM
from webhooks.admin.lookups import MOST_TYPES

pytestmark = [pytest.mark.django_db, pytest.mark.databaseless]

ADD = f"{DESTINATIONS}add/?type=webhook"
HOOK: dict[str, Any] = {"type": "webhook", "name": "hook", "config": {"url": "http://127.0.0.1:18999/hook"}}


TABLES = {
    "config.database": "d", "config.username": "u", "config.port": "5432", "config.schema": "public",
    "config.ssl_mode": "verify-full", "config.auth_method": "scram-sha-256", "credentials.password": CANARY,
}  # fmt: skip


@pytest.fixture
def api() -> Api:
    return Api(superuser=True)


@pytest.fixture
def ana() -> Person:
    return Person()


def boxes(page: Page) -> list[str | None]:
    return [box["value"] for box in page.find("input", name="event_types")]


# --- fields of a choice ---------------------------------------------------------------------------
def test_what_a_chosen_authentication_needs_is_required_only_then(api: Api) -> None:
    basic = {**HOOK, "config": {**HOOK["config"], "auth": "basic"}}

    problem = api.post("destinations", basic, 400)
    made = api.post("destinations", HOOK, 201)
    switched = api.patch(f"destinations/{made['id']}", {"config": {"auth": "bearer"}}, 400)

    needed = "This field is required where auth is basic."
    assert messages(problem) == {"config.username": needed, "credentials.password": needed}
    assert messages(switched) == {"credentials.token": "This field is required where auth is bearer or header."}
    body = {"config": {"auth": "bearer"}, "credentials": {"token": CANARY}}
    assert api.patch(f"destinations/{made['id']}", body)["config"]["auth"] == "bearer"


def test_the_docs_say_which_choice_a_field_belongs_to(api: Api) -> None:
    webhook = next(one for one in api.get("destination-types")["data"] if one["type"] == "webhook")
    fields = {field["name"]: field for field in (*webhook["config"], *webhook["credentials"])}
    schemas = api.client.get("/api/v1/schema", HTTP_ACCEPT="application/json").json()["components"]["schemas"]

    assert fields["url"]["only_if"] is None
    assert fields["token"]["only_if"] == {"field": "auth", "values": ["bearer", "header"]}
    assert fields["token"]["required"]
    token = schemas["WebhookCredentials"]["properties"]["token"]
    assert token["description"].startswith("Required where auth is bearer or header.")
    assert schemas["WebhookConfig"]["required"] == ["url"]
    assert "required" not in schemas["WebhookCredentials"]


def test_the_form_says_which_choice_a_field_belongs_to_and_keeps_it_beside(ana: Person) -> None:
    page = ana.get(ADD)

    said = "Required where Authentication is “Bearer token” or “A header of your own with a key”."
    assert said in page.text
    (token,) = page.find("input", name="credentials.token")
    assert (token["data-hub-only-if"], token["data-hub-values"]) == ("config.auth", "bearer header")
    assert not page.find("input", **{"data-hub-only-if": ""})
    names = [attrs.get("name") for tag, attrs in page.tags if tag in ("input", "select")]
    of_choice = ["config.username", "config.auth_header", "credentials.password", "credentials.token"]
    start = names.index("config.auth")
    assert names[start + 1 : start + 5] == of_choice
    assert names.index("config.url") < start


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_the_certificate_of_a_database_is_beside_its_tls(ana: Person, kind: str) -> None:
    page = ana.get(f"{DESTINATIONS}add/?type={kind}")
    names = [attrs.get("name") for tag, attrs in page.tags if tag in ("input", "select", "textarea")]

    assert names[names.index("config.ssl_mode") + 1] == "config.ca_certificate"
    (field,) = page.find("textarea", name="config.ca_certificate")
    assert field["data-hub-values"] == "verify-full verify-ca"


def test_an_example_is_shown_and_what_does_not_fit_is_told_in_words(api: Api, ana: Person) -> None:
    (field,) = ana.get(f"{DESTINATIONS}add/?type=s3").find("input", name="config.prefix")
    assert field["placeholder"] == "folder/subfolder"

    config = {"bucket": "a-bucket", "region": "eu-west-1", "prefix": "a b"}
    problem = api.post("destinations", {"type": "s3", "name": "x", "config": config}, 400)
    assert "letters, digits, / . _ = + @ -" in messages(problem)["config.prefix"]


def test_what_a_choice_needs_is_asked_for_at_its_field(ana: Person) -> None:
    page = ana.post(ADD, **{**FORM, "config.auth": "bearer"})

    assert "This field is required where auth is bearer or header." in at_field(page, "credentials.token")
    assert "This field is required" not in at_field(page, "credentials.password")
    assert not Destination.objects.exists()
    ana.post(ADD, **{**FORM, "config.auth": "bearer", "credentials.token": CANARY})
    assert Destination.objects.get().credentials["token"] == CANARY


def test_a_stored_secret_of_a_choice_need_not_be_typed_again_nor_can_it_be_taken_away(ana: Person) -> None:
    row = make_destination(
        config={"url": FORM["config.url"], "auth": "bearer"}, credentials={"token": "kept-token-0123456789"}
    )
    form = {**FORM, "config.auth": "bearer", "version": ana.look(row).value("version")}

    ana.post(page_of(row), **{**form, "config.delivery": "ping"})
    row.refresh_from_db()
    assert (row.config["delivery"], row.credentials["token"]) == ("ping", "kept-token-0123456789")

    form["version"] = ana.look(row).value("version")
    page = ana.post(page_of(row), **form, removed_credentials=["token"])
    assert "This field is required where auth is" in at_field(page, "credentials.token")


# --- an address that may not be dialled -----------------------------------------------------------
@pytest.mark.parametrize(
    ("kind", "field", "value", "told"),
    [
        ("webhook", "url", "http://10.1.2.3/hook", "Add 10.1.2.0/24 or 10.1.2.3:80 to EGRESS_ALLOW."),
        ("webhook", "url", "http://169.254.169.254/", "No setting allows this address."),
        ("postgres", "host", "10.1.2.3", "Add 10.1.2.0/24 or 10.1.2.3:5432 to EGRESS_ALLOW."),
    ],
)  # fmt: skip
def test_a_refused_address_says_all_at_its_field_and_once(
    ana: Person, kind: str, field: str, value: str, told: str
) -> None:
    form = {**FORM, **TABLES, f"config.{field}": value}

    page = ana.post(f"{DESTINATIONS}add/?type={kind}", **form)
    checked = ana.post(f"{DESTINATIONS}add/check/?type={kind}", **form)

    assert told in at_field(page, f"config.{field}")
    assert page.text.count(told) == 1
    label = {"url": "URL", "host": "Host"}[field]
    assert f"{label}: Address " in checked.text
    assert told in checked.text


# --- event types ----------------------------------------------------------------------------------
def test_of_many_odd_types_the_newest_have_a_box_and_others_can_be_typed(ana: Person) -> None:
    for number in range(MOST_TYPES + 10):
        make_event(type=f"odd-{(number * 7) % 30:02}-{number:02}")
    make_event(type="daily")
    newest = [f"odd-{(number * 7) % 30:02}-{number:02}" for number in range(29, 9, -1)]

    page = ana.get(ADD)
    assert [name for name in boxes(page) if name and name.startswith("odd")] == newest
    assert boxes(page).count("daily") == 1

    ana.post(ADD, **{**FORM, "event_types": ["sleep"], "more_event_types": "odd-00-00\r\n\r\n odd-07-01 \r\nsleep"})
    made = Destination.objects.get()
    assert made.event_types == ["sleep", "odd-00-00", "odd-07-01"]
    shown = ana.look(made)
    for name in made.event_types:
        assert "checked" in shown.find("input", name="event_types", value=name)[0]


def test_a_type_that_was_never_received_is_refused_where_it_was_typed(ana: Person) -> None:
    make_event(type="odd")

    page = ana.post(ADD, **{**FORM, "event_types": ["odd"], "more_event_types": "slep"})

    assert "Did you mean &#x27;sleep&#x27;?" in at_field(page, "more_event_types")
    assert "slep" in page.text
    assert "checked" in page.find("input", name="event_types", value="odd")[0]
    assert not Destination.objects.exists()


def test_a_box_that_was_ticked_counts_though_newer_types_came_meanwhile(ana: Person) -> None:
    make_event(type="odd")
    for number in range(MOST_TYPES):
        make_event(type=f"newer-{number}")
    assert "odd" not in boxes(ana.get(ADD))

    ana.post(ADD, **{**FORM, "event_types": ["odd"]})

    assert Destination.objects.get().event_types == ["odd"]


def test_a_hostile_type_is_no_choice(ana: Person) -> None:
    hostile = "<script>alert(1)</script>\u202eexe." + "x" * 30
    make_event(type=hostile[:64])

    page = ana.get(ADD)

    assert "<script>alert(1)" not in page.source
    assert "\u202e" not in page.text
    assert hostile[:64] not in boxes(page)
