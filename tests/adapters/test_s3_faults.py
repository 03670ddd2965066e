"""What an S3 destination does when the store or the network misbehaves (T22, T23, T38, T45, T57, T58)."""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
import time_machine

from destinations.adapters.base import Effect, Limits, ListFeed, Outcome, Result, StepStatus
from destinations.adapters.objects import object_of
from destinations.adapters.s3 import S3Adapter
from destinations.adapters.s3_errors import TABLE
from destinations.egress import EgressPolicy
from tests.adapters.contract import CANARY, event, text_of
from tests.adapters.s3_support import LOCAL, Folder, credentials_of, deliver, new_folder, versions
from tests.services.proxy import FaultProxy
from tests.services.seaweedfs import CANARY_KEY, SeaweedServer
from tests.sink import Sink

pytestmark = pytest.mark.databaseless
ETAG = {"ETag": '"d41d8cd98f00b204e9800998ecf8427e"'}


@pytest.fixture
def folder(seaweed: SeaweedServer, bucket: str) -> Folder:
    return new_folder(seaweed, bucket)


@pytest.fixture
def proxy(seaweed: SeaweedServer) -> Iterator[FaultProxy]:
    with FaultProxy(seaweed.address) as proxy:
        yield proxy


def through(proxy: FaultProxy, folder: Folder, **more: Any) -> S3Adapter:
    return folder.adapter(endpoint_url=f"http://127.0.0.1:{proxy.port}", **more)


# --- connections that break -------------------------------------------------------------------
def test_an_answer_that_is_lost_after_the_write_leaves_one_object(proxy: FaultProxy, folder: Folder) -> None:
    adapter, message = through(proxy, folder), event()
    proxy.cut_at_answer(b"200 OK")
    (result,) = adapter.deliver([message])
    assert (result.outcome, result.code, result.effect) == (Outcome.RETRY, "connection_closed", Effect.FAILURE)
    assert list(folder.bodies().values()) == [message.body]  # it was written, and the hub cannot know
    (again,) = deliver(adapter, message)
    assert (again.outcome, again.code) == (Outcome.DELIVERED, "")
    assert list(folder.bodies().values()) == [message.body]


def test_an_answer_that_is_lost_while_a_newer_event_comes_undoes_nothing(proxy: FaultProxy, folder: Folder) -> None:
    older, newer = versions()
    adapter = through(proxy, folder)
    proxy.cut_at_answer(b"200 OK")
    assert adapter.deliver([older])[0].outcome is Outcome.RETRY
    deliver(folder.adapter(), newer)
    (late,) = deliver(adapter, older)
    assert late.code == "superseded"
    assert list(folder.bodies().values()) == [newer.body]


def test_connections_are_kept_and_one_that_broke_is_replaced(proxy: FaultProxy, folder: Folder) -> None:
    adapter = through(proxy, folder)
    for _ in range(3):
        assert adapter.deliver([event()])[0].outcome is Outcome.DELIVERED
    assert proxy.connections == 1
    proxy.cut()
    assert adapter.deliver([event()])[0].outcome is Outcome.DELIVERED
    assert proxy.connections == 2
    adapter.close()


def test_a_store_that_falls_silent_is_left_at_the_deadline(proxy: FaultProxy, folder: Folder) -> None:
    adapter = through(proxy, folder, limits=Limits(timeout_s=3))
    assert adapter.deliver([event()])[0].outcome is Outcome.DELIVERED
    proxy.fall_silent()
    results = adapter.deliver([event(), event()])
    assert {(one.outcome, one.effect) for one in results} == {(Outcome.RETRY, Effect.FAILURE)}
    assert {one.code for one in results} <= {"timeout", "deadline"}
    adapter.close()


# --- a store that answers as it likes -----------------------------------------------------------
@pytest.fixture
def store(sink: Sink) -> Sink:
    """A receiver that takes everything, as S3 says it: with an ETag and an empty body."""
    sink.behave("*", body="", headers=ETAG)
    return sink


def at(store: Sink, limits: Limits | None = None, policy: EgressPolicy = LOCAL, **config: Any) -> S3Adapter:
    known = {"bucket": "a-bucket", "region": "eu-west-1", "endpoint_url": store.url(""), "ca_certificate": store.ca_pem}
    made = S3Adapter.config_spec(**{**known, **config})
    return S3Adapter(made, credentials_of(CANARY_KEY), limits, policy)


def said(code: str, message: str = "words", more: str = "") -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message>{more}</Error>".encode()


def answered(store: Sink, status: int, body: bytes = b"", headers: dict[str, str] | None = None) -> Result:
    store.behave("*", status=status, headers={"Content-Type": "application/xml", **(headers or {})}, body=body.decode())
    (result,) = deliver(at(store), event())
    return result


R, F, N, P = Outcome.RETRY, Effect.FAILURE, Effect.NONE, Effect.PAUSE


@pytest.mark.parametrize(
    ("status", "code", "outcome", "effect", "hint"),
    [
        (404, "NoSuchBucket", R, F, "make the bucket"),
        (403, "AccessDenied", R, F, "s3:PutObject on arn:aws:s3:::a-bucket/*"),
        (403, "AccessDenied", R, F, "Or the bucket does not exist"),
        (403, "SignatureDoesNotMatch", R, F, "secret_access_key"),
        (403, "InvalidAccessKeyId", R, F, "access_key_id"),
        (400, "ExpiredToken", R, N, "renewed"),
        (400, "InvalidToken", R, F, "STS"),
        (403, "RequestTimeTooSkewed", R, F, "clock"),
        (503, "SlowDown", R, P, "concurrency"),
        (503, "ServiceUnavailable", R, P, "trouble"),
        (500, "InternalError", R, F, "trouble"),
        (301, "PermanentRedirect", R, F, "get-bucket-location --bucket a-bucket"),
        (400, "AuthorizationHeaderMalformed", R, F, "region"),
        (400, "EntityTooLarge", Outcome.REJECTED, N, "5 GB"),
        (400, "KeyTooLongError", Outcome.REJECTED, N, "prefix"),
        (400, "KMS.NotFoundException", R, F, "kms_key_id"),
        (400, "KMS.DisabledException", R, F, "Enable the key"),
        (400, "InvalidStorageClass", R, F, "storage_class"),
        (400, "BadDigest", R, N, "proxy"),
        (501, "NotImplemented", R, F, "overwrites to read_first"),
        (507, "InsufficientStorage", R, F, "room"),
        (409, "OperationAborted", R, N, "unless it stays"),
        (418, "ATeapot", R, F, ""),
    ],
)
def test_each_error_has_its_code_its_outcome_and_a_hint(
    store: Sink, status: int, code: str, outcome: Outcome, effect: Effect, hint: str
) -> None:
    result = answered(store, status, said(code))
    assert (result.code, result.outcome, result.effect, result.status_code) == (code, outcome, effect, status)
    assert "words" in result.detail
    assert hint in result.hint
    assert result.retry_after == (5.0 if effect is P else None)


def test_every_line_of_the_table_says_what_to_do_or_that_it_passes() -> None:
    for code, verdict in TABLE.items():
        assert verdict.reason, code
        assert verdict.hint or verdict.blame.value[1] is Effect.NONE, code


def test_a_bucket_in_another_region_is_named_and_not_followed(store: Sink) -> None:
    result = answered(store, 301, said("PermanentRedirect"), {"x-amz-bucket-region": "us-west-2"})
    assert "The bucket is in us-west-2." in result.detail
    assert store.count() == 1
    malformed = said("AuthorizationHeaderMalformed", more="<Region>ap-south-1</Region>")
    assert "The bucket is in ap-south-1." in answered(store, 400, malformed).detail
    assert store.count() == 2


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_redirects_are_not_followed(store: Sink, status: int) -> None:
    result = answered(store, status, headers={"Location": store.url("/elsewhere")})
    assert (result.outcome, result.effect) == (R, F)
    assert store.count("/elsewhere") == 0


@pytest.mark.parametrize(("status", "code"), [(404, "http_404"), (429, "http_429"), (500, "http_500")])
def test_an_answer_without_words_has_its_status_for_a_code(store: Sink, status: int, code: str) -> None:
    assert answered(store, status).code == code


def test_what_is_no_s3_is_named(store: Sink) -> None:
    result = answered(store, 400, b"<html>not S3")
    assert (result.outcome, result.effect) == (R, F)
    assert "endpoint_url" in result.hint or result.code == "http_400"


@pytest.mark.parametrize("overwrites", ["conditional", "read_first"])
def test_a_success_without_an_etag_is_none(store: Sink, overwrites: str) -> None:
    """A log-in page that is answered with 200 has stored nothing."""
    store.behave("*", status=200, body="<html>log in to the hotel</html>")
    (result,) = deliver(at(store, overwrites=overwrites), event())
    assert (result.outcome, result.code, result.effect) == (R, "bad_response", F)
    assert "something else than this service answers there" in result.hint
    steps = list(at(store, overwrites=overwrites).check())
    assert (steps[-1].name, steps[-1].status) == ("write", StepStatus.FAILED)


@pytest.mark.parametrize("status", [400, 200])
def test_an_endless_answer_is_not_read_to_its_end(store: Sink, status: int) -> None:
    head = f"HTTP/1.1 {status} Any\r\nContent-Type: application/xml\r\n\r\n".encode()
    store.flood("*", start=head, filler=b"x" * 65536, size=1 << 40)
    (result,) = deliver(at(store, Limits(timeout_s=20)), event())
    assert (result.outcome, result.code) == (R, "bad_response")
    assert len(text_of([result])) < 5000


@pytest.mark.parametrize("at_byte", ["head", "body"])
def test_a_dripping_answer_ends_at_the_deadline(store: Sink, at_byte: str) -> None:
    head = b"HTTP/1.1 400 Bad\r\nContent-Type: application/xml\r\nContent-Length: 100000\r\n\r\n"
    store.behave("*", mode="drip", bytes=(b"HTTP/1.1 200 OK\r\nX: " if at_byte == "head" else head) + b"x" * 5000)
    (result,) = deliver(at(store, Limits(timeout_s=1)), event())
    assert (result.outcome, result.effect, result.code) == (R, F, "deadline")


def test_a_try_of_several_requests_has_one_deadline(store: Sink) -> None:
    """Each answer comes in time by itself; the write, the look and the second write together do not."""
    store.behave("*", status=412, body=said("PreconditionFailed").decode(), delay=0.7)
    (result,) = deliver(at(store, Limits(timeout_s=1)), event())
    assert (result.outcome, result.code) == (R, "deadline")
    assert store.count() <= 3


def test_a_store_that_hangs_does_not_hold_the_others_up(store: Sink) -> None:
    """Two at once, and one of them hangs: all the others get through meanwhile."""
    hung, quick = event(), [event() for _ in range(10)]
    adapter = at(store, Limits(timeout_s=3, concurrency=2))
    store.behave(f"/a-bucket/{quote(object_of(hung).key)}", mode="hang")
    seen = []
    for group in adapter.stream(ListFeed([hung, *quick])):
        seen += [result for _, result in group]
        if len(seen) == 10:
            assert {result.outcome for result in seen} == {Outcome.DELIVERED}
    adapter.close()
    assert seen[10].code in ("deadline", "timeout")


def test_what_was_asked_for_is_in_the_request(store: Sink) -> None:
    key = "arn:aws:kms:eu-west-1:123456789012:key/abc"
    adapter = at(
        store, expected_bucket_owner="123456789012", encryption="aws:kms", kms_key_id=key, storage_class="GLACIER_IR"
    )
    message = event()
    deliver(adapter, message)
    (got,) = store.requests()
    assert got.body == message.body
    assert {name: got.headers[name] for name in got.headers if name.startswith("x-amz-") and "date" not in name} == {
        "x-amz-content-sha256": got.headers["x-amz-content-sha256"],
        "x-amz-expected-bucket-owner": "123456789012",
        "x-amz-meta-terra-event-id": message.event_id,
        "x-amz-meta-terra-ordering-timestamp": got.headers["x-amz-meta-terra-ordering-timestamp"],
        "x-amz-meta-terra-reference": message.headers["terra-reference"],
        "x-amz-server-side-encryption": "aws:kms",
        "x-amz-server-side-encryption-aws-kms-key-id": key,
        "x-amz-storage-class": "GLACIER_IR",
    }
    assert got.headers["x-amz-content-sha256"] != "UNSIGNED-PAYLOAD"
    assert got.headers["if-none-match"] == "*"
    assert "expect" not in got.headers


def test_a_store_without_conditional_writes_is_found_out_by_the_check(store: Sink) -> None:
    steps = {step.name: step for step in at(store).check()}
    assert steps["precondition"].status is StepStatus.WARNING
    assert "read_first" in steps["precondition"].hint


def test_secrets_that_a_store_echoes_are_not_kept(store: Sink) -> None:
    result = answered(store, 403, said("AccessDenied", f"you sent {CANARY_KEY.secret}"))
    assert "you sent ****" in result.detail
    assert CANARY not in text_of([result])
    assert CANARY not in text_of(list(at(store).check()))


def test_neither_bodies_nor_signatures_are_logged(folder: Folder, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    deliver(folder.adapter(), event(json.dumps({"type": "auth", "note": "canary-of-a-person"}).encode()))
    assert "canary-of-a-person" not in caplog.text
    assert "Signature=" not in caplog.text


def test_a_wrong_clock_is_named(folder: Folder) -> None:
    with time_machine.travel(event().received_at - timedelta(hours=2), tick=True):
        (result,) = deliver(folder.adapter(), event())
    assert (result.code, result.effect) == ("RequestTimeTooSkewed", Effect.FAILURE)
    assert "clock" in result.hint


# --- TLS --------------------------------------------------------------------------------------
def test_a_certificate_of_a_private_ca_is_taken_where_the_ca_is_given(tls_sink: Sink) -> None:
    tls_sink.clear()
    tls_sink.behave("*", body="", headers=ETAG)
    (result,) = deliver(at(tls_sink), event())
    assert result.outcome is Outcome.DELIVERED
    (result,) = deliver(at(tls_sink, ca_certificate=""), event())
    assert (result.code, result.outcome, result.effect) == ("tls_failed", R, F)
    assert "ca_certificate" in result.hint
    steps = list(at(tls_sink, ca_certificate="").check())
    assert (steps[-1].name, steps[-1].status) == ("TLS", StepStatus.FAILED)


def test_a_certificate_for_another_name_is_refused(tls_sink: Sink) -> None:
    tls_sink.clear()
    (result,) = deliver(at(tls_sink, endpoint_url=f"https://127.0.0.2:{tls_sink.port}"), event())
    assert result.code in ("tls_failed", "connect_failed")
    assert tls_sink.count() == 0


# --- egress -----------------------------------------------------------------------------------
@pytest.mark.parametrize("host", ["169.254.169.254", "10.1.2.3", "127.0.0.1", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0"])
def test_an_address_that_is_not_allowed_is_not_dialled(store: Sink, host: str) -> None:
    url = f"http://{host}:{store.port}"
    adapter = at(store, policy=EgressPolicy(), endpoint_url=url)
    (result,) = deliver(adapter, event())
    assert (result.outcome, result.effect, result.code) == (R, F, "egress_refused")
    steps = list(at(store, policy=EgressPolicy(), endpoint_url=url).check())
    assert (steps[-1].name, steps[-1].status) == ("resolve", StepStatus.FAILED)
    assert store.count() == 0


def test_proxies_of_the_machine_are_not_used(store: Sink, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert deliver(at(store), event())[0].outcome is Outcome.DELIVERED


def test_an_edited_destination_uses_its_new_key(folder: Folder) -> None:
    """An adapter is made anew for each version: an old key must not live on in the shared session."""
    assert deliver(folder.adapter(), event())[0].outcome is Outcome.DELIVERED
    wrong = replace(folder.server.writer, secret="another-secret")
    assert deliver(folder.adapter(wrong), event())[0].code == "SignatureDoesNotMatch"
    assert deliver(folder.adapter(), event())[0].outcome is Outcome.DELIVERED
