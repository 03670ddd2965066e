"""Payloads in the file system: a folder of this host, or one that all hosts mount."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from heapq import nsmallest
from pathlib import Path
from typing import Any

from django.core.files.base import File
from django.core.files.storage import FileSystemStorage

from webhooks.keeping.stores.base import Names, StoreFailed, event_of

_DAY = len("2026/03/12")


class FilePayloadStore(FileSystemStorage):
    """Files that survive a power cut once ``save`` has returned: file and folders are synced."""

    def _save(self, name: str, content: "File[Any]") -> str:
        _make_durably(Path(self.location))
        path = Path(self.path(name))
        was_there = path.exists()
        try:
            saved: str = super()._save(name, content)  # type: ignore[misc]  # not in the stubs
            _sync_up_to(Path(self.path(saved)), Path(self.location))
        except OSError:
            if not was_there:  # the half of a body would be no body, and keep a full disk full
                with suppress(OSError):
                    path.unlink(missing_ok=True)
            raise
        return saved

    def _open(self, name: str, mode: str = "rb") -> "File[Any]":
        """Open a body. Where the whole folder is away (not mounted), its bodies are not gone."""
        if not Path(self.location).is_dir():
            raise StoreFailed("There is no such folder. Mount it, or correct PAYLOAD_DIR.")
        opened: File[Any] = super()._open(name, mode)  # type: ignore[misc]  # not in the stubs
        return opened

    def names(self, after: str, most: int) -> Names:
        """List what comes next, folder by folder of a day."""
        root, found = Path(self.location), list[str]()
        for day in _days_from(root, after[:_DAY]) if root.is_dir() else ():  # the folder is made with the first body
            files = (name for name in _files_of(root, day) if name > after)
            found += nsmallest(most - len(found), files)
            if len(found) == most:
                break
        names = [name for name in found if event_of(name)]
        return Names(names, found[-1] if found else after, len(found) < most)

    def place(self) -> str:
        """Return the folder."""
        return f"the folder {self.location}"

    def probe(self) -> None:
        """Write and sync a file without a name."""
        _make_durably(Path(self.location))
        with tempfile.TemporaryFile(dir=self.location) as file:
            file.write(b"x" * 4096)
            file.flush()
            os.fsync(file.fileno())

    def fresh_link(self, name: str, lifetime_s: int) -> str:
        """Return nothing: the hub itself is what serves its files."""
        return ""


def _days_from(root: Path, first: str) -> Iterator[str]:
    """Return each day from ``first`` on ("2026/03/12") that has a folder, in order."""
    for year in _folders(root, first[:4]):
        for month in _folders(root / year, first[5:7] if year == first[:4] else ""):
            same_month = f"{year}/{month}" == first[:7]
            for day in _folders(root / year / month, first[8:] if same_month else ""):
                yield f"{year}/{month}/{day}"


def _folders(parent: Path, first: str) -> list[str]:
    """Return the names of a folder's folders that are numbers, from ``first`` on, in order."""
    with os.scandir(parent) as entries:
        return sorted(one.name for one in entries if one.name.isdigit() and one.name >= first and one.is_dir())


def _files_of(root: Path, day: str) -> Iterator[str]:
    with os.scandir(root / day) as entries:
        yield from (f"{day}/{one.name}" for one in entries)


def _make_durably(folder: Path) -> None:
    """Make a folder and what is missing above it, and sync the folders that hold them."""
    if folder.is_dir():
        return
    _make_durably(folder.parent)
    folder.mkdir(0o700, exist_ok=True)
    _sync(folder.parent)


def _sync_up_to(path: Path, top: Path) -> None:
    """Sync a file and every folder from its own up to ``top``: any of them may be new."""
    _sync(path)
    for folder in path.parents:
        _sync(folder)
        if folder == top:
            return


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
