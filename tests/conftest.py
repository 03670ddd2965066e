"""What every test may use: see ``tests.services`` for the servers and ``tests.settings`` for the hub's database."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hub import Hub, Server
from tests.services import provide
from tests.services.postgres import Login, PostgresServer, destination_server


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "databaseless: does not touch the hub's own database, so it runs once, not once per kind of it"
    )


@pytest.fixture(scope="session")
def postgres_server() -> PostgresServer:
    """A real PostgreSQL for destinations, shared by the whole run."""
    return provide(destination_server)


@pytest.fixture
def postgres_login(postgres_server: PostgresServer) -> Login:
    """A new, empty database, and a user with the page's grants and no more."""
    return postgres_server.create_user_with_page_grants()


@pytest.fixture(scope="session")
def web_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The hub's real web server, shared by the whole run. It needs ``transactional_db`` where it is used."""
    server = Server(tmp_path_factory.mktemp("server"))
    yield server
    server.stop()


@pytest.fixture
def hub(transactional_db: None, web_server: Server, tmp_path: Path) -> Iterator[Hub]:
    """A source of the test's own on the running server; workers are started by the test."""
    if web_server.process is None or not web_server.process.alive:
        web_server.start()
    running = Hub(web_server, tmp_path)
    yield running
    running.stop_workers()
