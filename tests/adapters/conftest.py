"""Receivers and adapters for the tests of destination types."""

from collections.abc import Iterator

import pytest

from destinations.adapters.base import Outcome
from destinations.adapters.postgres import PostgresAdapter
from tests.adapters.postgres_support import adapter_for, outcomes, sample
from tests.services.postgres import Login, PostgresServer
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


@pytest.fixture
def postgres_adapter(postgres_server: PostgresServer, postgres_login: Login) -> Iterator[PostgresAdapter]:
    """An adapter that has delivered one event, the sample ``daily``, and so has made its tables."""
    adapter = adapter_for(postgres_server, postgres_login)
    assert outcomes(adapter.deliver([sample("daily")])) == [Outcome.DELIVERED]
    yield adapter
    adapter.close()
