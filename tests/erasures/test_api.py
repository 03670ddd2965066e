"""Erasures over the API: planned, started, looked at, cancelled; never by a key that is limited to sources."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client

from destinations.access.keys import make_key
from destinations.models import Destination
from tests.api_support import Api, make_database, messages
from tests.erasures.stage import IDS, NEW, OLD, REFERENCE, carried_on, everything_of_alice, kept_event
from tests.keys_support import limited_later
from webhooks.keeping.erasures import jobs
from webhooks.keeping.erasures.people import Person
from webhooks.models import Erasure, Event, Source

pytestmark = pytest.mark.django_db
ERASE = ("webhooks.view_erasure", "webhooks.add_erasure", "webhooks.change_erasure")


@pytest.fixture
def api() -> Api:
    return Api(*ERASE)


def test_a_dry_run_counts_and_starts_nothing(api: Api, source: Source, hook: Destination) -> None:
    everything_of_alice(source, hook)
    said = api.post("erasures?dry_run=true", {"reference_id": REFERENCE, "destinations": "all"})
    assert said["user_ids"] == 2
    assert (said["counts"]["events"], said["counts"]["pending"], said["counts"]["quarantine"]) == (6, 2, 4)
    assert said["destinations"] == [
        {
            "id": str(hook.pk), "name": "hook", "type": "webhook", "delivered": 1, "unconfirmed": 3, "erases": False,
            "chosen": True,
        }
    ]  # fmt: skip
    assert not Erasure.objects.exists()
    assert Event.objects.count() == 6


def test_a_note_tells_those_that_wait_apart_and_stays_when_the_person_is_gone(api: Api) -> None:
    kept_event(NEW)
    for number in (1, 2):
        body = {"user_id": f"somebody-{number}", "starts_at": "2099-01-01T00:00:00Z", "note": f" OPS-{number} "}
        assert api.post("erasures", body, 202)["note"] == f"OPS-{number}"
    assert [one["note"] for one in api.get("erasures")["data"]] == ["OPS-2", "OPS-1"]

    started = api.post("erasures", {"user_id": NEW, "note": "OPS-3"}, 202)
    row = carried_on(Erasure.objects.get(pk=started["id"]))
    assert (row.status, row.note, "OPS-3" in str(row.receipt)) == ("done", "OPS-3", False)
    assert api.post("erasures", {"user_id": "nobody-here"}, 202)["note"] == ""


@pytest.mark.parametrize("note", [f"asked by {REFERENCE}", f"({NEW.upper()})", OLD, "x" * 201, "a\x00b"])
def test_a_note_that_names_the_person_or_is_no_text_is_refused(
    api: Api, source: Source, hook: Destination, note: str
) -> None:
    everything_of_alice(source, hook)
    problem = api.post("erasures", {"reference_id": REFERENCE, "note": note}, 400)
    assert list(messages(problem)) == ["note"]
    assert not Erasure.objects.exists()


def test_one_that_is_done_shows_its_receipt_and_never_the_person(api: Api, source: Source, hook: Destination) -> None:
    everything_of_alice(source, hook)
    started = api.post("erasures", {"user_id": NEW, "destinations": [str(hook.pk)]}, 202)
    assert (started["status"], started["receipt"], started["created_by"]) == ("running", {}, api.user.username)
    carried_on(Erasure.objects.get())

    shown = api.get(f"erasures/{started['id']}")

    assert (shown["status"], shown["counts"]["events"], shown["keeps_away"]) == ("done", 5, True)
    assert shown["receipt"]["counts"]["attempts"] == 4
    assert [one["status"] for one in shown["destinations"]] == ["cannot"]
    assert shown["destinations"][0]["detail"] == "webhook: cannot be erased from here; its owner has to."
    assert not any(one in str(shown) for one in IDS)
    assert [one["id"] for one in api.get("erasures")["data"]] == [started["id"]]
    assert shown["removed"] == sum(
        shown["counts"][name] for name in ("events", "payloads", "deliveries", "attempts", "quarantine")
    )
    assert api.post(f"erasures/{started['id']}/lift")["keeps_away"] is False
    assert api.post(f"erasures/{started['id']}/lift", None, 409)["code"] == "conflict"
    assert api.post(f"erasures/{started['id']}/cancel", None, 409)["code"] == "conflict"


def test_the_number_of_many_users_is_sent_to_erase_them(api: Api) -> None:
    for number in range(6):
        kept_event(f"user-{number}", reference_id="undefined")
    count = api.post("erasures?dry_run=true", {"reference_id": "undefined"})["user_ids"]
    problem = api.post("erasures", {"reference_id": "undefined"}, 409)
    assert (problem["code"], "confirm 6 users" in problem["hint"]) == ("count_not_confirmed", True)
    assert not Erasure.objects.exists()
    api.post("erasures", {"reference_id": "undefined", "confirmed_users": count}, 202)


def test_what_remains_elsewhere_is_told_though_nobody_was_asked(api: Api, source: Source, hook: Destination) -> None:
    everything_of_alice(source, hook)
    started = api.post("erasures", {"user_id": NEW}, 202)
    assert started["destinations"] == []
    carried_on(Erasure.objects.get())
    (said,) = api.get(f"erasures/{started['id']}")["destinations"]
    assert (said["id"], said["status"], said["delivered"]) == (str(hook.pk), "not_asked", 1)


def test_one_that_waits_can_be_cancelled(api: Api) -> None:
    started = api.post("erasures", {"user_id": NEW, "starts_at": "2100-01-01T00:00:00Z"}, 202)
    assert started["status"] == "waiting"
    assert api.post(f"erasures/{started['id']}/cancel")["status"] == "cancelled"
    assert api.post(f"erasures/{started['id']}/resume", {}, 409)["code"] == "conflict"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "user_id"),
        ({"user_id": ""}, "user_id"),
        ({"user_id": "   "}, "user_id"),
        ({"reference_id": ""}, "reference_id"),
        ({"reference_id": "\t"}, "reference_id"),
        ({"user_id": NEW, "reference_id": ""}, "reference_id"),
        ({"user_id": NEW, "reference_id": REFERENCE}, "user_id"),
        ({"user_id": "x" * 256}, "user_id"),
        ({"user_id": NEW, "destinations": "some"}, "destinations"),
        ({"user_id": NEW, "destinations": [1]}, "destinations"),
        ({"user_id": NEW, "destinations": ["not-an-id"]}, "destinations"),
        ({"user_id": NEW, "destinations": ["019a6f2e-5c1a-7d52-9b7e-2f3c8a4d1e60"]}, "destinations"),
        ({"user_id": NEW, "who": "me"}, "who"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(api: Api, body: Any, field: str) -> None:
    assert list(messages(api.post("erasures", body, 400))) == [field]


def test_a_key_that_is_limited_to_sources_erases_nobody_and_sees_no_erasure(source: Source) -> None:
    limited = _client(["erase"], [source.slug])
    for status in (
        limited.get("/api/v1/erasures"),
        limited.post("/api/v1/erasures", {"user_id": NEW}, "application/json"),
    ):
        assert (status.status_code, status.json()["code"]) == (403, "limited_to_sources")
    assert not Erasure.objects.exists()
    assert _client(["erase"], []).post("/api/v1/erasures", {"user_id": NEW}, "application/json").status_code == 202
    assert _client(["events:read"], []).get("/api/v1/erasures").json()["code"] == "scope_missing"


def test_the_same_request_twice_is_one_erasure(api: Api) -> None:
    headers = {"HTTP_IDEMPOTENCY_KEY": "once"}
    answers = [
        api.client.post("/api/v1/erasures", {"user_id": NEW}, "application/json", **headers).json() for _ in range(2)
    ]
    assert answers[0] == answers[1]
    assert Erasure.objects.count() == 1


def test_all_means_every_destination_that_is_there(api: Api) -> None:
    db = make_database("db")
    assert api.post("erasures", {"user_id": NEW, "destinations": "all"}, 202)["destinations"] == [
        {
            "id": str(db.pk), "status": "waiting", "delivered": 0, "unconfirmed": 0, "erased": 0, "tries": 0,
            "detail": "", "hint": "",
        }
    ]  # fmt: skip


def _client(scopes: list[str], sources: list[str]) -> Client:
    key = limited_later(make_key(name="test", scopes=scopes), sources).text
    return Client(headers={"authorization": f"Bearer {key}"})


def test_an_idempotent_request_looks_for_old_ids_outside_a_transaction_and_starts_one_job(
    api: Api, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    depths: list[int] = []

    def find(person: Person) -> Person:
        depths.append(len(connection.savepoint_ids))
        return person

    monkeypatch.setattr(jobs, "find", find)

    def post() -> Any:
        return api.client.post(
            "/api/v1/erasures", {"user_id": NEW}, "application/json", headers={"Idempotency-Key": "once"}
        )

    outside = len(connection.savepoint_ids)
    first, second = post(), post()
    assert (first.status_code, second.status_code, second.headers["Idempotent-Replayed"]) == (202, 202, "true")
    assert first.json()["id"] == second.json()["id"] == str(Erasure.objects.get().pk)
    assert depths == [outside]
