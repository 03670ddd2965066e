"""How often somebody may call: counted per minute, in this web process only.

So the hub as a whole answers up to so many times the number of its web processes. Nothing is written anywhere: a
limit is there to slow a script down that runs wild, and costs nobody else a query.
"""

import math
import threading
import time
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_network

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from rest_framework import exceptions

from destinations.addresses import client_address

MINUTE_S = 60.0
MOST = 10_000  # names that are counted at once: whoever has many addresses fills no memory
_NAME = "hub_rate"


class RateLimited(exceptions.APIException):
    """Too many requests in a minute."""

    status_code = 429
    default_code = "rate_limited"

    def __init__(self, detail: str, wait: int) -> None:
        """Take what to say, and the seconds until the next request is answered."""
        super().__init__(detail)
        self.wait = wait


@dataclass(frozen=True, slots=True)
class Rate:
    """Where somebody stands in their minute: requests allowed and left, seconds until it begins anew."""

    limit: int
    remaining: int
    reset_s: int
    exceeded: bool


class Minutes:
    """Counts by name. Each name's minute begins with its first request."""

    def __init__(self) -> None:
        """Begin with nothing counted."""
        self._lock = threading.Lock()
        self._open: dict[str, tuple[float, int]] = {}  # name -> (when its minute ends, requests in it)

    def count(self, name: str, limit: int, requests: int = 1) -> Rate:
        """Count requests, none to look only, and return where ``name`` stands."""
        now = time.monotonic()
        with self._lock:
            ends, taken = self._open.get(name, (0.0, 0))
            if ends <= now:
                self._open.pop(name, None)  # it comes in again as the latest
                ends, taken = now + MINUTE_S, 0
            taken += requests
            if requests:
                self._open[name] = (ends, taken)
                self._make_room(now)
        return Rate(limit, max(0, limit - taken), max(1, math.ceil(ends - now)), taken > limit)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._open.clear()

    def _make_room(self, now: float) -> None:
        """Forget those whose minute began first; where one has ended, it is among them."""
        while len(self._open) > MOST or (self._open and next(iter(self._open.values()))[0] <= now):
            del self._open[next(iter(self._open))]


calls, failures = Minutes(), Minutes()


def count_call(request: HttpRequest, principal: str) -> None:
    """Count a request of ``principal``, or of its address where that is empty; raise ``RateLimited``."""
    _count(calls, request, principal or address_of(request), settings.API_RATE_PER_MINUTE, "requests")


def count_failure(request: HttpRequest) -> None:
    """Count a log-in with a wrong key from an address; raise ``RateLimited``. A right key is always let in."""
    _count(failures, request, address_of(request), settings.API_WRONG_KEYS_PER_MINUTE, "requests with a wrong key")


def _count(minutes: Minutes, request: HttpRequest, name: str, limit: int, what: str) -> None:
    if limit <= 0:
        return
    rate = minutes.count(name, limit)
    vars(request)[_NAME] = rate
    if rate.exceeded:
        raise RateLimited(f"More than {limit} {what} in a minute. Wait {rate.reset_s} s.", rate.reset_s)


def tell_rate(request: HttpRequest, response: HttpResponse) -> None:
    """Say in an answer's headers where its caller stands; nothing where nothing is limited."""
    rate: Rate | None = vars(request).get(_NAME)
    if rate is None and settings.API_RATE_PER_MINUTE > 0:  # it failed before anybody was known
        rate = calls.count(address_of(request), settings.API_RATE_PER_MINUTE, requests=0)
    if rate is not None:
        response["RateLimit-Limit"] = str(rate.limit)
        response["RateLimit-Remaining"] = str(rate.remaining)
        response["RateLimit-Reset"] = str(rate.reset_s)


def address_of(request: HttpRequest) -> str:
    """Return where a request came from, behind the trusted proxies; of IPv6 the network that one customer has."""
    peer, forwarded = request.META.get("REMOTE_ADDR") or "", request.META.get("HTTP_X_FORWARDED_FOR", "")
    address = client_address(peer, forwarded, settings.TRUSTED_PROXY_COUNT)
    if isinstance(address, IPv6Address):
        return f"address:{ip_network((address, 64), strict=False)}"
    return f"address:{address or 'unknown'}"
