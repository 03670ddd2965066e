"""Headers and query parameters of a webhook whose values are secret."""

import json
from typing import Any

import pytest

from destinations.adapters.base import Outcome
from destinations.adapters.webhook import WebhookAdapter
from destinations.adapters.webhook_config import WebhookConfig, WebhookCredentials, problems
from destinations.specs import clean_values, load, problems_of
from tests.adapters.webhook_support import deliver
from tests.sink import Sink
from webhooks.admin.curl import curl_of

pytestmark = pytest.mark.databaseless

SECRETS = {"secret_headers": '{"X-Api-Key": "k3y-of-ours", "Authorization": "Token t0k-of-ours"}',
           "secret_query": '{"sig": "a%2Fb-of-ours"}'}  # fmt: skip


def stored(field: str, value: Any) -> Any:
    """Return what is stored of a field that is sent."""
    return clean_values(WebhookCredentials, {field: value})[field]


def problem(field: str, value: Any) -> str:
    return problems_of(WebhookCredentials, clean_values(WebhookCredentials, {field: value})).get(field, "")


@pytest.mark.parametrize("url", ["/hook", "/hook?mode=1", "/hook?mode=1#part"])
def test_they_are_sent_as_they_were_typed(sink: Sink, url: str) -> None:
    assert deliver(sink, url, headers={"X-Team": "blue"}, **SECRETS).outcome is Outcome.DELIVERED
    got = sink.requests()[0]
    sent = {name: got.headers[name] for name in ("x-api-key", "authorization", "x-team")}
    assert sent == {"x-api-key": "k3y-of-ours", "authorization": "Token t0k-of-ours", "x-team": "blue"}
    query = "mode=1&sig=a%2Fb-of-ours" if "mode" in url else "sig=a%2Fb-of-ours"
    assert got.head.startswith(f"POST /hook?{query} HTTP/1.1\r\n".encode())


def test_the_log_and_the_curl_copy_have_their_names_and_not_their_values(sink: Sink) -> None:
    sink.behave("/hook", status=500, body="k3y-of-ours a%2Fb-of-ours a/b-of-ours Token t0k-of-ours!")
    result = deliver(sink, "/hook", **SECRETS)
    assert result.request["url"] == sink.url("/hook?sig=****")
    assert result.request["headers"]["X-Api-Key"] == result.request["headers"]["Authorization"] == "****"
    assert result.response["body"] == "**** **** **** ****!"
    curl = curl_of(result.request, "event.json")
    assert "${X_API_KEY}" in curl
    assert "of-ours" not in json.dumps([dict(result.request), dict(result.response), curl, result.detail])


def test_what_is_in_clear_from_before_goes_on_being_sent_and_is_masked(sink: Sink) -> None:
    result = deliver(sink, "/hook?token=0ld-token", headers={"X-Api-Key": "0ld-key", "X-Jwt": "0ld-jwt"})
    got = sink.requests()[0]
    assert (got.headers["x-api-key"], got.headers["x-jwt"]) == ("0ld-key", "0ld-jwt")
    assert b"/hook?token=0ld-token " in got.head
    assert "0ld" not in json.dumps([dict(result.request), dict(result.response)])


@pytest.mark.parametrize("value", [
    {"X-Api-Key": "a b", "X-B": "c:d"}, '{"X-Api-Key": "a b", "X-B": "c:d"}', "X-Api-Key: a b\r\n\n  X-B :  c:d \n",
])  # fmt: skip
def test_they_may_come_as_an_object_as_json_or_as_lines(value: Any) -> None:
    once = stored("secret_headers", value)
    assert json.loads(once) == {"X-Api-Key": "a b", "X-B": "c:d"}
    assert stored("secret_headers", once) == once
    assert problem("secret_headers", once) == ""


@pytest.mark.parametrize("value", [
    "canary", "X-A: canary\ncanary", '{"canary": ', "[1]", ["canary"], 7, {"X-A": 7}, {"X-A": {"canary": "b"}},
    "{" * 60_000,
    "X-A: canary\nx-a: canary", '{"X-A": "canary", "x-a": "b"}', {"X-A": ""}, {"X-A": "canary\nX-B: 1"},
    {"X A": "canary"}, {"": "canary"}, {"Host": "canary"}, {"terra-signature": "canary"}, {"X-A": "canary\x00"},
    {"X-A": "canary-ü"},
    {"X-A": "c" * 4097}, {f"X-{number}": "canary" for number in range(33)}, "X-A: " + "c" * 70_000,
])  # fmt: skip
def test_what_no_header_can_be_is_refused_without_its_value(value: Any) -> None:
    said = problem("secret_headers", value)
    assert said
    assert "canary" not in said.replace("'canary' is not a header name", "")


@pytest.mark.parametrize("value", [
    {"a": "b&c=d"}, {"a": "b#c"}, {"a": "b c"}, {"a=b": "c"}, {"a&b": "c"}, {"#": "c"}, {"a": ""}, {"": "c"},
    {"a": "ü"}, "a=b",
])  # fmt: skip
def test_what_no_query_can_be_is_refused(value: Any) -> None:
    assert problem("secret_query", value)


@pytest.mark.parametrize("value", [{"a": "b=c;d/e?f+%20"}, {"token[]": "x"}, {"api.key": "x"}, ""])
def test_other_parameters_are_fine(value: Any) -> None:
    assert problem("secret_query", value) == ""


@pytest.mark.parametrize(("config", "by"), [
    ({"auth": "bearer"}, "the authentication"),
    ({"auth": "header", "auth_header": "x-api-key"}, "the authentication"),
    ({"headers": {"x-api-KEY": "1"}}, "the headers"),
])  # fmt: skip
def test_a_header_that_would_be_sent_twice_is_refused(config: dict[str, Any], by: str) -> None:
    credentials = load(WebhookCredentials, SECRETS)
    found = WebhookAdapter.validate_credentials(
        load(WebhookConfig, {"url": "https://a.example/", **config}), credentials
    )
    assert list(found) == ["secret_headers"]
    assert by in found["secret_headers"]
    assert WebhookAdapter.validate_credentials(WebhookConfig("https://a.example/"), credentials) == {}


@pytest.mark.parametrize(("name", "value"), [
    ("X-Functions-Code", "a"), ("X-Passphrase", "a"), ("X-Pin", "1234"), ("X-Access", "Bearer abc"),
    ("X-Of", "basic YQ=="),
])  # fmt: skip
def test_a_header_in_clear_that_plainly_is_a_credential_is_refused_with_where_it_goes(name: str, value: str) -> None:
    config = WebhookConfig(url="https://a.example/hook", headers={name: value})
    assert "Secret headers" in dict(problems(config))["headers"]


def test_a_header_in_clear_that_is_none_is_taken() -> None:
    config = WebhookConfig(url="https://a.example/hook", headers={"X-Country-Code": "DE", "X-Kind": "basic"})
    assert dict(problems(config)) == {}
