"""Receivers and adapters for the tests of destination types."""

from collections.abc import Iterator

import pytest

from tests.adapters.mysql_support import MysqlPlace
from tests.adapters.postgres_support import PostgresPlace
from tests.adapters.supabase_support import set_up
from tests.services import Login, mariadb, provide
from tests.services.mariadb import MariadbServer
from tests.services.postgres import PostgresServer
from tests.services.supabase import Project, new_project
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
def postgres_place(postgres_server: PostgresServer, postgres_login: Login) -> PostgresPlace:
    """An empty database, and its user."""
    return PostgresPlace(postgres_server, postgres_login)


@pytest.fixture(scope="session")
def mysql_server() -> MariadbServer:
    """A real MariaDB for destinations, shared by the whole run."""
    return provide(mariadb.destination_server)


@pytest.fixture
def mysql_place(mysql_server: MariadbServer) -> MysqlPlace:
    """An empty database, and its user."""
    return MysqlPlace(mysql_server, mysql_server.create_user_with_page_grants())


@pytest.fixture(scope="session")
def supabase_server() -> Iterator[Project]:
    """A Supabase project that the tests empty before they use it."""
    made = provide(new_project)
    yield made
    made.close()


@pytest.fixture
def bare_project(supabase_server: Project) -> Project:
    """A new Supabase project: no bucket, no table."""
    supabase_server.reset()
    return supabase_server


@pytest.fixture
def project(bare_project: Project) -> Project:
    """A Supabase project in which the SQL of the set-up was run."""
    return set_up(bare_project)
