"""The hub that the pictures are of: on a temporary database, with a worker, and nobody else's data."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from django.conf.global_settings import PASSWORD_HASHERS
from django.core.management import call_command
from django.test import override_settings
from playwright.sync_api import Browser, sync_playwright

from terra_hub import demo
from tests.browser.conftest import ARGUMENTS, PASSWORD, Operator, chromium
from tests.hub import Server, spawn
from tests.services.postgres import PostgresServer, start
from tests.sink import Sink

USER = "ana"
HUB_USER = {
    "HUB_AWS_ARN": "arn:aws:iam::111122223333:user/terra-hub",
    "HUB_AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
    "HUB_AWS_SECRET_ACCESS_KEY": "of-nobody",
}


@dataclass
class Stage:
    """A running hub, what it delivers to, a database server beside it, and a browser before it."""

    server: Server
    sink: Sink
    postgres: PostgresServer
    browser: Browser

    def operator(self, **window: Any) -> Operator:
        """Log somebody in, in a window of this kind."""
        context = self.browser.new_context(reduced_motion="reduce", **window)
        return Operator(context.new_page(), f"http://127.0.0.1:{self.server.port}", USER).log_in()


@contextmanager
def stage() -> Iterator[Stage]:
    """Set everything up, with a hub as empty as ``DEMO=0 make run`` has it, and take it away at the end."""
    call_command("migrate", verbosity=0)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="hub-screenshots-")))
        postgres = start()
        stack.callback(postgres.stop)
        sink = stack.enter_context(Sink())
        server = Server(folder, **HUB_USER)
        stack.callback(server.stop)
        # The server has the settings of production, without the tests' quick hasher.
        with override_settings(PASSWORD_HASHERS=PASSWORD_HASHERS):
            demo.administrator(USER, PASSWORD)
        server.start()
        stack.callback(spawn(["manage.py", "worker"], folder / "worker.log").stop)
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=chromium(), args=ARGUMENTS)
        stack.callback(browser.close)
        yield Stage(server, sink, postgres, browser)
