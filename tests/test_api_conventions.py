"""What is true of the whole API: who may call it, and how each error looks and what it keeps to itself."""

import base64
import http.client
import json
from typing import Any

import pytest
from django.conf import LazySettings
from django.db import OperationalError, connection
from django.test import Client

from destinations import services
from tests.api_support import (
    CANARY,
    PROBLEM,
    Api,
    check_problem,
    make_delivery,
    make_destination,
    make_event,
    make_user,
    messages,
)

pytestmark = pytest.mark.django_db

CALLS = [
    ("GET", "destinations", "destinations.view_destination"),
    ("POST", "destinations", "destinations.add_destination"),
    ("GET", "destinations/{destination}", "destinations.view_destination"),
    ("PATCH", "destinations/{destination}", "destinations.change_destination"),
    ("DELETE", "destinations/{destination}", "destinations.delete_destination"),
    ("POST", "destinations/{destination}/check", "destinations.check_destination"),
    ("POST", "destinations/{destination}/pause", "destinations.pause_destination"),
    ("POST", "destinations/{destination}/resume", "destinations.pause_destination"),
    ("POST", "destinations/{destination}/rotate-secret", "destinations.change_destination"),
    ("GET", "destination-types", "destinations.view_destination"),
    ("GET", "events", "webhooks.view_event"),
    ("GET", "events/{event}", "webhooks.view_event"),
    ("POST", "events/{event}/resend", "webhooks.resend_delivery"),
    ("GET", "deliveries", "webhooks.view_delivery"),
    ("GET", "deliveries/{delivery}", "webhooks.view_delivery"),
    ("POST", "deliveries/{delivery}/resend", "webhooks.resend_delivery"),
    ("POST", "deliveries/resend", "webhooks.resend_delivery"),
]
ALL = sorted({permission for _, _, permission in CALLS})


@pytest.fixture
def paths() -> dict[str, Any]:
    destination = make_destination()
    delivery = make_delivery(make_event(), destination)
    return {"destination": destination.pk, "event": delivery.event_id, "delivery": delivery.pk}


def call(client: Client, method: str, path: str, body: str = "{}", **headers: Any) -> Any:
    return client.generic(method, f"/api/v1/{path}", body, "application/json", headers=headers)


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


# --- who ------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("method", "path", "permission"), CALLS)
def test_each_call_needs_a_log_in_and_its_own_permission(
    method: str, path: str, permission: str, paths: dict[str, Any]
) -> None:
    path = path.format(**paths)
    others = [other for other in ALL if other != permission]

    nobody = call(Client(), method, path)
    without = call(Api(*others).client, method, path)
    allowed = call(Api(permission).client, method, path)

    assert (nobody.status_code, nobody.json()["code"]) == (401, "not_authenticated")
    assert nobody["WWW-Authenticate"]
    assert (without.status_code, without.json()["code"]) == (403, "permission_denied")
    assert allowed.status_code not in (401, 403)


def test_a_session_cannot_write_without_its_csrf_token(paths: dict[str, Any]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(make_user("destinations.pause_destination"))
    path = f"destinations/{paths['destination']}/pause"

    refused = call(client, "POST", path)
    client.get("/admin/login/")
    token = "x" * 32
    client.cookies["csrftoken"] = token
    allowed = call(client, "POST", path, **{"X-CSRFToken": token})

    assert (refused.status_code, refused.json()["code"]) == (403, "csrf_failed")
    assert "X-CSRFToken" in refused.json()["hint"]
    assert allowed.status_code == 200


def test_a_password_is_not_taken_unless_the_operator_says_so(settings: LazySettings) -> None:
    user = make_user(superuser=True, password="right-password")
    header = {"Authorization": basic(user.username, "right-password")}

    settings.API_BASIC_AUTH = False
    assert call(Client(), "GET", "events", **header).status_code == 401

    settings.API_BASIC_AUTH = True
    assert call(Client(), "GET", "events", **header).status_code == 200


def test_a_401_names_every_way_to_log_in(settings: LazySettings) -> None:
    settings.API_BASIC_AUTH = False
    closed = call(Client(), "GET", "events")
    settings.API_BASIC_AUTH = True
    opened = call(Client(), "GET", "events")
    wrong = call(Client(), "GET", "events", Authorization=basic("nobody", "x"))

    assert "Basic" not in closed["WWW-Authenticate"]
    assert "Basic" not in closed.json()["hint"]
    assert closed["WWW-Authenticate"].startswith("Bearer")
    assert "API key" in closed.json()["hint"]
    for answer in (opened, wrong):
        assert (answer.status_code, answer["WWW-Authenticate"]) == (
            401,
            'Bearer realm="hub", Session realm="admin", Basic realm="hub"',
        )
    assert "HTTP Basic" in opened.json()["hint"]


def test_a_password_that_is_guessed_at_is_locked_out(settings: LazySettings) -> None:
    settings.API_BASIC_AUTH = True
    user = make_user(superuser=True, password="right-password")
    wrong = {"Authorization": basic(user.username, "wrong-password")}

    answers = [call(Client(), "GET", "events", **wrong) for _ in range(settings.AXES_FAILURE_LIMIT)]
    locked = call(Client(), "GET", "events", **{"Authorization": basic(user.username, "right-password")})
    other = make_user(superuser=True, password="other-password")

    assert [answer.status_code for answer in answers[:-1]] == [401] * (settings.AXES_FAILURE_LIMIT - 1)
    assert (locked.status_code, locked.json()["code"]) == (429, "locked_out")
    check_problem(locked, locked.json())
    assert (
        call(Client(), "GET", "events", **{"Authorization": basic(other.username, "other-password")}).status_code == 200
    )


@pytest.mark.parametrize("header", ["Basic", "Basic x y", "Basic ???", basic("a\x00b", "p"), basic("", ""), "Basic Og"])
def test_a_broken_basic_header_is_answered_as_a_problem(settings: LazySettings, header: str) -> None:
    settings.API_BASIC_AUTH = True

    answer = call(Client(), "GET", "events", Authorization=header)

    assert answer.status_code == 401
    check_problem(answer, answer.json())


# --- errors ---------------------------------------------------------------------------------------
@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "path", ["", "nothing", "destinations/", "events/1/2/3", "deliveries.json", "destinations/a/b"]
)
def test_a_path_that_is_not_there_is_a_problem_for_everyone(method: str, path: str) -> None:
    for client in (Client(), Client(enforce_csrf_checks=True)):  # a browser's session has no say in it
        answer = call(client, method, path)
        assert answer.status_code == 404
        check_problem(answer, answer.json())


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("PUT", "destinations/{destination}"),
        ("DELETE", "events/{event}"),
        ("POST", "events"),
        ("OPTIONS", "events"),
        ("PATCH", "deliveries"),
    ],
)
def test_a_method_that_a_path_does_not_have_is_a_problem(method: str, path: str, paths: dict[str, Any]) -> None:
    answer = call(Api(superuser=True).client, method, path.format(**paths))

    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    check_problem(answer, answer.json())


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ("{", 400, "parse_error"),
        ("", 400, "invalid"),
        ("[]", 400, "invalid"),
        ("7", 400, "invalid"),
        ("null", 400, "invalid"),
        ('{"name": NaN}', 400, "parse_error"),
        ("[" * 100_000, 400, "parse_error"),
        ('{"a":' * 50_000, 400, "parse_error"),
        ("\udcff", 400, "parse_error"),
        ('{"config":' + "9" * 5000 + "}", 400, "parse_error"),
        ('{"name": "' + "x" * 1_100_000 + '"}', 413, "too_large"),
    ],
)
def test_a_body_that_cannot_be_read_is_a_problem(body: str, status: int, code: str) -> None:
    raw = body.encode(errors="surrogateescape")

    answer = Api(superuser=True).client.generic("POST", "/api/v1/destinations", raw, "application/json")

    assert (answer.status_code, answer.json()["code"]) == (status, code)
    check_problem(answer, answer.json())


def test_another_content_type_is_a_problem() -> None:
    answer = Api(superuser=True).client.post("/api/v1/destinations", {"name": "form"})

    assert answer.status_code == 415
    assert "application/json" in answer.json()["hint"]
    check_problem(answer, answer.json())


def test_an_answer_that_the_api_cannot_give_is_a_problem() -> None:
    answer = Api(superuser=True).client.get("/api/v1/events", HTTP_ACCEPT="image/png")

    assert answer.status_code == 406
    check_problem(answer, answer.json())


def test_an_unforeseen_error_says_nothing_of_its_cause(
    monkeypatch: pytest.MonkeyPatch, caplog: Any, capfd: Any
) -> None:
    destination = make_destination()

    def broken(_: Any) -> str:
        raise RuntimeError(f"could not log in with {CANARY}")

    monkeypatch.setattr(services, "target_of", broken)
    answer = call(Api(superuser=True).client, "GET", f"destinations/{destination.pk}")

    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    check_problem(answer, answer.json())
    logged = caplog.text + "".join(capfd.readouterr())
    assert answer.json()["detail"].split()[-1].rstrip(".") in logged, "the id in the answer finds the cause in the log"
    assert "RuntimeError" in logged
    assert CANARY not in answer.content.decode() + logged


def test_a_database_that_is_away_is_a_problem_with_a_time_to_come_back() -> None:
    client = Api(superuser=True).client

    def away(execute: Any, sql: str, *args: Any) -> Any:
        if "webhooks_event" in sql:
            raise OperationalError("server closed the connection")
        return execute(sql, *args)

    with connection.execute_wrapper(away):
        answer = call(client, "GET", "events")

    assert (answer.status_code, answer.json()["code"]) == (503, "store_unavailable")
    assert int(answer["Retry-After"]) > 0
    check_problem(answer, answer.json())


def test_answers_are_kept_out_of_caches() -> None:
    client = Api(superuser=True).client

    for path in ("events", "destinations", "destinations/x"):
        assert call(client, "GET", path)["Cache-Control"] == "no-store"


# --- over a real connection -----------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_a_script_can_work_over_a_real_connection(live_server: Any, settings: LazySettings) -> None:
    settings.API_BASIC_AUTH = True
    user = make_user(superuser=True, password="right-password")
    headers = {"Authorization": basic(user.username, "right-password"), "Content-Type": "application/json"}
    event = make_event(body=b'{"type":"daily"}')

    def ask(method: str, path: str, body: bytes = b"") -> http.client.HTTPResponse:
        link = http.client.HTTPConnection(live_server.thread.host, live_server.thread.port, timeout=10)
        link.request(method, f"/api/v1/{path}", body, headers)
        return link.getresponse()

    body = {"type": "webhook", "name": "over the wire", "config": {"url": "http://127.0.0.1:18999/"}}
    made = ask("POST", "destinations", json.dumps(body).encode())
    too_large = ask("POST", "destinations", b"x" * 1_100_000)
    resent = ask("POST", f"events/{event.pk}/resend")

    assert made.status == 201
    assert (too_large.status, too_large.headers["Content-Type"]) == (413, PROBLEM)
    assert (resent.status, json.load(resent)) == (202, {"resent": 1})
    assert ask("GET", f"events/{event.pk}/payload").read() == b'{"type":"daily"}'
    unknown = ask("GET", "events?colour=red")
    assert messages(json.load(unknown)).keys() == {"colour"}
