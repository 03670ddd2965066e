"""A real pseudo-terminal of 100 x 30 with a shell in it, and the screen that a person would see."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pexpect
import pyte

from tests.cli.shell import PROMPT
from tests.hub import ROOT, environment

WIDTH, HEIGHT = 100, 30
_LINES = 2000  # that the screen keeps: a person would scroll
_QUIET_S = 0.05  # a prompt is one when nothing follows it for so long
_QUESTION = (":", "]:", "?")
_LONGEST_S = 60.0


class Terminal:
    """Types commands and answers, and returns what is then on the screen."""

    def __init__(self, folder: Path, width: int = WIDTH, **env: str) -> None:
        self._width = width
        path = f"{ROOT / 'bin'}:{Path(sys.executable).parent}"
        self._child = pexpect.spawn(
            sys.executable, ["-m", "tests.cli.shell"], cwd=str(folder), dimensions=(HEIGHT, width), encoding="utf-8",
            env={
                **environment(**env), "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "COLUMNS": "", "LINES": "",
                "PATH": f"{path}:{environment()['PATH']}",
            },
        )  # fmt: skip
        self._child.delaybeforesend = None
        self._screen = pyte.Screen(width, _LINES)
        self._stream = pyte.Stream(self._screen)
        self._until_prompt([])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.close(force=True)

    def run(self, command: str, answers: Sequence[str] = ()) -> str:
        """Run a command and return what it printed; ``answers`` are typed where it asks."""
        self._screen.reset()
        self._stream.feed(PROMPT)
        self._child.sendline(command)
        self._until_prompt(list(answers), (len(PROMPT) + len(command)) // self._width + 1)
        return "\n".join(self._lines()[(len(PROMPT) + len(command)) // self._width + 1 : -1]).rstrip()

    def press(self, keys: str) -> None:
        """Press keys, without waiting for anything."""
        self._child.send(keys)

    def _until_prompt(self, answers: list[str], after: int = 0) -> None:
        ends = time.monotonic() + _LONGEST_S
        while time.monotonic() < ends:
            if self._read():
                continue
            here, below = self._line(self._screen.cursor.y), self._screen.cursor.y >= after
            if here == PROMPT.rstrip() and below:
                assert not answers, f"never asked for {answers}"
                return
            if answers and below and here.endswith(_QUESTION):
                self._child.sendline(answers.pop(0))
        raise AssertionError(f"no prompt came back; the screen: {self._lines()}")

    def _read(self) -> bool:
        """Take what was printed meanwhile; tell whether there was something."""
        try:
            self._stream.feed(self._child.read_nonblocking(65536, _QUIET_S))
        except pexpect.TIMEOUT:
            return False
        except pexpect.EOF as error:
            raise AssertionError(f"the shell ended; the screen: {self._lines()}") from error
        return True

    def _lines(self) -> list[str]:
        return [self._line(number) for number in range(self._screen.cursor.y + 1)]

    def _line(self, number: int) -> str:
        row = self._screen.buffer[number]
        return "".join(row[column].data for column in range(self._width)).rstrip()
