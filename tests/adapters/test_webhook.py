"""What a receiver gets from a webhook destination."""

import base64
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from terra.utils.verify_signature import WebhookVerificationError as TerraVerificationError
from terra.utils.verify_signature import verify_terra_webhook_signature

from destinations.adapters.base import Effect, Outcome, StepStatus
from destinations.adapters.webhook import WebhookAdapter
from tests.adapters.contract import CANARY, AdapterContract, Site, Stored, event, sample_events
from tests.adapters.webhook_support import LOCAL, SECRET, deliver, make
from tests.sink import Received, Sink

pytestmark = pytest.mark.databaseless


class TestWebhookContract(AdapterContract):
    """The suite of every type, over TLS with a private CA and a bearer token."""

    @pytest.fixture
    def site(self, tls_sink: Sink) -> Site:
        tls_sink.clear()
        tls_sink.behave("/denied", status=401, body=f"no: {CANARY}-token {CANARY}-key {CANARY}-code")
        config = {"url": tls_sink.url(), "auth": "bearer", "ca_certificate": tls_sink.ca_pem}
        return Site(
            kind=WebhookAdapter,
            config=config,
            credentials={
                "signing_secret": f"whsec-{CANARY}",
                "token": f"{CANARY}-token",
                "secret_headers": json.dumps({"X-Api-Key": f"{CANARY}-key"}),
                "secret_query": json.dumps({"code": f"{CANARY}-code"}),
            },
            policy=LOCAL,
            read_back=lambda: [stored(got) for got in tls_sink.requests() if "x-terra-hub-test" not in got.headers],
            repeats_leave_one=False,
            unreachable={"url": "https://127.0.0.1:7/".replace(":7", ":59999")},
            wrong_config={"url": tls_sink.url("/denied")},
            wrong_credentials={},
            wrong_step="authenticate",
        )


def stored(got: Received) -> Stored:
    return Stored(got.headers["webhook-id"], got.body)


# --- what the receiver gets ---------------------------------------------------------------------
def test_both_kinds_of_receivers_accept_every_sample(sink: Sink) -> None:
    batch = sample_events()
    assert len(batch) > 30
    adapter = make(sink)
    assert {result.outcome for result in adapter.deliver(batch)} == {Outcome.DELIVERED}
    adapter.close()
    got = {one.headers["webhook-id"]: one for one in sink.requests()}
    for message in batch:
        received = got[message.event_id]
        assert received.body == message.body
        assert verify_terra_webhook_signature(received.body.decode(), received.headers["terra-signature"], SECRET)
        assert Webhook(SECRET).verify(received.body, received.headers) == json.loads(message.body)


def test_a_receiver_with_another_secret_refuses(sink: Sink) -> None:
    deliver(sink)
    got = sink.requests()[0]
    with pytest.raises(TerraVerificationError):
        verify_terra_webhook_signature(got.body.decode(), got.headers["terra-signature"], "other")
    with pytest.raises(WebhookVerificationError):
        Webhook("whsec_b3RoZXI=").verify(got.body, got.headers)


@pytest.mark.parametrize("secret", ["66142e0c2960f788b19830807d4aa25cfd27a610ec65fd36", "an old secret, größer"])
def test_a_secret_of_the_operators_own_verifies_as_its_help_says(sink: Sink, secret: str) -> None:
    deliver(sink, signing_secret=secret)
    got = sink.requests()[0]
    assert verify_terra_webhook_signature(got.body.decode(), got.headers["terra-signature"], secret)
    passed = secret if secret.isalnum() else secret.encode()
    assert Webhook(passed).verify(got.body, got.headers)


def test_terras_headers_are_handed_on_as_received(sink: Sink) -> None:
    headers = {
        "terra-reference": "ref 1",
        "x-terra-trace-id": "trace:chunk:2",
        "x-terra-ordering-timestamp": "1669742999123",
        "dev-id": "testing-abc",
        "hook-type": "WEBHOOK",
        "cookie": "no",
    }
    adapter = make(sink)
    adapter.deliver([event(headers=headers)])
    adapter.close()
    got = sink.requests()[0]
    for name in ("terra-reference", "x-terra-trace-id", "x-terra-ordering-timestamp", "dev-id"):
        assert got.headers[name] == headers[name]
    assert "hook-type" not in got.headers
    assert "cookie" not in got.headers
    assert got.headers["content-type"] == "application/json"
    assert b"\r\nX-Terra-Trace-Id: trace:chunk:2\r\n" in got.head


def test_a_received_header_cannot_add_another(sink: Sink) -> None:
    adapter = make(sink)
    adapter.deliver([event(headers={"terra-reference": "a\r\nX-Injected: 1\x00"})])
    adapter.close()
    assert "x-injected" not in sink.requests()[0].headers
    assert sink.requests()[0].headers["terra-reference"] == "a  X-Injected: 1"


def test_a_repeat_carries_the_same_id_and_a_fresh_signature(sink: Sink) -> None:
    """T38: the receiver took the event, and its answer was lost on the way."""
    sink.behave("/hook", mode="close", times=1)
    adapter = make(sink)
    message = event()
    first, second = adapter.deliver([message])[0], adapter.deliver([message])[0]
    adapter.close()
    assert (first.outcome, first.code, first.effect) == (Outcome.RETRY, "connection_closed", Effect.FAILURE)
    assert second.outcome is Outcome.DELIVERED
    assert [got.headers["webhook-id"] for got in sink.requests()] == [message.event_id] * 2
    assert {got.body for got in sink.requests()} == {message.body}


def test_during_a_rotation_both_secrets_verify_and_afterwards_the_new_one_alone(sink: Sink) -> None:
    old = "whsec_" + base64.b64encode(b"o" * 32).decode()
    for ends_in, old_passes in ((timedelta(hours=1), True), (timedelta(seconds=-1), False)):
        sink.clear()
        until = (datetime.now(UTC) + ends_in).isoformat()
        deliver(sink, previous_signing_secret=old, previous_valid_until=until)
        got = sink.requests()[0]
        assert got.headers["terra-signature"].count("v1=") == got.headers["webhook-signature"].count("v1,")
        assert _verified(got, SECRET)
        assert _verified(got, old) == old_passes


def test_a_previous_secret_without_a_readable_end_is_not_used(sink: Sink) -> None:
    deliver(sink, previous_signing_secret="old", previous_valid_until="tomorrow")
    assert sink.requests()[0].headers["terra-signature"].count("v1=") == 1


def test_an_adapter_stops_using_the_previous_secret_while_it_runs(sink: Sink) -> None:
    until = (datetime.now(UTC) + timedelta(seconds=0.3)).isoformat()
    adapter = make(sink, previous_signing_secret="old", previous_valid_until=until)
    adapter.deliver([event()])
    sink.behave("/hook", delay=0.4, times=1)
    adapter.deliver([event()])
    adapter.deliver([event()])
    adapter.close()
    counts = [got.headers["terra-signature"].count("v1=") for got in sink.requests()]
    assert (counts[0], counts[-1]) == (2, 1)


def _verified(got: Received, secret: str) -> bool:
    passes = []
    with suppress(TerraVerificationError):
        passes.append(verify_terra_webhook_signature(got.body.decode(), got.headers["terra-signature"], secret))
    with suppress(WebhookVerificationError):
        passes.append(bool(Webhook(secret).verify(got.body, got.headers)))
    assert len(passes) in (0, 2)
    return bool(passes)


def test_a_ping_links_to_the_event_and_is_signed_like_one(sink: Sink) -> None:
    adapter = make(sink, delivery="ping")
    message = event(reference_id="ref-1")
    assert adapter.wants_payload_url()
    assert adapter.deliver([message])[0].outcome is Outcome.DELIVERED
    adapter.close()
    got = sink.requests()[0]
    assert json.loads(got.body) == {
        "type": "s3_payload",
        "status": "success",
        "url": message.payload_url,
        "expires_in": None,
        "payload_reference": message.event_id,
        "event_type": "activity",
        "user_id": message.user_id,
        "reference_id": "ref-1",
    }
    assert verify_terra_webhook_signature(got.body.decode(), got.headers["terra-signature"], SECRET)
    assert not make(sink).wants_payload_url()


@pytest.mark.parametrize(
    ("values", "name", "sent"),
    [
        ({"auth": "basic", "username": "hub", "password": "pä:ss"}, "authorization", "Basic aHViOnDDpDpzcw=="),
        ({"auth": "bearer", "token": "tok-123"}, "authorization", "Bearer tok-123"),
        ({"auth": "header", "auth_header": "X-Api-Key", "token": "key 1"}, "x-api-key", "key 1"),
        ({"auth": "none", "token": "unused", "password": "unused"}, "authorization", None),
        ({"headers": {"X-Team": "blue"}}, "x-team", "blue"),
    ],
)  # fmt: skip
def test_what_the_receiver_asks_for_is_sent(sink: Sink, values: dict[str, Any], name: str, sent: str | None) -> None:
    assert deliver(sink, **values).outcome is Outcome.DELIVERED
    assert sink.requests()[0].headers.get(name) == sent


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        ({"auth": "basic", "username": "hub"}, "password"),
        ({"auth": "bearer"}, "token"),
        ({"auth": "header", "auth_header": "X-Key"}, "token"),
        ({"signing_secret": ""}, "signing secret"),
    ],
)
def test_nothing_is_sent_without_the_secret_that_it_needs(sink: Sink, values: dict[str, Any], missing: str) -> None:
    adapter = make(sink, **values)
    (result,) = adapter.deliver([event()])
    steps = list(adapter.check())
    assert (result.outcome, result.code) == (Outcome.RETRY, "credentials_missing")
    assert missing in result.hint
    assert (steps[-1].name, steps[-1].status) == ("authenticate", StepStatus.FAILED)
    assert sink.count() == 0


def test_a_message_that_stands_twice_in_a_batch_gets_both_its_results(sink: Sink) -> None:
    message = event()
    sink.behave("/hook", status=500, times=1)
    adapter = make(sink)
    outcomes = [result.outcome for result in adapter.deliver([message, message])]
    adapter.close()
    assert sorted(outcomes) == [Outcome.DELIVERED, Outcome.RETRY]
