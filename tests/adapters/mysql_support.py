"""A MySQL destination for the tests."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

import pymysql

from destinations.adapters.mysql import MysqlAdapter
from tests.adapters.sql_support import Place
from tests.services.mariadb import MariadbServer


class MysqlPlace(Place):
    """A database in the session's MariaDB."""

    kind = MysqlAdapter
    server: MariadbServer

    def rows(self, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
        found = self.server.run(f"SELECT {columns} FROM {table} ORDER BY 1", database=self.login.database)
        return [tuple(_aware(value) for value in row) for row in found]

    def run(self, *statements: str) -> None:
        self.server.run(*statements, database=self.login.database)

    @contextmanager
    def transaction(self) -> Iterator[Callable[[str], Any]]:
        with self.server.connect(self.login.database) as connection, connection.cursor() as cursor:
            connection.begin()
            yield cursor.execute
            connection.commit()

    def someone_waits(self) -> bool:
        time.sleep(0.15)  # the server looks again only where nobody asked for 0.1 s
        waits = "SELECT 1 FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
        return bool(self.server.run(waits))

    def tables(self) -> set[str]:
        return {name for (name,) in self.server.run("SHOW TABLES LIKE 'terra\\_%'", database=self.login.database)}

    def end_sessions(self) -> None:
        for number in self._sessions():
            with suppress(pymysql.OperationalError):  # it ended by itself
                self.run(f"KILL CONNECTION {number}")

    def sessions(self) -> int:
        return len(self._sessions())

    def tls_of(self, adapter: Any) -> str:
        ((_, version),) = adapter._link.run("SHOW SESSION STATUS LIKE 'Ssl_version'")[1]
        return str(version)

    def _sessions(self) -> list[int]:
        query = f"SELECT id FROM information_schema.processlist WHERE user = '{self.login.user}'"
        return [number for (number,) in self.server.run(query)]

    def refuse_rows(self, condition: str, code: str, table: str = "terra_data_payloads") -> None:
        self.run(
            f"CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW BEGIN IF {condition} THEN SIGNAL "
            f"SQLSTATE '45000' SET MYSQL_ERRNO = {code}, MESSAGE_TEXT = NEW.user_id; END IF; END"
        )

    def refuse_no_more(self) -> None:
        self.run("DROP TRIGGER refuse")


def _aware(value: Any) -> Any:
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
