"""PostgreSQL: one row per event, one row per user, and a link to each payload."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from destinations.adapters.postgres_batch import COMMIT, PostgresWriter, create_missing
from destinations.adapters.postgres_check import PostgresCheck
from destinations.adapters.postgres_link import Link
from destinations.adapters.postgres_sql import PAGE_SCRIPT, TerraTables, begin, names_of
from destinations.adapters.rows import Table
from destinations.adapters.sql import SqlAdapter
from destinations.adapters.sql_config import SqlConfig, SqlCredentials
from destinations.adapters.sql_erasing import MOST_ROWS
from destinations.adapters.sql_errors import filled
from destinations.adapters.sql_terraform import ABOUT, PASSWORD, password_variable
from destinations.adapters.terraform import listed, module, provider, quoted, resource
from destinations.hosts import with_port
from destinations.identity import HubIdentity
from destinations.specs import option

NAME = r"[A-Za-z_][A-Za-z0-9_$]{0,62}"


@dataclass(frozen=True, slots=True)
class PostgresConfig(SqlConfig):
    """Where the rows go."""

    port: int = option(
        "Port",
        default=5432,
        minimum=1,
        maximum=65535,
        placeholder="5432",
        help="What the server listens on, or its pooler.",
    )
    schema: str = option(
        "Schema",
        default="public",
        pattern=NAME,
        expected="letters, digits, _ and $",
        placeholder="public",
        help="Where in the database the tables are made.",
    )
    auth_method: str = option(
        "Password method",
        default="scram-sha-256",
        help="How the server may ask for the password; anything else is refused.",
        choices=(("scram-sha-256", "SCRAM-SHA-256"), ("scram-sha-256,md5", "SCRAM-SHA-256 or MD5 (old servers)")),
        advanced=True,
    )


@dataclass(frozen=True, slots=True, repr=False)
class PostgresCredentials(SqlCredentials):
    """The user's password."""


class PostgresAdapter(SqlAdapter[PostgresConfig, PostgresCredentials]):
    """Writes a batch in one pipeline of statements; its tables are made under a lock that all hubs take."""

    type = "postgres"
    label = "PostgreSQL"
    setup_label = "SQL"
    icon = "database"
    config_spec = PostgresConfig
    credentials_spec = PostgresCredentials
    host_fields: ClassVar[frozenset[str]] = SqlAdapter.host_fields | {"auth_method"}
    _link: Link

    def target(self) -> str:
        """Return ``db.example.com:5432/database, schema public``."""
        return f"{with_port(self.config.host, self.config.port)}/{self.config.database}, schema {self.config.schema}"

    @classmethod
    def setup(cls, config: PostgresConfig) -> str:
        """Return the page's script with this destination's names in it."""
        return "\n".join(filled(line, names_of(config)) for line in PAGE_SCRIPT)

    @classmethod
    def terraform(cls, config: PostgresConfig, identity: HubIdentity) -> str:
        """Return the same for the provider cyrilgdn/postgresql."""
        of = {"database": quoted(config.database), "role": "postgresql_role.terra_hub.name"}
        role = {"name": quoted(config.username), "login": "true", "password": PASSWORD}
        schema = {"schema": quoted(config.schema), "object_type": quoted("schema")}
        return module(
            provider("postgresql", "cyrilgdn/postgresql"),
            password_variable(),
            resource("postgresql_role", "terra_hub", role),
            _grant("database", of | {"object_type": quoted("database"), "privileges": listed(["CONNECT"])}),
            _grant("schema", of | schema | {"privileges": listed(["USAGE", "CREATE"])}),
            about=ABOUT,
        )

    @cached_property
    def _tables(self) -> TerraTables:
        return TerraTables(self.config.schema)

    def _new_link(self) -> Link:
        return Link(self.config, self.credentials, self.policy)

    def _new_check(self, link: Any) -> PostgresCheck:
        return PostgresCheck(link, self._tables, self.config)

    def _writer(self) -> PostgresWriter:
        return PostgresWriter(self._link, self._tables)

    def _create_missing(self) -> None:
        create_missing(self._link, self._tables)
        self._link.run([COMMIT])

    def _delete(self, table: Table, column: str, values: Sequence[str]) -> int:
        statement = self._tables.delete(table, column, values, MOST_ROWS)
        answers = self._link.run([*begin(self._link.statement_ms), statement, COMMIT])
        return answers[-2].rowcount

    def _names(self) -> Mapping[str, str]:
        return names_of(self.config)

    def _place(self) -> str:
        return self.config.schema


def _grant(name: str, about: Mapping[str, str]) -> str:
    return resource("postgresql_grant", f"terra_hub_{name}", about)
