"""What becomes of a file that somebody uploads: it stays in memory, and never touches a disk."""

from typing import Any

from django.core.files.uploadhandler import MemoryFileUploadHandler

MAX_BYTES = 256 * 1024  # more than any file that a destination asks for


class SmallFilesInMemory(MemoryFileUploadHandler):
    """Keeps the first ``MAX_BYTES`` of a file and lets the rest go by; a field then says that it is too large.

    Django's own handlers write larger files into the system's temporary folder.
    """

    def handle_raw_input(self, *_: Any, **__: Any) -> None:
        """Take every file, whatever the request's size."""
        self.activated = True

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        """Keep what there is room for."""
        kept = raw_data[: max(0, MAX_BYTES - start)]
        return super().receive_data_chunk(kept, start) if kept else None
