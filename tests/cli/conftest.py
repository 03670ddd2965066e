"""One terminal and one receiver for all the tests of the command line."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.shell import BEGIN
from tests.cli.terminal import Terminal
from tests.sink import Sink


@pytest.fixture(scope="session")
def sink() -> Iterator[Sink]:
    """A receiver; /terra answers 200 unless a journey says otherwise."""
    with Sink() as sink:
        yield sink


@pytest.fixture(scope="session")
def shared_terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    with Terminal(tmp_path_factory.mktemp("home"), EGRESS_ALLOW="127.0.0.0/8") as terminal:
        yield terminal


@pytest.fixture
def terminal(transactional_db: None, shared_terminal: Terminal, tmp_path: Path) -> Terminal:
    """A terminal in a folder of the test's own, with nothing exported."""
    shared_terminal.run(f"{BEGIN}{tmp_path}")
    return shared_terminal
