"""The page of a destination while it fails, is paused and is mended, at a real receiver with a real worker."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.admin_support import DESTINATIONS, page_of
from tests.browser.conftest import Operator
from tests.hub import SAMPLES, Hub, until
from tests.sink import Sink
from webhooks.models import Delivery

LogIn = Callable[..., Operator]


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as running:
        yield running


def tried(**about: Any) -> int:
    return Delivery.objects.filter(attempt_count__gte=1, **about).count()


def headline(page: Page) -> Any:
    return page.locator(".hub-state").first


def test_what_fails_is_grouped_and_what_is_paused_is_kept_and_sent(operator: LogIn, hub: Hub, sink: Sink) -> None:
    sink.behave("/hook", status=401)
    row = hub.webhook(sink.url(), name="Clinic", schedule=[3600])
    hub.worker()
    for name in ("daily", "sleep", "body"):
        hub.post(SAMPLES[name])
    until(lambda: tried() == 3, what="each was tried once")

    ana = operator()
    page = ana.open(DESTINATIONS)
    expect(page.locator("#result_list")).to_contain_text("Credentials rejected")
    page.get_by_role("link", name="Clinic").click()
    expect(headline(page)).to_contain_text("0 % delivered in 24 h; 3 waiting, next try")
    expect(headline(page)).to_contain_text("with authentication errors")
    failures = page.locator(".hub-failures li")
    expect(failures).to_have_count(1)
    expect(failures).to_contain_text("3 deliveries")
    expect(failures).to_contain_text("http_401")
    expect(failures).to_contain_text("Check the authentication of this destination.")

    page.get_by_role("link", name="Retry these").click()
    expect(page.get_by_role("heading", name="3 deliveries")).to_be_visible()
    page.go_back()
    page.get_by_role("button", name="Pause", exact=False).click()
    expect(headline(page)).to_contain_text("Paused, so deliveries collect and none is sent")
    hub.post(SAMPLES["activity"])
    page.reload()
    expect(headline(page)).to_contain_text("4 waiting, kept until you resume")
    expect(page.locator("#says-resume")).to_have_text("Ends the pause. The 4 that wait are sent as they come due.")

    sink.clear()
    page.get_by_role("button", name="Resume", exact=False).click()
    expect(page.get_by_text("Resumed.")).to_be_visible()
    until(lambda: tried(status="delivered") == 1, what="what came meanwhile is sent")
    page.reload()
    expect(headline(page)).to_contain_text("25.0 % delivered in 24 h; 3 waiting")
    expect(headline(page)).to_contain_text("last success")
    expect(headline(page)).not_to_contain_text("failing since")
    assert page.url.startswith(ana.base + page_of(row))
    assert ana.complaints == []


def test_a_schedule_is_chosen_and_its_times_follow(operator: LogIn, hub: Hub) -> None:
    row = hub.webhook("http://127.0.0.1:18999/hook", name="Clinic")
    ana = operator()
    page = ana.open(page_of(row))
    table, field = page.locator(".hub-retries"), page.locator("#id_schedule")
    expect(table).to_contain_text("Retry 8")

    page.get_by_role("button", name="Quick").click()
    expect(field).to_have_value("60, 180, 360, 900, 2100")
    expect(field).to_be_visible()
    expect(table).to_contain_text("Retry 5")
    expect(table).not_to_contain_text("Retry 6")

    field.fill("soon")
    expect(page.locator(".hub-live .hub-problem")).to_contain_text("Write seconds with commas between them")
    field.fill("10, 20")
    expect(table).not_to_contain_text("Retry 3")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".hub-retries")).to_contain_text("20 s")
    row.refresh_from_db()
    assert row.schedule == [10, 20]
    assert ana.complaints == []


def test_without_scripts_everything_is_there_and_links_choose_the_time(operator: LogIn, hub: Hub) -> None:
    row = hub.webhook("http://127.0.0.1:18999/hook", name="Clinic")
    page = operator(java_script_enabled=False).open(page_of(row))

    page.get_by_role("link", name="Last week").click()
    expect(page.get_by_role("link", name="Last week")).to_have_attribute("aria-current", "true")
    expect(page.locator(".hub-retries")).to_contain_text("Retry 8")
    expect(page.get_by_role("button", name="Quick")).to_be_hidden()
    page.get_by_role("button", name="Disable").click()
    expect(headline(page)).to_contain_text("Disabled, so new events get no delivery here")
