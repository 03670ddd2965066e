"""What every payload store is, beyond a Django storage."""

import re
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from django.core.files.base import ContentFile, File

# A store that does not answer is given up after so long: a request or a worker's lane waits meanwhile.
CONNECT_SECONDS = 3
READ_SECONDS = 15  # between two pieces of an answer
TRIES = 2
PROBE_NAME = "readiness-probe.txt"


class StoreFailed(OSError):
    """The store did not do what was asked; its text says why and what to change, without secrets."""

    def __init__(self, reason: str, unreachable: bool = False) -> None:
        """Say why; ``unreachable``: it gave no answer at all, so that others need not ask it now."""
        super().__init__(reason)
        self.unreachable = unreachable


# What ``keeping.payloads`` calls a body; Django puts seven characters in where a name is taken.
_BODY = re.compile(r"\d{4}/\d\d/\d\d/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})(?:_[A-Za-z0-9]{7})?\.json")


def event_of(name: str) -> UUID | None:
    """Return the event whose body a name is for; ``None``: it is no body's name."""
    found = _BODY.fullmatch(name)
    return UUID(found[1]) if found else None


@dataclass(frozen=True, slots=True)
class Names:
    """A part of a listing, in the order of names."""

    names: list[str]  # of bodies; whatever else lies there is left out
    after: str  # where the next part begins
    last: bool


class PayloadStore(Protocol):
    """A Django storage whose failures are all ``OSError``; ``FileNotFoundError``: it has no such body."""

    def save(self, name: str, content: "ContentFile[bytes]") -> str:
        """Write a body; return its name once the store will keep it through a power cut."""
        ...

    def open(self, name: str) -> "File[bytes]":
        """Open a body; what can fail at once fails here, before the first byte."""
        ...

    def delete(self, name: str) -> None:
        """Delete a body; one that is not there is no error."""
        ...

    def names(self, after: str, most: int) -> Names:
        """List bodies whose names come after ``after``: a part for which no more than about ``most`` are read."""
        ...

    def place(self) -> str:
        """Return where bodies lie, in one line for people, without secrets."""
        ...

    def probe(self) -> None:
        """Write something small, as a body would be written; leave at most one object behind."""
        ...

    def fresh_link(self, name: str, lifetime_s: int) -> str:
        """Return a link of the store itself that opens a body for so many seconds; empty: it has none."""
        ...
