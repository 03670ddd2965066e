"""``hub deliveries`` and ``hub replays``: what failed is found, retried, watched and cancelled."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from destinations.models import Destination
from terra_hub.cli import replay_jobs
from tests.api_support import make_attempt, make_delivery, make_destination, make_event
from tests.cli.support import hub
from tests.replays.stage import carried_on, failed, fresh
from webhooks.keeping import replays as use_cases
from webhooks.models import Delivery, Replay

pytestmark = pytest.mark.django_db


def ids(*arguments: str) -> set[int]:
    return {row["id"] for row in hub("deliveries", "list", "--json", *arguments).json}


def failures(count: int, to: Destination, **columns: Any) -> list[Delivery]:
    return [failed(make_event(), to, **columns) for _ in range(count)]


def test_a_list_takes_the_filters_of_the_admin() -> None:
    one, two = make_destination("one"), make_destination("two")
    sleep = make_event(type="sleep", user_id="user-x")
    dead = failed(sleep, one, code="http_500")
    waits = make_delivery(make_event(user_id="user-y"), two, last_error_code="timeout")
    done = make_delivery(sleep, two, "delivered")
    for options, kept in (
        ((), {dead, waits, done}), (("--status", "dead"), {dead}), (("--destination", "two"), {waits, done}),
        (("--error-code", "timeout"), {waits}), (("--status-code", "500"), {dead}),
        (("--user", "user-x"), {dead, done}), (("--type", "daily"), {waits}),
        (("--event", str(sleep.pk)), {dead, done}), (("--status", "pending"), {waits}),
        (("--destination", "one", "--since", "1h"), {dead}), (("--until", "1h"), set()), (("--replay", "7"), set()),
    ):  # fmt: skip
        assert ids(*options) == {row.pk for row in kept}, options


def test_a_delivery_is_shown_with_every_try() -> None:
    row = make_delivery(make_event(), make_destination("orders"), "dead", attempt_count=2, last_error_code="http_503")
    make_attempt(row, 1, error_code="http_500", error_detail="broken", hint="Look at its log.", status_code=500)
    make_attempt(row, 2, error_code="http_503")
    shown = hub("deliveries", "show", str(row.pk)).out
    for text in ("Given up after 2 attempts", "orders", "HTTP 500", "broken", "Hint: Look at its log.", "http_503"):
        assert text in shown
    assert [one["number"] for one in hub("deliveries", "show", str(row.pk), "--json").json["attempts"]] == [1, 2]
    assert "There is no delivery 999999" in hub("deliveries", "show", "999999", code=3).err


def test_named_deliveries_are_retried_and_cancelled() -> None:
    to = make_destination()
    dead, done = failures(2, to)
    assert "1 delivery would be made due" in hub("deliveries", "retry", str(dead.pk), "--dry-run").err
    assert fresh(dead).status == "dead"
    hub("deliveries", "retry", str(dead.pk), str(done.pk))
    assert (fresh(dead).status, fresh(done).status) == ("pending", "pending")
    hub("deliveries", "cancel", str(dead.pk), "--dry-run")
    assert fresh(dead).status == "pending"
    Delivery.objects.filter(pk=done.pk).update(status="delivered", next_attempt_at=None)
    ran = hub("deliveries", "cancel", str(dead.pk), str(done.pk), "--json")
    assert (ran.json["cancelled"], ran.json["settled"]) == (1, 1)
    assert fresh(dead).status == "cancelled"


# --- what failed at a destination -------------------------------------------------------------------------------------
def test_a_dry_run_of_a_retry_says_what_it_would_be() -> None:
    to = make_destination("orders")
    failures(3, to)
    failures(2, to, code="timeout")
    failed(make_event(), to, at=datetime.now(UTC) - timedelta(days=3), created_at=datetime.now(UTC))
    ran = hub("deliveries", "retry", "--destination", "orders", "--error-code", "http_500", "--dry-run", "--json")
    assert (ran.json["count"], ran.json["exact"], ran.json["confirm"]) == (4, True, False)
    assert ran.json["destinations"][0]["name"] == "orders"
    assert "Dry run: nothing was started." in hub("deliveries", "retry", "--destination", "orders", "--dry-run").err
    assert not Replay.objects.exists()


def test_a_retry_asks_first_and_starts_a_replay_of_what_failed_lately() -> None:
    to = make_destination("orders")
    recent = failures(3, to)
    retry = ("deliveries", "retry", "--since", "2h", "--destination", "orders")
    assert "Add --yes to do it." in hub(*retry, code=1).err
    ran = hub(*retry, "--yes", "--detach")
    replay = Replay.objects.get()
    assert ran.out == f"{replay.pk}\n"
    assert (replay.kind, replay.destination_ids, replay.created_by[:12]) == ("failed", [str(to.pk)], "command line")
    carried_on(3)
    assert {fresh(row).replay_id for row in recent} == {replay.pk}
    assert "Nothing has failed there" in hub(*retry, "--error-code", "timeout", "--yes", code=1).err
    assert "Name deliveries, or a destination" in hub("deliveries", "retry", code=1).err
    assert "not both" in hub("deliveries", "retry", "7", "--destination", "orders", code=1).err


def test_a_large_count_has_to_be_said(monkeypatch: pytest.MonkeyPatch) -> None:
    failures(2, make_destination("orders"))
    counted = use_cases.estimate
    monkeypatch.setattr(use_cases, "estimate", lambda asked: replace(counted(asked), count=25_000, exact=False))
    start = ("replays", "start", "failed", "--destination", "orders", "--detach")
    assert "Add --confirm 25000." in hub(*start, code=1).err
    assert "Add --confirm 25000." in hub(*start, "--yes", code=1).err
    assert "Say 25000" in hub(*start, "--confirm", "10", code=1).err
    assert not Replay.objects.exists()
    hub(*start, "--confirm", "25000")
    assert Replay.objects.get().estimate == 25_000


# --- replays ----------------------------------------------------------------------------------------------------------
def test_replays_of_every_kind_are_started_paused_resumed_and_cancelled() -> None:
    to = make_destination("orders")
    event = make_event(type="sleep", user_id="user-x")
    make_event()
    numbers = [
        hub("replays", "start", *words, "--yes", "--detach").out.strip()
        for words in (
            ("missing", "--destination", "orders", "--since", "1d"),
            ("matching", "--user", "user-x", "--type", "sleep", "--source", "main", "--rate", "5"),
            ("chosen", "--event", str(event.pk), "--destination", "orders"),
        )
    ]
    kinds = Replay.objects.order_by("pk").values_list("kind", "rate_per_s")
    assert list(kinds) == [("missing", None), ("matching", 5), ("chosen", None)]
    number = numbers[0]
    assert "nothing was changed" in hub("replays", "pause", number, "--dry-run").err
    assert Replay.objects.get(pk=number).status == "running"
    assert "paused" in hub("replays", "pause", number).out
    assert [row["id"] for row in hub("replays", "list", "--status", "paused", "--json").json] == [int(number)]
    hub("replays", "resume", number)
    assert Replay.objects.get(pk=number).status == "running"
    assert hub("replays", "cancel", number, "--json").json["status"] == "cancelled"
    assert "It has ended already" in hub("replays", "cancel", number, code=1).err
    shown = hub("replays", "show", numbers[1]).out
    assert "type=sleep" in shown
    assert "user_id=user-x" in shown
    assert to.name in hub("replays", "show", numbers[2]).out
    assert "Is no filter of this kind" in hub("replays", "start", "failed", "--user", "x", code=1).err
    hub("replays", "start", "everything", code=2)
    hub("replays", "show", "999", code=3)


def test_watching_ends_with_the_replay_and_says_how_it_went(monkeypatch: pytest.MonkeyPatch) -> None:
    to = make_destination("orders")
    failures(2, to)
    number = hub("deliveries", "retry", "--destination", "orders", "--yes", "--detach").out.strip()
    carried_on(2)
    Delivery.objects.filter(replay=number).update(status="delivered", next_attempt_at=None)
    monkeypatch.setattr(replay_jobs.time, "sleep", lambda _: carried_on())  # a worker's step between two looks
    ran = hub("replays", "watch", number)
    assert "No worker runs, so nothing moves." in ran.err
    assert "100 %, 2 of 2, done" in ran.out
    assert hub("replays", "watch", number, "--json").json["progress"]["delivered"] == 2


def test_watching_one_that_was_stopped_fails() -> None:
    failures(1, make_destination("orders"))
    number = hub("deliveries", "retry", "--destination", "orders", "--yes", "--detach").out.strip()
    Replay.objects.update(status="stopped", problem="The destination was deleted.")
    assert "The destination was deleted." in hub("replays", "watch", number, code=1).out
