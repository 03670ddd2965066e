"""Which objects of a bucket are a person's, found by listing and not by looking at every object.

An object's name begins with the user's id (``objects``), and folders are few: versions and types. So each folder
is asked for the names that begin with the id, which costs the same however many objects there are.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from destinations import terra
from destinations.adapters.base import Erased, Message, Person, Result
from destinations.adapters.objects import clean_prefix, segment

# What follows an id in a key: a moment as ``objects.moment_text`` spells it. Another user's id may begin with this one.
_REST = re.compile(r"-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z\.json")
_MOST_FOLDERS = 500  # of one folder that are looked into
_MOST_PAGES = 200  # of a listing of folders
_MOST_WITHOUT = 3  # of those, pages without a folder: a store may send one that is empty


class NotErased(Exception):
    """The store did not do it; ``result`` says why."""

    def __init__(self, result: Result) -> None:
        """Take the result."""
        super().__init__(result.code)
        self.result = result


class Shelf(Protocol):
    """One bucket, as far as erasing needs it. Every method may raise ``NotErased``."""

    def folders(self, under: str) -> Iterable[Sequence[str]]:
        """Yield the folders directly under ``under`` (empty, or with a slash at its end), each with its whole path.

        A page of what is there at a time, since who asks may have enough; a page of objects only is an empty list.
        """
        ...

    def keys(self, start: str) -> Iterable[str]:
        """Yield every key that begins with ``start``."""
        ...

    def remove(self, key: str) -> bool:
        """Remove an object; tell whether it stays as an older version."""
        ...


def erase_objects(shelf: Shelf, prefix: str, person: Person, messages: Iterable[Message], place: str) -> Erased:
    """Remove a person's objects; ``place`` names the bucket."""
    names = [segment(one, "u") for one in person.user_ids]
    names += [segment(message.event_id, "u") for message in messages if not message.user_id]
    search, count, versions = _Search(shelf, list(dict.fromkeys(names))), 0, False
    try:
        for key in search.keys(prefix):
            versions |= shelf.remove(key)
            count += 1
    except NotErased as failed:
        return Erased(count, failed.result)
    return Erased(count, detail=_said(place, versions, search.complete))


@dataclass
class _Search:
    """Looks for keys that begin with one of the names, in every folder that holds objects."""

    shelf: Shelf
    names: Sequence[str]
    complete: bool = True  # else there were more folders than are looked into

    def keys(self, prefix: str) -> Iterator[str]:
        for folder in self._folders(prefix) if self.names else ():
            for name in self.names:
                start = folder + name
                # A list, because what is listed is removed meanwhile.
                yield from [key for key in self.shelf.keys(f"{start}-") if _REST.fullmatch(key.removeprefix(start))]

    def _folders(self, prefix: str) -> Iterator[str]:
        """Yield the folders that hold objects: of types, and of types under versions."""
        root = clean_prefix(prefix)
        for top in self._under(f"{root}/" if root else "", must_end=True):
            yield top
            if top.rstrip("/").rpartition("/")[2] not in terra.EVENT_TYPES:
                yield from self._under(top, must_end=False)

    def _under(self, folder: str, must_end: bool) -> list[str]:
        """Return the folders in a folder. One of versions or types may be the operator's too, with objects beside.

        Unless it ``must_end``, it ends after some pages without any: it is a folder of objects, with many of them.
        """
        found: list[str] = []
        without = 0
        for number, page in enumerate(self.shelf.folders(folder), start=1):
            found += page
            without += not page
            if len(found) > _MOST_FOLDERS or number > _MOST_PAGES:
                self.complete = False
                break
            if without > _MOST_WITHOUT and not must_end:
                break
        return found[:_MOST_FOLDERS]


def _said(place: str, versions: bool, complete: bool) -> str:
    older = " It keeps older versions: a lifecycle rule of the bucket has to remove those." if versions else ""
    more = "" if complete else " There are more folders than are looked into: look for the person's ids in the others."
    return f"Objects of the person in {place}.{older}{more}"
