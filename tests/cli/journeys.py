"""The journeys of docs/cli.md as a test reads them: commands, what they print, what is typed, what happens between.

A journey is a heading of the second level with blocks of ```` ```console ````. In a block, a line that begins with
``$ `` is a command (a backslash at its end continues it), and what follows is what it prints. Comments of the document,
which readers do not see, say the rest:

``<!-- answers: warehouse | db.example.com -->``  what is typed, where the next block's first command asks
``<!-- test: another_hub -->``  calls the function of that name in ``tests.cli.happenings``

With ``WRITE_JOURNEYS=1`` in the environment the test writes what commands print into the page, where that is not what
the page has: to be read before it is committed.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

PAGE = Path(__file__).resolve().parent.parent.parent / "docs" / "cli.md"
_PART = re.compile(r"<!-- (answers|test): (.*?) -->|```console\n(.*?)```", re.DOTALL)


@dataclass
class Command:
    """A command, what it prints, and what is typed while it runs."""

    text: str
    output: str
    answers: list[str] = field(default_factory=list)
    piece: str = ""  # all of it as it stands in the page, after its prompt


@dataclass
class Happening:
    """What happens between two commands."""

    name: str


@dataclass
class Journey:
    """A heading of the document and what is below it."""

    title: str
    steps: list[Command | Happening]

    def write(self, printed: list[str]) -> None:
        """Put what its commands print into the page, where that is not what stands there."""
        page = PAGE.read_text()
        at = page.index(f"## {self.title}\n")
        for command, text in zip([step for step in self.steps if isinstance(step, Command)], printed, strict=True):
            at = page.index(f"$ {command.piece}\n", at)
            if comparable(text) != comparable(command.output):
                typed = command.piece.removesuffix(command.output).rstrip("\n")
                new = f"{typed}\n{text}".rstrip("\n")
                page = page[: at + 2] + new + page[at + 2 + len(command.piece) :]
            at += 2
        PAGE.write_text(page)


def journeys() -> list[Journey]:
    """Return every journey of the document."""
    parts = re.split(r"^## (.+)$", PAGE.read_text(), flags=re.MULTILINE)[1:]
    found = [Journey(title, list(_steps(text))) for title, text in zip(parts[::2], parts[1::2], strict=True)]
    return [journey for journey in found if any(isinstance(step, Command) for step in journey.steps)]


def _steps(text: str) -> Iterator[Command | Happening]:
    answers: list[str] = []
    for kind, value, block in _PART.findall(text):
        if kind == "test":
            yield Happening(value)
        elif kind == "answers":
            answers = [answer.strip() for answer in value.split("|")]
        else:
            commands = list(_commands(block))
            commands[0].answers, answers = answers, []
            yield from commands


def _commands(block: str) -> Iterator[Command]:
    for piece in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        piece = piece.rstrip("\n")
        command, output = re.fullmatch(r"((?:[^\n]*\\\n)*[^\n]*)\n?(.*)", piece, re.DOTALL).groups()  # type: ignore[union-attr]
        yield Command(re.sub(r"\s+", " ", command.replace("\\\n", " ")).strip(), output, piece=piece)


# What differs from run to run, and what stands for it in a comparison.
_CHANGING = (
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "<id>"),
    (r"hub_live_\w{8}_\w{43}", "<key>"),
    (r"hub_live_\w{8}", "<prefix>"),
    (r"whsec_[\w+/]{43}=", "<secret>"),
    (r"ends …\S{4}", "ends …<end>"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?( UTC|Z)?", "<time>"),
    (r"\d{1,2} (Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) \d{4}", "<day>"),
    (r"127\.0\.0\.1:\d{5}\b(?<!48080)", "<hub>"),
    (r"\b\d+:\d\d:\d\d\b", "<elapsed>"),
    (r"sha256 [0-9a-f]{64}", "sha256 <hash>"),
    (r"([Rr]eplay:?) +\d+\b", "\\1 <number>"),
    (r"\((now|in [^()]*|[^()]* ago)\)", "(<ago>)"),
    (r"\d+(\.\d+)? (ms|s)\b", "<duration>"),
    (r"command line \([^)]*\)", "command line (<user>)"),
    (r"[ ─━]{2,}", "  "),  # how wide a column is hangs on what stands in it
)


def comparable(text: str) -> list[str]:
    """Return the lines of what a command prints without what differs from run to run."""
    for pattern, stands_for in _CHANGING:
        text = re.sub(pattern, stands_for, text)
    return [line.strip() for line in text.splitlines()]
