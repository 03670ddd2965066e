"""Where an event goes in a bucket, what is written beside it, and which of two events stays."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from destinations import terra
from destinations.adapters.base import Message
from destinations.adapters.objects import (
    MAX_KEY_BYTES,
    MAX_PREFIX,
    PREFIX_PATTERN,
    Position,
    check_key,
    clean_prefix,
    may_replace,
    moment_text,
    object_of,
    position_in,
    prefix_problem,
    printable,
    segment,
)
from tests.adapters.contract import SAMPLES

pytestmark = pytest.mark.databaseless

RECEIVED = datetime(2026, 7, 2, 10, 0, 0, 123456, tzinfo=UTC)
EVENT_ID = "019f1c2e-0000-7000-8000-000000000001"
USER = "40f7b0e1-89e2-43ac-a5b8-1e29c8d47cad"
FORTY_TWO = "8dadb06f-9ce3-4b6e-a7e7-3f7f2c0a9b11"
STAMP = "2026-07-02T10:00:00.123456Z"
# Read off the sample files by hand.
KEYS = {
    "access_revoked": f"access_revoked/{USER}-{STAMP}.json",
    "activity": f"2022-03-16/activity/{USER}-2026-07-01T06:04:11Z.json",
    "athlete": f"2022-03-16/athlete/{USER}-{STAMP}.json",
    "auth_cancelled": f"auth_cancelled/{EVENT_ID}-{STAMP}.json",
    "body": f"2022-03-16/body/{USER}-2026-06-30T23:00:00Z.json",
    "healthcheck": f"healthcheck/{EVENT_ID}-{STAMP}.json",
    "hormone": f"2022-03-16/hormone/{FORTY_TWO}-2025-06-01T00:00:00Z.json",
    "lab_report.completed": f"lab_report.completed/{EVENT_ID}-{STAMP}.json",
    "planned_workout": f"2022-03-16/planned_workout/{FORTY_TWO}-2025-06-01T00:00:00Z.json",
    "s3_payload": f"s3_payload/{EVENT_ID}-{STAMP}.json",
    "user_reauth": f"user_reauth/9c8b7a65-4321-4fed-a0b9-87c6d5e4f321-{STAMP}.json",
}


def message(body: Any, **about: Any) -> Message:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Message(EVENT_ID, "any", raw, RECEIVED, **about)


def data(user_id: Any = "abc123", start: str = "2026-03-12T06:00:00+00:00", **body: Any) -> Message:
    made = {"type": "activity", "user": {"user_id": user_id}, "version": "2022-03-16"}
    return message({**made, "data": [{"metadata": {"start_time": start}}], **body})


@pytest.mark.parametrize("name", KEYS)
def test_a_sample_gets_the_key_of_terras_page(name: str) -> None:
    made = message((SAMPLES / f"{name}.json").read_bytes())
    assert object_of(made).key == KEYS[name]
    assert object_of(made, "/health//terra/").key == f"health/terra/{KEYS[name]}"


@pytest.mark.parametrize(
    ("start", "shown"),
    [
        ("2026-03-12T06:00:00Z", "2026-03-12T06:00:00Z"),
        ("2026-03-12T06:00:00.000000+00:00", "2026-03-12T06:00:00Z"),
        ("2026-03-12T08:00:00.5+02:00", "2026-03-12T06:00:00.500Z"),
        ("2026-03-12T06:00:00.000001", "2026-03-12T06:00:00.000001Z"),
    ],
)
def test_times_are_in_utc_and_have_sub_seconds_only_where_there_are_some(start: str, shown: str) -> None:
    assert object_of(data(start=start)).key == f"2022-03-16/activity/abc123-{shown}.json"
    assert moment_text(datetime.fromisoformat(start).replace(tzinfo=None).astimezone(UTC)).endswith("Z")


def test_the_earliest_item_names_the_object() -> None:
    items = [{"metadata": {"start_time": f"2026-03-12T0{hour}:00:00Z"}} for hour in (7, 6, 8)]
    assert object_of(data(data=items)).key.endswith("abc123-2026-03-12T06:00:00Z.json")


def test_terras_own_clock_names_an_event_without_a_start_time() -> None:
    at = message({"type": "auth", "user": {"user_id": "a"}}, headers={"x-terra-ordering-timestamp": "1783000000123"})
    assert object_of(at).key == "auth/a-2026-07-02T13:46:40.123Z.json"


@pytest.mark.parametrize(
    "odd",
    [
        "../../etc/passwd",
        ".",
        "..",
        "a/b",
        "a b",
        "",
        "é",
        "x" * 129,
        "nul\x00",
        "\ud83d",
        "u-" + "A" * 32,
        "a\\b",
        "%2e",
    ],
)
def test_an_odd_name_becomes_one_safe_segment_of_its_own(odd: str) -> None:
    assert re.fullmatch(r"u-[A-Z2-7]{32}", segment(odd, "u"))
    assert segment(odd, "u") != segment(odd + "x", "u")
    assert segment(odd, "u") != odd


def test_odd_types_and_versions_are_hashed_too() -> None:
    key = object_of(data("me/you", type="a/../b", version="../..")).key
    assert re.fullmatch(r"t-[A-Z2-7]{32}/u-[A-Z2-7]{32}-\S+\.json", key)  # not a type of data that is known
    key = object_of(data("me/you", type="lab_report./", version="../..")).key
    assert re.fullmatch(r"v-[A-Z2-7]{32}/t-[A-Z2-7]{32}/u-[A-Z2-7]{32}-2026-03-12T06:00:00Z\.json", key)


@given(st.text(), st.text(), st.text(), st.from_regex(PREFIX_PATTERN, fullmatch=True))
def test_no_body_gives_a_key_that_is_too_long_or_climbs(user: str, kind: str, version: str, prefix: str) -> None:
    prefix = prefix[:MAX_PREFIX]
    if prefix_problem(prefix):
        return
    body = {"type": kind or "x", "user": {"user_id": user}, "version": version, "data": []}
    key = object_of(message(body), prefix).key
    assert len(key.encode()) <= MAX_KEY_BYTES
    assert not {"", ".", ".."} & set(key.split("/"))
    assert key.isascii()
    assert key.isprintable()


@given(st.text(min_size=1), st.text(min_size=1))
def test_two_users_never_share_a_key(one: str, other: str) -> None:
    assert (object_of(data(one)).key == object_of(data(other)).key) == (one == other)


def test_a_body_that_is_none_of_terras_has_no_key() -> None:
    with pytest.raises(terra.InvalidPayload):
        object_of(message(b"[1]"))


@pytest.mark.parametrize(("given_", "cleaned"), [("", ""), ("/", ""), ("a", "a"), ("//a//b/", "a/b")])
def test_slashes_round_a_prefix_do_not_count(given_: str, cleaned: str) -> None:
    assert re.fullmatch(PREFIX_PATTERN, given_)
    assert clean_prefix(given_) == cleaned
    assert check_key(given_) == (f"{cleaned}/" if cleaned else "") + "terra-hub-check.json"


@pytest.mark.parametrize("bad", ["a b", "a?b", "é", "a\\b", "a%2fb", "a\x00"])
def test_a_prefix_that_stores_would_read_in_two_ways_is_refused(bad: str) -> None:
    assert not re.fullmatch(PREFIX_PATTERN, bad)
    assert prefix_problem("a/../b")
    assert not prefix_problem("a..b/c")


# --- metadata and order -------------------------------------------------------------------------
def test_metadata_names_the_event_its_reference_and_its_moment() -> None:
    made = object_of(replace(data(), headers={"terra-reference": "ref-1"}))
    assert made.metadata == {
        "terra-event-id": EVENT_ID,
        "terra-reference": "ref-1",
        "terra-ordering-timestamp": str(round(RECEIVED.timestamp() * 1000)),
    }
    assert "terra-reference" not in object_of(data()).metadata


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("ab-1_2", "ab-1_2"),
        ("a\r\nX-Evil: 1", "a%0D%0AX-Evil:%201"),
        ("50%", "50%25"),
        ("é", "%C3%A9"),
        ("\ud83d", "?"),
    ],
)
def test_what_a_header_cannot_hold_is_encoded(text: str, written: str) -> None:
    assert printable(text).isascii()
    assert printable(text) == written
    assert len(printable("é" * 1000)) == 512


def stored(ms: int, event_id: str = EVENT_ID) -> dict[str, str]:
    return {"Terra-Ordering-Timestamp": str(ms), "terra-event-id": event_id}  # stores change the case of names


LATER_ID = EVENT_ID[:-1] + "2"


@pytest.mark.parametrize(
    ("there", "mine", "may"),
    [
        (stored(2), Position(1, EVENT_ID), False),
        (stored(1), Position(2, EVENT_ID), True),
        (stored(1), Position(1, EVENT_ID), True),  # the same event again
        (stored(1), Position(1, LATER_ID), True),  # made at once, received later
        (stored(1, LATER_ID), Position(1, EVENT_ID), False),
        ({}, Position(1, EVENT_ID), True),
        ({"terra-ordering-timestamp": "soon", "terra-event-id": "x"}, Position(1, EVENT_ID), True),
        ({"terra-ordering-timestamp": "9" * 30, "terra-event-id": "x"}, Position(1, EVENT_ID), True),
        ({"terra-ordering-timestamp": "2"}, Position(1, EVENT_ID), True),
    ],
)
def test_the_newer_of_two_events_stays(there: dict[str, str], mine: Position, may: bool) -> None:
    assert may_replace(there, mine) is may


def test_what_is_written_is_read_back_as_the_same_position() -> None:
    made = object_of(data())
    assert position_in(made.metadata) == made.position
    later = object_of(replace(data(), received_at=RECEIVED + timedelta(seconds=1)))
    assert may_replace(made.metadata, later.position)
    assert not may_replace(later.metadata, made.position)
