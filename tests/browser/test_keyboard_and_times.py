"""The admin by keyboard alone, its times in both zones, its colours, and what it is without scripts or on a phone."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page, expect

from tests.admin_support import DELIVERIES, EVENTS, page_of
from tests.api_support import make_attempt, make_delivery, make_event
from tests.browser.conftest import Operator
from tests.browser.pages import PHONE
from tests.hub import Hub
from webhooks.models import Delivery

# From where to where the text of each goes, also where it leaves its box.
TEXT_ENDS = """all => all.map((one) => {
  const range = document.createRange();
  range.selectNodeContents(one);
  const { left, right } = range.getBoundingClientRect();
  return [left, right];
})"""
LogIn = Callable[..., Operator]


def at(page: Page, path: str) -> None:
    page.wait_for_url(f"**{path}")


def focused(page: Page) -> str:
    return str(page.evaluate("document.activeElement.closest('tr')?.innerText || document.activeElement.innerText"))


@pytest.fixture
def dead(hub: Hub) -> list[Delivery]:
    destination = hub.webhook("http://127.0.0.1:18999/hook", name="Warehouse")
    rows = [make_delivery(make_event(source=hub.source, type=name), destination, "dead") for name in ("daily", "sleep")]
    for row in rows:
        make_attempt(row, 1)
    return rows


def test_a_dead_letter_is_found_and_resent_by_keyboard_alone(operator: LogIn, dead: list[Delivery]) -> None:
    ana = operator()
    keys = ana.open("/admin/").keyboard
    for letter, path in (("e", EVENTS), ("o", "/admin/destinations/destination/"), ("h", "/admin/"), ("d", DELIVERIES)):
        keys.press("g")
        keys.press(letter)
        at(ana.page, path)

    keys.press("j")
    assert "sleep" in focused(ana.page)
    keys.press("j")
    assert "daily" in focused(ana.page)
    keys.press("k")
    assert "sleep" in focused(ana.page)
    keys.press("Enter")
    at(ana.page, page_of(dead[1]))
    keys.press("r")
    expect(ana.page.get_by_role("button", name="Resend")).to_be_focused()
    keys.press("Enter")
    expect(ana.page.get_by_text("1 delivery is due now.")).to_be_visible()
    assert ana.complaints == []


def test_help_search_and_palette_open_by_keys_and_typing_is_left_alone(operator: LogIn, dead: list[Delivery]) -> None:
    ana = operator()
    page, keys = ana.open(DELIVERIES), ana.page.keyboard

    keys.press("?")
    help_dialog = page.get_by_role("dialog", name="Keyboard")
    expect(help_dialog).to_be_visible()
    keys.press("Escape")
    expect(help_dialog).to_be_hidden()

    keys.press("/")
    keys.type("g?jr/")
    assert page.evaluate("document.activeElement.value") == "g?jr/"
    expect(help_dialog).to_be_hidden()

    page.evaluate("document.activeElement.blur()")
    keys.press("Control+k")
    box = page.get_by_role("searchbox", name="Find a page, a destination, an id")
    expect(box).to_be_focused()
    keys.type("wareho")
    expect(page.locator("#command-results-list a")).to_contain_text("Warehouse")
    keys.press("Enter")
    at(page, page_of(dead[0].destination))
    assert ana.complaints == []


@pytest.mark.databaseless
def test_times_are_shown_in_utc_or_in_the_browsers_zone(operator: LogIn, hub: Hub) -> None:
    # The clocks of New York went from 01:59:59 EST to 03:00:00 EDT on 8 March 2026.
    before, after = datetime(2026, 3, 8, 6, 30, tzinfo=UTC), datetime(2026, 3, 8, 7, 30, tzinfo=UTC)
    events = [make_event(moment, source=hub.source) for moment in (before, after)]
    ana = operator(timezone_id="America/New_York")
    page = ana.open(page_of(events[0]))
    moment = page.locator("dd time[data-hub-time=exact]").first

    expect(moment).to_have_text("2026-03-08 06:30:00 UTC")
    switch_times(page, "Local time")
    expect(moment).to_have_text("2026-03-08 01:30:00 GMT-5")
    expect(moment).to_have_attribute("title", "2026-03-08 06:30:00 UTC")
    ana.open(page_of(events[1]))
    expect(moment).to_have_text("2026-03-08 03:30:00 GMT-4")
    switch_times(page, "UTC")
    expect(moment).to_have_text("2026-03-08 07:30:00 UTC")
    assert ana.complaints == []


@pytest.mark.databaseless
@pytest.mark.parametrize("span", ["hour", "day", "week"])
def test_the_axes_of_charts_follow_the_zone_and_have_room_on_a_phone(operator: LogIn, hub: Hub, span: str) -> None:
    ana = operator(**PHONE, timezone_id="America/New_York")
    page = ana.open(f"/admin/?span={span}")
    times = page.locator(".hub-times time")
    form = "%d %b %H:%M" if span == "week" else "%H:%M"

    def in_zone(moment: str, zone: str) -> str:
        return datetime.fromisoformat(moment).astimezone(ZoneInfo(zone)).strftime(form)

    for zone in ("UTC", "America/New_York"):
        if zone != "UTC":
            page.evaluate("localStorage.setItem('hubTimes', 'local'); window.dispatchEvent(new Event('storage'))")
        shown = times.evaluate_all("all => all.map((one) => [one.dateTime, one.textContent])")
        assert len(shown) == 8
        for moment, text in shown:
            assert text == in_zone(moment, zone)
    page.evaluate("document.getElementById('overview').dataset.before = 'yes'")
    page.evaluate("htmx.ajax('GET', location.href, {target: '#overview', select: '#overview', swap: 'outerHTML'})")
    expect(page.locator("#overview[data-before]")).to_have_count(0)
    renewed = times.first.get_attribute("datetime") or ""  # also when the numbers have renewed themselves
    expect(times.first).to_have_text(in_zone(renewed, "America/New_York"))
    for axis in page.locator(".hub-times").all():
        places = axis.locator("time:visible").evaluate_all(TEXT_ENDS)
        assert all(start > end for (start, _), (_, end) in zip(places[1:], places, strict=False)), places
        assert places[-1][1] <= 360
    assert ana.complaints == []


def switch_times(page: Page, zone: str) -> None:
    page.locator("[popovertarget=hub-user]").click()
    page.locator("#hub-user").get_by_role("button", name=zone).click()
    page.keyboard.press("Escape")


@pytest.mark.databaseless
def test_how_long_ago_goes_on_while_a_page_stands_open(operator: LogIn, hub: Hub) -> None:
    ana = operator()
    event = make_event(datetime.now(UTC) - timedelta(minutes=5, seconds=1), source=hub.source)
    ana.page.clock.install()
    page = ana.open(page_of(event))

    ago = page.locator("dd time[data-hub-time=relative-2]").first
    expect(ago).to_contain_text("5 minutes ago")
    page.clock.fast_forward(3_600_000)
    expect(ago).to_contain_text("1 hour, 5 minutes ago")


def background(page: Page) -> str:
    return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))


@pytest.mark.databaseless
def test_colours_follow_the_system_at_once_until_somebody_chooses(operator: LogIn) -> None:
    ana = operator(color_scheme="light")
    page = ana.open("/admin/")
    light = background(page)

    page.emulate_media(color_scheme="dark")
    expect(page.locator("html.dark")).to_have_count(1)
    assert background(page) != light
    page.locator("[popovertarget=hub-user]").click()
    page.get_by_role("button", name="Light").click()
    expect(page.locator("html.dark")).to_have_count(0)

    painted: list[str] = []
    page.expose_function("paintedAs", lambda names: painted.append(names))
    # The first class that the page has when something can be painted.
    page.add_init_script(
        "new MutationObserver((_, self) => { if (document.body) { self.disconnect();"
        " paintedAs(document.documentElement.className) } }).observe(document, {childList: true, subtree: true})"
    )
    ana.open("/admin/")
    expect(page.locator("html.dark")).to_have_count(0)
    page.emulate_media(color_scheme="light")
    page.locator("[popovertarget=hub-user]").click()
    page.get_by_role("button", name="Dark").click()
    ana.open("/admin/")
    expect(page.locator("html.dark")).to_have_count(1)
    assert ["dark" in names.split() for names in painted] == [False, True]
    assert ana.complaints == []


@pytest.mark.parametrize("window", [{"java_script_enabled": False}, PHONE], ids=["no scripts", "phone"])
def test_a_dead_letter_is_resent_without_scripts_and_by_a_thumb(
    operator: LogIn, dead: list[Delivery], window: dict[str, Any]
) -> None:
    ana = operator(**window)
    page = ana.open(DELIVERIES)
    page.locator("#result_list tbody a").first.click()
    button = page.get_by_role("button", name="Resend")
    box = button.bounding_box()
    assert box
    assert box["height"] >= (44 if window is PHONE else 24)
    button.click()
    expect(page.get_by_text("1 delivery is due now.")).to_be_visible()

    page = ana.open(page_of(dead[0].destination))
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused. Deliveries collect until you resume.")).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Resumed.")).to_be_visible()
    dead[0].destination.refresh_from_db()
    assert dead[0].destination.paused is False
