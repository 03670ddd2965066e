"""Tokens of a GCS destination: fetched, kept, renewed, refused (T57). And what the check says of each."""

import json
from typing import Any

import pytest

from destinations.adapters import gcs_token
from destinations.adapters.base import Effect, Outcome, Step, StepStatus
from destinations.adapters.gcs import GcsAdapter
from destinations.adapters.gcs_token import SCOPE
from tests.adapters.contract import event
from tests.adapters.gcs_support import Place, credentials
from tests.services.gcs import GcsServer, key_file, pem_of
from tests.services.gcs_gate import Gate
from tests.sink import Sink

pytestmark = pytest.mark.databaseless
TOKENS = "POST /token"


@pytest.fixture
def gate(gcs: GcsServer) -> Gate:
    if gcs.gate is None:
        pytest.skip("An existing server (HUB_TEST_GCS) fails on no command.")
    return gcs.gate


@pytest.fixture
def adapter(place: Place) -> Any:
    adapter = place.adapter()
    yield adapter
    adapter.close()


def one(adapter: GcsAdapter) -> Any:
    (result,) = adapter.deliver([event()])
    return result


def last_step(adapter: GcsAdapter) -> Step:
    return list(adapter.check())[-1]


def move_clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let the token's keeper live so many seconds later."""
    now = gcs_token.monotonic
    monkeypatch.setattr(gcs_token, "monotonic", lambda: now() + seconds)


# --- keeping ----------------------------------------------------------------------------------------
def test_a_token_is_asked_for_once_and_for_no_more_than_is_needed(gate: Gate, adapter: GcsAdapter) -> None:
    for _ in range(3):
        assert one(adapter).outcome is Outcome.DELIVERED
    assert gate.count(TOKENS) == 1
    assert gate.scopes == [SCOPE]


def test_a_token_is_renewed_before_it_ends(gate: Gate, adapter: GcsAdapter, monkeypatch: pytest.MonkeyPatch) -> None:
    one(adapter)
    move_clock(monkeypatch, 3600 - 240)
    assert one(adapter).outcome is Outcome.DELIVERED
    assert (gate.count(TOKENS), gate.count(" 401")) == (2, 0)


def test_a_renewal_that_fails_holds_up_nothing_while_the_token_is_good(
    gate: Gate, adapter: GcsAdapter, monkeypatch: pytest.MonkeyPatch
) -> None:
    one(adapter)
    gate.answer(503, "down", where=TOKENS, times=100)
    move_clock(monkeypatch, 3600 - 240)
    assert [one(adapter).outcome for _ in range(3)] == [Outcome.DELIVERED] * 3
    assert gate.count(TOKENS) == 2  # not once for each message
    move_clock(monkeypatch, 300)
    result = one(adapter)
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "http_503", Effect.FAILURE)


def test_a_token_that_ended_too_early_is_replaced_without_a_failure(gate: Gate, adapter: GcsAdapter) -> None:
    """The token is revoked while the destination is being delivered to."""
    one(adapter)
    gate.revoke_tokens()
    batch = [event() for _ in range(20)]
    assert {result.outcome for result in adapter.deliver(batch)} == {Outcome.DELIVERED}
    assert gate.count(TOKENS) == 2


def test_an_api_that_refuses_every_token_is_asked_twice_and_no_more(gate: Gate, adapter: GcsAdapter) -> None:
    gate.fail(401, "authError", "Invalid Credentials", times=100)
    result = one(adapter)
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "authError", Effect.FAILURE)
    assert "upload it" in result.hint
    assert gate.count("POST /upload/") == 2


def test_a_batch_without_a_token_asks_once_and_sends_nothing(gate: Gate, place: Place, adapter: GcsAdapter) -> None:
    gate.accounts.clear()
    results = adapter.deliver([event() for _ in range(50)])
    assert {result.code for result in results} == {"invalid_grant"}
    assert (gate.count(TOKENS), gate.count("POST /upload/")) == (1, 0)
    assert place.objects() == {}


# --- refused ----------------------------------------------------------------------------------------
def test_the_key_of_another_account(gate: Gate, place: Place) -> None:
    from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

    other = place.key | {"private_key": pem_of(generate_private_key(65537, 2048))}
    _refused(place.adapter(other), "the key was deleted, or is another account's", "upload it: gcloud iam")
    assert gate.count("/storage/v1/b/") == 0


def test_a_deleted_key_and_then_a_new_one(gate: Gate, place: Place, adapter: GcsAdapter) -> None:
    """T57: what fails is told as what it is, and goes out once the key is replaced."""
    message = event()
    assert one(adapter).outcome is Outcome.DELIVERED
    account = gate.accounts[place.key["client_email"]]
    kept, account.keys = account.keys, {}
    gate.revoke_tokens()
    (result,) = adapter.deliver([message])
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "invalid_grant", Effect.FAILURE)
    assert place.key["client_email"] in result.hint
    account.keys = {"new-key": next(iter(kept.values()))}
    replaced = place.adapter(place.key | {"private_key_id": "new-key"})
    assert replaced.deliver([message])[0].outcome is Outcome.DELIVERED
    assert message.event_id in {stored.event_id for stored in place.stored()}


def test_a_deleted_account(gate: Gate, place: Place) -> None:
    gate.accounts.clear()
    _refused(place.adapter(), "was deleted or disabled", "another account and its key")


@pytest.mark.parametrize("seconds", [7200, -7200])
def test_a_clock_that_is_wrong(gate: Gate, place: Place, seconds: int) -> None:
    gate.clock_ahead_s = seconds
    _refused(place.adapter(), "the clocks differ", "NTP")


def _refused(adapter: GcsAdapter, says: str, hint: str) -> None:
    """Check that delivery and check tell the same of a key that gives no token."""
    result, step = one(adapter), last_step(adapter)
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "invalid_grant", Effect.FAILURE)
    assert (step.name, step.status) == ("authenticate", StepStatus.FAILED)
    for text in (result.detail, step.detail):
        assert says in text
    for text in (result.hint, step.hint):
        assert hint in text


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, "<html>log in to the hotel</html>", "bad_response"),
        (200, {}, "bad_response"),
        (200, {"access_token": "a\r\nX-Injected: 1", "expires_in": 3600}, "bad_response"),
        (200, {"access_token": 7, "expires_in": "soon"}, "bad_response"),
        (200, {"access_token": "t", "expires_in": [1]}, "bad_response"),
        (200, '{"access_token": "t", "expires_in": 1e300}', "bad_response"),
        (200, '{"access_token": "t", "expires_in": 1e400}', "bad_response"),
        (200, "[" * 60_000, "bad_response"),
        (302, "elsewhere", "http_302"),
        (400, {"error": "invalid_request"}, "invalid_request"),
        (400, {"error": "access_denied"}, "access_denied"),
        (400, {"error": "org_internal"}, "org_internal"),
        (400, {"error": "invalid"}, "invalid"),  # the storage API's word for an event that it does not take
        (400, {"error": "unheard_of"}, "unheard_of"),
        (400, "<html>Bad Request</html>", "http_400"),
        (400, "[" * 60_000, "http_400"),
        (413, "too large", "http_413"),
        (403, {"error": {"code": 403, "message": "no", "status": "PERMISSION_DENIED"}}, "http_403"),
        (401, {"error": "unauthorized_client", "error_description": "no"}, "unauthorized_client"),
        (429, "slower", "http_429"),
        (500, {"error": "internal_failure"}, "internal_failure"),
    ],
)
def test_a_token_endpoint_that_is_unwell(gate: Gate, adapter: GcsAdapter, status: int, body: Any, code: str) -> None:
    gate.answer(status, body, where=TOKENS, times=100)
    result = one(adapter)
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, code, Effect.FAILURE)
    assert result.detail
    assert result.hint
    assert gate.count(TOKENS) == 1  # google-auth's own retries would wait, and nobody would know


@pytest.mark.parametrize("body", ['{"access_token": "t", "expires_in": 1e300}', "[" * 60_000])
def test_a_check_survives_a_token_endpoint_that_is_hostile(gate: Gate, adapter: GcsAdapter, body: str) -> None:
    gate.answer(200, body, where=TOKENS)
    step = last_step(adapter)
    assert (step.name, step.status) == ("authenticate", StepStatus.FAILED)
    assert step.detail.startswith("bad_response: ")


def test_a_token_endpoint_without_an_answer(gate: Gate, adapter: GcsAdapter) -> None:
    gate.lose_answer(TOKENS)
    result = one(adapter)
    assert (result.code, result.effect) == ("connection_closed", Effect.FAILURE)


def test_a_token_whose_life_is_not_told_is_used_for_a_while(gate: Gate, adapter: GcsAdapter) -> None:
    gate.token_life_s = None  # type: ignore[assignment]  # what a server may leave out
    assert one(adapter).outcome is Outcome.DELIVERED
    assert one(adapter).outcome is Outcome.DELIVERED
    assert gate.count(TOKENS) == 1


# --- whose address the token comes from -------------------------------------------------------------------
def test_a_key_file_does_not_choose_who_gets_what_it_signs(gate: Gate, place: Place, sink: Sink) -> None:
    hostile = place.key | {"token_uri": sink.url("/token")}
    stored = {"service_account_key": json.dumps(hostile)}  # past the door: as if it had been stored like this
    for made in (credentials(hostile), type(credentials(place.key))(**stored)):
        adapter = place.adapter()
        adapter.credentials = made
        assert one(adapter).outcome is Outcome.DELIVERED
        adapter.close()
    assert (sink.count(), gate.count(TOKENS)) == (0, 2)


def test_a_stored_key_that_is_none_is_said_and_sends_nothing(gate: Gate, place: Place) -> None:
    adapter = place.adapter()
    adapter.credentials = type(adapter.credentials)(json.dumps(key_file("a@b", "1") | {"private_key": "spoilt"}))
    result, step = one(adapter), last_step(adapter)
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "key_unusable", Effect.FAILURE)
    assert (step.name, step.status) == ("authenticate", StepStatus.FAILED)
    assert gate.count(TOKENS) == 0
