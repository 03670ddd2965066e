"""The hub as Terra meets it: through its public URL."""

import hashlib
import os
import socket
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from time import time
from typing import Any

from django.conf import settings

from destinations.shown import size
from terra_hub.doctor.answers import not_the_hub, too_large
from terra_hub.doctor.outside import TIMEOUT_S, Reply, is_local, post, public_url, unreachable
from terra_hub.doctor.running import Skipped
from terra_hub.healthchecks import Finding, Level, Unwell

LARGE = 30 * 1024**2  # bytes: among the larger ones that Terra sends
CHUNKED = 2 * 1024**2
_SMALLER = (10 * 1024**2, 1024**2, 64 * 1024)  # tried where a large one does not pass
CLOCK_WARNING, CLOCK_FAILED = 5.0, 60.0  # seconds
EXPIRES_SOON, EXPIRES_NOW = timedelta(days=14), timedelta(days=3)
SPOOFED = "198.51.100.77"  # of an address range that is for documentation alone
_HEADERS = ("terra-signature", "x-terra-trace-id")


class Public:
    """The checks from outside; the first one that finds nobody there spares the others the wait."""

    def __init__(self) -> None:
        """Have asked nothing yet."""
        self._first: Reply | None = None
        self._down = False

    def _reply(self) -> Reply:
        """Return the answer to a small post; raise ``Skipped`` where that was tried in vain."""
        if self._down:
            raise Skipped("The public URL did not answer: see the check of it.")
        if self._first is None:
            try:
                self._first = _own(post(b"{}"))
            except Unwell:
                self._down = True
                raise
        return self._first

    def url(self) -> Finding:
        """Post something small; see whether it arrives as it was sent."""
        told = self._reply().json
        lost = [name for name in _HEADERS if name not in told["arrived"]]
        if lost:
            raise Unwell(
                f"The headers {', '.join(lost)} do not arrive.", "A proxy drops headers that it does not know.",
                "Let it pass all headers on: without them no event can be verified.",
            )  # fmt: skip
        return Finding(Level.OK, f"{settings.PUBLIC_URL} reaches this hub")

    def clock(self) -> Finding:
        """Compare this host's clock with the Date header of the public URL."""
        date = self._reply().headers.get("date", "")
        if not date:
            raise Skipped("The public URL sends no Date header.")
        fresh = _own(post(b"{}")).headers.get("date", date)
        return _clock_finding(parsedate_to_datetime(fresh).timestamp() + 0.5 - time())

    def tls(self) -> Finding:
        """Look at the certificate of the public URL."""
        if public_url().scheme != "https":
            if is_local():
                raise Skipped(f"{settings.PUBLIC_URL} is this host's own: no TLS.")
            raise Unwell(
                f"{settings.PUBLIC_URL} is http://.", "Health data and log-ins go over the network in clear.",
                "Put a proxy that speaks TLS before the hub, and set PUBLIC_URL to https://…",
            )  # fmt: skip
        return _certificate_finding()

    def large_body(self) -> Finding:
        """Post 30 MB, as Terra does; where that fails, find out how much passes."""
        self._reply()
        tried = min(LARGE, settings.MAX_BODY_BYTES)
        _pass(tried)
        if tried < LARGE:
            return Finding(
                Level.WARNING, f"{size(tried)} pass, which is MAX_BODY_BYTES.", "Terra's events can be larger.",
                "Raise MAX_BODY_BYTES.",
            )  # fmt: skip
        return Finding(Level.OK, f"{size(tried)} arrive whole")

    def chunked_body(self) -> Finding:
        """Post a body whose length is not said beforehand."""
        self._reply()
        tried = min(CHUNKED, settings.MAX_BODY_BYTES)
        chunked = _pass(tried, chunked=True).get("chunked")
        how = "as it was sent" if chunked else "with a length that a proxy has put before it"
        return Finding(Level.OK, f"{size(tried)} in chunks arrive whole, {how}")

    def client_address(self) -> Finding:
        """See whom the hub takes for the sender, and whether a sender can choose that."""
        plain = self._reply().json
        forged = _own(post(b"{}", headers={"X-Forwarded-For": SPOOFED, "X_Forwarded_For": SPOOFED})).json
        return _sender_finding(plain, forged)


def _own(reply: Reply) -> Reply:
    if reply.status == 200 and "sha256" in reply.json:
        return reply
    raise not_the_hub(reply)


def _clock_finding(ahead: float) -> Finding:
    if abs(ahead) <= CLOCK_WARNING:
        return Finding(Level.OK, f"it differs from this host's by less than {CLOCK_WARNING:.0f} s")
    said = f"This host's clock is {abs(ahead):.0f} s {'behind' if ahead > 0 else 'ahead of'} the public URL's."
    level = Level.FAILED if abs(ahead) > CLOCK_FAILED else Level.WARNING
    cause = "One of the two hosts does not set its clock by the network. Signatures are judged by the hub's."
    return Finding(level, said, cause, "Run NTP on both, such as chrony.")


# --- TLS -----------------------------------------------------------------------------------------------------------
def _certificate_finding() -> Finding:
    url = public_url()
    try:
        with (
            socket.create_connection((url.hostname or "", url.port or 443), TIMEOUT_S) as link,
            ssl.create_default_context().wrap_socket(link, server_hostname=url.hostname) as secure,
        ):
            certificate: dict[str, Any] = secure.getpeercert() or {}
            version = secure.version() or "TLS"
    except OSError as error:
        raise unreachable(error) from error
    ends = datetime.fromtimestamp(ssl.cert_time_to_seconds(str(certificate["notAfter"])), UTC)
    left = ends - datetime.now(UTC)
    said = f"{version}; the certificate ends on {ends:%Y-%m-%d}, in {left.days} days"
    if left > EXPIRES_SOON:
        return Finding(Level.OK, said)
    level = Level.FAILED if left < EXPIRES_NOW else Level.WARNING
    return Finding(level, said, "Nothing renews it, or that fails.", "Renew it, and look at what should have done so.")


# --- bodies --------------------------------------------------------------------------------------------------------
def _pass(tried: int, *, chunked: bool = False) -> dict[str, Any]:
    """Post so many bytes; return what the hub says of them; raise ``Unwell`` where they do not arrive whole."""
    body = os.urandom(tried)
    reply = post(body, chunked=chunked)
    if reply.status == 411:
        raise Unwell(
            f"{reply.server or 'A proxy'} before the hub takes no chunked body (411).",
            "Terra may send a body without saying its length.", "Let the proxy speak HTTP/1.1 with its clients.",
        )  # fmt: skip
    if reply.status == 413:
        raise too_large(reply, tried, _most_that_passes(chunked))
    told = _own(reply).json
    if (told["bytes"], told["sha256"]) != (tried, hashlib.sha256(body).hexdigest()):
        raise Unwell(
            f"{size(tried)} were sent, and {size(told['bytes'])} arrived, or others.", "A proxy changes bodies.",
            "Let it pass bodies on as they are: no signature fits a changed body.",
        )  # fmt: skip
    return told


def _most_that_passes(chunked: bool) -> int | None:
    passing = (one for one in _SMALLER if post(os.urandom(one), chunked=chunked).status == 200)
    return next(passing, None)


# --- the sender ----------------------------------------------------------------------------------------------------
def _sender_finding(plain: dict[str, Any], forged: dict[str, Any]) -> Finding:
    trusted, added = plain["trusted_proxies"], _entries(plain)
    if forged["sender"] == SPOOFED:
        raise Unwell(
            f"A sender can choose its own address: the hub believed a forged X-Forwarded-For ({added} entries added "
            f"by proxies, TRUSTED_PROXY_COUNT is {trusted}).",
            "Fewer proxies add to X-Forwarded-For than TRUSTED_PROXY_COUNT says, or the hub is reached beside them.",
            f"Set TRUSTED_PROXY_COUNT={added}, and let the hub listen where only its proxy reaches it.",
        )
    if trusted and plain["sender"] is None:
        raise Unwell(
            f"The hub cannot tell who sends: X-Forwarded-For has {added} entries, TRUSTED_PROXY_COUNT is {trusted}.",
            "The proxy does not add the address of its client.",
            "nginx: `proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;`",
        )
    if added > trusted:
        return Finding(
            Level.WARNING, f"The hub takes {plain['sender']} for the sender of everything that comes this way.",
            f"{added} proxies add to X-Forwarded-For; TRUSTED_PROXY_COUNT is {trusted}. Allowlists and the throttle of "
            "log-ins see a proxy in everybody's place.", f"Set TRUSTED_PROXY_COUNT={added}.",
        )  # fmt: skip
    if trusted and "x_forwarded_for" in forged["via"]:
        return Finding(
            Level.WARNING, "The proxy passes headers with underscores in their names on.",
            "To the throttle of log-ins X_Forwarded_For is X-Forwarded-For, and a sender can choose it.",
            "nginx drops them unless `underscores_in_headers on;` is set: take that away.",
        )  # fmt: skip
    return _scheme_finding(plain, f"the hub sees {plain['sender']}; a forged X-Forwarded-For changes nothing")


def _scheme_finding(plain: dict[str, Any], said: str) -> Finding:
    proto = plain["via"].get("x-forwarded-proto", "")
    if plain["trusted_proxies"] and public_url().scheme == "https" and proto != "https":
        raise Unwell(
            f"The proxy says X-Forwarded-Proto: {proto or 'nothing'}, and PUBLIC_URL is https://.",
            "The hub takes every visit for one without TLS, and redirects it in a circle.",
            "nginx: `proxy_set_header X-Forwarded-Proto $scheme;`",
        )  # fmt: skip
    return Finding(Level.OK, said)


def _entries(told: dict[str, Any]) -> int:
    return len([one for one in told["via"].get("x-forwarded-for", "").split(",") if one.strip()])
