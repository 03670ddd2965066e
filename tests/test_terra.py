"""What a Terra body says of itself."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from destinations.terra import (
    DATA_TYPES,
    EVENT_TYPES,
    TERRA_ADDRESSES,
    InvalidPayload,
    Summary,
    is_data_type,
    parse,
    read,
    summarize,
)
from tests.hub import SAMPLES

pytestmark = pytest.mark.databaseless
quickly = settings(max_examples=60)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=15,
)


def made(**fields: Any) -> bytes:
    return json.dumps({"type": "daily", **fields}).encode()


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize("name", SAMPLES)
def test_every_sample_is_read(name: str) -> None:
    said = json.loads(SAMPLES[name])
    facts, summary = read(SAMPLES[name]), summarize(SAMPLES[name])
    assert facts.type == summary.type == said["type"]
    assert facts.type in EVENT_TYPES
    user = said.get("user") or said.get("new_user") or {}
    assert summary.user_id == (user.get("user_id") or "") == (facts.user_id or "")
    assert facts.is_data == (said["type"] in DATA_TYPES)
    assert facts.version == said.get("version")


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"1", "not an object"),
        (b"[]", "not an object"),
        (b'[{"type":"daily"}]', "not an object"),
        (b"null", "not an object"),
        (b"{}", "no text in its field 'type'"),
        (b'{"type":null}', "no text in its field 'type'"),
        (b'{"type":""}', "no text in its field 'type'"),
        (b'{"type":7}', "no text in its field 'type'"),
        (b'{"type":["daily"]}', "no text in its field 'type'"),
        (b'{"type":"daily"', "line 1, column"),
        (b'{"type":"daily"} x', "line 1, column 18"),
        (b'{"type":"daily"}{"type":"daily"}', "not JSON"),
        (b'{"type":"daily","n":NaN}', "NaN is no JSON value"),
        (b'{"type":"daily","n":-Infinity}', "-Infinity is no JSON value"),
        (b"{'type':'daily'}", "not JSON"),
        (b'{"type":"daily","n":01}', "not JSON"),
        (b'{"type":"daily",}', "not JSON"),
        (b'{"type":"da\nily"}', "not JSON"),
        (b'\xef\xbb\xbf{"type":"daily"}', "not JSON"),
        ('{"type":"daily"}'.encode("utf-16"), "not UTF-8: byte 0"),
        (b'{"type":"d\xe9"}', "not UTF-8: byte 10"),
        (b'{"type":"\xed\xa0\x80"}', "not UTF-8"),  # a lone surrogate in bytes
        (b'{"type":"daily","d":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested too deeply"),
        # After a number that Python's int() refuses, the rest is judged as strictly.
        (b'{"type":"daily","n":' + b"9" * 5000 + b",}", "not JSON"),
        (b'{"type":"daily","n":' + b"9" * 5000 + b',"m":NaN}', "NaN is no JSON value"),
        (b'{"type":"daily","n":' + b"9" * 5000 + b',"d":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "nested"),
    ],
)
def test_what_is_no_payload_is_refused_with_the_reason(body: bytes, says: str) -> None:
    with pytest.raises(InvalidPayload, match=says):
        summarize(body)


def test_what_is_odd_but_right_json_is_taken() -> None:
    assert parse(b'{"type":"daily","n":' + b"9" * 5000 + b"}")["n"] == float("inf")
    assert parse(b' \r\n\t{"type":"daily","n":1e400}\n')["n"] == float("inf")
    assert parse(b'{"type":"activity","type":"daily"}')["type"] == "daily"
    assert summarize(b'{"type":"daily","user":{"user_id":"\\ud800\\u0000"}}').user_id == "\ud800\0"


def test_numbers_keep_their_exact_value() -> None:
    assert parse(b'{"type":"daily","n":12345678901234567890123}')["n"] == 12345678901234567890123


@quickly
@given(st.binary())
def test_no_bytes_make_it_fail_in_another_way(body: bytes) -> None:
    with pytest.raises(InvalidPayload):
        read(b"x" + body)


@quickly
@given(st.dictionaries(st.sampled_from(["user", "new_user", "old_user", "data", "status", "reference_id", "event_id",
                                        "version", "x"]), json_values), st.sampled_from(EVENT_TYPES))  # fmt: skip
def test_no_shape_makes_it_fail(fields: dict[str, Any], kind: str) -> None:
    body = json.dumps({**fields, "type": kind}).encode()
    if b"NaN" in body or b"Infinity" in body:
        body = body.replace(b"NaN", b"1").replace(b"Infinity", b"1")
    assert read(body).type == summarize(body).type == kind


def test_a_summary_holds_text_only_where_the_body_has_text() -> None:
    user = {"user_id": "u", "provider": None, "reference_id": ""}
    assert summarize(made(user=user)) == Summary("daily", "u", "", "", "")
    assert summarize(made(user={"user_id": 7, "provider": "P"})) == Summary("daily", "", "", "", "")
    assert summarize(made(user="u")) == Summary("daily", "", "", "", "")


def test_where_the_reference_comes_from() -> None:
    assert summarize(made(type="auth_cancelled", reference_id="r")).reference_id == "r"
    assert summarize(made(type="lab_report.completed", data={"reference_id": "r"})).reference_id == "r"
    user = {"user_id": "u", "reference_id": "of the user"}
    assert summarize(made(user=user, reference_id="other")).reference_id == "of the user"


def test_a_lab_report_has_an_id_of_its_own_and_no_other_type_has() -> None:
    assert summarize(made(type="lab_report.completed", event_id="e")).event_id == "e"
    assert summarize(made(type="lab_report.of_tomorrow", event_id="e")).event_id == "e"
    assert summarize(made(type="daily", event_id="e")).event_id == ""


def test_user_reauth_names_both_users() -> None:
    facts = read(made(type="user_reauth", old_user={"user_id": "old"}, new_user={"user_id": "new"}, status="success"))
    assert (facts.user_id, facts.old_user and facts.old_user.user_id) == ("new", "old")
    assert read(made(type="user_reauth", old_user=None, new_user={"user_id": "new"})).old_user is None


@pytest.mark.parametrize(
    ("kind", "status", "state"),
    [
        ("auth", "success", "active"),
        ("auth", "error", None),
        ("daily", None, "active"),
        ("lab_report.completed", None, "active"),
        ("user_reauth", "success", "active"),
        ("deauth", "success", "deauth"),
        ("access_revoked", None, "access_revoked"),
        ("connection_error", None, "connection_error"),
        ("permission_change", None, None),
        ("healthcheck", "success", None),
        ("of_tomorrow", None, None),
    ],
)
def test_what_becomes_of_the_user(kind: str, status: str | None, state: str | None) -> None:
    assert read(made(type=kind, status=status, user={"user_id": "u"})).user_state == state


def test_times_span_all_items() -> None:
    items = [
        {"metadata": {"start_time": "2026-03-12T08:00:00+02:00", "end_time": "2026-03-12T09:00:00+02:00", "type": 0}},
        {"metadata": {"start_time": "2026-03-11T23:00:00.000000+00:00", "end_time": "2026-03-12T12:30:00Z"}},
        {"metadata": {"start_time": "not a time"}},
        {"metadata": None},
        "no object",
    ]
    facts = read(made(data=items))
    assert facts.start_time == at("2026-03-11T23:00:00Z")
    assert facts.end_time == at("2026-03-12T12:30:00Z")


def test_times_of_items_without_metadata() -> None:
    hormone = read(made(type="hormone", data=[{"timestamp": "2026-03-12T06:00:00Z"}]))
    assert hormone.start_time == hormone.end_time == at("2026-03-12T06:00:00Z")
    planned = read(made(type="planned_workout", data=[{"planned_date": "2026-03-12"}]))
    assert planned.start_time == at("2026-03-12T00:00:00+00:00")
    empties: list[Any] = [[], {}, None, "x"]
    assert [read(made(data=empty)).start_time for empty in empties] == [None] * 4


def test_times_at_the_edge_of_the_calendar_are_left_out() -> None:
    assert read(made(data=[{"timestamp": "0001-01-01T00:00:00+14:00"}])).start_time is None


def test_types() -> None:
    assert is_data_type("lab_report.of_tomorrow")
    assert not is_data_type("deauth")
    assert len(set(EVENT_TYPES)) == len(EVENT_TYPES)
    assert len(set(TERRA_ADDRESSES)) == 10
