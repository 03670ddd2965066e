"""A sink for the tests of delivering, and what they ask of the delivery log."""

from collections.abc import Iterator

import pytest

from tests.sink import Sink


@pytest.fixture(scope="session")
def one_sink() -> Iterator[Sink]:
    with Sink() as running:
        yield running


@pytest.fixture
def sink(one_sink: Sink) -> Sink:
    """A real receiver that answers 200 until told otherwise."""
    one_sink.clear()
    return one_sink
