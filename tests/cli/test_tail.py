"""``hub events tail``: what comes in is printed as it comes, until Ctrl-C."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from subprocess import PIPE
from typing import Any

import pytest
from django.db import OperationalError

from terra_hub.cli import tail
from tests.api_support import make_attempt, make_delivery, make_destination, make_event
from tests.cli.support import Ran, hub
from tests.hub import ROOT, environment
from webhooks.live.rows import Window

pytestmark = pytest.mark.django_db


def tailed(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], Any], *options: str) -> Ran:
    """Follow; let something happen after the first look, and press Ctrl-C after the second."""
    steps = iter([happens])

    def wait(_: float) -> None:
        step = next(steps, None)
        if step is None:
            raise KeyboardInterrupt
        step()

    monkeypatch.setattr(tail.time, "sleep", wait)
    return hub("events", "tail", *options)


def test_only_what_is_new_and_wanted_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    one, two = make_destination("orders"), make_destination("other")
    make_delivery(make_event(user_id="user-x", type="before"), one)

    def happens() -> None:
        make_delivery(make_event(user_id="user-x", type="body"), two)
        make_event(user_id="user-y", type="sleep")
        make_attempt(make_delivery(make_event(user_id="user-x", type="sleep", provider="GARMIN"), one), 1)

    ran = tailed(monkeypatch, happens, "--destination", "orders", "--user", "user-x")
    assert ran.err == "Following. Ctrl-C ends it.\n"
    event, attempt = (
        line.split(None, 1)[1] for line in sorted(ran.out.splitlines(), key=lambda line: "event" not in line)
    )
    assert event.split() == ["event", "sleep", "GARMIN", "user-x", "orders:", "pending"]
    assert "attempt 1 · http_500 · 12 ms" in attempt
    assert "orders: failed, may succeed later" in attempt


def test_a_database_that_is_away_for_a_moment_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    look, broken = Window.look, iter([True])

    def sometimes(window: Window) -> Any:
        if next(broken, False):
            raise OperationalError("gone")
        return look(window)

    monkeypatch.setattr(Window, "look", sometimes)
    monkeypatch.setattr(tail, "renew_connections", lambda: None)  # the test's own transaction
    ran = tailed(monkeypatch, lambda: None)
    assert ran.err.splitlines() == [
        "The database does not answer (OperationalError): trying on.",
        "Following. Ctrl-C ends it.",
    ]


def _takes_ctrl_c() -> None:
    """Have a child obey SIGINT, also where the tests run in the background and ignore it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.django_db(transaction=True)
def test_a_program_reads_one_object_a_line_as_they_come() -> None:
    to = make_destination("orders")
    make_event(user_id="user-before", type="sleep")
    command = [sys.executable, "manage.py", "hub", "events", "tail", "--json", "--type", "sleep"]
    env = environment(PYTHONUNBUFFERED="")  # else it would not matter whether the command flushes
    with subprocess.Popen(
        command, cwd=ROOT, env=env, stdout=PIPE, stderr=PIPE, text=True, preexec_fn=_takes_ctrl_c
    ) as process:
        assert process.stdout
        assert process.stderr
        end = threading.Timer(60, process.kill)  # so that a line that never comes is a failure
        end.start()
        assert process.stderr.readline() == "Following. Ctrl-C ends it.\n"
        make_event(user_id="user-of-another-type")
        event = make_event(type="sleep", user_id="user-xxxxxxxxxxxxxxx", provider="GARMIN")
        first = json.loads(process.stdout.readline())
        attempt = make_attempt(make_delivery(event, to), 1)
        second = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
        end.cancel()
        assert "Traceback" not in process.stderr.read()
    assert (first["kind"], first["event_id"], first["user_id"]) == ("event", str(event.pk), "user-xxxxxxxxxxxxxxx")
    assert (second["kind"], second["attempt_id"], second["destination"]) == ("attempt", attempt.pk, "orders")
    assert "http_500" in second["says"]
