"""Clients that send or read slowly hold up nobody: neither Terra's webhooks nor the admin."""

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from tests.hub import SECRET, Hub, own_hub, until
from tests.receiving.support import BODY, body_of_size, events
from webhooks.keeping.links import link_key, payload_url

pytestmark = pytest.mark.django_db(transaction=True)

MANY = 40  # more than the threads that serve the admin, and than the connections to the database


@contextmanager
def silent(hub: Hub, sent: bytes) -> Iterator[None]:
    """Hold open many connections on which so much was sent, and of which nothing is read."""
    with ExitStack() as stack:
        for _ in range(MANY):
            link = stack.enter_context(socket.create_connection(("127.0.0.1", hub.server.port), timeout=10))
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            link.sendall(sent)
        yield


def all_goes_on(hub: Hub) -> None:
    assert hub.post(BODY % 1).status == 200
    assert hub.server.request("GET", "/healthz").status == 200
    assert hub.server.request("GET", "/admin/login/").status == 200


def test_forms_whose_end_never_comes(tmp_path: Path) -> None:
    with own_hub(tmp_path) as hub:
        head = b"POST /admin/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nusername="
        with silent(hub, head):
            all_goes_on(hub)


def test_downloads_that_nobody_reads(tmp_path: Path) -> None:
    """A warehouse that follows the links of its rows over a slow line is no reason to refuse Terra's events."""
    with own_hub(tmp_path) as hub:
        destination = hub.webhook("http://127.0.0.1:8099/hook", credentials={"signing_secret": SECRET})
        assert hub.post(body_of_size(20_000_000)).status == 200
        link = payload_url(events(hub)[0].pk, destination.pk, link_key(destination))
        request = f"GET {link.removeprefix(link.split('/payloads/')[0])} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
        with silent(hub, request):
            assert hub.post(BODY % 1).status == 200
            assert hub.server.request("GET", "/healthz").status == 200
        until(lambda: hub.server.request("GET", "/admin/login/", timeout=5).status == 200, 60)


def test_a_form_and_a_body_that_is_too_large_reach_the_admin_as_such(tmp_path: Path) -> None:
    with own_hub(tmp_path) as hub:
        assert hub.server.request("POST", "/admin/login/", b"username=x").status == 403  # no CSRF token
        answer = hub.server.request("POST", "/api/v1/destinations", b"x" * 11_000_000)
        assert (answer.status, answer.json["code"]) == (413, "body_too_large")
