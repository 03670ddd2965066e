"""Bodies of requests: what takes no fields refuses each, and nothing in JSON is said twice."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from tests.api_support import Api, check_problem, make_delivery, make_destination, make_event, messages, stored
from webhooks.models import Delivery

pytestmark = [pytest.mark.django_db, pytest.mark.databaseless]


def bare() -> Iterator[tuple[str, str]]:
    """Yield the operations whose schema has no body, and that write."""
    schema = Client().get("/api/v1/schema", headers={"Accept": "application/json"}).json()
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            if method not in ("get", "head") and "requestBody" not in operation:
                yield method.upper(), path.replace("{id}", "1").replace("{slug}", "main")


@pytest.fixture
def client() -> Client:
    return Api(superuser=True).client


def send(client: Client, method: str, path: str, body: str, **headers: str) -> Any:
    return client.generic(method, path, body, "application/json", headers=headers)


def test_what_takes_no_fields_refuses_each(client: Client) -> None:
    operations = list(bare())

    for method, path in operations:
        named = send(client, method, path, '{"foo": 1}')
        broken = send(client, method, path, "{bad")
        listed = send(client, method, path, "[]")

        assert (named.status_code, messages(named.json())) == (400, {"foo": "This request takes no fields."}), path
        assert (broken.status_code, broken.json()["code"]) == (400, "parse_error"), path
        assert (listed.status_code, messages(listed.json())) == (400, {"": "This request takes no fields."}), path
        check_problem(named, named.json())
        for right in ("", "{}", " { } "):
            assert send(client, method, path, right).status_code != 400, path
    assert {path.rpartition("/")[2] for _, path in operations} >= {"pause", "resume", "resend", "cancel", "verify"}
    assert len(operations) > 15


@pytest.mark.parametrize("body", ['{"foo": 1}', "{bad", "[]", "null", "\xff"])
def test_nothing_is_done_where_a_field_was_sent_in_vain(client: Client, body: str) -> None:
    delivery = make_delivery(make_event(), make_destination(), "dead")

    refused = send(client, "POST", f"/api/v1/deliveries/{delivery.pk}/resend", body, **{"Idempotency-Key": "a"})

    assert refused.status_code == 400
    assert Delivery.objects.get().status == "dead"


def test_an_empty_object_is_no_field(client: Client) -> None:
    destination = make_destination()

    for body in ("", "{}"):
        key = {"Idempotency-Key": f"with {body}"}
        answer = send(client, "POST", f"/api/v1/destinations/{destination.pk}/pause", body, **key)
        assert answer.status_code == 200
    assert stored(destination).paused


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ('{"name": "b", "name": "c"}', '"name"'),
        ('{"config": {"url": "http://127.0.0.1/a", "url": "http://127.0.0.1/b"}}', '"url"'),
        (r'{"\ud800": 1, "\ud800": 2}', r'"\ud800"'),
    ],
)
def test_a_member_that_comes_twice_is_refused(client: Client, body: str, name: str) -> None:
    destination = make_destination("a")

    answer = send(client, "PATCH", f"/api/v1/destinations/{destination.pk}", body)

    assert (answer.status_code, answer.json()["code"]) == (400, "parse_error")
    assert f"{name} comes twice" in answer.json()["detail"]
    assert stored(destination).name == "a"


def test_the_detail_of_a_refusal_names_each_field() -> None:
    body = {"type": "s3", "name": "a", "config": {}, "credentials": {}}

    problem = Api(superuser=True).post("destinations", body, 400)

    assert len(problem["errors"]) > 1
    assert problem["detail"] == "; ".join(f"{one['field']}: {one['message']}" for one in problem["errors"])
    assert "config.bucket: " in problem["detail"]
