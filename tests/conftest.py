"""What every test may use: see ``tests.services`` for the servers and ``tests.settings`` for the hub's database."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.core.management.color import no_style
from django.db import connection
from django.test import TransactionTestCase
from hypothesis import HealthCheck, settings

from tests.hub import Hub, Server
from tests.services import provide
from tests.services.ministack import SqsServer, sqs_server
from tests.services.postgres import Login, PostgresServer, destination_server
from tests.services.seaweedfs import SeaweedServer, seaweed_server

if TYPE_CHECKING:
    from tests.adapters.azureblob_support import Place as AzurePlace
    from tests.adapters.gcs_support import Place
    from tests.services.azurite import AzureServer
    from tests.services.gcs import GcsServer


# What a running server keeps the ids of. Nothing in a test changes these rows.
KEPT = {"django_migrations", "django_content_type", "auth_permission"}


def empty_tables(_: TransactionTestCase) -> None:
    """Empty the hub's tables after a test. Django's own way would also make content types anew, with other ids."""
    tables = [name for name in connection.introspection.django_table_names(only_existing=True) if name not in KEPT]
    flush = connection.ops.sql_flush(no_style(), tables, reset_sequences=False, allow_cascade=False)
    connection.ops.execute_sql_flush(flush)


TransactionTestCase._fixture_teardown = empty_tables  # type: ignore[method-assign]


# A busy machine is no finding, and two runs of the same code find the same.
settings.register_profile("hub", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("hub")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "databaseless: shows nothing of the hub's own database, so it runs once, not once per kind of it"
    )
    config.addinivalue_line("markers", "browser: a test of tests/browser, which scripts/test gives a lane of its own")


def pytest_itemcollected(item: pytest.Item) -> None:
    if item.path.parent.name == "browser":
        item.add_marker("browser")


@pytest.fixture(scope="session")
def postgres_server() -> PostgresServer:
    """A real PostgreSQL for destinations, shared by the whole run."""
    return provide(destination_server)


@pytest.fixture
def postgres_login(postgres_server: PostgresServer) -> Login:
    """A new, empty database, and a user with the page's grants and no more."""
    return postgres_server.create_user_with_page_grants()


@pytest.fixture
def sqs() -> Iterator[SqsServer]:
    """SQS behind its gate, with no fault left over from another test."""
    server = provide(sqs_server)
    if server.gate_or_none:
        server.gate_or_none.clear()
    yield server
    if server.gate_or_none:
        server.gate_or_none.clear()


@pytest.fixture(scope="session")
def seaweed() -> SeaweedServer:
    """A real object store, shared by the whole run."""
    return provide(seaweed_server)


@pytest.fixture(scope="session")
def bucket(seaweed: SeaweedServer) -> str:
    """One bucket for the whole run: tests differ in prefixes."""
    return seaweed.create_bucket()


@pytest.fixture(scope="session")
def gcs_server() -> "GcsServer":
    """Google Cloud Storage as far as it can be had, shared by the whole run."""
    from tests.services.gcs import gcs_service  # Google's client takes a while to load, and few tests need it

    return provide(gcs_service)


@pytest.fixture
def gcs(gcs_server: "GcsServer") -> "GcsServer":
    """The server, whose gate knows nothing of an earlier test."""
    if gcs_server.gate:
        gcs_server.gate.reset()
    return gcs_server


@pytest.fixture
def place(gcs: "GcsServer") -> "Place":
    """An empty bucket, and a new account that may write there."""
    from tests.adapters.gcs_support import place_on

    return place_on(gcs)


@pytest.fixture(scope="session")
def azure() -> "AzureServer":
    """Azure Blob Storage as far as it can be had, shared by the whole run."""
    from tests.services.azurite import azure_service  # Microsoft's client takes a while to load, and few tests need it

    return provide(azure_service)


@pytest.fixture
def azure_place(azure: "AzureServer") -> "AzurePlace":
    """An empty container."""
    from tests.adapters.azureblob_support import place_on

    return place_on(azure)


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
