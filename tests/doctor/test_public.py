"""``hub doctor`` before a real hub, through a real nginx: it names what stands in Terra's way."""

import re
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest
from django.conf import settings as hub_settings

from terra_hub.doctor.catalogue import all_checks
from terra_hub.doctor.running import chosen, examine
from terra_hub.healthchecks import Finding, Level
from tests.hub import ROOT, Hub, own_hub
from tests.receiving.support import raw
from tests.services import provide
from tests.services.authority import Authority
from tests.services.nginx import nginx
from webhooks.models import Event, QuarantinedRequest
from webhooks.receiving import doctor

pytestmark = pytest.mark.databaseless

FORWARDS = "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto $scheme;"
ANY_SIZE = "client_max_body_size 100m;"


@contextmanager
def behind(folder: Path, upstream: int, **config: Any) -> Iterator[int]:
    """Run nginx there, or skip the test."""
    proxy = nginx(folder, upstream, **config)
    port = provide(proxy.__enter__)
    try:
        yield port
    finally:
        proxy.__exit__(None, None, None)


def found(url: str, settings: Any, *names: str) -> dict[str, Finding]:
    """Run checks of the hub at this URL."""
    settings.PUBLIC_URL = url
    return {one.check: one.finding for one in examine(chosen(all_checks(), names))}


def address(port: int, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{port}"


PUBLIC = ("public-url", "public-clock", "large-body", "chunked-body", "client-address")


def test_a_hub_that_is_reached_is_well_and_keeps_nothing(hub: Hub, settings: Any) -> None:
    told = found(address(hub.server.port), settings, *PUBLIC)
    assert {name: one.level for name, one in told.items()} == dict.fromkeys(PUBLIC, Level.OK), told
    assert "30.0 MiB" in told["large-body"].detail
    assert "the hub sees 127.0.0.1" in told["client-address"].detail
    assert told["chunked-body"].detail.endswith("as it was sent")
    assert not Event.objects.exists()
    assert not QuarantinedRequest.objects.exists()


def test_a_proxy_that_limits_bodies_is_named_with_its_setting(hub: Hub, settings: Any, tmp_path: Path) -> None:
    with behind(tmp_path, hub.server.port, server="client_max_body_size 1m;") as port:
        told = found(address(port), settings, *PUBLIC)
    for name in ("large-body", "chunked-body"):
        one = told[name]
        assert one.level is Level.FAILED
        assert one.detail.startswith("nginx before the hub answers 413")
        assert "1.0 MiB went through" in one.detail
        assert f"client_max_body_size {hub_settings.MAX_BODY_BYTES // 1024**2}m;" in one.fix
    assert told["public-url"].level is Level.OK


def test_a_hub_that_takes_less_than_thirty_megabytes_says_so_itself(
    transactional_db: None, settings: Any, tmp_path: Path
) -> None:
    with own_hub(tmp_path, MAX_BODY_BYTES="100000") as hub:
        (one,) = found(address(hub.server.port), settings, "large-body").values()
        assert (one.level, one.cause) == (Level.FAILED, f"MAX_BODY_BYTES is {hub_settings.MAX_BODY_BYTES}.")
        settings.MAX_BODY_BYTES = 100_000  # as the server's
        (one,) = found(address(hub.server.port), settings, "large-body").values()
        assert (one.level, one.fix) == (Level.WARNING, "Raise MAX_BODY_BYTES.")


def test_proxies_that_the_hub_does_not_count_on(hub: Hub, settings: Any, tmp_path: Path) -> None:
    with behind(tmp_path, hub.server.port, server=ANY_SIZE, location=FORWARDS) as port:
        (one,) = found(address(port), settings, "client-address").values()
    assert one.level is Level.WARNING
    assert one.fix == "Set TRUSTED_PROXY_COUNT=1."


def test_a_proxy_that_the_hub_counts_on(transactional_db: None, settings: Any, tmp_path: Path) -> None:
    with own_hub(tmp_path, TRUSTED_PROXY_COUNT="1") as hub:
        with behind(tmp_path, hub.server.port, server=ANY_SIZE, location=FORWARDS) as port:
            (right,) = found(address(port), settings, "client-address").values()
        with behind(tmp_path, hub.server.port, server="underscores_in_headers on;", location=FORWARDS) as port:
            (loose,) = found(address(port), settings, "client-address").values()
        with behind(tmp_path, hub.server.port, server=ANY_SIZE) as port:  # adds nothing, passes on what is said
            (forged,) = found(address(port), settings, "client-address").values()
    assert right.level is Level.OK
    assert "the hub sees 127.0.0.1" in right.detail
    assert loose.level is Level.WARNING
    assert "underscores_in_headers" in loose.fix
    assert forged.level is Level.FAILED
    assert "forged X-Forwarded-For" in forged.detail
    assert "TRUSTED_PROXY_COUNT=0" in forged.fix


def test_tls_and_its_end(
    transactional_db: None, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority()
    (tmp_path / "ca.pem").write_text(authority.pem)
    with own_hub(tmp_path, TRUSTED_PROXY_COUNT="1") as hub:
        certificate = authority.issue("localhost", "127.0.0.1")
        with behind(tmp_path, hub.server.port, server=ANY_SIZE, location=FORWARDS, certificate=certificate) as port:
            stranger = found(address(port, "https"), settings, "tls", "public-url", "client-address")
            monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
            known = found(address(port, "https"), settings, "tls", "client-address")
        no_scheme = FORWARDS.replace("$scheme", "http")
        with behind(tmp_path, hub.server.port, location=no_scheme, certificate=certificate) as port:
            (circle,) = found(address(port, "https"), settings, "client-address").values()
    assert stranger["tls"].level is Level.FAILED
    assert "certificate is refused" in stranger["tls"].detail
    assert stranger["client-address"].level is Level.SKIPPED
    assert (known["tls"].level, known["client-address"].level) == (Level.OK, Level.OK)
    assert "in 29 days" in known["tls"].detail
    assert circle.level is Level.FAILED
    assert "X-Forwarded-Proto $scheme" in circle.fix


def test_the_nginx_of_the_docs(
    transactional_db: None, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (config,) = re.findall(r"```nginx\n(.*?)```", (ROOT / "docs/deploying.md").read_text(), re.DOTALL)
    (location,) = re.findall(r"location / \{\n\s*proxy_pass [^;]+;(.*?)\}", config, re.DOTALL)
    server = " ".join(re.findall(r"^ +(client_.+?;|location = .+?\})", config, re.MULTILINE))
    authority = Authority()
    (tmp_path / "ca.pem").write_text(authority.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    certificate = authority.issue("localhost", "127.0.0.1")
    with own_hub(tmp_path, TRUSTED_PROXY_COUNT="1") as hub:
        lines = {"server": server, "location": location, "certificate": certificate}
        with behind(tmp_path, hub.server.port, **lines) as port:
            told = found(address(port, "https"), settings, "tls", *PUBLIC)
            trust = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
            with pytest.raises(HTTPError, match="404"):
                urlopen(address(port, "https") + "/readyz", context=trust)
    assert {name: one.level for name, one in told.items()} == dict.fromkeys(("tls", *PUBLIC), Level.OK), told


def test_urls_that_are_not_the_hubs(hub: Hub, settings: Any, tmp_path: Path) -> None:
    own = address(hub.server.port)
    settings.SECRET_KEY = "another key " * 5
    (other,) = found(own, settings, "public-url").values()
    assert (other.level, other.detail) == (Level.FAILED, "It answers 404 by granian.")
    assert "SECRET_KEY" in other.cause
    nobody = found("http://127.0.0.1:9", settings, *PUBLIC)
    assert "nothing listens there" in nobody["public-url"].detail
    assert {one.level for name, one in nobody.items() if name != "public-url"} == {Level.SKIPPED}
    for line, word in (("return 302 https://elsewhere.example/;", "redirects"), ("return 401;", "to a POST")):
        with behind(tmp_path, hub.server.port, location=line) as port:
            (one,) = found(address(port), settings, "public-url").values()
            assert one.level is Level.FAILED
            assert word in one.detail
    with behind(tmp_path, 9) as port:  # nothing there
        (away,) = found(address(port), settings, "public-url").values()
        assert "does not reach the hub" in away.cause


def test_a_proxy_that_changes_bodies_is_found_out(hub: Hub, settings: Any) -> None:
    class Rewriting(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            body = body if len(body) < 100 else body[:-1] + b"}"
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            answer = hub.server.request("POST", self.path, body, headers)
            self.send_response(answer.status)
            self.end_headers()
            self.wfile.write(answer.body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Rewriting) as proxy:
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        told = found(address(proxy.server_port), settings, "large-body", "public-url")
        proxy.shutdown()
    assert told["public-url"].level is Level.OK
    assert (told["large-body"].level, told["large-body"].cause) == (Level.FAILED, "A proxy changes bodies.")


def test_the_doctors_door_is_no_page_for_others(hub: Hub, settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    unknown = hub.server.request("POST", "/webhooks/nothing-here", b"{}")
    token = {doctor.TOKEN: doctor.make_token()}
    then = time.time() - doctor.TOKEN_SECONDS - 5
    with monkeypatch.context() as earlier:
        earlier.setattr("time.time", lambda: then)
        old = {doctor.TOKEN: doctor.make_token()}
    for headers in ({}, {doctor.TOKEN: ""}, {doctor.TOKEN: token[doctor.TOKEN] + "x"}, old):
        answer = hub.server.request("POST", doctor.PATH, b"{}", headers)
        assert (answer.status, len(answer.body)) == (404, len(unknown.body))
        assert answer.headers.keys() == unknown.headers.keys()
    assert hub.server.request("GET", doctor.PATH, headers=token).status == 404
    told = hub.server.request("POST", doctor.PATH, b"{}", token)
    assert (told.status, told.json["bytes"], told.json["chunked"]) == (200, 2, False)


def test_the_door_has_the_limits_of_webhooks(hub: Hub) -> None:
    token = {doctor.TOKEN: doctor.make_token()}
    huge = raw(hub.server, doctor.PATH, {**token, "Content-Length": "999999999"}, b"")
    assert (huge.status, huge.json["code"]) == (413, "body_too_large")
    packed = hub.server.request("POST", doctor.PATH, b"{}", {**token, "Content-Encoding": "gzip"})
    assert (packed.status, packed.json["code"]) == (415, "content_encoding")
    short = raw(hub.server, doctor.PATH, {**token, "Content-Length": "10"}, b"123", ends=True)
    assert short.status == 400
