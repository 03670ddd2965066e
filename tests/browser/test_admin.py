"""The admin as an operator uses it, in a real browser, on the real server with a real worker."""

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from destinations.models import Destination
from destinations.terra import TERRA_ADDRESSES
from tests.admin_support import DESTINATIONS, EVENTS, page_of
from tests.api_support import make_delivery, make_event
from tests.browser.conftest import Operator
from tests.browser.pages import PHONE, check_window, every_page
from tests.hub import Hub, until
from tests.sink import Sink
from webhooks.models import Attempt, Delivery, Event

LogIn = Callable[..., Operator]


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as running:
        yield running


def test_a_webhook_is_set_up_checked_and_its_secret_seen_once(operator: LogIn, sink: Sink) -> None:
    ana = operator()
    page = ana.open(f"{DESTINATIONS}")
    page.click("a.addlink")
    page.get_by_role("link", name="Webhook").click()
    page.get_by_label("Name", exact=True).or_(page.locator("#id_name")).first.fill("Warehouse")
    page.locator("[name='config.url']").fill(sink.url())
    page.locator("[name='config.auth']").select_option("basic")
    page.locator("[name='config.username']").fill("hub")
    page.locator("[name='credentials.password']").fill("typed-password-1")

    page.get_by_role("button", name="Check before saving").click()
    expect(page.locator("#draft-result")).to_contain_text("Passed")
    expect(page.locator("#draft-result li").last).to_be_in_viewport()
    assert page.locator("[name='credentials.password']").input_value() == "typed-password-1", "the form is left alone"
    assert not Destination.objects.exists()

    page.get_by_role("button", name="Save").click()
    secret = page.locator("#secret-1").inner_text()
    made = Destination.objects.get()
    assert secret == made.credentials["signing_secret"]
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied").or_(page.get_by_text("Selected"))).to_be_visible()
    page.get_by_role("link", name="I have copied it").click()

    expect(page.locator(".hub-chip", has_text="Untested").first).to_be_visible()
    page.get_by_role("button", name="Check", exact=False).first.click()
    expect(page.get_by_text("The check passed.")).to_be_visible()
    expect(page.locator(".hub-steps")).to_contain_text("Passed")
    assert secret not in page.content()
    assert ana.complaints == []


OF_A_CHOICE = {"config.username", "config.auth_header", "credentials.password", "credentials.token"}


def visible_of_choices(page: Page) -> set[str]:
    return {name for name in OF_A_CHOICE if page.locator(f"[name='{name}']").is_visible()}


@pytest.mark.databaseless
def test_only_the_fields_of_the_chosen_authentication_are_shown(operator: LogIn) -> None:
    ana = operator()
    page = ana.open(f"{DESTINATIONS}add/?type=webhook")
    choice = page.locator("[name='config.auth']")

    for auth, fields in (
        ("none", set()), ("basic", {"config.username", "credentials.password"}), ("bearer", {"credentials.token"}),
        ("header", {"config.auth_header", "credentials.token"}), ("none", set()),
    ):  # fmt: skip
        choice.select_option(auth)
        assert visible_of_choices(page) == fields, auth

    choice.select_option("bearer")
    page.locator("#id_name").fill("Warehouse")
    page.locator("[name='config.url']").fill("http://127.0.0.1:18999/hook")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("This field is required where auth is bearer or header.")).to_be_visible()
    assert visible_of_choices(page) == {"credentials.token"}
    choice.select_option("none")
    assert visible_of_choices(page) == {"credentials.token"}, "what an error stands at stays"
    assert ana.complaints == []


@pytest.mark.databaseless
def test_without_scripts_the_fields_of_every_choice_are_shown_and_work(operator: LogIn) -> None:
    ana = operator(java_script_enabled=False)
    page = ana.open(f"{DESTINATIONS}add/?type=webhook")

    assert visible_of_choices(page) == OF_A_CHOICE
    expect(page.get_by_text("Required where Authentication is “Basic: user name and password”.").first).to_be_visible()
    page.locator("#id_name").fill("Warehouse")
    page.locator("[name='config.url']").fill("http://127.0.0.1:18999/hook")
    page.locator("[name='config.auth']").select_option("bearer")
    page.locator("[name='credentials.token']").fill("token-1")
    page.get_by_role("button", name="Save").click()

    expect(page.locator("#secret-1")).to_be_visible()
    assert Destination.objects.get().credentials["token"] == "token-1"


def test_a_failed_delivery_is_looked_at_and_resent(operator: LogIn, hub: Hub, sink: Sink) -> None:
    sink.behave("/hook", status=500, body="out of order")
    hub.webhook(sink.url())
    assert hub.post(b'{"type":"daily","user":{"user_id":"user-1"}}').status == 200
    hub.worker()
    until(lambda: Attempt.objects.filter(outcome="failed").exists(), what="the first attempt failed")
    ana = operator()

    page = ana.open(EVENTS)
    page.locator("#result_list tbody a").first.click()
    page.locator(".hub-table a").click()
    timeline = page.locator(".hub-timeline")
    for said in ("Attempt 1", "Failed, may succeed later", "HTTP 500", "http_500"):
        expect(timeline).to_contain_text(said)
    response = timeline.get_by_text("Response")
    expect(page.get_by_text("out of order")).to_be_hidden()
    response.click()
    expect(page.get_by_text("out of order")).to_be_visible()

    sink.behave("/hook", status=200)
    page.get_by_role("button", name="Try now").click()
    expect(page.get_by_text("1 delivery is due now.")).to_be_visible()
    until(lambda: Delivery.objects.get().status == "delivered", what="the resend arrived")
    page.reload()
    expect(page.locator(".hub-state")).to_contain_text("Delivered with attempt 2")
    expect(timeline).to_contain_text("Resent by hand")
    assert ana.complaints == []


@pytest.mark.databaseless
def test_terras_addresses_are_filled_in_by_one_click(operator: LogIn, hub: Hub) -> None:
    ana = operator()
    page = ana.open(page_of(hub.source))
    page.locator("#id_allowlist").fill("10.1.2.3\n" + TERRA_ADDRESSES[0])

    page.get_by_role("button", name="Fill with Terra's 10 addresses").click()
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_text("was saved.")).to_be_visible()
    hub.source.refresh_from_db()
    assert hub.source.allowlist == ["10.1.2.3", *TERRA_ADDRESSES]


@pytest.mark.databaseless
def test_every_page_keeps_to_the_policy_and_to_the_window_of_a_phone(operator: LogIn, hub: Hub) -> None:
    """On a wide window, in dark and in light: tests/browser/test_axe.py, which is on every page anyway."""
    ana = operator(**PHONE)

    for path in every_page(hub):
        check_window(ana.open(path), path)
        expect(ana.page.locator("html.dark")).to_have_count(0)
    assert ana.complaints == []


def test_without_scripts_a_dead_letter_is_still_found_and_resent(operator: LogIn, hub: Hub) -> None:
    event = make_event(source=hub.source)
    row = make_delivery(event, hub.webhook("http://127.0.0.1:18999/hook"), "dead")
    ana = operator(java_script_enabled=False)

    page = ana.open("/admin/")
    page.locator("a.hub-card", has_text="Dead letters").click()
    page.locator("#result_list tbody a").first.click()
    page.get_by_role("button", name="Resend").click()

    expect(page.get_by_text("1 delivery is due now.")).to_be_visible()
    row.refresh_from_db()
    assert row.status == "pending"
    assert Event.objects.count() == 1
