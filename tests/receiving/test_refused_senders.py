"""A sender whose body is refused unread gets to see the answer, though it is still sending."""

import http.client
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import requests

from tests.hub import Hub, own_hub
from tests.services import ServiceMissing, install_debian, may_install, provide
from webhooks.models import QuarantinedRequest

pytestmark = pytest.mark.django_db(transaction=True)

LIMIT = 8_000_000
BODY = b"x" * (LIMIT * 3 // 2)  # far more than the buffers between the two hold
GZIP = {"Content-Encoding": "gzip"}


@pytest.fixture
def hub(transactional_db: None, tmp_path: Path) -> Iterator[Hub]:
    with own_hub(tmp_path, MAX_BODY_BYTES=str(LIMIT)) as running:
        yield running


def in_chunks(hub: Hub, headers: Mapping[str, str]) -> int:
    """Post the body without saying its length."""
    link = http.client.HTTPConnection("127.0.0.1", hub.server.port, timeout=30)
    link.request("POST", hub.path, (BODY[start : start + 50_000] for start in range(0, len(BODY), 50_000)), headers)
    return link.getresponse().status


def by_requests(hub: Hub) -> int:
    return requests.post(f"http://127.0.0.1:{hub.server.port}{hub.path}", BODY, timeout=30).status_code


def curl() -> str:
    """Return curl's path; install it where that is allowed."""
    if not shutil.which("curl") and may_install():
        install_debian("curl")
    found = shutil.which("curl")
    if not found:
        raise ServiceMissing("No curl: install Debian's package curl.")
    return found


def by_curl(hub: Hub, folder: Path, *options: str) -> int:
    (folder / "body").write_bytes(BODY)
    command = [
        provide(curl),
        "--silent",
        "--show-error",
        "--output",
        "/dev/null",
        "--write-out",
        "%{http_code}",
        *options,
    ]
    command += ["--data-binary", f"@{folder / 'body'}", f"http://127.0.0.1:{hub.server.port}{hub.path}"]
    return int(subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout)


def test_python_clients_see_why_they_are_refused(hub: Hub) -> None:
    for _ in range(3):  # a connection that is reset may still have been answered in time
        assert hub.server.request("POST", hub.path, BODY).status == 413
        assert hub.server.request("POST", hub.path, BODY[: LIMIT - 1], GZIP).status == 415
        assert in_chunks(hub, {}) == 413
        assert in_chunks(hub, GZIP) == 415
        assert by_requests(hub) == 413
    assert QuarantinedRequest.objects.filter(source=hub.source).count() == 15


def test_curl_sees_why_it_is_refused(hub: Hub, tmp_path: Path) -> None:
    for options in ((), ("--header", "Expect:"), ("--header", "Transfer-Encoding: chunked")):
        assert by_curl(hub, tmp_path, *options) == 413


def test_what_the_hub_could_not_read_to_its_end_it_does_not_begin_to(hub: Hub) -> None:
    """The answer comes before a byte of the body is sent, and nobody waits for the rest."""
    link = http.client.HTTPConnection("127.0.0.1", hub.server.port, timeout=20)
    link.putrequest("POST", hub.path)
    link.putheader("Content-Length", str(2 * LIMIT + 1))
    link.endheaders()
    answer = link.getresponse()
    assert answer.status == 413
    answer.read()
    assert link.sock is None or link.sock.recv(1) == b"", "the connection is closed"
