"""A real browser: Debian's Chromium, driven by Playwright, on the hub's real web server."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import User
from django.test import Client
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, expect, sync_playwright

from tests.api_support import make_user
from tests.hub import Hub, Server
from tests.services import ServiceMissing, install_debian, may_install, provide

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage",
]  # fmt: skip
PASSWORD = "a-long-enough-password-1"


def chromium() -> str:
    """Return the browser's path: ``HUB_CHROMIUM``, or the one on the path; install it where that is allowed."""
    found = os.environ.get("HUB_CHROMIUM") or shutil.which("chromium")
    if not found and may_install():
        install_debian("chromium")
        found = shutil.which("chromium")
    if not found:
        raise ServiceMissing("No chromium: install Debian's package chromium, or set HUB_CHROMIUM to its path.")
    return found


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """One browser for the whole run."""
    path = provide(chromium)
    # Playwright's synchronous interface runs an event loop in this thread, which Django takes for async code.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "1"
    expect.set_options(timeout=60_000)  # a worker takes a while to start on a busy machine
    playwright: Playwright
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def web_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The hub's real web server, shared by the browser's tests."""
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    if server.process:  # not asked to end: it would wait for whatever a closed browser has left unread
        server.process.kill()
        server.process.popen.wait()


@dataclass
class Operator:
    """A superuser at the browser. What the browser complains of is collected."""

    page: Page
    base: str
    name: str
    complaints: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append(f"dialog {dialog.message}"), dialog.dismiss()))

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{self.page.url}: {message.text}")

    def open(self, path: str) -> Page:
        self.page.goto(self.base + path)
        return self.page

    def log_in(self) -> "Operator":
        """Log in through the form."""
        page = self.open("/admin/")
        page.fill("#id_username", self.name)
        page.fill("#id_password", PASSWORD)
        page.click("button[type=submit]")
        expect(page.get_by_role("heading", name="Overview")).to_be_visible()
        return self

    def be_logged_in(self, user: User) -> "Operator":
        """Give the browser a session of a user; the form costs seconds of hashing. No page is open yet."""
        client = Client()
        client.force_login(user)
        name = settings.SESSION_COOKIE_NAME
        self.page.context.add_cookies([{"name": name, "value": client.cookies[name].value, "url": self.base}])
        return self


@pytest.fixture
def operator(browser: Browser, hub: Hub) -> Iterator[Callable[..., Operator]]:
    """Return a function that gives somebody who is logged in, through the form if wanted, in a window of a kind."""
    contexts: list[BrowserContext] = []
    user = make_user(superuser=True)

    def logged_in(by_form: bool = False, **window: Any) -> Operator:
        contexts.append(browser.new_context(**window))
        contexts[-1].set_default_timeout(60_000)
        ana = Operator(contexts[-1].new_page(), f"http://127.0.0.1:{hub.server.port}", user.get_username())
        if not by_form:
            return ana.be_logged_in(user)
        # The server has the settings of production, without the tests' quick hasher.
        user.password = PBKDF2PasswordHasher().encode(PASSWORD, "salt-of-the-tests")
        user.save()
        return ana.log_in()

    yield logged_in
    for context in contexts:
        context.close()
