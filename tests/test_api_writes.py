"""What is true of every write of the API: once per ``Idempotency-Key``, on trial with ``dry_run``, and ``If-Match``."""

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client

from destinations import egress
from destinations.access import answers, idempotency
from destinations.access.keys import make_key
from destinations.models import Destination, StoredAnswer
from destinations.services import update_destination
from tests.api_support import (
    CANARY,
    Api,
    at_once,
    check_problem,
    in_a_thread,
    make_delivery,
    make_destination,
    make_event,
    messages,
    stored,
)
from tests.hub import Hub
from webhooks.models import Delivery

pytestmark = pytest.mark.django_db

HOOK = {"type": "webhook", "name": "hook", "config": {"url": "http://127.0.0.1:18999/"}, "credentials": {}}


def send(client: Client, method: str, path: str, body: Any = None, **headers: str) -> Any:
    """Send a request; underscores in the names of headers stand for hyphens."""
    text = "" if body is None else json.dumps(body)
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = client.generic(method, f"/api/v1/{path}", text, "application/json", headers=sent)
    if answer.status_code >= 400:
        check_problem(answer, answer.json())
    return answer


@pytest.fixture
def client() -> Client:
    return Api(superuser=True).client


# --- Idempotency-Key --------------------------------------------------------------------------------
def test_a_request_that_comes_again_is_answered_again_and_not_carried_out_again(client: Client) -> None:
    first = send(client, "POST", "destinations", HOOK, Idempotency_Key="abc")
    second = send(client, "POST", "destinations", HOOK, Idempotency_Key="abc")

    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content, "also the secret that is shown once"
    assert "signing_secret" in first.json()
    assert (first.get("Idempotent-Replayed"), second["Idempotent-Replayed"]) == (None, "true")
    assert second["ETag"] == first["ETag"]
    assert Destination.objects.count() == 1


@pytest.mark.parametrize(
    ("path", "body"), [("destinations", {**HOOK, "name": "another"}), ("destinations/{id}/disable", HOOK)]
)
def test_a_key_with_another_request_is_refused(client: Client, path: str, body: Any) -> None:
    made = send(client, "POST", "destinations", HOOK, Idempotency_Key="abc").json()

    other = send(client, "POST", path.format(**made), body, Idempotency_Key="abc")

    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert Destination.objects.filter(paused=False).count() == 1


def test_two_callers_may_have_the_same_key(client: Client) -> None:
    send(client, "POST", "destinations", HOOK, Idempotency_Key="abc")

    other = send(Api(superuser=True).client, "POST", "destinations", {**HOOK, "name": "two"}, Idempotency_Key="abc")

    assert other.status_code == 201


def test_a_request_that_was_refused_leaves_its_key_free(client: Client) -> None:
    refused = send(client, "POST", "destinations", {**HOOK, "type": "pigeon"}, Idempotency_Key="abc")
    mended = send(client, "POST", "destinations", HOOK, Idempotency_Key="abc")

    assert (refused.status_code, mended.status_code) == (400, 201)
    assert StoredAnswer.objects.count() == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb", "caf\u00e9"])
def test_a_key_that_is_none_is_refused(client: Client, key: str) -> None:
    answer = send(client, "POST", "destinations", HOOK, Idempotency_Key=key)

    assert answer.status_code == 400
    assert messages(answer.json()).keys() == {"Idempotency-Key"}
    assert send(client, "POST", "destinations", HOOK, Idempotency_Key="x" * 255).status_code == 201


def test_nothing_that_is_kept_tells_a_secret(client: Client) -> None:
    body = {**HOOK, "config": {**HOOK["config"], "auth": "bearer"}, "credentials": {"token": CANARY}}  # type: ignore[dict-item]

    made = send(client, "POST", "destinations", body, Idempotency_Key="abc")

    assert made.status_code == 201, made.json()
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM destinations_storedanswer")
        row = str(cursor.fetchone())
    assert "sealed:1:" in row
    assert made.json()["signing_secret"] not in row
    assert CANARY not in row


@pytest.mark.django_db(transaction=True)
def test_twins_at_the_same_moment_are_carried_out_once(client: Client) -> None:
    answers = at_once(4, lambda: send(client, "POST", "destinations", HOOK, Idempotency_Key="abc"))

    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.content for answer in answers}) == 1
    assert [answer.get("Idempotent-Replayed") for answer in answers].count(None) == 1
    assert Destination.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_what_is_done_and_that_it_is_done_are_one_transaction(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as broken:
        broken.setattr(idempotency, "_keep", lambda *_: 1 / 0)  # the hub fails when the destination is made
        assert send(client, "POST", "destinations", HOOK, Idempotency_Key="abc").status_code == 500
    assert not Destination.objects.exists()

    assert send(client, "POST", "destinations", HOOK, Idempotency_Key="abc").status_code == 201


class Silent:
    """A receiver that answers nothing until it is let go."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.go, self.came = threading.Event(), threading.Event()
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}/"

    def _serve(self) -> None:
        while True:
            try:
                link, _ = self.listener.accept()
            except OSError:
                return
            with link:
                self.came.set()
                self.go.wait(60)


@pytest.fixture
def silent() -> Iterator[Silent]:
    server = Silent()
    yield server
    server.go.set()
    server.listener.close()


@pytest.mark.django_db(transaction=True)
def test_while_the_first_is_under_way_its_twin_is_told_to_wait(client: Client, silent: Silent) -> None:
    path = f"destinations/{make_destination(config={'url': silent.url}).pk}/check"
    answers: list[Any] = []

    thread = in_a_thread(lambda: answers.append(send(client, "POST", path, Idempotency_Key="abc")))
    assert silent.came.wait(60)
    twin = send(client, "POST", path, Idempotency_Key="abc")
    make_event()  # intake can write meanwhile: the check holds no transaction open
    silent.go.set()
    thread.join()
    after = send(client, "POST", path, Idempotency_Key="abc")

    assert (twin.status_code, twin.json()["code"]) == (409, "idempotency_in_progress")
    assert 0 < int(twin["Retry-After"]) <= 120
    assert answers[0].status_code == 200
    assert (after.content, after["Idempotent-Replayed"]) == (answers[0].content, "true")


def test_a_request_that_broke_off_may_be_sent_again_after_two_minutes(client: Client) -> None:
    path = f"destinations/{make_destination().pk}/check"
    send(client, "POST", path, Idempotency_Key="abc")

    def aged(seconds: int) -> Any:
        moment = datetime.now(UTC) - timedelta(seconds=seconds)
        StoredAnswer.objects.update(status=None, created_at=moment)
        return send(client, "POST", path, Idempotency_Key="abc")

    assert aged(100).json()["code"] == "idempotency_in_progress"
    assert aged(121).status_code == 200


def test_answers_are_kept_for_a_day_and_pruned_piece_by_piece(client: Client) -> None:
    for number in range(3):
        send(client, "POST", "destinations", {**HOOK, "name": str(number)}, Idempotency_Key=str(number))
    now = datetime.now(UTC)

    assert answers.prune_stored_answers(now + timedelta(hours=23), 10) == 0
    assert answers.prune_stored_answers(now + timedelta(hours=25), 2) == 2
    assert answers.prune_stored_answers(now + timedelta(hours=25), 2) == 1
    StoredAnswer.objects.all().delete()
    send(client, "POST", "destinations", {**HOOK, "name": "old"}, Idempotency_Key="k")
    StoredAnswer.objects.update(created_at=now - timedelta(hours=25))
    assert send(client, "POST", "destinations", {**HOOK, "name": "new"}, Idempotency_Key="k").status_code == 201


# --- dry_run ----------------------------------------------------------------------------------------
@pytest.mark.django_db(transaction=True)
def test_a_trial_answers_what_would_be_and_leaves_nothing(client: Client) -> None:
    made = send(client, "POST", "destinations?dry_run=true", HOOK, Idempotency_Key="abc")
    refused = send(client, "POST", "destinations?dry_run=true", {**HOOK, "type": "pigeon"})

    assert (made.status_code, made["Dry-Run"], refused.status_code) == (201, "true", 400)
    assert made.json()["name"] == "hook"
    assert "signing_secret" not in made.json()
    assert "ETag" not in made
    assert not Destination.objects.exists()
    assert not Destination.history.exists()
    assert not StoredAnswer.objects.exists()
    assert "Dry-Run" not in send(client, "POST", "destinations?dry_run=false", HOOK)
    assert Destination.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_what_follows_a_commit_does_not_follow_a_trial(client: Client) -> None:
    delivery = make_delivery(make_event(), make_destination())
    path = f"destinations/{delivery.destination_id}"

    tried = send(client, "DELETE", f"{path}?dry_run=true")
    assert (tried.status_code, tried["Dry-Run"]) == (204, "true")
    assert Delivery.objects.get().status == "pending"

    assert send(client, "DELETE", path).status_code == 204
    assert Delivery.objects.get().status == "cancelled"


def test_dry_run_says_yes_or_no_and_is_for_writes(client: Client) -> None:
    path = f"destinations/{make_destination().pk}"

    unclear = send(client, "POST", f"{path}/pause?dry_run=banana")
    reading = send(client, "GET", f"{path}?dry_run=true")

    assert (unclear.status_code, messages(unclear.json())) == (400, {"dry_run": "Must be true or false."})
    assert (reading.status_code, messages(reading.json()).keys()) == (400, {"dry_run"})
    assert not Destination.objects.get().paused


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("query", "headers"), [("", {}), ("?dry_run=true", {}), ("", {"Idempotency_Key": "abc"})], ids=str
)
def test_no_transaction_waits_for_a_name_server(
    client: Client, monkeypatch: pytest.MonkeyPatch, query: str, headers: dict[str, str]
) -> None:
    inside: list[bool] = []
    resolve = egress.resolve

    def watched(*args: Any, **kwargs: Any) -> Any:
        inside.append(connection.in_atomic_block)
        return resolve(*args, **kwargs)

    monkeypatch.setattr(egress, "resolve", watched)
    made = make_destination("other")
    inside.clear()
    refused = {**HOOK, "config": {"url": "http://169.254.169.254/"}}

    assert send(client, "POST", f"destinations{query}", refused, **headers).json()["code"] == "address_not_allowed"
    assert send(client, "POST", f"destinations{query}", HOOK, **headers).status_code == 201
    change = {"config": {"url": "http://127.0.0.2:18999/"}}
    assert send(client, "PATCH", f"destinations/{made.pk}{query}", change, **headers).status_code == 200
    more = {name: "def" for name in headers}
    many = {"destinations": [{**HOOK, "name": "3", "config": change["config"]}, {**HOOK, "name": "4"}]}
    assert send(client, "POST", f"destinations/batch-create{query}", many, **more).status_code == 201
    assert inside == [False] * 5


# --- ETag and If-Match ------------------------------------------------------------------------------
def test_every_answer_that_shows_one_destination_has_its_tag(client: Client) -> None:
    made = send(client, "POST", "destinations", HOOK)
    path = f"destinations/{made.json()['id']}"
    read = send(client, "GET", path)
    paused = send(client, "POST", f"{path}/pause")
    renamed = send(client, "PATCH", path, {"name": "two"})

    assert made["ETag"].startswith('"1-')
    assert read["ETag"] == made["ETag"]
    assert paused["ETag"].startswith('"2-')
    assert renamed["ETag"].startswith('"3-')
    assert "ETag" not in send(client, "GET", "destinations")


@pytest.mark.parametrize(
    ("method", "tail", "body", "status"),
    [
        ("PATCH", "", {"name": "two"}, 200),
        ("POST", "/pause", None, 200),
        ("DELETE", "", None, 204),
        ("POST", "/check", None, 200),
        ("POST", "/rotate-secret", {}, 200),
    ],
)
def test_a_write_may_be_for_one_version_only(client: Client, method: str, tail: str, body: Any, status: int) -> None:
    destination = make_destination()
    old = send(client, "GET", f"destinations/{destination.pk}")["ETag"]
    update_destination(destination, name="changed by somebody")
    path = f"destinations/{destination.pk}"

    refused = send(client, method, path + tail, body, If_Match=old)
    assert (refused.status_code, refused.json()["code"]) == (412, "version_conflict")
    assert "If-Match" in refused.json()["hint"]
    assert (stored(destination).name, stored(destination).version) == ("changed by somebody", 2)

    new = send(client, "GET", path)["ETag"]
    assert send(client, method, path + tail, body, If_Match=f'"x", {new}').status_code == status


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("*", 200),
        ('"1"', 200),
        ('"2"', 412),
        ('W/"1"', 412),
        ('"other"', 412),
        ('"2","1"', 200),
        ("1", 400),
        ('"1', 400),
        ("", 400),
        ('*, "1"', 400),
        ('"1" "2"', 400),
    ],
)
def test_if_match_is_read_as_http_says(client: Client, header: str, status: int) -> None:
    answer = send(client, "POST", f"destinations/{make_destination().pk}/pause", If_Match=header)

    assert answer.status_code == status
    if status == 400:
        assert messages(answer.json()).keys() == {"If-Match"}


def test_who_has_a_destination_already_is_sent_nothing(client: Client) -> None:
    destination = make_destination()
    path = f"destinations/{destination.pk}"
    tag = send(client, "GET", path)["ETag"]

    for header in (tag, f'"x", {tag}', f"W/{tag}", "*"):
        same = send(client, "GET", path, If_None_Match=header)
        assert (same.status_code, same.content, same["ETag"]) == (304, b"", tag)
    assert send(client, "GET", path, If_None_Match='"1"').status_code == 200
    assert send(client, "GET", path, If_None_Match="1").status_code == 400


def test_health_makes_a_new_tag_and_no_conflict(client: Client) -> None:
    destination = make_destination()
    path = f"destinations/{destination.pk}"
    tag = send(client, "GET", path)["ETag"]
    Destination.objects.filter(pk=destination.pk).update(consecutive_failures=3)

    assert send(client, "GET", path, If_None_Match=tag).json()["consecutive_failures"] == 3
    assert send(client, "PATCH", path, {"name": "two"}, If_Match=tag).status_code == 200


@pytest.mark.django_db(transaction=True)
def test_of_many_who_change_one_version_at_once_one_does(client: Client) -> None:
    path = f"destinations/{make_destination().pk}"

    answers = at_once(4, lambda: send(client, "POST", f"{path}/pause", If_Match='"1"'))

    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]
    assert Destination.objects.get().version == 2


# --- bodies -----------------------------------------------------------------------------------
def test_a_body_whose_length_was_not_said_is_read(hub: Hub) -> None:
    key = make_key(name="script", scopes=["deliveries:write"]).text
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    path = f"/api/v1/events/{make_event().pk}/resend"

    link = http.client.HTTPConnection("127.0.0.1", hub.server.port, timeout=10)
    link.request("POST", path, iter([b'{"destinations":', b' "none"}']), headers, encode_chunked=True)
    answer = link.getresponse()

    assert answer.status == 400, "not taken for a request without a body, which goes to every destination"
    assert messages(json.load(answer)).keys() == {"destinations"}
    link.request("POST", path, iter([b" " * 600_000] * 2), headers, encode_chunked=True)
    assert link.getresponse().status == 413
