"""What Google's answers mean: outcome, code, effect and hint; the check's words; what is never shown; the page."""

import json
import time
import traceback
from pathlib import Path
from typing import Any

import pytest

from destinations.adapters.base import Effect, Limits, Outcome, StepStatus
from destinations.adapters.gcs import GcsAdapter
from destinations.adapters.gcs_results import NO_TOKEN, TOKEN_VERDICTS, VERDICTS
from destinations.adapters.http_verdicts import Verdict
from destinations.identity import HubIdentity
from tests.adapters.contract import event, text_of
from tests.adapters.gcs_support import Place
from tests.services.gcs import GcsServer
from tests.services.gcs_gate import Gate
from tests.sink import Sink

pytestmark = pytest.mark.databaseless
RETRY, REJECTED = Outcome.RETRY, Outcome.REJECTED
NONE, FAILURE, PAUSE = Effect.NONE, Effect.FAILURE, Effect.PAUSE
WORDS = {(RETRY, FAILURE): "retried, counts as a failure", (REJECTED, NONE): "rejected"}
PAGE = Path(__file__).parents[2] / "docs" / "destinations" / "gcs.md"
ONE_OBJECT = "The object b/o exceeded the rate limit for object mutation operations (create, update, and delete)."


@pytest.fixture
def gate(gcs: GcsServer) -> Gate:
    if gcs.gate is None:
        pytest.skip("An existing server (HUB_TEST_GCS) fails on no command.")
    return gcs.gate


def delivered(place: Place, **about: Any) -> Any:
    adapter = place.adapter(**about)
    (result,) = adapter.deliver([event()])
    adapter.close()
    return result


# --- the table (T58, T59, T44) -------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("status", "reason", "message", "expected", "hint"),
    [
        (400, "invalid", "Invalid argument.", (REJECTED, NONE), "report"),
        (400, "invalid", "Provided MD5 hash does not match.", (RETRY, NONE), "next try"),
        (400, "failedPrecondition", "Precondition check failed.", (RETRY, FAILURE), "proxy"),
        (400, "required", "Bucket is a requester pays bucket.", (RETRY, FAILURE), "Requester"),
        (403, "forbidden", "No storage.objects.create access.", (RETRY, FAILURE), "roles/storage.objectAdmin"),
        (403, "accountDisabled", "The billing account is disabled.", (RETRY, FAILURE), "billing"),
        (403, "rateLimitExceeded", "Rate limit exceeded.", (RETRY, FAILURE), "concurrency"),
        (403, "retentionPolicyNotMet", "Subject to a retention policy.", (REJECTED, NONE), "retention policy"),
        (403, "objectUnderActiveHold", "Object is under active hold.", (REJECTED, NONE), "holds"),
        (404, "notFound", "The specified bucket does not exist.", (RETRY, FAILURE), "buckets create gs://hub"),
        (408, "requestTimeout", "Request timed out.", (RETRY, FAILURE), "timeout"),
        (412, "orgPolicyConstraintFailed", "Constraint violated.", (RETRY, FAILURE), "policy"),
        (413, "uploadTooLarge", "Too large.", (REJECTED, NONE), ""),
        (429, "rateLimitExceeded", "Slow down.", (RETRY, PAUSE), "concurrency"),
        (429, "unheardOf", "Slow down.", (RETRY, PAUSE), "concurrency"),
        (429, "rateLimitExceeded", ONE_OBJECT, (RETRY, NONE), ""),
        (500, "internalError", "We encountered an internal error.", (RETRY, FAILURE), "status.cloud.google.com"),
        (503, "backendError", "Backend Error", (RETRY, PAUSE), "status.cloud.google.com"),
        (418, "teapot", "?", (RETRY, FAILURE), "answer"),
    ],
)  # fmt: skip
def test_an_answer_means(
    gate: Gate, place: Place, status: int, reason: str, message: str, expected: tuple[Outcome, Effect], hint: str
) -> None:
    gate.fail(status, reason, message)
    result = delivered(place)
    assert (result.outcome, result.effect) == expected
    assert (result.code, result.status_code) == (reason, status)
    assert message in result.detail
    assert hint in result.hint
    assert result.response["status"] == status
    assert delivered(place).outcome is Outcome.DELIVERED


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("told", "wait"), [("77", 77.0), ("", 5.0)])
def test_a_server_that_is_too_busy_pauses_the_destination(
    gate: Gate, place: Place, status: int, told: str, wait: float
) -> None:
    gate.fail(status, "rateLimitExceeded", "Later.", Retry_After=told)
    result = delivered(place)
    assert (result.outcome, result.effect, result.retry_after) == (RETRY, PAUSE, wait)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, "<html>log in to the hotel</html>", "http_200"),
        (200, {"kind": "storage#object"}, "http_200"),
        (200, {"generation": "\u0661"}, "http_200"),
        (301, "", "http_301"),
        (400, "<html>Bad Request</html>", "http_400"),
        (403, "Forbidden", "http_403"),
        (404, "Not Found", "http_404"),
        (502, "<html>Bad Gateway</html>", "http_502"),
        (503, {"error": {"code": 503, "errors": "?"}}, "http_503"),
        (500, {"error": {"errors": [{"reason": "a b\n"}], "message": ["x"]}}, "http_500"),
        (500, "[" * 10_000, "http_500"),
    ],
)
def test_an_answer_that_is_not_googles_is_no_success(
    gate: Gate, place: Place, status: int, body: Any, code: str
) -> None:
    gate.answer(status, body, where="/upload/")
    result = delivered(place)
    assert (result.outcome, result.code, result.effect) == (RETRY, code, PAUSE if status == 503 else FAILURE)
    assert result.detail


def test_one_bad_answer_holds_up_no_other_object(gate: Gate, place: Place) -> None:
    gate.fail(400, "invalid", "Invalid argument.")
    adapter = place.adapter()
    outcomes = [result.outcome for result in adapter.deliver([event() for _ in range(20)])]
    adapter.close()
    assert sorted(outcomes) == [Outcome.DELIVERED] * 19 + [REJECTED]


def test_a_server_that_says_nothing_is_given_up_on(gate: Gate, place: Place) -> None:
    gate.before("POST /upload/", lambda: time.sleep(3))
    result = delivered(place, limits=Limits(timeout_s=0.5))
    assert (result.outcome, result.code, result.effect) == (RETRY, "timeout", FAILURE)


def test_the_time_limit_is_that_of_the_whole_try(gate: Gate, place: Place) -> None:
    adapter, message = place.adapter(limits=Limits(timeout_s=1.0)), event()
    adapter.deliver([message])
    for where in ("GET /storage/", "ifGenerationMatch=1"):  # the look, and the write of its generation
        gate.before(where, lambda: time.sleep(0.7))
    (result,) = adapter.deliver([message])
    adapter.close()
    assert (result.outcome, result.code) == (RETRY, "timeout")


# --- rights -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("role", "lacks"),
    [
        ("objectViewer", "storage.objects.create, storage.objects.delete"),
        ("objectCreator", "storage.objects.get, storage.objects.delete"),
        ("none", "storage.objects.create, storage.objects.get, storage.objects.delete"),
    ],
)
def test_the_check_names_the_rights_that_are_missing(gate: Gate, place: Place, role: str, lacks: str) -> None:
    key = place.server.make_key(role)
    steps = list(place.adapter(key).check())
    assert (steps[-1].name, steps[-1].status) == ("permission", StepStatus.FAILED)
    assert f"{key['client_email']} lacks {lacks} on gs://{place.bucket}." in steps[-1].detail
    assert steps[-1].hint == (
        f"Run: gcloud storage buckets add-iam-policy-binding gs://{place.bucket} "
        f"--member=serviceAccount:{key['client_email']} --role=roles/storage.objectAdmin"
    )
    assert place.objects() == {}


def test_an_account_that_may_only_read_writes_nothing(gate: Gate, place: Place) -> None:
    result = delivered(place, key=place.server.make_key("objectViewer"))
    assert (result.outcome, result.code, result.effect) == (RETRY, "forbidden", FAILURE)
    assert "--role=roles/storage.objectAdmin" in result.hint
    assert place.objects() == {}


def test_an_account_that_may_only_create_fails_where_it_has_to_overwrite(gate: Gate, place: Place) -> None:
    adapter, message = place.adapter(place.server.make_key("objectCreator")), event()
    first, again = adapter.deliver([message])[0], adapter.deliver([message])[0]
    adapter.close()
    assert (first.outcome, again.outcome, again.code) == (Outcome.DELIVERED, RETRY, "forbidden")
    assert "--role=roles/storage.objectAdmin" in again.hint


def test_a_right_that_is_taken_away_and_given_back(gate: Gate, place: Place) -> None:
    """T57, T59: nothing is lost, and it goes out once the right is there again."""
    adapter, message = place.adapter(), event()
    account = gate.accounts[place.key["client_email"]]
    account.role = "objectViewer"
    assert adapter.deliver([message])[0].code == "forbidden"
    account.role = "objectAdmin"
    assert adapter.deliver([message])[0].outcome is Outcome.DELIVERED
    adapter.close()
    assert [stored.event_id for stored in place.stored()] == [message.event_id]


# --- the check ------------------------------------------------------------------------------------------------
def test_the_check_tells_each_step_and_leaves_nothing(gate: Gate, place: Place) -> None:
    steps = list(place.adapter(prefix="team").check())
    assert [(step.name, step.status.value) for step in steps] == [
        ("resolve", "passed"), ("connect", "passed"), ("TLS", "warning"), ("authenticate", "passed"),
        ("permission", "passed"), ("write", "passed"), ("read back", "passed"), ("clean up", "passed"),
    ]  # fmt: skip
    # Of this bucket: an earlier test's request that its client had given up may be logged late.
    assert len([line for line in gate.log if f"/upload/storage/v1/b/{place.bucket}/" in line]) == 1, gate.log
    assert place.objects() == {}


@pytest.mark.parametrize(
    ("where", "failed"),
    [
        ("POST /token", "authenticate"),
        ("testPermissions", "permission"),
        ("POST /upload/", "write"),
        ("alt=media", "read back"),
    ],
)
def test_a_step_that_fails_ends_the_check_and_what_was_written_is_deleted(
    gate: Gate, place: Place, where: str, failed: str
) -> None:
    gate.fail(503, "backendError", "Backend Error", where=where)
    steps = list(place.adapter().check())
    assert (steps[-1].name, steps[-1].status) == (failed, StepStatus.FAILED)
    assert "Backend Error" in steps[-1].detail
    assert steps[-1].hint
    assert place.objects() == {}


def test_a_check_whose_write_lost_its_answer_leaves_nothing(gate: Gate, place: Place) -> None:
    gate.lose_answer("POST /upload/", times=2)  # libcurl sends again where it had used the connection before
    steps = list(place.adapter().check())
    assert (steps[-1].name, steps[-1].status) == ("write", StepStatus.FAILED)
    assert gate.count("POST /upload/") >= 1
    assert place.objects() == {}


def test_an_object_that_does_not_come_back_as_it_was_is_told(gate: Gate, place: Place) -> None:
    gate.answer(200, "rewritten", where="alt=media")
    steps = list(place.adapter().check())
    assert (steps[-1].name, steps[-1].detail) == ("read back", "The object holds other bytes than were written.")
    assert place.objects() == {}


def test_tls_that_cannot_be_trusted_is_a_step_of_its_own(place: Place, tls_sink: Sink) -> None:
    adapter = place.adapter()
    adapter.identity = HubIdentity(gcs_endpoint=tls_sink.url(""), gcs_token_endpoint=place.server.token)
    steps = list(adapter.check())
    assert [(step.name, step.status.value) for step in steps[-2:]] == [("connect", "passed"), ("TLS", "failed")]


# --- secrets ----------------------------------------------------------------------------------------------------
def test_what_a_server_echoes_is_not_stored(gate: Gate, place: Place) -> None:
    adapter = place.adapter()
    adapter.deliver([event()])
    (token,) = gate.tokens
    shown = ""
    for where in ("POST /upload/", "testPermissions", "alt=media"):
        gate.echo(where, times=2)
        shown += text_of(adapter.deliver([event()])) + text_of(adapter.check())
    assert shown.count("Authorization: Bearer ****") > 3
    _has_none_of(shown, token)


def test_what_the_token_endpoint_echoes_is_not_stored(gate: Gate, place: Place) -> None:
    adapter = place.adapter()
    gate.echo("POST /token", times=2)
    shown = text_of(adapter.deliver([event()])) + text_of(place.adapter().check())
    assert "assertion=****" in shown
    assert adapter._token
    (assertion,) = adapter._token.secrets()
    assert len(assertion) > 400
    _has_none_of(shown, assertion)


def test_a_key_that_comes_back_from_outside_is_not_stored(gate: Gate, place: Place) -> None:
    pem, text = place.key["private_key"], json.dumps(place.key)
    for said in (pem, text, pem.replace("\n", ""), json.dumps(text)):
        gate.fail(403, "forbidden", said)
        gate.answer(400, {"error": "invalid_grant", "error_description": said}, where="POST /token")
        adapter = place.adapter()
        shown = text_of(adapter.deliver([event()])) + text_of(adapter.check()) + text_of(place.adapter().check())
        assert "****" in shown
        _has_none_of(shown, place.key["private_key_id"], *pem.splitlines()[1:-2])
    gate.reset()


def test_no_traceback_shows_the_key(gate: Gate, place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error that nobody foresaw, as deep inside as it can be."""
    from google.auth import jwt

    def broken(*_: object) -> None:
        raise RuntimeError("unforeseen")

    monkeypatch.setattr(jwt, "encode", broken)
    with pytest.raises(RuntimeError) as caught:
        place.adapter().deliver([event()])
    shown = "".join(traceback.format_exception(caught.value))
    assert "unforeseen" in shown
    _has_none_of(shown, place.key["private_key_id"], *place.key["private_key"].splitlines()[1:-2])


def _has_none_of(text: str, *secrets: str) -> None:
    assert [secret for secret in secrets if secret in text] == []


def test_the_set_up_text_makes_account_right_and_key(place: Place) -> None:
    text = GcsAdapter.setup(place.adapter().config)
    assert f"add-iam-policy-binding gs://{place.bucket} --member=serviceAccount:$ACCOUNT" in text
    assert "--role=roles/storage.objectAdmin" in text
    assert "gcloud iam service-accounts keys create" in text


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"bucket": "Up"}, "bucket"), ({"bucket": "gs://b-1"}, "bucket"), ({"bucket": "b"}, "bucket"),
        ({"bucket": "a/b"}, "bucket"), ({"bucket": "a..b"}, "bucket"), ({"bucket": "x" * 64}, "bucket"),
        ({"bucket": "goog-1"}, "bucket"), ({"bucket": "my-bucket", "prefix": "../up"}, "prefix"),
        ({"bucket": "my-bucket", "prefix": "a b"}, "prefix"), ({"bucket": "my-bucket\n"}, "bucket"),
    ],
)  # fmt: skip
def test_a_bucket_or_a_prefix_that_cannot_be_is_refused(config: dict[str, str], field: str) -> None:
    from destinations.adapters.gcs_config import GcsConfig
    from destinations.specs import load, problems_of

    found = problems_of(GcsConfig, config) or GcsAdapter.validate(load(GcsConfig, config))
    assert list(found) == [field]


@pytest.mark.parametrize("bucket", ["my-bucket", "a_b-1", "my.example.com", "0a1", "x" * 63])
def test_a_bucket_as_google_has_them_is_taken(bucket: str) -> None:
    from destinations.adapters.gcs_config import GcsConfig
    from destinations.specs import load, problems_of

    assert problems_of(GcsConfig, {"bucket": bucket}) == {}
    assert GcsAdapter.validate(load(GcsConfig, {"bucket": bucket})) == {}


# --- the page -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(("code", "verdict"), [*VERDICTS.items(), *TOKEN_VERDICTS.items(), ("any other", NO_TOKEN)])
def test_the_page_lists_every_code_and_what_becomes_of_it(code: str, verdict: Verdict) -> None:
    names = {"bucket": "your-bucket", "account": "your-account"}
    what = f"retried, pauses {verdict.wait_s:g} s" if verdict.wait_s else WORDS[verdict.outcome, verdict.effect]
    shown = code if " " in code else f"`{code}`"
    line = f"| {shown} | {what} | {verdict.says.format_map(names)} | {verdict.hint.format_map(names)} |"
    assert line.replace("  |", " |") in PAGE.read_text().splitlines()
