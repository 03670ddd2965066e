"""Secret headers and query parameters of a webhook: over the API, in the admin, on the command line, from before."""

import importlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.apps import apps

from destinations.fields import Token
from destinations.models import Destination
from destinations.services import build_adapter, delete_destination, update_destination
from tests.adapters.contract import event
from tests.admin_support import Person, at_field, page_of
from tests.api_support import CANARY, Api, make_destination, messages, refused, stored
from tests.cli.support import hub
from tests.sink import Sink

pytestmark = pytest.mark.django_db

URL = "http://127.0.0.1:18999/hook"
OTHER = "http://127.0.0.1:18998/hook"
ADD = "/admin/destinations/destination/add/?type=webhook"
FORM = {
    "name": "hook", "config.url": URL, "config.delivery": "push", "config.auth": "none", "timeout_s": "30",
    "concurrency": "16", "disable_after_hours": "120",
}  # fmt: skip
SECRETS = {"secret_headers": {"X-Api-Key": CANARY, "X-Tenant-Token": CANARY}, "secret_query": {"sig": CANARY}}
NAMES = {"has_secret_headers": True, "secret_header_names": "X-Api-Key, X-Tenant-Token",
         "has_secret_query": True, "secret_query_names": "sig"}  # fmt: skip


@pytest.fixture
def api() -> Api:
    return Api("destinations.add_destination", "destinations.change_destination", "destinations.view_destination")


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture
def ana() -> Person:
    return Person()


def kept(row: Destination) -> Any:
    """Return the secret headers as they are stored."""
    return json.loads(stored(row).credentials["secret_headers"])


# --- over the API -----------------------------------------------------------------------------------
def test_the_api_takes_them_and_shows_their_names(api: Api) -> None:
    made = api.post(
        "destinations", {"type": "webhook", "name": "a", "config": {"url": URL}, "credentials": SECRETS}, 201
    )
    shown = [made, api.get(f"destinations/{made['id']}"), api.get("destinations")]
    assert made["credentials"].items() >= NAMES.items()
    assert made["target"] == f"{URL}?sig=****"
    assert CANARY not in str(shown)
    plain = api.post("destinations", {"type": "webhook", "name": "b", "config": {"url": URL}}, 201)
    assert plain["credentials"]["has_secret_headers"] is False
    assert plain["credentials"]["secret_header_names"] is None


def test_they_are_replaced_as_a_whole_and_taken_away_with_null(api: Api) -> None:
    row = make_destination(credentials=SECRETS)
    path = f"destinations/{row.pk}"
    api.patch(path, {"credentials": {"secret_headers": {"X-Other-Key": "new"}}})
    assert kept(row) == {"X-Other-Key": "new"}
    api.patch(path, {"credentials": {"secret_headers": ""}, "config": {"delivery": "ping"}})
    assert kept(row) == {"X-Other-Key": "new"}
    api.patch(path, {"credentials": {"secret_headers": None}})
    assert "secret_headers" not in stored(row).credentials
    assert "secret_query" in stored(row).credentials


def test_they_must_come_again_where_the_url_changes(api: Api) -> None:
    row = make_destination(credentials=SECRETS)
    problem = api.patch(f"destinations/{row.pk}", {"config": {"url": OTHER}}, 400)
    assert problem["code"] == "credentials_needed"
    assert set(messages(problem)) == {"credentials.secret_headers", "credentials.secret_query"}
    api.patch(f"destinations/{row.pk}", {"config": {"url": OTHER}, "credentials": SECRETS})
    assert stored(row).config["url"] == OTHER


def test_one_that_the_authentication_sends_too_is_refused_whichever_comes_last(api: Api) -> None:
    row = make_destination(credentials={"secret_headers": {"authorization": f"Token {CANARY}"}})
    bearer = {"config": {"auth": "bearer"}, "credentials": {"token": "abc"}}
    problem = api.patch(f"destinations/{row.pk}", bearer, 400)
    assert "by the authentication already" in messages(problem)["credentials.secret_headers"]
    api.patch(f"destinations/{row.pk}", {**bearer, "credentials": {"token": "abc", "secret_headers": None}})


@pytest.mark.parametrize(("config", "field", "where"), [
    ({"headers": {"X-Api-Key": CANARY}}, "config.headers", "credentials.secret_headers"),
    ({"headers": {"Cookie": CANARY}}, "config.headers", "credentials.secret_headers"),
    ({"url": f"{URL}?token={CANARY}"}, "config.url", "credentials.secret_query"),
    ({"url": f"http://ana:{CANARY}@127.0.0.1:18999/hook"}, "config.url", "credentials"),
])  # fmt: skip
def test_a_credential_in_clear_is_refused_and_told_where_to_go(
    api: Api, config: dict[str, Any], field: str, where: str
) -> None:
    row = make_destination()
    body = {"type": "webhook", "name": "a", "config": {"url": URL, **config}}
    for problem in (
        api.post("destinations", body, 400), api.patch(f"destinations/{row.pk}", {"config": config}, 400),
    ):  # fmt: skip
        assert set(messages(problem)) == {field}
        assert where in messages(problem)[field]
        assert CANARY not in str(problem)


# --- in the admin -----------------------------------------------------------------------------------
def test_the_form_takes_them_line_by_line_and_never_shows_them(ana: Person) -> None:
    ana.post(ADD, **{**FORM, "credentials.secret_headers": f"X-Api-Key: {CANARY}\nX-B: {CANARY}"})
    row = Destination.objects.get()
    assert kept(row) == {"X-Api-Key": CANARY, "X-B": CANARY}

    page = ana.look(row)
    assert "Set: X-Api-Key, X-B, changed" in page.text
    version = page.value("version")
    ana.post(page_of(row), **{**FORM, "config.delivery": "ping", "version": version})
    assert kept(row) == {"X-Api-Key": CANARY, "X-B": CANARY}
    shown = [page, ana.look(row), ana.get(page_of(row).replace("/change/", "/history/"))]
    assert not [one for one in shown if CANARY in one.source]


def test_the_form_says_at_the_field_what_belongs_elsewhere(ana: Person) -> None:
    page = ana.post(ADD, **{**FORM, "config.headers": "X-Api-Key: abc", "credentials.secret_headers": CANARY})
    assert "put it into Secret headers" in at_field(page, "config.headers")
    assert CANARY not in page.source
    page = ana.post(ADD, **{**FORM, "credentials.secret_headers": CANARY})
    assert "Line 1 has no colon" in at_field(page, "credentials.secret_headers")
    assert CANARY not in page.source
    assert not Destination.objects.exists()


# --- on the command line ----------------------------------------------------------------------------
def test_the_command_line_takes_them_from_the_environment_or_a_file_and_shows_names() -> None:
    lines = f"X-Api-Key: {CANARY}\n"
    added = hub(
        "destinations", "add", "--type", "webhook", "--name", "a", "--set", f"url={URL}",
        "--secret-file", "secret_headers=-", input=lines,
    )  # fmt: skip
    row = Destination.objects.get()
    assert kept(row) == {"X-Api-Key": CANARY}
    changed = hub(
        "destinations", "set", "a", "--set", "delivery=ping", env={"HUB_SECRET_SECRET_HEADERS": f"X-B: {CANARY}"}
    )
    assert kept(row) == {"X-B": CANARY}
    refusal = hub("destinations", "set", "a", "--set", f"secret_headers=X-B: {CANARY}", code=1)
    shown = hub("destinations", "show", "a")
    assert "Set: X-B" in shown.out
    assert CANARY not in "".join(one.out + one.err for one in (added, changed, refusal, shown))


# --- what is there from before ----------------------------------------------------------------------
def from_before(config: Any) -> Destination:
    """Return a webhook whose config is as an earlier release took it, with its history."""
    row = make_destination(credentials={"signing_secret": "whsec_x"})
    Destination.objects.filter(pk=row.pk).update(config=config)
    Destination.history.filter(id=row.pk).update(config=config)
    return stored(row)


def migrate() -> None:
    importlib.import_module("destinations.migrations.0006_secret_headers").seal(apps, None)


def received_from(row: Destination, sink: Sink) -> tuple[str, dict[str, str]]:
    """Return the path and the headers of what a destination posts, but for ids and signatures."""
    sink.clear()
    adapter = build_adapter(stored(row))
    adapter.deliver([event()])
    adapter.close()
    (got,) = sink.requests()
    headers = {name: value for name, value in got.headers.items() if not name.startswith(("webhook-", "terra-"))}
    return got.head.decode().partition("\r\n")[0], headers


@pytest.mark.parametrize(("query", "headers", "left", "names"), [
    ("", {"X-Api-Key": CANARY, "X-Team": "blue"}, ("", {"X-Team": "blue"}), ["secret_headers"]),
    ("", {"X-Auth-Token": CANARY}, ("", None), ["secret_headers"]),
    (f"?mode=1&code={CANARY}", None, ("?mode=1", None), ["secret_query"]),
    (f"?sig={CANARY}%2F", None, ("", None), ["secret_query"]),
    (f"?key={CANARY}", {"X-Jwt": CANARY}, ("", None), ["secret_headers", "secret_query"]),
    ("?a=1&b", {"X-Team": "blue"}, ("?a=1&b", {"X-Team": "blue"}), []),
])  # fmt: skip
def test_what_is_in_clear_is_sealed_by_the_update_and_sent_as_before(
    sink: Sink, query: str, headers: Any, left: tuple[str, Any], names: list[str]
) -> None:
    row = from_before({"url": sink.url("/hook") + query} | ({"headers": headers} if headers else {}))
    before = received_from(row, sink)
    migrate()
    migrate()
    after = stored(row)
    assert received_from(row, sink) == before
    assert (after.config["url"], after.config.get("headers")) == (sink.url("/hook") + left[0], left[1])
    assert sorted(name for name in after.credentials if name.startswith("secret_")) == names
    assert sorted(name for name in after.secrets_about if name.startswith("secret_")) == names
    assert after.version == row.version
    assert CANARY not in json.dumps(list(Destination.history.values_list("config", flat=True)))


def test_a_deleted_one_loses_them_and_one_that_does_not_open_keeps_what_it_has() -> None:
    gone = from_before({"url": URL, "headers": {"X-Api-Key": CANARY}})
    delete_destination(gone)
    migrate()
    assert (stored(gone).config, stored(gone).credentials) == ({"url": URL}, {})
    shut = from_before({"url": URL, "headers": {"X-Api-Key": CANARY}})
    Destination.objects.filter(pk=shut.pk).update(credentials=Token("sealed:1:lost:AAAA"))
    migrate()
    assert stored(shut).config["headers"] == {"X-Api-Key": CANARY}


def test_a_parameter_that_stands_twice_in_a_url_stays() -> None:
    row = from_before({"url": f"{URL}?key=a&key=b"})
    migrate()
    assert stored(row).config["url"] == f"{URL}?key=a&key=b"


def test_what_could_not_be_moved_goes_on_and_is_refused_when_the_set_up_is_saved_anew() -> None:
    row = from_before({"url": URL, "headers": {"X-Api-Key": CANARY}})
    assert "config.headers" in refused(update_destination, row, config={"delivery": "ping"}).errors
    assert update_destination(row, timeout_s=7).timeout_s == 7
