"""The table of answers: what the sender gets for each kind of request, and what is stored then."""

import base64
import socket
import time
from typing import Any
from uuid import UUID

import pytest

from tests.hub import SECRET, Hub, own_hub, signature
from tests.receiving.support import BODY, body_kept, body_of_size, check_refused, events, in_chunks, kept, raw
from webhooks.keeping.payloads import read_body
from webhooks.models import Delivery, Event, QuarantinedRequest
from webhooks.receiving.sources import add_signing_secret, create_source, update_source

pytestmark = pytest.mark.django_db(transaction=True)

HOUR = 3600


def test_accepted(hub: Hub) -> None:
    headers = {"terra-reference": "ref-1", "X-Terra-Ordering-Timestamp": "1773302400123", "dev-id": "dev"}
    secrets = {"Cookie": "canary", "Authorization": "Bearer canary"}
    answer = hub.post(BODY % 1, headers | secrets, trace="trace-1")
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == {"event_id": str(UUID(answer.json["event_id"])), "duplicate": False}
    event = Event.objects.get(pk=answer.json["event_id"])
    assert (event.source, event.type, event.size, event.stale) == (hub.source, "daily", len(BODY % 1), False)
    assert (event.user_id, event.provider, event.reference_id) == ("u-1", "GARMIN", "r-1")
    assert (event.terra_reference, event.ordering_timestamp) == ("ref-1", 1773302400123)
    assert event.headers.items() >= {"dev-id": "dev", "terra-reference": "ref-1", "x-terra-trace-id": "trace-1"}.items()
    assert "canary" not in str(event.headers)
    assert read_body(event.payload) == BODY % 1


def test_a_repeat_gets_200_and_the_same_event(hub: Hub) -> None:
    first, again = hub.post(BODY % 1, trace="t"), hub.post(BODY % 1, trace="t")
    assert again.status == 200
    assert again.json == {"event_id": first.json["event_id"], "duplicate": True}
    assert len(events(hub)) == 1


def bad_signatures(body: bytes) -> dict[str, dict[str, str]]:
    now = time.time()
    return {
        "signature_missing": {},
        "signature_malformed": {"terra-signature": f"{signature(body)},{signature(body)}"},
        "signature_mismatch": {"terra-signature": signature(body, "another-secret")},
        "signature_too_old": {"terra-signature": signature(body, at=now - 49 * HOUR)},
        "signature_from_future": {"terra-signature": signature(body, at=now + HOUR)},
    }


def test_a_signature_that_does_not_pass_is_refused_and_kept(hub: Hub) -> None:
    body = BODY % 1
    for reason, signed in bad_signatures(body).items():
        answer = hub.server.request("POST", hub.path, body, signed | {"X-Terra-Trace-Id": reason, "Cookie": "canary"})
        check_refused(answer, 400, reason)
        item = QuarantinedRequest.objects.get(source=hub.source, reason=reason)
        assert bytes(item.body) == body
        assert (item.size, item.remote_address) == (len(body), "127.0.0.1")
        assert item.headers["x-terra-trace-id"] == reason
        assert item.headers.get("terra-signature") == signed.get("terra-signature")
        assert "canary" not in str(item.headers)
    assert not events(hub)


def test_a_header_of_other_bytes_is_refused_as_any_bad_one(hub: Hub) -> None:
    for value in ("t=é,v1=ÿ", "t=1,v1=" + "f" * 2000, "é"):
        answer = raw(hub.server, hub.path, {"terra-signature": value, "Content-Length": "1"}, b"1")
        assert answer.status == 400
        assert answer.json["code"] in ("signature_malformed", "signature_missing")


def test_a_large_unsigned_body_is_refused_and_only_its_head_is_kept(hub: Hub) -> None:
    body = body_of_size(70_000)
    answer = hub.post(body, {"terra-signature": signature(body, "another-secret")})
    check_refused(answer, 400, "signature_mismatch")
    item = kept(hub, "signature_mismatch")
    assert (item.body, item.size, len(item.sha256)) == (None, 70_000, 64)


def test_a_source_without_a_secret_refuses_everything(hub: Hub) -> None:
    hub.source = create_source(slug="no-secret-yet")
    check_refused(hub.post(BODY % 1), 400, "signature_no_secret")
    assert kept(hub, "signature_no_secret")


def test_old_and_new_secret_both_work_after_a_rotation(hub: Hub) -> None:
    add_signing_secret(hub.source, " the-new-secret\n")  # as pasted
    for secret in (SECRET, "the-new-secret"):
        assert hub.post(BODY % 1, {"terra-signature": signature(BODY % 1, secret)}).status == 200


def test_the_old_secret_ends_with_its_grace(hub: Hub) -> None:
    add_signing_secret(hub.source, "the-new-secret", grace_s=0)
    check_refused(hub.post(BODY % 1), 400, "signature_mismatch")
    assert hub.post(BODY % 1, {"terra-signature": signature(BODY % 1, "the-new-secret")}).status == 200


def test_an_old_request_is_taken_once_and_marked(hub: Hub) -> None:
    signed = {"terra-signature": signature(BODY % 1, at=time.time() - HOUR)}
    first = hub.post(BODY % 1, signed, trace="t-1")
    assert first.status == 200
    # Headers are not signed: whoever caught the request can send it under any other trace id.
    for trace in ("t-2", None):
        again = hub.post(BODY % 1, signed | {"terra-reference": str(trace)}, trace=trace)
        assert again.json == {"event_id": first.json["event_id"], "duplicate": True}
    assert [event.stale for event in events(hub)] == [True]
    other = hub.post(BODY % 2, {"terra-signature": signature(BODY % 2, at=time.time() - HOUR)})
    assert not other.json["duplicate"]


def test_a_caught_request_that_was_fresh_gives_no_second_event_later(hub: Hub) -> None:
    update_source(hub.source, tolerance_s=0)  # whatever is a second old is stale
    moment = time.time()
    hub.post(BODY % 1, {"terra-signature": signature(BODY % 1, at=moment)}, trace="t-1")
    time.sleep(1.1)
    again = hub.post(BODY % 1, {"terra-signature": signature(BODY % 1, at=moment)}, trace="t-2")
    assert again.json["duplicate"]
    assert len(events(hub)) == 1


def test_a_strict_source_refuses_what_is_old(hub: Hub) -> None:
    update_source(hub.source, strict=True)
    answer = hub.post(BODY % 1, {"terra-signature": signature(BODY % 1, at=time.time() - HOUR)})
    check_refused(answer, 400, "signature_too_old")
    assert kept(hub, "signature_too_old")


def test_a_signed_body_that_is_no_payload_is_refused_and_kept_whole(hub: Hub) -> None:
    body = b"[" + b" " * 70_000 + b"]"
    check_refused(hub.post(body), 400, "invalid_payload")
    item = kept(hub, "invalid_payload")
    assert body_kept(item) == body  # over the limit for unsigned bodies
    assert "not an object" in item.detail


def test_a_compressed_body_is_refused_unread(hub: Hub) -> None:
    check_refused(hub.post(BODY % 1, {"Content-Encoding": "gzip"}), 415, "content_encoding")
    item = kept(hub, "content_encoding")
    assert (item.body, item.size, item.headers["content-encoding"]) == (None, len(BODY % 1), "gzip")
    assert hub.post(BODY % 1, {"Content-Encoding": "Identity"}).status == 200


def test_an_unknown_or_disabled_source_gets_404_and_nothing_is_kept(hub: Hub) -> None:
    update_source(hub.source, active=False)
    for path in (hub.path, "/webhooks/terra/nobody", "/webhooks/terra/", "/webhooks/terra/a%00b",
                 "/webhooks/terra/%ff", "/webhooks/terra/../admin", "/webhooks/terra/A_B"):  # fmt: skip
        answer = hub.server.request("POST", path, BODY % 1, {"terra-signature": signature(BODY % 1)})
        check_refused(answer, 404, "unknown_source")
    assert not Event.objects.exists()
    assert not QuarantinedRequest.objects.exists()


def test_only_post_is_taken(hub: Hub) -> None:
    for method in ("GET", "PUT", "DELETE", "OPTIONS", "PATCH"):
        answer = hub.server.request(method, hub.path)
        check_refused(answer, 405, "method_not_allowed")
        assert answer.headers["allow"] == "POST"
    assert not QuarantinedRequest.objects.exists()


def test_a_body_over_the_limit(transactional_db: None, tmp_path: Any) -> None:
    with own_hub(tmp_path, MAX_BODY_BYTES="100000") as hub:
        body = body_of_size(100_001)
        # The answer comes before a byte of the body is sent.
        declared = raw(hub.server, hub.path, {"Content-Length": "100001", "terra-signature": signature(body)}, b"")
        check_refused(declared, 413, "body_too_large")
        assert "100000" in declared.json["detail"]
        chunked = {"Transfer-Encoding": "chunked", "terra-signature": signature(body)}
        check_refused(raw(hub.server, hub.path, chunked, in_chunks(body, 5000)), 413, "body_too_large")
        assert hub.post(body_of_size(100_000)).status == 200
        items = QuarantinedRequest.objects.filter(source=hub.source, reason="body_too_large").order_by("id")
        assert [(item.body, item.size) for item in items] == [(None, 100_001), (None, 0)]
        assert all("terra-signature" in item.headers for item in items)
        assert len(events(hub)) == 1


def test_a_source_whose_secrets_do_not_open_answers_503_and_loses_nothing(
    transactional_db: None, tmp_path: Any
) -> None:
    key = base64.b64encode(b"x" * 32).decode()
    with own_hub(tmp_path, CREDENTIAL_KEYS=f"another:{key}") as hub:
        answer = hub.post(BODY % 1)
        check_refused(answer, 503, "store_unavailable")
        assert answer.headers["retry-after"] == "30"
        assert not events(hub)


def test_a_body_that_drips_is_ended_and_holds_up_nobody(transactional_db: None, tmp_path: Any) -> None:
    with own_hub(tmp_path, BODY_TIMEOUT_SECONDS="1") as hub:
        head = f"POST {hub.path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n".encode()
        links = [socket.create_connection(("127.0.0.1", hub.server.port), timeout=20) for _ in range(200)]
        for link in links:
            link.sendall(head + b"{")
        assert hub.post(BODY % 1).status == 200
        for link in links:
            assert link.recv(4096).startswith(b"HTTP/1.1 408 ")
            link.close()
        assert len(events(hub)) == 1


def test_more_bytes_than_a_process_holds_are_answered_503_and_taken_later(
    transactional_db: None, tmp_path: Any
) -> None:
    with own_hub(tmp_path, HELD_BODY_BYTES="300000") as hub:
        check_refused(hub.post(body_of_size(300_001)), 503, "store_unavailable")
        assert [hub.post(body_of_size(200_000)).status for _ in range(3)] == [200] * 3


def test_the_environment_of_the_server_is_no_part_of_an_event(transactional_db: None, tmp_path: Any) -> None:
    with own_hub(tmp_path, HTTP_PROXY="http://user:canary@127.0.0.1:1", HTTP_TOKEN="canary") as hub:
        assert hub.post(BODY % 1, {"X-Mine": "kept"}).status == 200
        headers = events(hub)[0].headers
        assert headers["x-mine"] == "kept"
        assert "canary" not in str(headers)


def test_long_headers_are_left_out_first(hub: Hub) -> None:
    headers = {"A-Long": "a" * 12_000, "B-Long": "b" * 12_000, "terra-reference": "ref"}
    headers |= {"terra-signature": signature(BODY % 1), "Content-Length": str(len(BODY % 1))}
    assert raw(hub.server, hub.path, headers, BODY % 1).status == 200
    kept_ones = events(hub)[0].headers
    assert kept_ones.keys() >= {"a-long", "terra-reference", "terra-signature"}
    assert sum(len(name) + len(value) for name, value in kept_ones.items()) <= 16 * 1024


def test_no_deliveries_where_nothing_was_accepted(hub: Hub) -> None:
    hub.webhook("http://127.0.0.1:8099/hook")
    hub.post(BODY % 1, {"terra-signature": "t=1,v1=00"})
    hub.post(b"[]")
    assert not Delivery.objects.exists()
