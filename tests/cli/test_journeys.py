"""Every journey of docs/cli.md, typed into a real terminal against a real database, prints what the page says."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.happenings import happen
from tests.cli.happenings_of_data import ended
from tests.cli.journeys import Command, Journey, comparable, journeys
from tests.cli.terminal import Terminal
from tests.sink import Sink

pytestmark = pytest.mark.databaseless

WRITES = bool(os.environ.get("WRITE_JOURNEYS"))
RECEIVER = "http://127.0.0.1:48080"  # of the page; as long as the address of the one of the test


@pytest.fixture(autouse=True)
def _ended() -> Iterator[None]:
    """End the processes that a journey has started."""
    yield
    ended()


@pytest.mark.parametrize("journey", journeys(), ids=lambda journey: journey.title)
def test_a_journey_goes_as_the_page_says(journey: Journey, terminal: Terminal, sink: Sink, tmp_path: Path) -> None:
    here, printed = sink.url(""), []
    for step in journey.steps:
        if not isinstance(step, Command):
            happen(step.name, sink, tmp_path)
            continue
        text = terminal.run(step.text.replace(RECEIVER, here), [one.replace(RECEIVER, here) for one in step.answers])
        printed.append(text.replace(here, RECEIVER).replace(here.rpartition(":")[2], RECEIVER.rpartition(":")[2]))
        if not WRITES:
            assert comparable(printed[-1]) == comparable(step.output), f"$ {step.text}\n{printed[-1]}"
    if WRITES:
        journey.write(printed)


def test_the_page_has_journeys() -> None:
    assert len(journeys()) >= 4
