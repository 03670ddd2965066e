"""What a page costs to load for the first time: everything that it transfers, as an installed hub serves it."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page

from tests.api_support import make_attempt, make_delivery, make_event
from tests.browser.conftest import Operator
from tests.browser.pages import every_page
from tests.hub import ROOT, Hub, Server, environment

pytestmark = pytest.mark.databaseless

LIMIT = 400_000  # bytes; 500 KB are promised
ROWS = 60  # a full page of each long list


@pytest.fixture
def web_server(transactional_db: None, tmp_path: Path) -> Iterator[Server]:
    """A server with its static files collected and compressed, as the image has them."""
    folder = {"STATIC_ROOT": str(tmp_path / "static")}
    command = [sys.executable, "manage.py", "collectstatic", "--noinput", "-v0"]
    subprocess.run(command, cwd=ROOT, env=environment(**folder), check=True, stdout=subprocess.DEVNULL)
    server = Server(tmp_path, **folder)
    yield server
    server.stop()


def transferred(page: Page, address: str) -> dict[str, int]:
    """Return the bytes of each answer that a cold load of a page takes, headers and all."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    named: dict[str, str] = {}
    sizes: dict[str, int] = {}
    session.on("Network.requestWillBeSent", lambda sent: named.update({sent["requestId"]: sent["request"]["url"]}))
    session.on(
        "Network.loadingFinished",
        lambda done: sizes.update({named.get(done["requestId"], "?"): int(done["encodedDataLength"])}),
    )
    page.goto(address)
    page.evaluate("() => document.fonts.ready.then(() => true)")  # the last that a page asks for
    session.detach()
    return sizes


def test_no_page_is_heavy_and_the_hub_serves_all_of_it(operator: Callable[..., Operator], hub: Hub) -> None:
    destination = hub.webhook("http://127.0.0.1:18999/hook", name="Warehouse")
    for _ in range(ROWS):
        make_attempt(make_delivery(make_event(source=hub.source, user_id="u" * 36), destination, "dead"), 1)
    ana = operator()
    heavy: dict[str, Any] = {}
    report = []
    for path in every_page(hub):
        sizes = transferred(ana.page, ana.base + path)
        report.append((sum(sizes.values()), path))
        hosts = {urlsplit(url).netloc for url in sizes if url.startswith("http")}  # not data:, not blob:
        assert hosts == {urlsplit(ana.base).netloc}
        if sum(sizes.values()) >= LIMIT:
            heavy[path] = sorted(((size, url) for url, size in sizes.items()), reverse=True)
    if os.environ.get("HUB_TEST_WEIGHTS"):
        Path(os.environ["HUB_TEST_WEIGHTS"]).write_text("\n".join(f"{size} {path}" for size, path in sorted(report)))
    assert heavy == {}
