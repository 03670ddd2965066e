"""The two figures of somebody who sees the hub for the first time: clicks to a delivered test event, and to a cause.

Each click goes through ``Clicks``; typing is none, a form is sent by its button.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from playwright.sync_api import Locator, Page, expect

from destinations.models import Destination
from tests.api_support import make_event
from tests.browser.conftest import Operator
from tests.hub import Hub, until
from tests.sink import Sink
from webhooks.models import Attempt, Delivery, Event, Source

LogIn = Callable[..., Operator]


@dataclass
class Clicks:
    """Clicks for the person, and counts."""

    page: Page
    count: int = 1  # the log-in's button

    def on(self, what: Locator) -> None:
        self.count += 1
        what.click()

    def button(self, name: str) -> None:
        self.on(self.page.get_by_role("button", name=name))

    def link(self, name: str) -> None:
        self.on(self.page.get_by_role("link", name=name))


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as running:
        yield running


@pytest.fixture
def empty(hub: Hub) -> Hub:
    """The hub as ``DEMO=0 make run`` starts it: an admin user, a worker, and nothing else."""
    hub.source.delete()
    hub.worker()
    return hub


def make_a_source(clicks: Clicks) -> None:
    clicks.page.get_by_label("Terra's signing secret").fill("a-secret-from-terra")
    clicks.button("Make the source")
    expect(clicks.page.locator("#first-run-url")).to_contain_text("/webhooks/terra/terra")


def test_from_an_empty_hub_to_a_delivered_test_event_in_twelve_clicks(operator: LogIn, empty: Hub, sink: Sink) -> None:
    ana = operator(by_form=True)
    page, clicks = ana.page, Clicks(ana.page)
    steps = page.locator("#first-run-steps")
    expect(steps).to_contain_text("Make a source")

    make_a_source(clicks)
    clicks.on(steps.get_by_role("link", name="Add a destination"))
    clicks.link("Webhook")
    page.locator("#id_name").fill("Warehouse")
    page.locator("[name='config.url']").fill(sink.url())
    clicks.button("Save")
    clicks.link("I have copied it")
    clicks.button("Send a test event")

    expect(page.locator(".hub-state").first).to_contain_text("Delivered with attempt 1")
    expect(page.locator(".hub-timeline")).to_contain_text("Test event")
    [request] = sink.requests("/hook")
    assert b'"healthcheck"' in request.body
    assert b"Test event of the Terra destination hub." in request.body
    assert Delivery.objects.get().status == "delivered"
    assert clicks.count <= 12, clicks.count
    page = ana.open("/admin/")
    expect(page.get_by_role("heading", name="Overview")).to_be_visible()
    expect(steps).to_have_count(0)
    assert ana.complaints == []


def test_the_first_page_turns_green_by_itself_when_events_come(operator: LogIn, empty: Hub, sink: Sink) -> None:
    ana = operator()
    page, clicks = ana.open("/admin/"), Clicks(ana.page)
    steps = page.locator("#first-run-steps")
    page.get_by_label("Terra's signing secret").fill("short")
    clicks.button("Make the source")
    expect(page.get_by_role("alert")).to_contain_text("at least 8 characters")
    assert page.get_by_label("Slug").input_value() == "terra"
    make_a_source(clicks)
    expect(steps).to_contain_text("Waiting for the first event…")

    clicks.button("Send a signed sample")
    expect(steps).to_contain_text("The first event is here")
    event = Event.objects.get()
    assert event.headers["x-terra-trace-id"].startswith("hub-sample-")
    steps.get_by_role("link", name="Look at it").last.click()
    expect(page.get_by_text(str(event.pk)).first).to_be_visible()

    page = ana.open("/admin/")
    empty.source = Source.objects.get()
    destination = empty.webhook(sink.url())  # as if in another window
    expect(steps).to_contain_text(f"{destination.name} is set up.")
    expect(steps).to_contain_text("No destination was there to take the first event.")
    page.get_by_label("of the type").select_option("sleep")
    clicks.button("Send a signed sample")
    until(lambda: Delivery.objects.filter(status="delivered").exists(), what="the sample arrived")
    expect(steps).to_contain_text("All four done: the first delivery was made.")
    steps.get_by_role("link", name="See how it went").click()
    expect(page.locator(".hub-state").first).to_contain_text("Delivered with attempt 1")
    ana.open("/admin/")
    expect(steps).to_have_count(0)
    assert b'"hub-sample"' in sink.requests("/hook")[0].body
    assert ana.complaints == []


def never_arrived(hub: Hub, sink: Sink) -> Destination:
    """Have a user's sleep fail at a destination, among events of others that arrived."""
    sink.behave("/hook", status=503, body="down for repairs")
    destination = hub.webhook(sink.url(), name="Warehouse")
    good = hub.webhook(sink.url("/good"), name="Lake")
    hub.worker()
    for number in range(3):
        hub.post(b'{"type":"daily","user":{"user_id":"somebody-%d"}}' % number)
    assert hub.post(b'{"type":"sleep","user":{"user_id":"user-x"}}').status == 200
    until(lambda: Attempt.objects.filter(outcome="failed").count() >= 4, what="the tries failed")
    until(lambda: Delivery.objects.filter(destination=good, status="delivered").count() == 4, what="the others arrived")
    return destination


def test_why_a_users_sleep_did_not_arrive_takes_three_clicks(operator: LogIn, hub: Hub, sink: Sink) -> None:
    never_arrived(hub, sink)
    make_event(source=hub.source, type="sleep", user_id="another-user")
    ana = operator()
    page, clicks = ana.open("/admin/"), Clicks(ana.page, count=0)

    page.get_by_role("searchbox").first.fill("user-x")
    clicks.button("Find")
    clicks.on(page.locator("#result_list tbody a").first)
    clicks.on(page.get_by_role("link", name="Warehouse"))

    expect(page.locator(".hub-timeline")).to_contain_text("http_503")
    expect(page.locator(".hub-hint").first).to_be_visible()
    expect(page.locator(".hub-state").first).to_contain_text("Attempt 2 at")
    assert clicks.count <= 3
    assert ana.complaints == []
