"""MySQL and MariaDB: one row per event, one row per user, and a link to each payload."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from destinations.adapters.base import Message, Outcome, Result
from destinations.adapters.mysql_batch import MysqlWriter, create_tables
from destinations.adapters.mysql_check import MysqlCheck, check_tables
from destinations.adapters.mysql_errors import TOO_LONG, verdict_of
from destinations.adapters.mysql_link import MysqlLink
from destinations.adapters.mysql_sql import MOST_TEXT_BYTES, PAGE_SCRIPT, delete, names_of
from destinations.adapters.rows import USERS, EventRows, Table
from destinations.adapters.sql import SqlAdapter
from destinations.adapters.sql_config import SqlConfig, SqlCredentials
from destinations.adapters.sql_erasing import MOST_ROWS
from destinations.adapters.sql_errors import Unwell, filled
from destinations.adapters.sql_terraform import ABOUT, PASSWORD, password_variable
from destinations.adapters.terraform import listed, module, provider, quoted, resource
from destinations.hosts import with_port
from destinations.identity import HubIdentity
from destinations.specs import option

# A GRANT could not name others without quoting rules of its own: "." splits, "/" and "\" are paths.
DATABASE_NAME = r"[A-Za-z0-9_$-]{1,64}"


@dataclass(frozen=True, slots=True)
class MysqlConfig(SqlConfig):
    """Where the rows go."""

    database: str = option(
        "Database",
        pattern=DATABASE_NAME,
        expected="letters, digits and _ $ -",
        placeholder="health",
        help="The hub makes its tables in it.",
    )
    port: int = option(
        "Port",
        default=3306,
        minimum=1,
        maximum=65535,
        placeholder="3306",
        help="What the server listens on, or its pooler.",
    )


@dataclass(frozen=True, slots=True, repr=False)
class MysqlCredentials(SqlCredentials):
    """The user's password."""


class MysqlAdapter(SqlAdapter[MysqlConfig, MysqlCredentials]):
    """Writes a batch with a few multi-row statements."""

    type = "mysql"
    label = "MySQL or MariaDB"
    setup_label = "SQL"
    icon = "table_rows"
    config_spec = MysqlConfig
    credentials_spec = MysqlCredentials
    _link: MysqlLink

    def target(self) -> str:
        """Return ``db.example.com:3306/database``."""
        return f"{with_port(self.config.host, self.config.port)}/{self.config.database}"

    @classmethod
    def setup(cls, config: MysqlConfig) -> str:
        """Return the page's script with this destination's names in it."""
        return "\n".join(filled(line, names_of(config)) for line in PAGE_SCRIPT)

    @classmethod
    def terraform(cls, config: MysqlConfig, identity: HubIdentity) -> str:
        """Return the same for the provider petoju/mysql."""
        user = "mysql_user.terra_hub"
        made = {"user": quoted(config.username), "host": quoted("%"), "plaintext_password": PASSWORD}
        grant = {
            "user": f"{user}.user",
            "host": f"{user}.host",
            # In a GRANT, an underscore would stand for any letter.
            "database": quoted(config.database.replace("_", r"\_")),
            "privileges": listed(["CREATE", "SELECT", "INSERT", "UPDATE", "DELETE"]),
        }
        return module(
            provider("mysql", "petoju/mysql"),
            password_variable(),
            resource("mysql_user", "terra_hub", made),
            resource("mysql_grant", "terra_hub", grant),
            about=ABOUT,
        )

    def _new_link(self) -> MysqlLink:
        return MysqlLink(self.config, self.credentials, self.policy)

    def _new_check(self, link: Any) -> MysqlCheck:
        return MysqlCheck(link, self.config)

    def _writer(self) -> MysqlWriter:
        return MysqlWriter(self._link)

    def _create_missing(self) -> None:
        create_tables(self._link)

    def _delete(self, table: Table, column: str, values: Sequence[str]) -> int:
        self._link.begin()
        deleted, _ = self._link.run(*delete(table, column, values, MOST_ROWS))
        self._link.run("COMMIT")
        return deleted

    def _names(self) -> Mapping[str, str]:
        return names_of(self.config)

    def _place(self) -> str:
        return self.config.database

    def _opened(self) -> None:
        try:
            check_tables(self._link, self.config)
        except Unwell:
            self._link.close()  # so that the next batch looks again
            raise

    def _unfit(self, message: Message, rows: EventRows) -> Result | None:
        """Refuse a text that no column holds: it might make a statement larger than the server takes."""
        if len(message.body) <= MOST_TEXT_BYTES:
            return None  # nothing in it is longer than itself
        for table, row in [*((USERS, user) for user in rows.users), (rows.table, rows.payload)]:
            column = _oversized(table, row)
            if column:
                detail = f"{verdict_of(TOO_LONG).reason} (error {TOO_LONG}, table {table.name}, column {column})"
                hint = f"A column holds at most {MOST_TEXT_BYTES:,} bytes; the payload itself is kept by the hub."
                return Result(Outcome.REJECTED, str(TOO_LONG), detail, hint)
        return None


def _oversized(table: Table, row: Any) -> str:
    texts = {column.name: getattr(row, column.name) or "" for column in table.columns if not column.is_moment}
    return next((name for name, text in texts.items() if len(text.encode()) > MOST_TEXT_BYTES), "")
