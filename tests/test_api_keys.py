"""API keys: made, used, limited, revoked; and never seen again."""

import base64
import json
from datetime import datetime, timedelta
from typing import Any

import pytest
import structlog
from axes.models import AccessAttempt
from django.db import connection
from django.test import Client
from django.utils import timezone

from destinations.access import keys
from destinations.access.actors import Actor
from destinations.access.keys import find_key, make_key, revoke_key
from destinations.access.scopes import SCOPES
from destinations.models import ApiKey
from tests.admin_support import Person
from tests.api_support import (
    Api,
    at_once,
    check_problem,
    make_event,
    make_source,
    make_user,
    messages,
)
from tests.cli.support import hub
from tests.keys_support import api_of, client_of, new_key

pytestmark = [pytest.mark.django_db, pytest.mark.databaseless]


# --- over the API -----------------------------------------------------------------------------------
def test_a_key_is_made_shown_once_used_and_revoked() -> None:
    admin = Api(superuser=True)

    made = admin.post("api-keys", {"name": " CI ", "scopes": ["events:read"]}, 201)
    listed = admin.get("api-keys")["data"]
    shown = admin.get(f"api-keys/{made['id']}")
    script = Api(client=client_of(made["key"]))
    seen = script.get("events")
    used = admin.get(f"api-keys/{made['id']}")
    admin.delete(f"api-keys/{made['id']}")

    assert made["key"].startswith(made["prefix"] + "_")
    assert (made["name"], made["state"], made["created_by"]) == ("CI", "active", admin.user.username)
    assert listed == [shown] == [{name: value for name, value in made.items() if name != "key"}]
    assert (shown["last_used_at"], seen["data"]) == (None, [])
    assert used["last_used_at"]
    assert script.get("events", 401)["code"] == "authentication_failed"
    assert admin.get(f"api-keys/{made['id']}")["state"] == "revoked"
    reasons = ApiKey.history.order_by("history_id").values_list("history_change_reason", "history_user")
    assert list(reasons) == [("created", admin.user.pk), ("revoked", admin.user.pk)]


def test_revoking_twice_does_no_more_than_once() -> None:
    admin, row = Api(superuser=True), new_key().row

    admin.delete(f"api-keys/{row.pk}")
    first = ApiKey.objects.get().revoked_at
    admin.delete(f"api-keys/{row.pk}")

    assert ApiKey.objects.get().revoked_at == first
    assert ApiKey.history.count() == 2


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"name": " "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"scopes": []}, "scopes"),
        ({"scopes": ["events:write"]}, "scopes.0"),
        ({"sources": ["nowhere"]}, "sources"),
        ({"sources": ["\x00"]}, "sources.0"),
        ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "soon"}, "expires_at"),
        ({"key": "hub_live_mine"}, "key"),
    ],
)
def test_what_is_wrong_with_a_key_is_said_at_its_field(change: dict[str, Any], field: str) -> None:
    problem = Api(superuser=True).post("api-keys", {"name": "CI", "scopes": ["events:read"], **change}, 400)

    assert list(messages(problem)) == [field]
    assert ApiKey.objects.count() == 0


def test_on_trial_no_key_is_made_and_none_is_shown() -> None:
    answer = Api(superuser=True).post("api-keys?dry_run=true", {"name": "CI", "scopes": ["events:read"]}, 201)

    assert "key" not in answer
    assert ApiKey.objects.count() == ApiKey.history.count() == 0


# --- nobody hands out more than they have --------------------------------------------------------------
def test_a_key_hands_out_no_scope_that_it_has_not() -> None:
    script = api_of("keys:write", "events:read")

    problem = script.post("api-keys", {"name": "more", "scopes": ["events:read", "erase"]}, 403)
    script.post("api-keys", {"name": "same", "scopes": ["events:read"]}, 201)

    assert problem["code"] == "beyond_scopes"
    assert "erase" in messages(problem)["scopes"]
    assert "events:read" not in messages(problem)["scopes"]


def test_a_user_hands_out_no_scope_beyond_their_permissions() -> None:
    ana = Api("destinations.add_apikey", "destinations.view_apikey", "webhooks.view_event")

    assert ana.post("api-keys", {"name": "x", "scopes": ["events:read"]}, 403)["code"] == "beyond_scopes"
    assert ApiKey.objects.count() == 0


def test_a_key_that_expires_makes_none_that_lives_longer() -> None:
    ends = timezone.now() + timedelta(days=1)
    script = api_of("keys:write", expires_at=ends)

    for wanted in (None, (ends + timedelta(seconds=1)).isoformat()):
        problem = script.post("api-keys", {"name": "x", "scopes": ["keys:write"], "expires_at": wanted}, 403)
        assert problem["code"] == "beyond_expiry"
    script.post("api-keys", {"name": "x", "scopes": ["keys:write"], "expires_at": ends.isoformat()}, 201)


def test_a_key_of_which_no_end_is_said_lives_for_ninety_days_and_never_longer_than_its_maker() -> None:
    admin, body = Api(superuser=True), {"name": "x", "scopes": ["keys:write"]}
    now = timezone.now()

    said = admin.post("api-keys", body, 201)
    never = admin.post("api-keys", {**body, "expires_at": None}, 201)
    ends = now + timedelta(days=1)
    short = api_of("keys:write", expires_at=ends).post("api-keys", body, 201)

    assert abs(datetime.fromisoformat(said["expires_at"]) - now - timedelta(days=90)) < timedelta(hours=1)
    assert never["expires_at"] is None
    assert datetime.fromisoformat(short["expires_at"]) == ends


@pytest.mark.parametrize(("made", "used", "ends", "warning"), [
    (1, None, None, ""), (89, None, 15, ""), (89, 89, 400, ""), (200, 1, None, ""),
    (1, 0, 13, "It ends in 12 days: make another one before."),
    (91, None, None, "It was never used, and made 91 days ago: revoke it if nothing will."),
    (400, 91, None, "It was last used 91 days ago: revoke it if nothing needs it."),
    (400, 91, -1, ""),
])  # fmt: skip
def test_keys_that_end_soon_and_those_that_nothing_uses_are_warned_of(
    made: int, used: int | None, ends: int | None, warning: str
) -> None:
    row, now = new_key(name="nightly").row, timezone.now()
    moments = {"created_at": -made, "last_used_at": None if used is None else -used, "expires_at": ends}
    ApiKey.objects.update(
        **{name: days if days is None else now + timedelta(days=days) for name, days in moments.items()}
    )

    api = Api(superuser=True)
    listed, page = hub("keys", "list", "--all"), Person().get("/admin/destinations/apikey/")
    assert api.get(f"api-keys/{row.pk}")["warning"] == warning
    assert ("Warning: nightly (hub_live_" in listed.err) is bool(warning)
    assert warning in listed.err
    assert ("Look" in page.text) is bool(warning)
    assert warning in Person().look(row).text


def test_a_limited_key_sees_and_makes_keys_within_its_own_sources_only() -> None:
    for slug in ("main", "second", "elsewhere"):
        make_source(slug)
    script = api_of("keys:write", sources=["main", "second"], name="limited")
    other, hub_wide = new_key(sources=["elsewhere"]).row, new_key().row

    for sources in ([], ["elsewhere"], ["main", "elsewhere"]):
        problem = script.post("api-keys", {"name": "x", "scopes": ["keys:write"], "sources": sources}, 403)
        assert (problem["code"], list(messages(problem))) == ("beyond_sources", ["sources"])
    made = script.post("api-keys", {"name": "x", "scopes": ["keys:write"], "sources": ["main"]}, 201)

    assert {one["name"] for one in script.get("api-keys")["data"]} == {"x", "limited"}
    assert made["created_by"].startswith("API key limited (hub_live_")
    for row in (other, hub_wide):
        script.delete(f"api-keys/{row.pk}", 404)
        script.get(f"api-keys/{row.pk}", 404)


def test_a_scope_that_never_works_with_limited_sources_is_refused_with_them() -> None:
    make_source("main")
    body = {"name": "x", "scopes": ["events:read", "erase"], "sources": ["main"]}

    problem = api_of("keys:write", "events:read", "erase").post("api-keys", body, 400)

    assert "limited to sources can never use erase" in messages(problem)["scopes"]
    assert not ApiKey.objects.filter(name="x").exists()


def test_the_command_line_hands_out_every_scope() -> None:
    everything = Actor("command line (ana)", keys.permissions_of(SCOPES))

    assert make_key(name="x", scopes=SCOPES, by=everything).row.created_by == "command line (ana)"


# --- logging in ----------------------------------------------------------------------------------------
def test_wrong_expired_and_revoked_keys_are_answered_alike() -> None:
    expired, revoked, right = new_key(), new_key(), new_key()
    ApiKey.objects.filter(pk=expired.row.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    revoke_key(revoked.row)

    texts = [expired.text, revoked.text, right.text[:-1], right.text + "x", right.row.prefix, "hub_live_", "x"]
    answers = [client_of(text).get("/api/v1/events") for text in texts]
    bodies = [answer.json() for answer in answers]
    for answer, body in zip(answers, bodies, strict=True):
        check_problem(answer, body)
        assert answer["WWW-Authenticate"].startswith("Bearer")
        body.pop("request_id", None)

    assert [answer.status_code for answer in answers] == [401] * len(texts)
    assert all(body == bodies[0] for body in bodies)
    assert client_of(right.text).get("/api/v1/events").status_code == 200


def test_every_wrong_key_costs_the_same_comparison(monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[str, str]] = []
    right = keys.secrets.compare_digest

    def compare(one: str, other: str) -> bool:
        compared.append((one, other))
        return right(one, other)

    monkeypatch.setattr(keys.secrets, "compare_digest", compare)
    new = new_key()
    for text in (new.text, new.text[:-1], "hub_live_nobodys0_x", "\x00", "ü", ""):
        find_key(text)

    assert len(compared) == 6
    assert all(len(one) == len(other) == 64 for one, other in compared)


NAUGHTY = [
    "Bearer", "Bearer ", "Bearer  \t ", "bearer \x00", "Bearer hub_live_\x00\x00\x00\x00\x00\x00\x00\x00_x",
    "Bearer \xff\xfe",
    "Bearer ünïcode", "Bearer " + "x" * 100_000, "Bearer a b c", "Bearer '; DROP TABLE destinations_apikey; --",
    "Bearer \ud800", "Bearer %00", "Bearer hub_live_", "Bearer \u202e", "Bearer {}", "Bearer []", "Bearer null",
]  # fmt: skip


@pytest.mark.parametrize("header", NAUGHTY)
def test_a_naughty_header_is_answered_401(header: str) -> None:
    answer = Client().get("/api/v1/events", headers={"Authorization": header})

    assert answer.status_code == 401
    check_problem(answer, answer.json())


@pytest.mark.parametrize("header", ["", "Basic", "Digest x", "\x00", "hub_live_x", "Bearer\thub_live_x"])
def test_another_header_is_no_key(header: str) -> None:
    answer = Client().get("/api/v1/events", headers={"Authorization": header})

    assert (answer.status_code, answer.json()["code"]) == (401, "not_authenticated")


def test_a_wrong_key_is_refused_also_beside_a_session() -> None:
    client = Api(superuser=True).client

    assert client.get("/api/v1/events", headers={"Authorization": "Bearer hub_live_x"}).status_code == 401


def test_a_key_outlives_the_account_of_its_maker() -> None:
    ana = make_user(superuser=True)
    text = make_key(name="x", scopes=["events:read"], by=ana).text

    ana.is_active = False
    ana.save()

    assert client_of(text).get("/api/v1/events").status_code == 200


def test_the_last_use_is_written_once_a_minute() -> None:
    new = new_key()
    find_key(new.text)
    first = ApiKey.objects.get().last_used_at
    find_key(new.text)

    assert ApiKey.objects.get().last_used_at == first
    ApiKey.objects.update(last_used_at=first - timedelta(minutes=2))
    find_key(new.text)
    assert ApiKey.objects.get().last_used_at >= first


def test_what_a_key_lacks_is_said() -> None:
    reader, nobody = api_of("events:read"), Api()
    event = make_event()

    for path, scope in {
        "destinations": "destinations:read", f"events/{event.pk}/payload": "payloads:read", "api-keys": "keys:write",
    }.items():  # fmt: skip
        problem = reader.get(path, 403)
        assert (problem["code"], problem["hint"] != "") == ("scope_missing", True)
        assert f"needs the scope {scope}." in problem["detail"]
        assert "The key has: events:read." in problem["detail"]
    assert nobody.get("destinations", 403)["code"] == "permission_denied"


# --- never seen again ------------------------------------------------------------------------------------
def test_a_key_is_in_no_log_history_answer_row_or_page(
    capfd: Any, caplog: pytest.LogCaptureFixture, django_capture_on_commit_callbacks: Any
) -> None:
    admin, ana = Api(superuser=True), Person()
    committed = django_capture_on_commit_callbacks(execute=True)
    with structlog.testing.capture_logs() as lines, caplog.at_level("DEBUG"), committed:
        body = json.dumps({"name": "CI", "scopes": list(SCOPES)})
        once = {"Idempotency-Key": "the same"}  # so the answer is kept, sealed
        made = admin.client.post("/api/v1/api-keys", body, "application/json", headers=once).json()
        text = made["key"]
        secret = text.removeprefix(made["prefix"])
        script = Api(client=client_of(text))
        event = make_event()
        answers = [script.get("api-keys"), script.get(f"api-keys/{made['id']}"), script.get("events")]
        answers += [script.post("destinations", {"type": "webhook"}, 400), script.get("events/x", 404)]
        answers += [
            client_of(text + "x").get("/api/v1/events").json(),
            script.post(f"events/{event.pk}/resend", {}, 409),
        ]
        answers.append(_broken(text))
        pages = [
            ana.client.get(f"/admin/destinations/apikey/{tail}").content.decode()
            for tail in ("", f"{made['id']}/change/", f"{made['id']}/history/")
        ]
        revoke_key(ApiKey.objects.get())
    with connection.cursor() as cursor:
        tables = connection.introspection.table_names(cursor)
        rows = [_all_of(cursor, table) for table in tables]

    output = "".join(capfd.readouterr())
    for where in (json.dumps(answers), *pages, repr(lines), caplog.text, output, repr(rows)):
        assert secret not in where
    assert {"api_key_made", "api_key_revoked", "api_failed"} <= {line["event"] for line in lines}
    assert made["prefix"] in pages[0]
    assert made["prefix"] in repr(rows)


@pytest.mark.parametrize("place", ["{}:", "{}:x", "ana:{}", "form"])
def test_a_key_that_is_sent_as_a_user_name_or_a_password_is_kept_nowhere(
    settings: Any, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    settings.API_BASIC_AUTH = True
    text = new_key("events:read").text
    sent = "Basic " + base64.b64encode(place.format(text).encode()).decode()

    with structlog.testing.capture_logs() as lines:
        if place == "form":
            Client().post("/admin/login/", {"username": text, "password": text})
            assert AccessAttempt.objects.get().username == "(an API key)"
        else:
            answer = Client().get("/api/v1/events", headers={"Authorization": sent})
            assert (answer.status_code, answer.json()["code"]) == (401, "key_as_user")
            assert "Authorization: Bearer" in answer.json()["hint"]
            assert text not in answer.content.decode()

    with connection.cursor() as cursor:
        tables = repr([_all_of(cursor, table) for table in connection.introspection.table_names(cursor)])
    secret = text.rpartition("_")[2]
    assert secret not in tables + repr(lines) + caplog.text


def _all_of(cursor: Any, table: str) -> Any:
    cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
    return [[bytes(value) if isinstance(value, memoryview) else value for value in row] for row in cursor.fetchall()]


def _broken(text: str) -> Any:
    """Return what a failure of the hub's own answers to a request with the key."""

    def fail(execute: Any, sql: str, *args: Any) -> Any:
        if "webhooks_event" in sql:
            raise RuntimeError(f"nobody foresaw this: {text}")
        return execute(sql, *args)

    with connection.execute_wrapper(fail):
        answer = client_of(text).get("/api/v1/events")
    assert answer.status_code == 500
    return answer.json()


def test_the_text_is_random_and_long_enough() -> None:
    texts = {new_key().text for _ in range(20)}

    assert len(texts) == len({text[:17] for text in texts}) == 20
    assert all(len(text.rpartition("_")[2]) == 43 for text in texts)


@pytest.mark.django_db(transaction=True)
def test_a_key_that_is_revoked_by_many_at_once_is_revoked_once() -> None:
    row = new_key().row

    def revoke() -> Any:
        return revoke_key(ApiKey.objects.get(pk=row.pk)).revoked_at

    assert len(set(at_once(4, revoke))) == 1
    assert ApiKey.history.count() == 2
