"""Bodies at the edge of JSON, correctly signed: never a 5xx, and nothing is lost."""

from uuid import uuid4

import pytest

from tests.hub import Hub
from tests.receiving.support import check_refused
from webhooks.keeping.payloads import read_body
from webhooks.models import Event, QuarantinedRequest

pytestmark = pytest.mark.django_db(transaction=True)

DEEP = b"[" * 100_000 + b"]" * 100_000
NO_EVENT = {
    "NaN": b'{"type":"daily","n":NaN}',
    "infinity": b'{"type":"daily","n":-Infinity}',
    "trailing garbage": b'{"type":"daily"} x',
    "two values": b'{"type":"daily"}{"type":"daily"}',
    "trailing comma": b'{"type":"daily",}',
    "array": b'[{"type":"daily"}]',
    "string": b'"daily"',
    "null": b"null",
    "no type": b'{"user":{"user_id":"u"}}',
    "type is a number": b'{"type":1}',
    "type is empty": b'{"type":""}',
    "byte order mark": b'\xef\xbb\xbf{"type":"daily"}',
    "UTF-16": '{"type":"daily"}'.encode("utf-16"),
    "Latin-1": b'{"type":"daily","name":"J\xe9r\xf4me"}',
    "surrogate in bytes": b'{"type":"daily","x":"\xed\xa0\x80"}',
    "NUL bytes": b"\0" * 100,
    "deep": b'{"type":"daily","d":' + DEEP + b"}",
    "5,000 digits, then garbage": b'{"type":"daily","n":' + b"9" * 5000 + b",}",
    "5,000 digits, then deep": b'{"type":"daily","n":' + b"9" * 5000 + b',"d":' + DEEP + b"}",
}
REPLACED = "\ufffd"
# body -> what the event's type and user_id say
EVENTS = {
    "duplicate keys": (b'{"type":"sleep","type":"daily","user":{"user_id":"a"},"user":{"user_id":"b"}}', "daily", "b"),
    "lone surrogate": (b'{"type":"daily","user":{"user_id":"\\ud800u"}}', "daily", REPLACED + "u"),
    "NUL in user_id": (b'{"type":"daily","user":{"user_id":"a\\u0000b"}}', "daily", f"a{REPLACED}b"),
    "NUL in type": (b'{"type":"daily\\u0000"}', "daily" + REPLACED, ""),
    "surrogate in type": (b'{"type":"\\udfff"}', REPLACED, ""),
    "user_id of 5 MB": (b'{"type":"daily","user":{"user_id":"' + b"u" * 5_000_000 + b'"}}', "daily", "u" * 255),
    "user_id of four-byte characters": (
        ('{"type":"daily","user":{"user_id":"' + "😀" * 300 + '"}}').encode(), "daily", "😀" * 255),
    "type of 5,000 characters": (b'{"type":"' + b"t" * 5000 + b'"}', "t" * 64, ""),
    "number of 5,000 digits": (b'{"type":"daily","n":' + b"9" * 5000 + b"}", "daily", ""),
    "1e400": (b'{"type":"daily","n":1e400,"m":-1E+999}', "daily", ""),
    "user is an array": (b'{"type":"daily","user":["u"]}', "daily", ""),
    "user_id is a number": (b'{"type":"daily","user":{"user_id":7}}', "daily", ""),
    "__proto__": (b'{"__proto__":{"type":"x"},"type":"daily","constructor":1}', "daily", ""),
    "spaces around": (b' \r\n\t{"type":"daily"}\n\n', "daily", ""),
    "unknown type": (b'{"type":"of tomorrow"}', "of tomorrow", ""),
    "quotes": (b'{"type":"daily","user":{"user_id":"\'; DROP TABLE webhooks_event; --"}}', "daily",
               "'; DROP TABLE webhooks_event; --"),
    "percent and braces": (b'{"type":"daily","user":{"user_id":"%s{0}\\\\x00"}}', "daily", "%s{0}\\x00"),
}  # fmt: skip


def test_what_is_no_payload_gets_400_and_is_kept_whole(hub: Hub) -> None:
    for name, body in NO_EVENT.items():
        trace = uuid4().hex
        check_refused(hub.post(body, trace=trace), 400, "invalid_payload")
        item = QuarantinedRequest.objects.filter(source=hub.source).latest("id")
        assert (item.reason, item.headers["x-terra-trace-id"]) == ("invalid_payload", trace), name
        assert bytes(item.body) == body, name
    assert not Event.objects.exists()


def test_what_is_odd_but_right_is_an_event_with_its_exact_bytes(hub: Hub) -> None:
    for name, (body, kind, user_id) in EVENTS.items():
        answer = hub.post(body)
        assert answer.status == 200, (name, answer.body)
        event = Event.objects.select_related("payload").get(pk=answer.json["event_id"])
        assert (event.type, event.user_id) == (kind, user_id), name
        assert read_body(event.payload) == body, name
    assert not QuarantinedRequest.objects.exists()


def test_odd_headers_do_no_harm(hub: Hub) -> None:
    body = b'{"type":"daily"}'
    odd = ["x" * 5000, "a'b\"c\\u0000", "é", "%00%0d%0a", " ", "99999999999999999999", "-1", "１２"]
    for text in odd:
        value = text.encode().decode("latin-1")
        names = ("X-Terra-Trace-Id", "terra-reference", "X-Terra-Ordering-Timestamp", "dev-id", "X-Other")
        answer = hub.post(body, dict.fromkeys(names, value), trace=None)
        assert answer.status == 200, (text, answer.body)
        event = Event.objects.get(pk=answer.json["event_id"])
        assert event.ordering_timestamp is None
        again = hub.post(body, dict.fromkeys(names, value), trace=None)
        assert again.json["event_id"] == answer.json["event_id"]
