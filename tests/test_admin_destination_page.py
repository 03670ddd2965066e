"""The list and the page of destinations: is it fine, what failed and why, what a button or a failure now would do."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from destinations.models import Destination, Notice
from destinations.schedules import PRESETS, tries
from destinations.troubles import login_refused
from tests.admin_support import DESTINATIONS, Page, Person
from tests.api_support import make_attempt, make_database, make_delivery, make_destination, make_event
from tests.stats.support import tally_attempts
from tests.test_admin_naughty import NAUGHTY, check
from webhooks.admin.condition import condition_of, disabled_soon, headline
from webhooks.admin.consequences import consequence, saving
from webhooks.admin.destinations import DestinationAdmin
from webhooks.stats import Summary

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 3, 12, 14, 2, tzinfo=UTC)
VIEWER = ("destinations.view_destination", "webhooks.view_delivery")


@pytest.fixture
def ana() -> Person:
    return Person()


@pytest.fixture
def two_o_clock() -> Iterator[None]:
    with time_machine.travel(NOW, tick=False):
        yield


def shown(row: Destination, **about: Any) -> str:
    """Return the sentence at the top of a page at NOW, as it is read."""
    return strip_tags(headline(row, Summary(**about), NOW))


# --- the sentence --------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("columns", "about", "sentence"),
    [
        ({}, {}, "Nothing was tried in 24 h; nothing waiting; untested as it is set up now."),
        ({"check_passed": True}, {"success": 1.0, "last_success_at": NOW - timedelta(minutes=3)},
         "100 % delivered in 24 h; nothing waiting; last success 13:59 UTC (3 minutes ago)."),
        ({"check_passed": True}, {"success": 0.0, "waiting": 1, "next_try_at": NOW + timedelta(minutes=3)},
         "0 % delivered in 24 h; 1 waiting, next try 14:05 UTC (in 3 minutes); no success yet."),
        ({"failing_since": NOW - timedelta(minutes=42), "last_code": "http_401"},
         {"success": 0.9924, "waiting": 14, "next_try_at": NOW + timedelta(minutes=3)},
         "99.2 % delivered in 24 h; 14 waiting, next try 14:05 UTC (in 3 minutes); "
         "failing since 13:20 UTC with authentication errors; no success yet."),
        ({"failing_since": NOW - timedelta(days=1), "last_code": "http_503"},
         {"success": 0.99999, "waiting": 1000, "waiting_capped": True, "oldest_due": NOW - timedelta(minutes=7)},
         "99.9 % delivered in 24 h; 1,000+ waiting, the oldest due since 13:55 UTC (7 minutes ago); "
         "failing since 11 Mar 14:02 UTC with answers of 503; no success yet."),
        ({"paused": True, "check_passed": True}, {"success": 0.00001, "waiting": 2},
         "Paused, so deliveries collect and none is sent; 0.1 % delivered in 24 h; "
         "2 waiting, kept until you resume; no success yet."),
        ({"active": False}, {"waiting": 1},
         "Disabled, so new events get no delivery here; nothing was tried in 24 h; "
         "1 waiting, kept until it is enabled again."),
        ({"paused_until": NOW + timedelta(minutes=1), "pause_reason": "retry_after", "check_passed": False},
         {"waiting": 3, "success": 0.5},
         "50.0 % delivered in 24 h; 3 waiting; held back until 14:03 UTC (in 1 minute): the other side "
         "asked to be left alone; its last check failed; no success yet."),
        ({"check_passed": True}, {"waiting": 2}, "Nothing was tried in 24 h; 2 waiting, being tried now."),
    ],
)  # fmt: skip
def test_one_sentence_says_whether_it_is_fine(columns: dict[str, Any], about: dict[str, Any], sentence: str) -> None:
    row = make_destination()
    for name, value in columns.items():
        setattr(row, name, value)

    assert shown(row, **about) == sentence


def test_what_goes_wrong_is_named_by_its_code() -> None:
    row = make_destination()
    row.failing_since = NOW
    for code, words in (
        ("42501", "missing permissions"), ("connect_timeout", "timeouts"), ("dns_failed", "failed name lookups"),
        ("http_500", "answers of 500"), ("NoSuchBucket", "the error NoSuchBucket"), ("", "failing since 14:02 UTC."),
    ):  # fmt: skip
        row.last_code = code
        assert words in shown(row)


def test_credentials_that_are_refused_have_a_state_of_their_own() -> None:
    database = make_database()
    database.failing_since, database.last_code = NOW, "28P01"
    assert condition_of(database, NOW).chip.label == "Credentials rejected"
    assert "(28P01)" in condition_of(database, NOW).sentence
    database.last_code = "53300"
    assert condition_of(database, NOW).chip.label == "Failing"
    database.paused = True
    assert condition_of(database, NOW).chip.label == "Paused"
    assert login_refused("supabase", "AccessDenied")
    assert not login_refused("s3", "AccessDenied"), "a right is missing there, and the key is known"


@pytest.mark.parametrize(
    ("code", "label"),
    [("28P01", "Credentials rejected"), ("3D000", "Check failed"), ("", "Credentials rejected")],
)
def test_a_check_that_was_refused_says_so_too(code: str, label: str) -> None:
    row = make_database()
    row.check_passed, row.checked_at = False, NOW
    row.check_steps = [{"name": "authenticate", "status": "failed", "detail": "Not let in.", "code": code}]

    assert condition_of(row, NOW).chip.label == label


def test_how_near_it_is_to_being_disabled_is_said() -> None:
    row = make_destination(disable_after_hours=120)
    assert disabled_soon(row, NOW) == ""
    row.failing_since = NOW - timedelta(hours=59)
    assert disabled_soon(row, NOW) == "", "too early to alarm anybody"
    row.failing_since = NOW - timedelta(hours=108)
    assert disabled_soon(row, NOW) == "Disabled in 12 hours unless a delivery succeeds: 90 % of 120 h."
    row.failing_since = NOW - timedelta(hours=121)
    assert disabled_soon(row, NOW).startswith("It is disabled at the next failure")
    row.disable_after_hours = 0
    assert disabled_soon(row, NOW) == ""


# --- buttons --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("name", "waiting", "says"),
    [
        ("pause", 0, "Nothing waits now."), ("pause", 1, "1 waits now; it is kept, and sent after Resume."),
        ("pause", 14, "14 wait now; they are kept, and sent after Resume."),
        ("resume", 1, "The 1 that waits is sent as they come due."), ("resume", 0, "Ends the pause. Nothing waits."),
        ("disable", 2, "only a replay sends them later. 2 wait now; they are kept, and sent after Enable."),
        ("enable", 5, "The 5 that wait are sent as they come due."),
    ],
)  # fmt: skip
def test_a_button_says_what_becomes_of_what_waits(name: str, waiting: int, says: str) -> None:
    (button,) = [one for one in DestinationAdmin.buttons if one.name == name]

    assert says in consequence(button, Summary(waiting=waiting))


def test_what_waits_is_counted_on_the_buttons_and_in_the_form(ana: Person) -> None:
    row = make_destination()
    for _ in range(3):
        make_delivery(make_event(), row)

    page = ana.look(row)

    assert "3 wait now; they are kept, and sent after Resume." in page.text
    assert "they are skipped, and only a replay sends them later. 3 wait now" in page.text
    assert "3 waiting deliveries are sent in the new form once you save." in page.text
    assert saving(Summary(waiting=1)) == "1 waiting delivery is sent in the new form once you save."
    page = ana.press(row, "disable")
    assert "Disabled, so new events get no delivery here" in page.text
    assert "3 waiting, kept until it is enabled again" in page.text
    assert f"Disabled by {ana.user}." in page.text


def test_somebody_may_pause_and_resume_without_changing_anything_else() -> None:
    row = make_destination()
    ben = Person("destinations.view_destination", "destinations.pause_destination")

    page = ben.look(row)
    assert "Pause" in page.text
    assert "Disable" not in page.text
    ben.press(row, "pause")
    row.refresh_from_db()
    assert row.paused
    ben.press(row, "resume")
    row.refresh_from_db()
    assert not row.paused
    ben.post(f"{DESTINATIONS}{row.pk}/do/disable/", 403)


def test_who_may_only_look_sees_everything_and_can_do_nothing() -> None:
    row = make_destination()
    failed(row, 2, "http_500")

    page = Person(*VIEWER).look(row)

    assert not page.find("button", type="submit", **{"class": "hub-button"})
    for word in ("Retry these", "Replay what failed", "Send what is missing"):
        assert word not in page.text
    assert "http_500" in page.text
    assert "Retry 8" in page.text
    assert "Set, ends …" in page.text
    assert "http_500" not in Person("destinations.view_destination").look(row).text, "failures are deliveries"


# --- failures -------------------------------------------------------------------------------------
def failed(row: Destination, count: int, code: str, **said: str) -> None:
    for number in range(count):
        delivery = make_delivery(
            make_event(user_id=f"user-{number % 2}"), row, "dead", last_error_code=code, attempt_count=1
        )
        make_attempt(delivery, 1, error_code=code, **said)


def links(page: Page, path: str) -> list[dict[str, list[str]]]:
    """Return the query of each link to ``path``."""
    hrefs = [urlsplit(str(attrs.get("href"))) for attrs in page.find("a")]
    return [parse_qs(href.query) for href in hrefs if href.path == path]


def test_failures_are_grouped_by_cause_with_a_way_to_see_and_to_retry_them(ana: Person) -> None:
    row = make_destination()
    failed(row, 3, "http_401", error_detail="The receiver answered 401.", hint="Check the authentication.")
    failed(row, 1, "dns_failed", error_detail="No address.")

    page = ana.look(row)

    assert "3 deliveries http_401 2 users" in page.text
    assert "1 delivery dns_failed 1 user" in page.text
    assert "The receiver answered 401." in page.text
    assert "Check the authentication." in page.text
    for code in ("http_401", "dns_failed"):
        where = {"destination": [str(row.pk)], "error_code": [code]}
        assert where in links(page, "/admin/webhooks/delivery/")
        assert {"kind": ["failed"], **where} in links(page, "/admin/webhooks/replay/add/")
    assert {"kind": ["missing"], "destination": [str(row.pk)]} in links(page, "/admin/webhooks/replay/add/")


def test_what_failed_since_it_is_failing_can_be_replayed(ana: Person) -> None:
    row = make_destination()
    Destination.objects.filter(pk=row.pk).update(failing_since=NOW)

    (since,) = [query["since"] for query in links(ana.look(row), "/admin/webhooks/replay/add/") if "since" in query]

    assert since == [NOW.isoformat()]


@pytest.mark.parametrize("text", NAUGHTY, ids=range(len(NAUGHTY)))
def test_what_a_receiver_and_an_operator_write_is_text(ana: Person, text: str) -> None:
    row = make_destination("".join(letter for letter in text if letter != "\x00")[:100])
    failed(row, 1, text[:64], error_detail=text, hint=text)
    Destination.objects.filter(pk=row.pk).update(failing_since=NOW, disabled_reason=text[:200], active=False)
    Notice.objects.create(destination=row, kind="disabled", text=text, created_at=datetime.now(UTC))

    check(ana.look(row), text)
    check(ana.get(DESTINATIONS), text)


# --- retry schedule -------------------------------------------------------------------------------
def test_a_schedule_is_clock_times_for_a_failure_now(ana: Person, two_o_clock: None) -> None:
    row = make_destination()

    text = ana.look(row).text

    assert "Fails 14:02:00" in text
    assert "Retry 1 14:02:30 30 s" in text
    assert "Retry 2 14:04:00 1 min 30 s" in text
    assert "Retry 7 11:09:30 tomorrow" not in text
    assert "Retry 8 17:22:00 tomorrow 18 h 13 min" in text
    assert "Given up 17:22:00 tomorrow UTC, 1 day 3 h after the first failure" in text


def test_clock_times_are_utc_over_the_night_in_which_clocks_change() -> None:
    before = datetime(2026, 3, 28, 23, 30, tzinfo=UTC)  # in Berlin the clock jumps at 01:00 UTC

    (one, two) = tries([2 * 3600, 86400], before)

    assert (one.at, one.clock, one.wait) == (datetime(2026, 3, 29, 1, 30, tzinfo=UTC), "01:30:00 tomorrow", "2 h")
    assert (two.clock, two.wait) == ("01:30:00, Mon 30 Mar", "1 day")


def test_presets_are_what_their_names_say() -> None:
    assert [(one.label, len(one.waits), sum(one.waits) / 3600) for one in PRESETS] == [
        ("Default", 8, pytest.approx(27.33, abs=0.01)), ("Quick", 5, 1.0), ("Patient", 8, 72.0)
    ]  # fmt: skip


def test_presets_are_for_those_who_can_save_one_and_say_their_waits(ana: Person) -> None:
    row = make_destination()

    assert "waits of 1 min, 3 min, 6 min, 15 min, 35 min ( 60, 180, 360, 900, 2100 )" in ana.look(row).text
    page = Person("destinations.view_destination").look(row)
    assert "Given up" in page.text
    assert not [one for one in page.find("button") if "data-hub-set" in one]


def test_a_schedule_that_is_typed_is_computed_and_one_that_cannot_be_says_why(ana: Person, two_o_clock: None) -> None:
    path = f"{DESTINATIONS}retry-times/"

    page = ana.get(path, schedule="60, 3600")
    assert "Retry 2 15:03:00 1 h" in page.text
    assert "Retry 3" not in page.text
    assert "Retry 8" in ana.get(path, schedule="").text
    assert "Write seconds with commas" in ana.get(path, schedule="soon <b>").text
    assert "at most" in ana.get(path, schedule="0").text
    assert "at most" in ana.get(path, schedule="nan, inf, 1e400").text
    assert ana.get(f"{DESTINATIONS}add/", type="webhook").find("option", value=PRESETS[1].text)


# --- secrets, notices, charts ----------------------------------------------------------------------
def test_secrets_are_told_of_and_never_shown(ana: Person, settings: Any) -> None:
    secret = "0123456789-a-long-signing-secret-4f2a"
    with time_machine.travel(NOW - timedelta(days=2), tick=False):
        row = make_destination(credentials={"signing_secret": secret}, by=ana.user)
    with time_machine.travel(NOW, tick=False):
        ana.client.force_login(ana.user)
        tally_attempts(row, NOW - timedelta(minutes=3), delivered=1)

        page = ana.look(row)
        assert f"Set, ends …4f2a, changed 10 Mar 2026 by {ana.user.username}. Last used 3 minutes ago." in page.text
        assert secret[:20] not in page.source
        ana.press(row, "rotate_secret", grace_s="3600", version=str(row.version))
        assert "The one before it signs too, for 1 hour more." in ana.look(row).text
        settings.CREDENTIAL_KEYS = ["other:" + "b3RoZXItb3RoZXItb3RoZXItb3RoZXItb3RoZXItMTI="]
        assert "Those that are stored do not open" in ana.look(row).text


def test_the_newest_notices_are_on_the_page(ana: Person) -> None:
    row = make_destination()
    now = datetime.now(UTC)
    for text, at in (("long ago", now - timedelta(days=8)), ("half of it", now - timedelta(hours=2))):
        Notice.objects.create(destination=row, kind="failing_50", text=text, created_at=at)

    page = ana.look(row)

    assert "half of it" in page.text
    assert "long ago" not in page.text


def test_the_time_that_charts_show_is_a_link(ana: Person) -> None:
    row = make_destination()

    for span in ("hour", "day", "week"):
        page = ana.look(row, span=span)
        (chosen,) = page.find("a", **{"aria-current": "true"})
        assert chosen["href"] == f"?span={span}#figures-title"
    assert ana.look(row, span="<x-evil>").find("a", href="?span=day#figures-title", **{"aria-current": "true"})


# --- the list -------------------------------------------------------------------------------------
def test_the_list_says_how_each_is_doing(ana: Person) -> None:
    row = make_destination("Fine")
    for _ in range(2):
        make_delivery(make_event(), row)

    page = ana.get(DESTINATIONS)

    assert "webhook Webhook" in page.text, "the type's icon and its name"
    for head in ("Name", "Target", "State", "24 hours", "P95", "Waiting", "Last success"):
        assert head in page.text
    assert re.search(r"field-shown_waiting[^>]*>\s*2\s*<", page.source)


def test_the_list_is_narrowed_to_a_state(ana: Person) -> None:
    rows = {name: make_destination(name) for name in ("New", "Good", "Locked", "Slow", "Off")}
    change = Destination.objects.filter
    change(name="Good").update(check_passed=True)
    change(name__in=["Locked", "Slow"]).update(failing_since=NOW)
    change(name="Off").update(active=False)
    failed(rows["Locked"], 1, "http_500")
    failed(rows["Locked"], 1, "http_401")  # the newest one counts
    failed(rows["Slow"], 1, "http_500")

    for state, names in (
        ("untested", {"New"}), ("healthy", {"Good"}), ("credentials", {"Locked"}), ("failing", {"Locked", "Slow"}),
        ("disabled", {"Off"}), ("paused", set()), ("elsewhere", set()),
    ):  # fmt: skip
        text = ana.get(DESTINATIONS, state=state).text
        assert {name for name in rows if f" {name} " in text} == names, state


def test_fifty_destinations_cost_no_more_queries_than_one(ana: Person) -> None:
    def cost(path: str) -> int:
        ana.get(path)
        with CaptureQueriesContext(connection) as queries:
            ana.get(path)
        return len(queries)

    first = make_destination("hook 0")
    failed(first, 2, "http_500")
    paths = [DESTINATIONS, f"{DESTINATIONS}?state=healthy", f"{DESTINATIONS}{first.pk}/change/"]
    alone = [cost(path) for path in paths]
    for number in range(1, 51):
        make_delivery(make_event(), make_destination(f"hook {number}"))
        failed(first, 1, f"http_{500 + number}")

    assert [cost(path) for path in paths] == alone
    assert max(alone) <= 25
