"""A person starts replays in the admin, looks at them, and ends them; who may do what, and what is noted."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse
from django.utils import timezone

from destinations import services
from tests.admin_plans import MOST_QUERIES, statements
from tests.admin_support import DELIVERIES, EVENTS, Page, Person
from tests.api_support import make_delivery, make_destination, make_source
from tests.replays.stage import carried_on, failed, fresh, seed
from tests.stats.support import tally_attempts
from webhooks.admin import replays as pages
from webhooks.keeping import estimates, looking, replays
from webhooks.models import Delivery, Replay

pytestmark = pytest.mark.django_db

REPLAYS = "/admin/webhooks/replay/"
ADD = f"{REPLAYS}add/"
LOOKER = ("webhooks.view_replay",)


@pytest.fixture
def ana() -> Person:
    return Person()


def start(person: Person, page: Page, **more: Any) -> Page:
    """Press Start on a dialog that shows these values."""
    hidden = {one["name"]: one["value"] for one in page.find("input", type="hidden") if one["name"] in FIELDS}
    typed = {one["name"]: one["value"] for one in page.find("input") if one.get("name") in FIELDS and one.get("value")}
    return person.post(ADD, **{**typed, **hidden, "do": "start", **more})


FIELDS = ("kind", "shown", "deliveries", "events", "since", "until", "type", "user_id", "error_code", "rate_per_s")


def test_a_link_opens_the_dialog_with_what_it_means_in_words_and_numbers(ana: Person) -> None:
    hook = make_destination("Clinic")
    one, two = seed(make_source(), 2)
    failed(one, hook)
    failed(two, hook, code="timeout")
    page = ana.get(ADD, kind="failed", destination=hook.pk, error_code="http_500", since="2026-03-12T06:00:00Z")
    assert "What failed at Clinic with http_500 since 2026-03-12 06:00:00 UTC" in page.text
    assert "1 delivery" in page.text
    assert "The receiver gets it again, with the same webhook-id." in page.text
    assert page.value("since") == "2026-03-12T06:00:00"
    assert Replay.objects.count() == 0


def test_starting_makes_a_job_with_its_page_and_an_entry_in_the_history(ana: Person) -> None:
    make_destination("Clinic")
    seed(make_source(), 3, user_id="u1")
    page = start(ana, ana.get(ADD, kind="matching", user_id="u1", hours="24000"))
    replay = Replay.objects.get()
    assert (replay.estimate, replay.created_by, replay.selection["user_id"]) == (3, ana.user.get_username(), "u1")
    assert "Starts as soon as a worker takes it." in page.text
    assert "Started: about 3 deliveries." in LogEntry.objects.get().get_change_message()
    carried_on()
    page = ana.look(replay)
    assert "0 of about 3 are done" in page.text or "3 of 3 wait" in page.text
    assert {f"{DELIVERIES}?replay={replay.pk}&status=pending"} <= {str(one.get("href")) for one in page.find("a")}
    assert "Events with user u1" in ana.get(REPLAYS).text


def test_buttons_pause_resume_and_cancel_and_are_noted(ana: Person) -> None:
    services.pause(make_destination())
    seed(make_source(), 3)
    start(ana, ana.get(ADD, kind="matching"))
    replay = Replay.objects.get()
    carried_on()
    assert "Nothing more is made due until you resume" in ana.press(replay, "pause").text
    assert "Running" in ana.press(replay, "resume").text
    page = ana.press(replay, "cancel")
    assert "3 that waited went back to what they were" in page.text
    assert not page.find("button", type="submit", name="do")
    assert "has ended already" in ana.press(replay, "cancel").text
    noted = [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]
    assert noted == ["Started: about 3 deliveries.", "Pause.", "Resume.", "Cancel."]


def test_what_is_wrong_comes_back_with_what_was_typed(ana: Person) -> None:
    hook = make_destination("Clinic")
    seed(make_source(), 2)
    page = ana.post(ADD, kind="matching", do="start", since="2026-03-13T00:00", until="2026-03-12T00:00", user_id="u9")
    assert "Must be later than the beginning of the range." in page.text
    assert (page.value("since"), page.value("user_id")) == ("2026-03-13T00:00:00", "u9")
    assert "Must be a whole number from 1" in ana.post(ADD, kind="matching", do="start", shown="2", rate_per_s="x").text
    assert "No event fits" in ana.get(ADD, kind="matching", type="sleep").text
    assert "Write a time like" in ana.get(ADD, kind="matching", since="<b>").text
    services.disable(hook)
    page = ana.get(ADD, kind="failed", destination=hook.pk)
    assert "It is disabled: Clinic. Enable it first." in page.text
    assert not page.find("button", value="start")
    assert "Name one destination." in ana.get(ADD, kind="missing").text
    assert Replay.objects.count() == 0


def test_a_selection_that_changed_since_it_was_shown_is_shown_again(ana: Person) -> None:
    make_destination()
    seed(make_source(), 10)
    page = ana.post(ADD, kind="matching", do="start", shown="2")
    assert "These are 10 deliveries. Say 10 if that is what you mean." in page.text
    assert Replay.objects.count() == 0
    assert start(ana, page).find("progress")


def test_above_the_limit_the_count_has_to_be_typed(ana: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (estimates, pages, replays):
        monkeypatch.setattr(module, "COUNTED", 5)
    make_destination()
    seed(make_source(), 10)
    page = ana.get(ADD, kind="matching")
    assert "Type 10 to say that you mean it" in page.text
    page = start(ana, page, typed="7")
    assert "Say 10 if that is what you mean." in page.text
    assert page.value("typed") == "7"
    assert Replay.objects.count() == 0
    start(ana, page, typed="10")
    assert Replay.objects.get().estimate == 10


@pytest.mark.parametrize(
    "asked",
    [
        {"kind": "matching"}, {"kind": "matching", "outcome": "dead"}, {"kind": "matching", "source": "none"},
        {"kind": "matching", "outcome": "dead", "one": True}, {"kind": "missing", "one": True},
        {"kind": "failed", "one": True}, {"kind": "failed", "one": True, "since": "2026-01-01T00:00:00Z"},
    ],
)  # fmt: skip
def test_the_dialog_asks_little_however_much_is_selected(
    asked: dict[str, Any], ana: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = {"LEAST": 1, "PAIRS": 12, "READ_MOST": 40, "SAMPLE_KEYS": 5}
    for module in (estimates, looking):
        for name, value in limits.items():
            monkeypatch.setattr(module, name, value, raising=False)
    hooks = [make_destination(f"hook {number}") for number in range(6)]
    make_source("none")
    events = seed(make_source(), 120)
    for event in events:
        failed(event, hooks[0])
    query = dict(asked)
    if query.pop("one", False):
        query["destination"] = str(hooks[1 if asked["kind"] == "missing" else 0].pk)

    ana.get(ADD, **query)  # content types are read once
    with statements() as found:
        page = ana.get(ADD, **query)

    assert len(found) <= MOST_QUERIES
    assert "About " in page.text


def test_what_is_ticked_in_a_list_is_replayed(ana: Person) -> None:
    hook = make_destination("Clinic")
    one, two, _ = seed(make_source(), 3)
    rows = [make_delivery(event, hook, "delivered") for event in (one, two)]
    chosen = {"action": "replay_chosen", "_selected_action": [rows[0].pk, rows[1].pk]}
    page = ana.post(DELIVERIES, **chosen)
    assert "2 chosen deliveries" in page.text
    start(ana, page, deliveries=[row.pk for row in rows])
    page = ana.post(EVENTS, action="replay_chosen", _selected_action=[str(two.pk)])
    assert "1 chosen event" in page.text
    start(ana, page)
    carried_on()
    assert [replay.queued for replay in Replay.objects.order_by("pk")] == [2, 0]
    assert fresh(Replay.objects.order_by("pk").last()).skipped == 1  # on its way by the first one


def test_those_who_may_only_look_start_and_change_nothing() -> None:
    make_destination()
    seed(make_source(), 1)
    start(Person(), Person().get(ADD, kind="matching"))
    replay = Replay.objects.get()
    viewer = Person(*LOOKER)
    page = viewer.look(replay)
    assert page.find("progress")
    assert not page.find("button", **{"aria-describedby": "says-pause"})
    viewer.get(ADD, 403, kind="matching")
    viewer.post(ADD, 403, kind="matching", do="start", shown="1")
    viewer.post(reverse("admin:webhooks_replay_do", args=[replay.pk, "cancel"]), 403)
    viewer.get(reverse("admin:webhooks_replay_progress", args=[replay.pk]))
    stranger = Person("webhooks.view_event")
    stranger.get(REPLAYS, 403)
    stranger.get(reverse("admin:webhooks_replay_progress", args=[replay.pk]), 403)
    assert fresh(replay).status == "running"


def test_the_part_that_refreshes_itself_ends_when_the_replay_does(ana: Person) -> None:
    make_destination()
    seed(make_source(), 1)
    start(ana, ana.get(ADD, kind="matching"))
    replay = Replay.objects.get()
    url = reverse("admin:webhooks_replay_progress", args=[replay.pk])
    page = ana.get(url, status="running", said="0 % done")
    assert page.find("div", id="replay-progress")[0]["hx-trigger"] == "every 2s"
    assert not page.find("p", id="replay-said"), "nothing new to read out"
    assert "HX-Refresh" not in page.headers
    carried_on()
    Delivery.objects.update(status="delivered")
    carried_on(2)
    page = ana.get(url, status="running", said="0 % done")
    assert page.headers["HX-Refresh"] == "true"
    assert "hx-trigger" not in page.find("div", id="replay-progress")[0]
    assert "1 delivered, none failed" in page.text


def test_an_attempt_leads_to_the_replay_that_it_belongs_to(ana: Person) -> None:
    hook = make_destination()
    (event,) = seed(make_source(), 1)
    start(ana, ana.get(ADD, kind="matching"))
    replay = Replay.objects.get()
    row = failed(event, hook)
    row.attempts.update(trigger="replay", replay=replay)
    page = ana.look(row)
    assert f"Replayed by {replay.created_by}" in page.text
    assert page.find("a", href=f"{REPLAYS}{replay.pk}/change/")


def test_what_senders_wrote_is_shown_as_text(ana: Person) -> None:
    nasty = '<script>alert(1)</script>"\u202e'
    make_destination("<b>hook</b>")
    seed(make_source(), 1, user_id=nasty, type="<i>t</i>")
    page = ana.get(ADD, kind="matching", user_id=nasty, type="<i>t</i>")
    shown = start(ana, page)
    for one in (page, shown, ana.get(REPLAYS), ana.look(Replay.objects.get())):
        assert "<script>alert" not in one.source
        assert "<i>t" not in one.source
        assert "\\u202e" in one.text or one is shown


def test_without_a_kind_the_dialog_asks_for_one(ana: Person) -> None:
    page = ana.get(ADD)
    assert {"?kind=failed", "?kind=missing", "?kind=matching"} <= {str(one.get("href")) for one in page.find("a")}


def test_the_dialog_says_how_long_it_will_take_and_what_that_goes_by(ana: Person) -> None:
    hook, slow = make_destination("Clinic", concurrency=16), make_destination("<b>Archive</b>", concurrency=1)
    seed(make_source(), 60)
    about: dict[str, Any] = {"kind": "missing", "destination": hook.pk}
    assert "not known: nothing was delivered to Clinic in the last 24 hours." in ana.get(ADD, **about).text
    page = ana.post(ADD, **about, do="look", rate_per_s="2")
    assert "At that rate, 2 a second, it takes 30 s at least. Whether it can go so fast is not known" in page.text

    # Half of its tries took 1.75 s at most, 16 at once: 9 a second.
    tally_attempts(hook, timezone.now() - timedelta(hours=3), delivered=10, ms_2500=10)
    assert "It takes a few seconds, at about 9 a second: by what Clinic took lately." in ana.get(ADD, **about).text
    tally_attempts(slow, timezone.now(), delivered=60, failed=5, ms_2500=65)
    about["destination"] = slow.pk
    page = ana.get(ADD, **about)
    assert "It takes about 1 min, at about 1 a second: by what <b>Archive</b> took lately." in page.text
    assert "<b>Archive" not in page.source
    # Both: the slower one holds the other up.
    page = ana.get(ADD, kind="matching", destination=[hook.pk, slow.pk])
    assert "at about 2 a second: by what <b>Archive</b>" in page.text
    # A rate counts where it is slower.
    page = ana.post(ADD, **about, do="look", rate_per_s="100")
    assert "by what <b>Archive</b> took lately" in page.text
    tally_attempts(slow, timezone.now(), writer="w2", delivered=6000, ms_10=6000)
    page = ana.post(ADD, **about, do="look", rate_per_s="1")
    assert "It takes about 1 min, at the rate of 1 a second." in page.text


def test_pausing_and_cancelling_say_what_still_goes_out(ana: Person) -> None:
    services.pause(make_destination())
    seed(make_source(), 3)
    start(ana, ana.get(ADD, kind="matching"))
    replay = Replay.objects.get()
    carried_on()
    assert "Paused. 3 are due already and are still delivered." in ana.press(replay, "pause").text
    Delivery.objects.filter(pk=Delivery.objects.order_by("pk").values_list("pk", flat=True)[0]).update(claimed_by="w:1")
    page = ana.press(replay, "cancel")
    assert "Cancelled. 2 deliveries went back to what they were. 1 are in a worker's hands" in page.text
    assert page.find("div", id="replay-progress")[0]["hx-trigger"], "it goes on to show what becomes of that one"
