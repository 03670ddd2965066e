"""What the tests of the command line share: a command run in this process, and what it printed."""

import io
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import Any
from unittest import mock

from terra_hub.cli.main import run


@dataclass
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def problem(self) -> Any:
        """Return the error that ``--json`` prints on standard error."""
        return json.loads(self.err)


class Input(io.TextIOWrapper):
    """Standard input that is no terminal."""

    def __init__(self, text: str) -> None:
        super().__init__(io.BytesIO(text.encode()), encoding="utf-8")


def hub(*arguments: str, code: int = 0, input: str = "", env: Mapping[str, str] | None = None) -> Ran:
    """Run a command without a terminal; check its exit code."""
    out, err = io.StringIO(), io.StringIO()
    around = mock.patch.dict("os.environ", env or {}), mock.patch("sys.stdin", Input(input))
    with _as_before(), around[0], around[1], redirect_stdout(out), redirect_stderr(err):
        ended = run(arguments, "hub")
    ran = Ran(ended, out.getvalue(), err.getvalue())
    assert ran.code == code, ran
    return ran


@contextmanager
def _as_before() -> Iterator[None]:
    level = logging.getLogger().level
    try:
        yield
    finally:
        logging.getLogger().setLevel(level)
