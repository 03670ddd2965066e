"""Receivers for the tests of destination types."""

from collections.abc import Iterator

import pytest

from tests.sink import Sink


@pytest.fixture(scope="session")
def plain_server() -> Iterator[Sink]:
    with Sink() as sink:
        yield sink


@pytest.fixture(scope="session")
def tls_sink() -> Iterator[Sink]:
    """A receiver behind TLS, with a certificate of a private CA."""
    with Sink(tls=True) as sink:
        yield sink


@pytest.fixture
def sink(plain_server: Sink) -> Sink:
    """A receiver that has got nothing yet and answers 200."""
    plain_server.clear()
    return plain_server
