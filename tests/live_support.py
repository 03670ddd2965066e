"""Readers of the live tail's stream, over the real server."""

import http.client
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from tests.hub import Server
from webhooks.live.endpoint import PATH

PATIENCE = 60.0


def cookie_of(user: User) -> str:
    """Log somebody in; return the cookies of the session."""
    client = Client()
    client.force_login(user)
    return f"{settings.SESSION_COOKIE_NAME}={client.cookies[settings.SESSION_COOKIE_NAME].value}"


class Reader:
    """One stream, read message by message. A message that does not come is a failure (a timeout)."""

    def __init__(self, server: Server, cookies: str = "", query: str = "", **headers: str) -> None:
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE)
        sent = {"Cookie": cookies} | {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request("GET", f"{PATH}?{query}" if query else PATH, headers=sent)
        self.answer = self.connection.getresponse()
        self.status = self.answer.status
        self.text = ""
        self.last_id = ""

    def close(self) -> None:
        self.answer.close()
        self.connection.close()

    def messages(self) -> Iterator[tuple[str, str]]:
        """Yield the kind and the data of each message until the stream ends."""
        kind, data = "message", ""
        ends = time.monotonic() + PATIENCE  # signs of life come all the while
        while line := self.answer.readline().decode():
            assert time.monotonic() < ends, f"it did not come within {PATIENCE:g} s"
            self.text += line
            name, _, value = line.rstrip("\n").partition(": ")
            if name == "id":
                self.last_id = value
            elif name == "event":
                kind = value
            elif name == "data":
                data = value
            elif not line.strip() and data:
                yield kind, data
                kind, data = "message", ""

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield rows until the stream ends."""
        for kind, data in self.messages():
            if kind == "message":
                yield from json.loads(data)["rows"]

    def row(self, fits: Callable[[Mapping[str, Any]], Any]) -> dict[str, Any]:
        """Return the first row that fits."""
        return next(row for row in self.rows() if fits(row))

    def end(self) -> str:
        """Read to the end; return the reason that it gives."""
        return next((data for kind, data in self.messages() if kind == "end"), "")


@contextmanager
def reading(server: Server, user: User, query: str = "", **headers: str) -> Iterator[Reader]:
    """Read the stream as somebody."""
    with closing(Reader(server, cookie_of(user), query, **headers)) as reader:
        assert reader.status == 200, reader.answer.read()
        yield reader
