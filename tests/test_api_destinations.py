"""Destinations over the API: what a customer of Terra's own API would do, and what never comes back."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import connection

from destinations.crypto import generate_key
from destinations.models import Destination
from destinations.registry import adapter_classes
from destinations.specs import spec_fields
from tests.api_support import CANARY, DATABASE, Api, make_delivery, make_event, messages
from tests.services.postgres import Login, PostgresServer
from tests.sink import Sink
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db

HOOK = {"type": "webhook", "name": "hook", "config": {"url": "http://127.0.0.1:18999/hook"}}
TABLES = {"type": "postgres", "name": "db", "config": DATABASE, "credentials": {"password": CANARY}}


@pytest.fixture
def api() -> Api:
    return Api(superuser=True)


@pytest.fixture(scope="module")
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


# --- making and reading ---------------------------------------------------------------------------
def test_a_signing_secret_is_in_the_answer_once_and_never_again(api: Api) -> None:
    made = api.post("destinations", HOOK, 201)

    secret = made["signing_secret"]
    assert secret.startswith("whsec_")
    again = json.dumps(
        [api.get("destinations"), api.get(f"destinations/{made['id']}"), api.patch(f"destinations/{made['id']}", {})]
    )
    assert secret not in again
    assert made["credentials"]["signing_secret_masked"] == f"****{secret[-4:]}"


def test_a_destination_reads_back_as_it_was_made_with_its_secrets_masked(api: Api) -> None:
    settings = {"event_types": ["sleep"], "schedule": [5, 60.5], "timeout_s": 7.5, "concurrency": 2, "paused": True}

    made = api.post("destinations", {**TABLES, **settings}, 201)
    shown = api.get(f"destinations/{made['id']}")

    assert "signing_secret" not in made
    assert {name: shown[name] for name in settings} == settings
    assert (shown["type"], shown["name"], shown["config"]) == ("postgres", "db", DATABASE)
    assert shown["credentials"] == {"password_masked": "****"}
    assert shown["target"] == "127.0.0.1:5432/health, schema public"


def test_a_credential_that_is_not_set_reads_as_null(api: Api) -> None:
    made = api.post("destinations", HOOK, 201)

    assert made["credentials"]["token_masked"] is None


def test_all_that_is_wrong_with_a_body_is_named_by_its_path(api: Api) -> None:
    body = {**TABLES, "config": {"host": "127.0.0.1", "port": 0}, "credentials": {}, "event_types": ["slep"]}

    problem = api.post("destinations", body, 400)

    assert messages(problem).keys() == {
        "config.port", "config.database", "config.username", "credentials.password", "event_types"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": None}, "name"),
        ({"config": "url"}, "config"),
        ({"config": None}, "config"),
        ({"credentials": ["x"]}, "credentials"),
        ({"colour": "red"}, "colour"),
        ({"id": "1"}, "id"),
        ({"version": 7}, "version"),
        ({"schedule": ["soon"]}, "schedule.0"),
        ({"timeout_s": "NaN"}, "timeout_s"),
        ({"concurrency": True}, "concurrency"),
        ({"type": "fax"}, "type"),
        ({"type": 7}, "type"),
        ({"active": "perhaps"}, "active"),
    ],
)
def test_a_field_that_makes_no_sense_is_named(api: Api, change: dict[str, Any], field: str) -> None:
    assert field in messages(api.post("destinations", {**HOOK, **change}, 400))
    assert not Destination.objects.exists()


def test_a_name_that_is_taken_is_refused(api: Api) -> None:
    api.post("destinations", HOOK, 201)

    assert messages(api.post("destinations", HOOK, 400)) == {"name": "Another destination has this name."}


def test_an_address_that_is_not_allowed_is_refused_with_the_setting_to_change(api: Api) -> None:
    problem = api.post("destinations", {**HOOK, "config": {"url": "http://10.0.0.1/hook"}}, 400)

    assert problem["code"] == "address_not_allowed"
    told = "Address 10.0.0.1 is private. Add 10.0.0.0/24 or 10.0.0.1:80 to EGRESS_ALLOW."
    assert messages(problem) == {"config.url": told}
    assert "EGRESS_ALLOW" in problem["hint"]


def test_lists_can_be_filtered_by_type_and_state(api: Api) -> None:
    for name, body in {"a": HOOK, "b": {**HOOK, "active": False}, "c": TABLES}.items():
        api.post("destinations", {**body, "name": name}, 201)

    def names(**query: str) -> set[str]:
        return {row["name"] for row in api.get("destinations", **query)["data"]}

    assert names(type="webhook") == {"a", "b"}
    assert names(active="false") == {"b"}
    assert names(active="true", type="webhook") == {"a"}
    assert names(paused="true") == set()


# --- changing -------------------------------------------------------------------------------------
def test_patch_merges_config_and_replaces_lists(api: Api) -> None:
    made = api.post("destinations", {**TABLES, "event_types": ["sleep"]}, 201)

    changed = api.patch(f"destinations/{made['id']}", {"config": {"schema": "terra"}, "event_types": ["daily"]})

    assert changed["config"] == {**DATABASE, "schema": "terra"}
    assert changed["event_types"] == ["daily"]
    assert changed["version"] == 2
    assert changed["credentials"] == {"password_masked": "****"}


def test_patch_cannot_change_the_type(api: Api) -> None:
    made = api.post("destinations", HOOK, 201)

    assert api.patch(f"destinations/{made['id']}", {"type": "postgres"}, 400)["code"] == "type_is_fixed"
    assert api.patch(f"destinations/{made['id']}", {"type": "webhook", "name": "renamed"})["name"] == "renamed"


def test_patch_to_another_host_needs_the_password_again(api: Api) -> None:
    made = api.post("destinations", TABLES, 201)

    problem = api.patch(f"destinations/{made['id']}", {"config": {"host": "127.0.0.2"}}, 400)

    assert (problem["code"], messages(problem).keys()) == ("credentials_needed", {"credentials.password"})
    api.patch(f"destinations/{made['id']}", {"config": {"host": "127.0.0.2"}, "credentials": {"password": "again"}})


def test_pause_and_resume_and_disable(api: Api) -> None:
    path = f"destinations/{api.post('destinations', HOOK, 201)['id']}"

    assert api.post(f"{path}/pause")["paused"] is True
    assert api.post(f"{path}/resume")["paused"] is False
    disabled = api.patch(path, {"active": False})
    assert (disabled["active"], disabled["disabled_reason"]) == (False, f"Disabled by {api.user}.")
    assert api.patch(path, {"active": True})["disabled_reason"] == ""


def test_a_rotated_secret_is_shown_once(api: Api) -> None:
    made = api.post("destinations", HOOK, 201)

    rotated = api.post(f"destinations/{made['id']}/rotate-secret", {"grace_s": 60})

    assert rotated.keys() == {"signing_secret"}
    assert rotated["signing_secret"] != made["signing_secret"]
    shown = json.dumps(api.get(f"destinations/{made['id']}"))
    assert rotated["signing_secret"] not in shown
    assert made["signing_secret"] not in shown


def test_rotating_with_a_wrong_grace_or_type_is_refused(api: Api) -> None:
    hook, tables = api.post("destinations", HOOK, 201), api.post("destinations", TABLES, 201)

    assert messages(api.post(f"destinations/{hook['id']}/rotate-secret", {"grace_s": -1}, 400)).keys() == {"grace_s"}
    assert messages(api.post(f"destinations/{hook['id']}/rotate-secret", {"grace": 1}, 400)).keys() == {"grace"}
    assert api.post(f"destinations/{tables['id']}/rotate-secret", status=400)["code"] == "no_signing_secret"


@pytest.mark.django_db(transaction=True)
def test_a_deleted_destination_is_gone_and_what_was_pending_is_cancelled() -> None:
    api = Api(superuser=True)
    made = api.post("destinations", HOOK, 201)
    delivery = make_delivery(make_event(), Destination.objects.get())

    api.delete(f"destinations/{made['id']}")

    assert api.get(f"destinations/{made['id']}", 404)["code"] == "not_found"
    assert api.get(f"deliveries/{delivery.pk}")["status"] == "cancelled"
    assert Delivery.objects.get().last_error_code == "destination_deleted"
    api.post("destinations", HOOK, 201)


@pytest.mark.parametrize("call", ["get", "delete", "check", "pause", "resume", "rotate-secret", "revoke-links"])
def test_a_destination_that_is_not_there_is_not_found(api: Api, call: str) -> None:
    for pk in ("01a20a6f-c2ec-7047-87b3-6cff4e9b9dc4", "hook", "1"):
        path = f"destinations/{pk}"
        problem = getattr(api, call)(path, 404) if call in ("get", "delete") else api.post(f"{path}/{call}", status=404)
        assert problem["code"] == "not_found"


# --- checking -------------------------------------------------------------------------------------
def test_a_check_of_a_webhook_reaches_it(api: Api, sink: Sink) -> None:
    made = api.post("destinations", {**HOOK, "config": {"url": sink.url("/checked")}}, 201)

    checked = api.post(f"destinations/{made['id']}/check")

    assert checked["check_passed"] is True, checked
    assert sink.count("/checked") == 1
    shown = api.get(f"destinations/{made['id']}")
    assert {name: shown[name] for name in checked} == checked


def test_a_check_that_fails_says_at_which_step_and_what_to_change(api: Api, sink: Sink) -> None:
    sink.behave("/refused", status=401)
    made = api.post("destinations", {**HOOK, "config": {"url": sink.url("/refused")}}, 201)

    checked = api.post(f"destinations/{made['id']}/check")

    last = [step for step in checked["check_steps"] if step["status"] == "failed"][-1]
    assert checked["check_passed"] is False
    assert last["detail"]


def test_a_check_of_a_database_logs_in_and_writes(
    api: Api, postgres_server: PostgresServer, postgres_login: Login
) -> None:
    config = {
        "host": postgres_server.host, "port": postgres_server.port, "database": postgres_login.database,
        "username": postgres_login.user, "ssl_mode": "disable",
    }  # fmt: skip
    body = {**TABLES, "config": config, "credentials": {"password": postgres_login.password}}

    checked = api.post(f"destinations/{api.post('destinations', body, 201)['id']}/check")

    assert checked["check_passed"] is True, checked


# --- what never comes back ------------------------------------------------------------------------
def test_no_credential_of_any_type_comes_back_anywhere(
    api: Api, sink: Sink, caplog: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    bodies = [
        {**HOOK, "config": {"url": sink.url("/canary"), "auth": "basic", "username": "hub"}},
        {**HOOK, "name": "bearer", "config": {"url": sink.url("/canary"), "auth": "bearer"}},
        {**TABLES, "config": {**DATABASE, "ssl_mode": "disable"}},
    ]
    sink.behave("/canary", status=403, headers={"X-Echo": f"{CANARY}-token"}, body=f"no: {CANARY}-password")
    said = []
    for kind, body in [(kind, body) for kind in adapter_classes() for body in bodies if body["type"] == kind.type]:
        names = [field.name for field in spec_fields(kind.credentials_spec)]
        body["credentials"] = {name: _spelled(name, f"{CANARY}-{name}") for name in names}
        said += _everything_said_about(api, body)

    said += [str(row) for row in Destination.history.values_list()]
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names():
            cursor.execute(f'SELECT * FROM "{table}"')
            said += [str(row) for row in cursor.fetchall()]

    assert len(said) > 30
    for text in [*said, caplog.text, *capfd.readouterr()]:
        assert CANARY not in text


def _everything_said_about(api: Api, body: dict[str, Any]) -> list[str]:
    """Return every answer, good and bad, of a destination's life."""
    made = api.post("destinations", body, 201)
    path = f"destinations/{made['id']}"
    wrong = {**body, "name": "wrong", "credentials": {**body["credentials"], CANARY[:3]: CANARY}}
    moved = {"url": "http://127.0.0.1:18998/"} if body["type"] == "webhook" else {"host": "127.0.0.2"}
    return [
        str(answer)
        for answer in (
            made, api.get("destinations"), api.get(path), api.post(f"{path}/check"), api.get(path),
            api.post("destinations", wrong, 400), api.post("destinations", body, 400),
            api.post("destinations", {**body, "name": "too long", "credentials": _each(body, CANARY * 1000)}, 400),
            api.post("destinations", {**body, "name": "a number", "credentials": _each(body, [CANARY])}, 400),
            api.patch(path, {"config": moved}, 400), api.patch(path, {"name": f"renamed {body['name']}"}),
            api.patch(path, {"credentials": _each(body, f"second-{CANARY}")}), api.post(f"{path}/pause"),
        )
    ]  # fmt: skip


def _each(body: dict[str, Any], value: Any) -> dict[str, Any]:
    return {name: _spelled(name, value) for name in body["credentials"]}


def _spelled(name: str, value: Any) -> Any:
    """Return a value in the form that a field takes."""
    return f"X-{name}: {value}" if name in ("secret_headers", "secret_query") and isinstance(value, str) else value


def test_one_destination_whose_credentials_do_not_open_hides_no_other(api: Api, settings: LazySettings) -> None:
    lost = api.post("destinations", TABLES, 201)
    settings.CREDENTIAL_KEYS = [generate_key("new")]
    api.post("destinations", HOOK, 201)

    rows = {row["name"]: row for row in api.get("destinations")["data"]}

    assert rows["db"]["credentials"] == {}
    assert "CREDENTIAL_KEYS" in rows["db"]["credentials_error"]
    assert rows["hook"]["credentials"]["signing_secret_masked"].startswith("****")
    assert rows["hook"]["credentials_error"] == ""
    assert api.post(f"destinations/{lost['id']}/check", status=409)["code"] == "unusable"
