"""``hub events`` and ``hub send-test``: found, read, sent again."""

import hashlib
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from destinations.terra import EVENT_TYPES
from tests.api_support import make_delivery, make_destination, make_event, make_source
from tests.cli.support import hub
from tests.cli.terminal import Terminal
from webhooks.keeping.payloads import put_body
from webhooks.models import Delivery, Event, Payload, PayloadView

pytestmark = pytest.mark.django_db
SLEEP = {"type": "sleep", "user_id": "user-x", "reference_id": "ref-x", "provider": "GARMIN"}


def ids(*arguments: str) -> set[str]:
    return {row["id"] for row in hub("events", "list", "--json", *arguments).json}


def test_a_list_takes_the_filters_of_the_admin() -> None:
    to, now = make_destination(), datetime.now(UTC)
    sleep = make_event(**SLEEP, terra_reference="t-1")
    old = make_event(now - timedelta(days=2), **SLEEP)
    other = make_event(user_id="user-y")
    make_delivery(sleep, to, "dead")
    everything = {str(one.pk) for one in (sleep, old, other)}
    assert ids() == everything
    for options, kept in (
        (("--user", "user-x"), {sleep, old}), (("--type", "sleep", "--since", "1h"), {sleep}),
        (("--until", "36h"), {old}), (("--provider", "garmin", "--since", "1d"), {sleep}),
        (("--reference", "ref-x", "--since", "90m"), {sleep}), (("--terra-reference", "t-1"), {sleep}),
        (("--destination", "hook"), {sleep}), (("--outcome", "dead"), {sleep}), (("--outcome", "delivered"), set()),
        (("--source", "main"), {sleep, old, other}), (("--trace", "nothing"), set()),
        (("--since", (now - timedelta(days=3)).isoformat(), "--until", "1d"), {old}),
    ):  # fmt: skip
        assert ids(*options) == {str(one.pk) for one in kept}, options


def test_a_long_list_says_that_there_is_more_and_skips_nothing() -> None:
    made = [make_event(user_id=f"u-{number % 2}") for number in range(7)]
    ran = hub("events", "list", "--limit", "3")
    assert ran.out.count("daily") == 3
    assert "There are more than 3" in ran.err
    assert "There are more than 3" in hub("events", "list", "--limit", "3", "--json").err
    assert ids("--limit", "7") == {str(one.pk) for one in made}
    assert "There are more" not in hub("events", "list", "--limit", "7").err


def test_what_cannot_be_read_says_what_to_write() -> None:
    assert "2h, 30m, 7d ago" in hub("events", "list", "--since", "yesterday", code=1).err
    assert "Must be later" in hub("events", "list", "--since", "1h", "--until", "2h", code=1).err
    assert "There is no destination 'nowhere'" in hub("events", "list", "--destination", "nowhere", code=3).err
    hub("events", "list", "--outcome", "lost", code=2)


def test_an_event_is_shown_with_where_its_deliveries_stand() -> None:
    event = make_event(**SLEEP, headers={"terra-reference": "abc"})
    delivery = make_delivery(event, make_destination("orders"), "dead", last_error_code="http_500", attempt_count=9)
    shown = hub("events", "show", str(event.pk))
    for text in ("user-x", "terra-reference: abc", f"{delivery.pk} to orders: Dead letter. Given up after 9 attempts"):
        assert text in shown.out
    value = hub("events", "show", str(event.pk), "--json").json
    assert value["deliveries"][0]["last_error_code"] == "http_500"
    assert value["headers"] == {"terra-reference": "abc"}


def test_an_id_of_something_else_is_told() -> None:
    make_event(**SLEEP)
    ran = hub("events", "show", "user-x", code=3)
    assert "hub events list --user user-x" in ran.err


# --- payloads --------------------------------------------------------------------------------------------------------
BODY = b'{"type":"sleep",  "note": "\xc3\xa4"}\n'


def with_file() -> tuple[Event, bytes]:
    event, body = make_event(size=300_000), os.urandom(300_000)
    Payload.objects.filter(event=event).update(
        body=None, store_name=put_body(event.pk, body), sha256=hashlib.sha256(body).digest()
    )
    return event, body


def test_a_file_gets_the_exact_bytes_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    event, body = with_file()
    path = tmp_path / "body"
    ran = hub("events", "payload", str(event.pk), "-o", str(path))
    assert path.read_bytes() == body
    assert path.stat().st_mode & 0o777 == 0o600
    assert "293.0 KiB written" in ran.err
    assert "is there already" in hub("events", "payload", str(event.pk), "-o", str(path), code=1).err
    hub("events", "payload", str(event.pk), "-o", str(path), "--force")
    views = PayloadView.objects.filter(event_id=event.pk)
    assert [view.viewer.partition(" (")[0] for view in views] == ["command line"] * 2


def test_a_payload_that_is_gone_is_told(tmp_path: Path) -> None:
    event = make_event()
    Payload.objects.all().delete()
    assert "no longer kept" in hub("events", "payload", str(event.pk), "-o", str(tmp_path / "x"), code=1).err
    assert not (tmp_path / "x").exists()
    assert not PayloadView.objects.exists()


def test_a_pipe_gets_the_exact_bytes_and_a_terminal_no_surprise(terminal: Terminal, tmp_path: Path) -> None:
    (large, body), plain, evil = with_file(), make_event(body=BODY), make_event(body=b'{"type":"\xc2\x9b2J"}')
    assert terminal.run(f"terra-hub events payload {large.pk} | cat > body") == ""
    assert (tmp_path / "body").read_bytes() == body
    assert terminal.run(f"terra-hub events payload {plain.pk}") == BODY.decode().strip()
    assert "much for a terminal" in terminal.run(f"terra-hub events payload {large.pk}")
    assert "a terminal may obey them" in terminal.run(f"terra-hub events payload {evil.pk}")


# --- sending ---------------------------------------------------------------------------------------------------------
def test_an_event_is_sent_again_where_it_would_go_or_where_it_is_told() -> None:
    make_source()
    one, two, event = make_destination("one"), make_destination("two"), make_event()
    make_delivery(event, one, "delivered")
    tried = hub("events", "resend", str(event.pk), "--dry-run")
    assert (tried.out, tried.err) == ("", "Dry run: 2 deliveries would be made due.\n")
    assert set(Delivery.objects.values_list("destination", "status")) == {(one.pk, "delivered")}
    assert hub("events", "resend", str(event.pk), "--destination", "two", "--json").json["resent"] == 1
    assert set(Delivery.objects.values_list("destination", "status")) == {(one.pk, "delivered"), (two.pk, "pending")}


@pytest.mark.parametrize("type", ["healthcheck", "sleep", "lab_report.completed"])
def test_a_signed_sample_of_a_type_is_taken_in(type: str) -> None:
    make_source()
    make_destination("orders")
    assert type in EVENT_TYPES
    dry = hub("send-test", "main", type, "--dry-run")
    assert "Dry run: it passes. It goes to orders." in dry.err
    assert not Event.objects.exists()
    ran = hub("send-test", "main", type)
    event: Any = Event.objects.get()
    assert (ran.out.strip(), event.type) == (str(event.pk), type)
    assert event.deliveries.count() == 1


def test_a_sample_that_a_source_refuses_is_told_as_such() -> None:
    make_source()
    assert "There is no sample of 'tea'" in hub("send-test", "main", "tea", code=1).err
    assert "There is no source 'other'" in hub("send-test", "other", code=3).err
