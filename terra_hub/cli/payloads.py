"""Writing the exact bytes of an event: to standard output or a file, never by accident to a terminal."""

import os
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from destinations.rules import Refused
from destinations.shown import size
from terra_hub.cli.output import on_terminal, say
from terra_hub.cli.people import cli_actor
from webhooks.keeping.payload_views import ON_COMMAND_LINE, read_payload
from webhooks.models import Event

Output = Annotated[
    Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write them there, for you alone (mode 0600).")
]
Force = Annotated[
    bool, typer.Option("--force", help="Also to a terminal what is large or not plain text, or over a file.")
]
MOST_ON_TERMINAL = 64 * 1024  # bytes
_HINT = "Write it to a file with -o FILE, or add --force."


def write_payload(event: Event, output: Path | None, force: bool) -> None:
    """Write an event's bytes; raise ``Refused`` where they are gone, or would harm a terminal or a file."""
    terminal = output is None and on_terminal(sys.stdout) and not force
    if terminal and event.size > MOST_ON_TERMINAL:
        raise Refused({"": [f"{size(event.size)} are much for a terminal."]}, code="terminal", hint=_HINT)
    if output is not None and output.exists() and not force:
        raise Refused({"": [f"{output} is there already."]}, code="file_exists", hint="Add --force to write over it.")
    pieces = read_payload(event, cli_actor(), ON_COMMAND_LINE)
    if terminal:
        pieces = iter([_harmless(b"".join(pieces))])
    if output is not None:
        written = _to_file(output, pieces)
        say(f"{size(written)} written to {output}.")
        return
    for piece in pieces:
        sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _harmless(body: bytes) -> bytes:
    """Return bytes that are text without anything that a terminal obeys; raise ``Refused`` for others."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        text = "\0"
    if any(unicodedata.category(one) in ("Cc", "Cf", "Cs") and one not in "\t\n\r" for one in text):
        told = "These bytes are not plain text: a terminal may obey them."
        raise Refused({"": [told]}, code="terminal", hint=_HINT)
    return body


def _to_file(path: Path, pieces: Iterator[bytes]) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    written = 0
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        for piece in pieces:
            written += file.write(piece)
    return written
