"""Whatever is sent to the API, it answers as documented: never with a failure of the hub's own."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.api_support import PROBLEM, Api, make_delivery, make_destination, make_event

pytestmark = pytest.mark.django_db

KNOWN = st.sampled_from(["\x00", "\ud800", "http://127.0.0.1:18999/", "webhook"])
TEXT = st.text(st.characters(codec=None), max_size=20) | KNOWN
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
FIELDS = [
    "type", "name", "config", "credentials", "active", "paused", "event_types", "sources", "schedule", "timeout_s",
    "concurrency", "disable_after_hours", "ids", "destinations", "grace_s",
]  # fmt: skip
PARAMETERS = [
    "limit", "cursor", "since", "until", "provider", "data_type", "destination", "outcome", "user_id", "reference_id",
    "event_id", "status", "event", "type", "active", "paused", "format",
]  # fmt: skip
HOOK = {"type": "webhook", "name": "hook", "config": {"url": "http://127.0.0.1:18999/"}}
FIELDS_OF_ANY_VALUE = st.dictionaries(st.sampled_from(FIELDS), VALUE, max_size=6)
NEARLY_RIGHT = st.dictionaries(st.sampled_from(FIELDS), VALUE, max_size=2).map(lambda change: HOOK | change)
SLOW = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def client() -> Client:
    return Api(superuser=True).client


def check(response: Any, path: str) -> None:
    assert response.status_code < 500, (path, response.content)
    wanted = PROBLEM if response.status_code >= 400 else "application/json"
    assert response.status_code == 204 or response["Content-Type"] == wanted
    assert response.status_code == 204 or response.json()


@SLOW
@given(path=st.integers(0, 5), body=FIELDS_OF_ANY_VALUE | NEARLY_RIGHT | VALUE)
@example(path=0, body={**HOOK, "credentials": {"signing_secret": "\ud800"}})
@example(path=0, body={**HOOK, "name": "\ud800"})
@example(path=0, body={**HOOK, "config": {"\ud800": "named in the answer"}})
@example(path=0, body={**HOOK, "config": {"url": "http://127.0.0.1:18999/", "headers": {"a\x00": "b"}}})
@example(path=0, body={**HOOK, "concurrency": 10**400})
@example(path=0, body={**HOOK, "schedule": [1e308, 10**400]})
@example(path=3, body={"grace_s": 10**400})
@example(path=4, body={"ids": [2**63]})
def test_no_body_makes_the_hub_fail(client: Client, path: int, body: Any) -> None:
    destination = make_destination(f"hook {make_event().pk}")
    delivery = make_delivery(make_event(), destination)
    paths = [
        "destinations", f"destinations/{destination.pk}", f"events/{delivery.event_id}/resend",
        f"destinations/{destination.pk}/rotate-secret", "deliveries/resend", f"deliveries/{delivery.pk}/resend",
    ]  # fmt: skip
    method = "PATCH" if path == 1 else "POST"

    check(client.generic(method, f"/api/v1/{paths[path]}", json.dumps(body), "application/json"), paths[path])


@SLOW
@given(
    path=st.sampled_from(["events", "deliveries", "destinations", "destination-types"]),
    query=st.dictionaries(st.sampled_from(PARAMETERS) | TEXT, TEXT, max_size=3),
)
@example(path="events", query={"since": "0001-01-01T00:00:00Z"})
@example(path="events", query={"until": "9999-12-31T23:59:59-23:59"})
@example(path="deliveries", query={"cursor": "OTk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5"})
@example(path="events", query={"user_id": "\ud800"})
@example(path="events", query={"data_type": "x" * 5000})
def test_no_parameter_makes_the_hub_fail(client: Client, path: str, query: dict[str, str]) -> None:
    check(client.get(f"/api/v1/{path}?{urlencode(query, errors='surrogatepass')}"), f"{path} {query}")
