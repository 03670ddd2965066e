"""Posting to this hub through its public URL, as Terra does."""

import http.client
import json
import socket
import ssl
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from terra_hub.healthchecks import Unwell
from webhooks.receiving import doctor

TIMEOUT_S = 20.0  # of each step of a connection
_LOCAL = ("localhost", "127.0.0.1", "::1")
_MOST = 64 * 1024  # bytes of an answer that are read
_START = "Start it: python manage.py serve. If it runs, look at PUBLIC_URL and at the proxy before it."


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        """Return its JSON object; empty: it is none."""
        with suppress(ValueError):
            found = json.loads(self.body)
            return found if isinstance(found, dict) else {}
        return {}

    @property
    def code(self) -> str:
        """Return the code of a problem that the hub itself has answered with; empty: something else answered."""
        return str(self.json.get("code", "")) if "problem+json" in self.headers.get("content-type", "") else ""

    @property
    def server(self) -> str:
        """Return what the server calls itself."""
        return self.headers.get("server", "")


def public_url() -> SplitResult:
    """Return PUBLIC_URL, taken apart."""
    return urlsplit(settings.PUBLIC_URL)


def is_local() -> bool:
    """Tell whether the public URL reaches this host alone."""
    return public_url().hostname in _LOCAL


def post(body: bytes, *, chunked: bool = False, headers: Mapping[str, str] | None = None) -> Reply:
    """Post a body to the hub's own door of the doctor; raise ``Unwell`` where nobody answers."""
    url = public_url()
    link = _connection(url)
    sent = {
        "Content-Type": "application/json", "User-Agent": "terra-hub-doctor", doctor.TOKEN: doctor.make_token(),
        "terra-signature": "t=0,v1=of-the-doctor", "X-Terra-Trace-Id": "of-the-doctor", **(headers or {}),
    }  # fmt: skip
    try:
        return _exchange(link, f"{url.path.rstrip('/')}{doctor.PATH}", body, chunked, sent)
    except (OSError, http.client.HTTPException) as error:
        raise unreachable(error) from error
    finally:
        link.close()


def _connection(url: SplitResult) -> http.client.HTTPConnection:
    if url.scheme == "https":
        context = ssl.create_default_context()
        return http.client.HTTPSConnection(url.hostname or "", url.port, timeout=TIMEOUT_S, context=context)
    return http.client.HTTPConnection(url.hostname or "", url.port, timeout=TIMEOUT_S)


def _exchange(
    link: http.client.HTTPConnection, path: str, body: bytes, chunked: bool, headers: Mapping[str, str]
) -> Reply:
    framing = {"Transfer-Encoding": "chunked"} if chunked else {"Content-Length": str(len(body))}
    link.connect()
    with suppress(BrokenPipeError, ConnectionResetError, ssl.SSLEOFError):  # an answer may have come before the end
        link.request("POST", path, _pieces(body), {**headers, **framing}, encode_chunked=chunked)
    answer = link.getresponse()
    return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read(_MOST))


def _pieces(body: bytes, size: int = 64 * 1024) -> Iterable[bytes]:
    return (body[start : start + size] for start in range(0, len(body), size))


def unreachable(error: Exception) -> Unwell:
    """Return what an exception of a connection means."""
    said = f"{settings.PUBLIC_URL} cannot be reached"
    if isinstance(error, ssl.SSLCertVerificationError):
        return Unwell(
            f"{said}: its certificate is refused ({error.verify_message}).", "Terra refuses it too: no event comes.",
            "Give the proxy a certificate for this name, with its chain.",
        )  # fmt: skip
    if isinstance(error, ssl.SSLError):
        return Unwell(f"{said}: TLS fails ({error.reason or error}).", "Something else than TLS may speak there.",
                      "Look at the port of PUBLIC_URL, and at the proxy.")  # fmt: skip
    if isinstance(error, socket.gaierror):
        return Unwell(f"{said}: its name does not resolve.", "DNS has no such name, or this host asks another DNS.",
                      "Correct PUBLIC_URL, or the DNS record.")  # fmt: skip
    if isinstance(error, ConnectionRefusedError):
        return Unwell(f"{said}: nothing listens there.", "The web server or the proxy does not run.", _START)
    if isinstance(error, TimeoutError):
        return Unwell(f"{said}: no answer within {TIMEOUT_S:.0f} s.", "A firewall drops packets, a proxy hangs, or "
                      "this host cannot reach its own public address.", "Look at it from another host.")  # fmt: skip
    cut = isinstance(error, ConnectionError | http.client.RemoteDisconnected | http.client.BadStatusLine)
    told = "the connection was closed without an answer" if cut else f"{type(error).__name__}: {error}"
    return Unwell(f"{said}: {told}.", "A proxy or a firewall closes connections that it does not like.",
                  "Look at the logs of what stands before the hub.")  # fmt: skip
