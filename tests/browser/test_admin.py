"""The admin as an operator uses it, in a real browser, on the real server with a real worker."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import expect

from destinations.models import Destination
from destinations.terra import TERRA_ADDRESSES
from tests.admin_support import DELIVERIES, DESTINATIONS, EVENTS, QUARANTINE, SOURCES, page_of
from tests.api_support import make_attempt, make_delivery, make_event
from tests.browser.conftest import Operator
from tests.hub import Hub, until
from tests.sink import Sink
from webhooks.models import Attempt, Delivery, Event, QuarantinedRequest

LogIn = Callable[..., Operator]
NAUGHTY = "<img src=x onerror=alert(1)><script>alert(2)</script>\u202eexe.gnp"
PHONE = {"viewport": {"width": 360, "height": 740}, "is_mobile": True, "has_touch": True}


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
    page.locator("[name='credentials.password']").fill("typed-password-1")

    page.get_by_role("button", name="Check before saving").click()
    expect(page.locator("#draft-result")).to_contain_text("Passed")
    assert page.locator("[name='credentials.password']").input_value() == "typed-password-1", "the form is left alone"
    assert not Destination.objects.exists()

    page.get_by_role("button", name="Save").click()
    secret = page.locator("#secret-1").inner_text()
    made = Destination.objects.get()
    assert secret == made.credentials["signing_secret"]
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied").or_(page.get_by_text("Selected"))).to_be_visible()
    page.get_by_role("link", name="I have copied it").click()

    expect(page.get_by_text("Not checked")).to_be_visible()
    page.get_by_role("button", name="Check", exact=False).first.click()
    expect(page.get_by_text("The check passed.")).to_be_visible()
    expect(page.locator(".hub-steps")).to_contain_text("Passed")
    assert secret not in page.content()
    assert ana.complaints == []


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
    page.get_by_role("button", name="Resend").click()
    expect(page.get_by_text("1 delivery is due now.")).to_be_visible()
    until(lambda: Delivery.objects.get().status == "delivered", what="the resend arrived")
    page.reload()
    expect(page.locator(".hub-state")).to_contain_text("Delivered with attempt 2")
    expect(timeline).to_contain_text("Resend")
    assert ana.complaints == []


def test_terras_addresses_are_filled_in_by_one_click(operator: LogIn, hub: Hub) -> None:
    ana = operator()
    page = ana.open(page_of(hub.source))
    page.locator("#id_allowlist").fill("10.1.2.3\n" + TERRA_ADDRESSES[0])

    page.get_by_role("button", name="Fill with Terra's 10 addresses").click()
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_text("was saved.")).to_be_visible()
    hub.source.refresh_from_db()
    assert hub.source.allowlist == ["10.1.2.3", *TERRA_ADDRESSES]


def everything(hub: Hub) -> list[str]:
    """Fill the hub with what senders may write, and return the address of every page."""
    event = make_event(
        source=hub.source, type=NAUGHTY[:64], user_id=NAUGHTY, provider=NAUGHTY[:64], body=NAUGHTY.encode()
    )
    row = make_delivery(event, hub.webhook("http://127.0.0.1:18999/hook", name=NAUGHTY[:60]), "dead")
    make_attempt(row, 1, error_detail=NAUGHTY, response={"body": NAUGHTY})
    item = QuarantinedRequest.objects.create(
        source=hub.source, reason="signature_mismatch", detail=NAUGHTY, body=NAUGHTY.encode(),
        received_at=event.received_at,
    )  # fmt: skip
    destination = page_of(row.destination)
    return [
        "/admin/", DESTINATIONS, f"{DESTINATIONS}add/", f"{DESTINATIONS}add/?type=webhook", destination,
        f"{DESTINATIONS}add/?type=postgres", destination.replace("/change/", "/history/"),
        destination.replace("/change/", "/delete/"), SOURCES, f"{SOURCES}add/", page_of(hub.source), EVENTS,
        page_of(event), f"{EVENTS}{event.pk}/payload/", f"{EVENTS}{event.pk}/history/", DELIVERIES, page_of(row),
        QUARANTINE, page_of(item), f"{QUARANTINE}{item.pk}/payload/", "/admin/auth/user/", "/admin/auth/group/add/",
    ]  # fmt: skip


@pytest.mark.parametrize("window", [{}, {"color_scheme": "dark"}, PHONE], ids=["light", "dark", "phone"])
def test_every_page_keeps_to_the_policy_and_to_the_window(operator: LogIn, hub: Hub, window: dict[str, Any]) -> None:
    ana = operator(**window)

    for path in everything(hub):
        page = ana.open(path)
        expect(page.locator("h1")).to_be_visible()
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, f"{path} is {wider} px too wide"
        theme = expect(page.locator("html.dark"))
        theme.to_have_count(1 if window.get("color_scheme") == "dark" else 0)
        assert page.locator("img[src=x]").count() == 0
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
