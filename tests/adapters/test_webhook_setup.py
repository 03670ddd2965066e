"""Setting up a webhook destination, and checking it."""

import json
from typing import Any

import pytest
from terra.utils.verify_signature import verify_terra_webhook_signature

from destinations.adapters.base import StepStatus
from destinations.adapters.webhook import WebhookAdapter
from destinations.adapters.webhook_config import WebhookConfig, WebhookCredentials
from destinations.hosts import resolved_words
from destinations.specs import complete, load, problems_of, spec_fields
from tests.adapters.webhook_support import SECRET, make
from tests.sink import Sink

pytestmark = pytest.mark.databaseless


# --- check ---------------------------------------------------------------------------------------
def statuses(adapter: WebhookAdapter) -> dict[str, str]:
    found = {step.name: step.status.value for step in adapter.check()}
    adapter.close()
    return found


def test_a_check_posts_one_event_that_is_marked_as_a_test(sink: Sink) -> None:
    assert statuses(make(sink)) == {
        "resolve": "passed", "connect": "passed", "TLS": "warning", "authenticate": "skipped", "write": "passed",
    }  # fmt: skip
    (got,) = sink.requests()
    assert got.headers["x-terra-hub-test"] == "1"
    assert json.loads(got.body)["type"] == "healthcheck"
    assert verify_terra_webhook_signature(got.body.decode(), got.headers["terra-signature"], SECRET)


@pytest.mark.parametrize(
    ("path", "rule", "failed", "hint"),
    [
        ("/a", {"status": 403}, "authenticate", "allowed addresses"),
        ("/b", {"status": 404}, "write", "path of the URL"),
        ("/c", {"status": 308}, "write", "final address"),
        ("/d", {"status": 500}, "write", "log"),
        ("/e", {"mode": "close"}, "write", "log"),
    ],
)
def test_a_check_says_at_which_step_it_failed(
    sink: Sink, path: str, rule: dict[str, Any], failed: str, hint: str
) -> None:
    sink.behave(path, **rule)
    adapter = make(sink, path)
    steps = list(adapter.check())
    adapter.close()
    assert (steps[-1].name, steps[-1].status) == (failed, StepStatus.FAILED)
    assert hint in steps[-1].hint
    assert steps[0].status is StepStatus.PASSED


def test_a_check_tells_names_connections_and_certificates_apart(sink: Sink, tls_sink: Sink) -> None:
    assert statuses(make(sink, url="https://missing.invalid/")) == {"resolve": "failed"}
    assert statuses(make(sink, url="http://127.0.0.1:59999/")) == {"resolve": "passed", "connect": "failed"}
    untrusted = make(tls_sink, ca_certificate="")
    assert statuses(untrusted) == {"resolve": "passed", "connect": "passed", "TLS": "failed"}
    assert statuses(make(tls_sink))["TLS"] == "passed"


def test_the_look_up_says_nothing_twice(sink: Sink) -> None:
    """An address is not said to be itself."""
    assert next(iter(make(sink).check())).detail == "127.0.0.1 is an address: nothing is to be looked up."
    assert resolved_words("localhost", ["127.0.0.1", "::1"]) == "localhost is 127.0.0.1, ::1."


# --- setting up ----------------------------------------------------------------------------------
BAD_CONFIGS: list[tuple[dict[str, Any], str]] = [
    ({"url": "ftp://a.example/"}, "url"),
    ({"url": "https://user:pw@a.example/"}, "url"),
    ({"url": "https://0x7f.1/"}, "url"),
    ({"url": "https://a.example/?mode=1&api_key=abc"}, "url"),
    ({"url": "https://a.example/?sig=abc#x"}, "url"),
    ({"url": "https://a.example/?code=abc"}, "url"),
    ({"auth": "basic", "username": "a:b"}, "username"),
    ({"auth": "basic", "username": "a\x07b"}, "username"),
    ({"auth": "header", "auth_header": "terra-signature"}, "auth_header"),
    ({"auth": "header", "auth_header": "X Key"}, "auth_header"),
    ({"auth": "header", "auth_header": "X-Key", "headers": {"x-key": "1"}}, "headers"),
    ({"headers": {f"X-{number}": "1" for number in range(33)}}, "headers"),
    ({"ca_certificate": "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----"}, "ca_certificate"),
    ({"ca_certificate": "hello"}, "ca_certificate"),
    *(({"headers": {name: "1"}}, "headers") for name in (
        "Authorization", "Cookie", "X-Api-Key", "apikey", "X-Auth", "X-Auth-Token", "Private-Token", "Client_Secret",
        "X-Password", "X-Functions-Key", "X-Hub-Signature",
        "Host", "content-length", "Content-Type", "Connection", "Transfer-Encoding", "TE",
        "Upgrade", "Proxy-Authorization", "Expect", "User-Agent", "terra-signature", "Terra-Reference", "dev-id",
        "X-Terra-Trace-Id", "webhook-id", "Webhook-Signature", "", "X Y", "X:Y", "X\r\nY", "Ü", "X-A\x00",
    )),
    *(({"headers": {"X-A": value}}, "headers") for value in (
        "", " ", "a\r\nX-Evil: 1", "a\nb", "a\x00b", "a\x7fb", "ü", "x" * 2049, " padded",
    )),
]  # fmt: skip


@pytest.mark.parametrize(("values", "field"), BAD_CONFIGS)
def test_a_config_that_would_break_or_forge_a_request_is_refused(values: dict[str, Any], field: str) -> None:
    found = WebhookAdapter.validate(load(WebhookConfig, {"url": "https://a.example/", **values}))
    assert list(found) == [field]
    assert found[field]


@pytest.mark.parametrize(
    ("auth", "config_fields", "credential_fields"),
    [
        ("none", set(), set()),
        ("basic", {"username"}, {"password"}),
        ("bearer", set(), {"token"}),
        ("header", {"auth_header"}, {"token"}),
    ],
)  # fmt: skip
def test_what_the_chosen_authentication_needs_is_required(
    auth: str, config_fields: set[str], credential_fields: set[str]
) -> None:
    config = {"url": "https://a.example/", "auth": auth, "username": "", "auth_header": ""}
    whole = complete(WebhookConfig, config)
    found = problems_of(WebhookConfig, config), problems_of(WebhookCredentials, {"signing_secret": "s"}, whole)
    assert (set(found[0]), set(found[1])) == (config_fields, credential_fields)
    for text in {**found[0], **found[1]}.values():
        assert f"required where auth is {'bearer or header' if auth == 'bearer' else ''}" in text


@pytest.mark.parametrize("name", ["X-A", "X_a", "x.a", "Accept", "traceparent", "X-Author", "X-Monkey"])
def test_other_headers_are_fine(name: str) -> None:
    assert WebhookAdapter.validate(WebhookConfig("https://a.example/", headers={name: "a b; c"})) == {}


@pytest.mark.parametrize("token", ["a\r\nX: y", "a\nb", "tökén", "a\x00", " "])
def test_a_token_that_no_header_can_carry_is_refused(token: str) -> None:
    assert "token" in problems_of(WebhookCredentials, {"token": token})


def test_the_hubs_own_fields_of_a_rotation_are_shown_to_nobody() -> None:
    assert {field.name for field in spec_fields(WebhookCredentials)} == {
        "signing_secret", "password", "token", "secret_headers", "secret_query",
    }  # fmt: skip
    assert "previous_signing_secret" in problems_of(WebhookCredentials, {"previous_signing_secret": "x"})
    assert load(WebhookCredentials, {"previous_signing_secret": "x"}).previous_signing_secret == "x"


def test_the_set_up_text_says_how_to_verify() -> None:
    text = WebhookAdapter.setup(WebhookConfig("https://a.example/hooks/terra?token=secret"))
    assert "POST to /hooks/terra " in text
    assert "verify_terra_webhook_signature" in text
    assert "standardwebhooks" in text
    assert "secret?" not in text
    assert "s3_payload" in WebhookAdapter.setup(WebhookConfig("https://a.example/", delivery="ping"))
