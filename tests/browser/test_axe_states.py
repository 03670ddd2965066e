"""What no address shows by itself is as usable: the first run, the log-in, errors, dialogs, and what a form answers."""

import json
from collections.abc import Callable, Iterator

import pytest
from django.test import RequestFactory
from playwright.sync_api import Browser, Page, Route, expect

from terra_hub import errors
from tests.admin_support import DELIVERIES, DESTINATIONS, page_of
from tests.api_support import make_attempt, make_delivery, make_event
from tests.browser.conftest import Operator
from tests.browser.test_axe import looks
from tests.hub import Hub
from tests.sink import Sink

pytestmark = pytest.mark.databaseless

LogIn = Callable[..., Operator]


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as running:
        yield running


class Findings:
    """What was found, by the state of the page in which it was."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, list[str]]] = {}

    def look(self, state: str, page: Page) -> None:
        if problems := looks(page):
            self.found[state] = problems

    def __str__(self) -> str:
        return json.dumps(self.found, indent=1)


def test_the_first_run_has_no_serious_finding(operator: LogIn, hub: Hub) -> None:
    hub.source.delete()
    ana, findings = operator(), Findings()
    page = ana.open("/admin/")
    findings.look("nothing there", page)
    page.get_by_label("Terra's signing secret").fill("short")
    page.get_by_role("button", name="Make the source").click()
    expect(page.get_by_role("alert")).to_be_visible()
    findings.look("refused", page)
    page.get_by_label("Terra's signing secret").fill("a-secret-from-terra")
    page.get_by_role("button", name="Make the source").click()
    expect(page.locator("#first-run-url")).to_be_visible()
    findings.look("waiting", page)
    page.get_by_role("button", name="Send a signed sample").click()
    expect(page.locator("#first-run-steps")).to_contain_text("The first event is here")
    findings.look("first event", page)
    for path in (DESTINATIONS, DELIVERIES, "/admin/live/"):
        findings.look(f"empty {path}", ana.open(path))
    assert not findings.found, str(findings)


def test_the_log_in_and_error_pages_have_no_serious_finding(operator: LogIn, browser: Browser) -> None:
    ana, findings = operator(), Findings()
    page = ana.open(f"{DESTINATIONS}add/?type=webhook")
    page.context.clear_cookies(name="csrftoken")
    page.locator("#id_name").fill("Warehouse")
    page.locator("[name='config.url']").fill("http://127.0.0.1:18999/hook")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="This form is out of date")).to_be_visible()
    findings.look("CSRF", page)
    for path, title in (
        ("/admin/webhooks/event/add/", "Your account may not do this"),
        ("/nowhere", "There is no such page"),
    ):
        expect(ana.open(path).get_by_role("heading", name=title)).to_be_visible()
        findings.look(title, page)
    page.goto(f"{ana.base.replace('127.0.0.1', 'elsewhere.localhost')}/admin/")
    expect(page.get_by_role("heading", name="not known by this name")).to_be_visible()
    findings.look("400", page)
    # No page fails, as far as is known: the answer is put in the place of one.
    failure = errors.server_error(RequestFactory().get("/")).content
    answer: Callable[[Route], None] = lambda route: route.fulfill(status=500, content_type="text/html", body=failure)  # noqa: E731
    page.route("**/admin/fails/", answer)
    expect(ana.open("/admin/fails/").get_by_role("heading", name="The hub failed at this")).to_be_visible()
    findings.look("500", page)

    page.context.clear_cookies()
    findings.look("log-in", ana.open("/admin/"))
    page.fill("#id_username", ana.name)
    page.fill("#id_password", "mistyped")
    page.click("button[type=submit]")
    expect(page.get_by_text("Please enter the correct username and password")).to_be_visible()
    findings.look("log-in refused", page)
    assert not findings.found, str(findings)


def test_dialogs_and_refused_forms_and_checks_have_no_serious_finding(operator: LogIn, hub: Hub, sink: Sink) -> None:
    delivery = make_delivery(make_event(source=hub.source), hub.webhook(sink.url(), name="Warehouse"), "dead")
    make_attempt(delivery, 1)
    ana, findings = operator(), Findings()
    page = ana.open(DELIVERIES)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    findings.look("help", page)
    page.keyboard.press("Escape")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("searchbox", name="Find a page, a destination, an id")).to_be_focused()
    page.keyboard.type("wareho")
    expect(page.locator("#command-results-list a")).to_contain_text("Warehouse")
    findings.look("palette", page)
    page = ana.open(page_of(delivery.destination))
    page.locator("[popovertarget=hub-user]").click()
    expect(page.locator("#hub-user")).to_be_visible()
    findings.look("account menu", page)

    page = ana.open(f"{DESTINATIONS}add/?type=webhook")
    sink.behave("/hook", status=401)
    page.locator("[name='config.url']").fill(sink.url())
    for state, words in (("check failed", "The check failed at"), ("check passed", "passed")):
        page.get_by_role("button", name="Check before saving").click()
        expect(page.locator("#draft-result")).to_contain_text(words)
        findings.look(state, page)
        sink.behave("/hook", status=200)
    page = ana.open(f"{DESTINATIONS}add/?type=s3")
    page.get_by_text("Advanced", exact=True).click()
    page.locator("[name=schedule]").fill("soon")
    page.locator("#id_name").fill("Archive")
    page.locator("#destination_form").evaluate("form => { form.noValidate = true; }")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Write seconds with commas between them: 30, 90, 270.")).to_be_visible()
    findings.look("form refused", page)
    assert not findings.found, str(findings)
