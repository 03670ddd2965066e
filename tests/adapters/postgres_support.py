"""A PostgreSQL destination for the tests."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import sql

from destinations.adapters.postgres import PostgresAdapter
from tests.adapters.sql_support import Place
from tests.services.postgres import PostgresServer

SESSIONS = "FROM pg_stat_activity WHERE usename = '{user}' AND state IS NOT NULL"


def raising(condition: str, code: str, table: str = "terra_data_payloads") -> str:
    """Return SQL that lets ``table`` refuse rows, as an operator's own trigger may."""
    return f"""
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF {condition} THEN RAISE EXCEPTION 'no %', NEW.user_id USING ERRCODE = '{code}'; END IF;
      RETURN NEW; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse();
    """


class PostgresPlace(Place):
    """A database in the session's PostgreSQL."""

    kind = PostgresAdapter
    utc = "Z"
    server: PostgresServer

    def rows(self, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
        with self.server.connect(self.login.database) as connection:
            query = sql.SQL("SELECT {} FROM {} ORDER BY 1").format(sql.SQL(columns), sql.Identifier(table))  # type: ignore[arg-type]
            return connection.execute(query).fetchall()

    def run(self, *statements: str) -> None:
        with self.server.connect(self.login.database) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    @contextmanager
    def transaction(self) -> Iterator[Callable[[str], Any]]:
        with self.server.connect(self.login.database) as connection, connection.transaction():
            yield lambda statement: connection.execute(statement.encode())

    def someone_waits(self) -> bool:
        waits = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        with self.server.connect(self.login.database) as connection:
            return bool(connection.execute(waits).fetchall())

    def tables(self) -> set[str]:
        return {name for (name,) in self.rows("pg_tables", "tablename") if name.startswith("terra_")}

    def end_sessions(self) -> None:
        self.run(f"SELECT pg_terminate_backend(pid) {SESSIONS}".format(user=self.login.user))

    def sessions(self) -> int:
        query = f"SELECT 1 {SESSIONS}".format(user=self.login.user)
        with self.server.connect(self.login.database) as connection:
            return len(connection.execute(query.encode()).fetchall())

    def tls_of(self, adapter: Any) -> str:
        query = f"SELECT s.version {SESSIONS}".replace("activity", "activity JOIN pg_stat_ssl s USING (pid)")
        with self.server.connect(self.login.database) as connection:
            ((version,),) = connection.execute(query.format(user=self.login.user).encode()).fetchall()
            return str(version)

    def refuse_rows(self, condition: str, code: str, table: str = "terra_data_payloads") -> None:
        self.run(raising(condition, code, table))

    def refuse_no_more(self) -> None:
        self.run("DROP FUNCTION refuse CASCADE")
