"""Requests for the tests of the HTTP client."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import pytest

from destinations.egress import EgressPolicy
from destinations.http import Exchange, HttpClient, HttpRequest
from destinations.httperrors import HttpError

LOCAL = EgressPolicy(allow=("127.0.0.0/8",))


def post(url: str, body: bytes | None = b"{}", timeout_s: float = 5.0, **more: Any) -> HttpRequest:
    return HttpRequest("POST", url, more.pop("headers", ()), body, timeout_s, **more)


def feed(requests: Sequence[HttpRequest]) -> Callable[[int], list[HttpRequest]]:
    left = iter(requests)
    return lambda most: list(islice(left, most))


def run(client: HttpClient, requests: Sequence[HttpRequest]) -> list[Exchange]:
    return [exchange for group in client.stream(feed(requests)) for exchange in group]


def failure(client: HttpClient, request: HttpRequest) -> HttpError:
    with pytest.raises(HttpError) as caught:
        client.fetch(request)
    assert caught.value.detail
    return caught.value
