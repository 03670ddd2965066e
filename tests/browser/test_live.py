"""The live tail in a real browser: rows come by themselves, as text; by polling where the stream does not come."""

import json
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Route, expect

from tests.api_support import make_delivery, make_event
from tests.browser.conftest import Operator
from tests.hub import Hub, until
from tests.sink import Sink
from webhooks.models import Delivery

LogIn = Callable[..., Operator]
NAUGHTY = "<img src=x onerror=alert(1)><script>alert(2)</script>\u202eexe.gnp"
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as running:
        yield running


def test_events_and_what_becomes_of_them_appear_by_themselves(operator: LogIn, hub: Hub, sink: Sink) -> None:
    ana = operator()
    page = ana.open("/admin/live/")
    lines = page.locator(".hub-live tbody tr")
    expect(page.locator(".hub-live-state")).to_contain_text("Live")
    hub.webhook(sink.url(), name=NAUGHTY)
    hub.post(b'{"type":"daily","user":{"user_id":"<b>user</b>","provider":"<i>GARMIN</i>"}}')
    expect(lines).to_have_count(1)
    expect(lines.first).to_contain_text("<i>GARMIN</i>")
    expect(lines.first).to_contain_text("Pending")
    hub.worker()
    until(lambda: Delivery.objects.get().status == "delivered", what="it was delivered")
    expect(lines).to_have_count(2)
    expect(lines.nth(1)).to_contain_text("<script>alert(2)</script>\\u202eexe.gnp: Delivered")
    expect(page.locator("p.hub-live-said")).to_contain_text("new row")
    assert page.locator("img[src=x], td b, td i").count() == 0

    page.get_by_role("button", name="Pause").click()
    make_event(source=hub.source, type="sleep")
    expect(page.get_by_role("button", name="1 new row")).to_be_visible()
    expect(lines).to_have_count(2)
    page.get_by_role("button", name="Go on").click()
    expect(lines.first).to_contain_text("sleep")

    for _ in range(40):
        make_event(source=hub.source, type="body")
    expect(lines).to_have_count(43)
    page.mouse.wheel(0, 3000)
    expect(page.locator("[data-hub-live-top]")).not_to_be_in_viewport()
    make_event(source=hub.source, type="activity")
    expect(page.locator("[data-hub-live-new]")).to_have_text("1 new row")
    expect(lines).to_have_count(43)
    page.locator("[data-hub-live-top]").scroll_into_view_if_needed()
    expect(lines.first).to_contain_text("activity")

    page.get_by_label("Type").select_option("sleep")
    page.get_by_role("button", name="Show").click()
    expect(lines).to_have_count(1)
    lines.first.locator("a").click()
    expect(page.get_by_text("Event id", exact=True)).to_be_visible()
    assert ana.complaints == []


def test_a_row_that_comes_twice_is_shown_once(operator: LogIn) -> None:
    row = {"kind": "event", "key": "e:1", "at": "2026-03-12T06:00:00Z", "url": "/admin/", "states": [], "more": 0}
    about = {"type": "sleep", "provider": "", "source": "main", "user": ""}
    message = json.dumps({"rows": [row | about] * 2, "left_out": 0})
    ana = operator()
    stream = "text/event-stream"
    ana.page.route(
        "**/admin/live/stream*",
        lambda route: route.fulfill(content_type=stream, body=f"data: {message}\n\ndata: {message}\n\n"),
    )
    page = ana.open("/admin/live/")
    expect(page.locator(".hub-live tbody tr").first).to_contain_text("sleep")
    expect(page.locator(".hub-live tbody tr")).to_have_count(1)


def test_without_the_stream_the_page_polls_and_fits_a_phone(operator: LogIn, hub: Hub) -> None:
    ana = operator(**PHONE)
    refuse: Callable[[Route], None] = lambda route: route.fulfill(status=404)  # noqa: E731
    ana.page.route("**/admin/live/stream*", refuse)
    page = ana.open("/admin/live/")
    expect(page.locator(".hub-live-state")).to_contain_text("looked up every 2 seconds")
    event = make_event(source=hub.source, type=NAUGHTY[:64], user_id=NAUGHTY, provider=NAUGHTY[:64])
    for number in range(3):
        make_delivery(event, hub.webhook(f"http://127.0.0.1:18999/{number}", name=f"{NAUGHTY} {number}"))
    lines = page.locator(".hub-live tbody tr")
    expect(lines).to_have_count(1)
    wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wider <= 0

    page.context.clear_cookies()
    expect(page.locator(".hub-live-state")).to_contain_text("You are logged out")
    assert [one for one in ana.complaints if "404" not in one] == []
