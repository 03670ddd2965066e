"""Finding one event among many, in a real browser: ids, filters, pages, dots, and what is new."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from playwright.sync_api import expect

from tests.admin_support import DELIVERIES, EVENTS
from tests.api_support import make_attempt, make_delivery, make_destination, make_event
from tests.browser.conftest import Operator
from tests.hub import Hub
from webhooks.models import Event

LogIn = Callable[..., Operator]
USER = "d81ea08d-ad4d-44bd-8394-ee4b68a3f96f"
SENT = {"method": "POST", "url": "https://example.com/hook", "headers": {"Authorization": "****", "webhook-id": "7"}}


def sleep_that_did_not_arrive(hub: Hub) -> Event:
    """Make a user's sleep that one destination got and another one refuses."""
    now = datetime.now(UTC)
    make_event(source=hub.source, type="daily", user_id=USER)
    event = make_event(source=hub.source, type="sleep", user_id=USER)
    make_delivery(event, make_destination("Mirror"), "delivered", settled_at=now, attempt_count=1)
    due = now + timedelta(minutes=3)
    row = make_delivery(
        event, make_destination("Warehouse"), next_attempt_at=due, attempt_count=2, retry_count=2,
        last_error_code="http_401",
    )  # fmt: skip
    said: dict[str, Any] = {"hint": "Check the authentication of this destination.", "request": SENT}
    make_attempt(row, 1, status_code=500, **said)
    make_attempt(row, 2, status_code=401, error_code="http_401", **said)
    return event


def test_why_a_users_sleep_did_not_arrive_is_found_in_three_clicks(operator: LogIn, hub: Hub) -> None:
    sleep_that_did_not_arrive(hub)
    for number in range(5):
        make_event(source=hub.source, user_id=f"user-{number}")
    ana = operator(permissions=["clipboard-read", "clipboard-write"])

    page = ana.open("/admin/find/")
    page.get_by_label("Find a user, an event, a delivery").fill(USER)
    page.get_by_role("button", name="Find", exact=True).click()  # 1
    expect(page.locator("#result_list tbody tr")).to_have_count(2)
    row = page.locator("#result_list tr", has_text="sleep")
    row.get_by_role("link", name="Warehouse: Failed, will be tried again (http_401)").click()  # 2
    for said in ("retry 2 of 8", "http_401", "Check the authentication of this destination.", "Next try"):
        expect(page.locator("#content-main, main").first).to_contain_text(said)
    expect(page.get_by_role("button", name="Try now")).to_be_visible()

    page.locator("summary", has_text="As curl").last.click()
    page.get_by_role("button", name="Copy as curl").last.click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert "-H 'Authorization: '\"${AUTHORIZATION}\"" in page.evaluate("navigator.clipboard.readText()")
    table = page.locator(".hub-diff")
    expect(table).to_contain_text("HTTP status")
    page.locator("#compare-two").select_option("1")
    page.get_by_role("button", name="Compare").click()
    expect(page.locator("#compare")).to_contain_text("Nothing that was logged.")
    assert ana.complaints == []


def test_filters_stand_in_the_address_and_go_one_by_one(operator: LogIn, hub: Hub) -> None:
    sleep_that_did_not_arrive(hub)
    make_event(source=hub.source, type="sleep", user_id="another")
    ana = operator()
    page = ana.open(EVENTS)

    page.locator(".hub-filterform summary").click()
    page.get_by_label("Type").select_option("sleep")
    page.get_by_label("User id", exact=True).fill(USER)
    page.get_by_label("Time", exact=True).select_option("24")
    page.get_by_role("button", name="Show").click()

    expect(page.locator("#result_list .hub-dots")).to_have_count(1)
    query = page.url.partition("?")[2]
    assert set(query.split("&")) == {"hours=24", "type=sleep", f"user_id={USER}"}
    page.locator("a.hub-filter", has_text="User id").click()
    expect(page.locator("#result_list .field-shown_type", has_text="sleep")).to_have_count(2)
    page.locator("a.hub-filter", has_text="Type").click()
    expect(page.locator("#result_list .field-shown_type")).to_have_count(3)
    page.get_by_role("link", name="Replay all that match").click()
    expect(page.get_by_role("heading").first).to_be_visible()
    assert "kind=matching" in page.url
    assert ana.complaints == []


def test_pages_go_on_and_back_and_what_is_new_is_marked(operator: LogIn, hub: Hub) -> None:
    for number in range(60):
        make_event(source=hub.source, user_id=f"user-{number}")
    ana = operator(permissions=["clipboard-read", "clipboard-write"])

    page = ana.open(EVENTS)
    expect(page.locator(".hub-count")).to_have_text("60 events")
    expect(page.locator(".hub-new")).to_have_count(0)
    page.get_by_role("link", name="Older").click()
    expect(page.locator("#result_list .field-shown_user")).to_have_count(10)
    page.get_by_role("link", name="Newer").click()
    expect(page.locator("#result_list .field-shown_user").first).to_contain_text("user-59")
    page.get_by_role("button", name="Copy the user id").first.click()
    expect(page.get_by_text("Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "user-59"

    for number in (60, 61):
        make_event(source=hub.source, user_id=f"user-{number}")
    page = ana.open(EVENTS)
    expect(page.locator(".hub-new")).to_contain_text("New since you last looked")
    assert page.locator("#result_list tr.data-row, #result_list tr.hub-new").nth(2).get_attribute("class") == "hub-new"
    assert ana.complaints == []


def test_without_scripts_filters_and_pages_work(operator: LogIn, hub: Hub) -> None:
    for number in range(60):
        make_event(source=hub.source, type=("sleep", "daily")[number % 6 > 0])
    ana = operator(java_script_enabled=False)

    page = ana.open(EVENTS)
    page.get_by_role("link", name="Older").click()
    expect(page.locator("#result_list .field-shown_type")).to_have_count(10)
    page.locator(".hub-filterform summary").click()
    page.get_by_label("Type").select_option("sleep")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("#result_list .field-shown_type")).to_have_count(10)
    assert page.url.endswith("?type=sleep")
    page = ana.open(f"{DELIVERIES}?status=nonsense")
    expect(page.get_by_role("alert")).to_contain_text("Select a valid choice.")
