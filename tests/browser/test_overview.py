"""The overview and the page of health in a real browser."""

import re
from collections.abc import Callable
from datetime import timedelta

from django.utils import timezone
from playwright.sync_api import expect

from tests.api_support import make_delivery, make_destination, make_event
from tests.browser.conftest import Operator
from tests.hub import SAMPLES, Hub
from tests.stats.support import tally_attempts

PHONE = {"viewport": {"width": 360, "height": 740}}


def test_numbers_lead_to_their_lists_renew_themselves_and_charts_change_their_span(
    hub: Hub, operator: Callable[..., Operator]
) -> None:
    destination = make_destination()
    dead = make_delivery(make_event(), destination, "dead", last_error_code="http_404")
    waiting = make_delivery(make_event(), destination, next_attempt_at=timezone.now() - timedelta(minutes=9))
    tally_attempts(destination, timezone.now() - timedelta(days=3), delivered=41)
    ana = operator()
    page = ana.page
    page.clock.install()
    page.goto(f"{ana.base}/admin/")

    expect(page.locator("#card-signal")).to_contain_text(re.compile(r"\d+ minutes ago"))
    page.get_by_role("link", name="Dead letters").click()
    expect(page).to_have_url(re.compile(r"\?status=dead$"))
    rows = page.locator("#result_list tbody tr")
    expect(rows).to_have_count(1)
    expect(rows.locator(f'a[href*="/delivery/{dead.pk}/"]').first).to_be_visible()
    page.go_back()
    page.locator("#card-waiting").click()
    expect(rows).to_have_count(1)
    expect(rows.locator(f'a[href*="/delivery/{waiting.pk}/"]').first).to_be_visible()
    page.go_back()
    page.locator("#card-received").click()
    expect(page).to_have_url(re.compile(r"/webhooks/event/\?hours=1$"))
    page.go_back()

    page.get_by_role("link", name="Last 7 days").click()
    expect(page.get_by_role("link", name="Last 7 days")).to_have_attribute("aria-current", "true")
    chart = page.get_by_role("img", name=re.compile("Delivery attempts. Delivered: 41;"))
    expect(chart).to_be_visible()

    expect(page.locator("#card-received")).not_to_contain_text("1 in the last")
    hub.post(SAMPLES["sleep"])
    page.locator("#card-dead").focus()
    page.clock.fast_forward(31_000)
    expect(page.locator("#card-received")).to_contain_text("1 in the last 5 minutes")
    expect(page.locator("#card-dead")).to_be_focused()
    expect(chart).to_be_visible()  # still the week

    numbers = page.locator("figure", has_text="Delivery attempts").locator("details")
    numbers.locator("summary").click()
    page.clock.fast_forward(31_000)
    page.wait_for_timeout(300)
    expect(numbers).to_have_attribute("open", "")  # not closed under a reader's hands
    assert ana.complaints == []


def test_health_says_what_to_do_on_a_phone(hub: Hub, operator: Callable[..., Operator]) -> None:
    ana = operator(**PHONE)
    page = ana.open("/health")
    worker = page.locator("li", has_text="No worker runs.")
    expect(worker).to_contain_text("Act")
    expect(worker).to_contain_text("python manage.py worker")
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert ana.complaints == []
    page.get_by_role("link", name="The same as JSON").click()
    expect(page.locator("body")).to_contain_text('"status": "failed"')
