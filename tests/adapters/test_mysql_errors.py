"""What is made of errors, also of those that only MySQL has: the tests run on MariaDB."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from destinations.adapters import mysql_errors, mysql_sql, postgres_errors, postgres_sql
from destinations.adapters.mysql import MysqlConfig
from destinations.adapters.mysql_errors import VERDICTS, describe, verdict_of
from destinations.adapters.mysql_sql import begin_limits
from destinations.adapters.postgres import PostgresConfig
from destinations.adapters.sql_errors import Blame, Verdict, filled
from tests.adapters.sql_support import CANARY

pytestmark = pytest.mark.databaseless

PAGES = Path(__file__).parents[2] / "docs" / "destinations"
WORDS = {Blame.ROW: "rejected", Blame.MOMENT: "retried", Blame.DESTINATION: "retried, counts as a failure"}


# The servers' own texts: https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
@pytest.mark.parametrize(
    ("number", "sqlstate", "message", "named"),
    [
        (3819, "HY000", "Check constraint 'no_bad' is violated.", "constraint no_bad"),
        (4025, "23000", "CONSTRAINT `no_bad` failed for `db`.`terra_users`", "constraint no_bad"),
        (
            3140, "22032",
            f"Invalid JSON text: \"Invalid value {CANARY}.\" at position 1 in value for column 'terra_users.state'.",
            "column state",
        ),
        (1366, "HY000", f"Incorrect string value: '{CANARY}' for column 'user_id' at row 1", "column user_id"),
        (1366, "22007", f"Incorrect integer value: '{CANARY}' for column `d`.`t`.`state` at row 3", "column state"),
        (1292, "22007", f"Incorrect datetime value: '{CANARY}' for column 'created_at' at row 2", "column created_at"),
        (1406, "22001", "Data too long for column 'provider' at row 12", "column provider"),
        (1048, "23000", "Column 'user_id' cannot be null", "column user_id"),
        (1062, "23000", f"Duplicate entry '{CANARY}' for key 'terra_users.one'", ""),
        (1644, "45000", f"{CANARY} for column 'user_id' at row 1", "column user_id"),
        (1644, "45000", f"for column '{CANARY}' at row 1", ""),
        (1364, "HY000", "Field 'extra' doesn't have a default value", "column extra"),
        (1054, "42S22", "Unknown column 'start_time' in 'field list'", "column start_time"),
        (1146, "42S02", "Table 'db.terra_users' doesn't exist", "table terra_users"),
        (1142, "42000", "INSERT command denied to user 'u'@'h' for table 'terra_users'", "command INSERT"),
        (1142, "42000", f"{CANARY} command denied to user 'u'@'h' for table 'terra_users'", "table terra_users"),
        (9999, "HY000", f"Something new about {CANARY}", "error 9999, SQLSTATE HY000"),
    ],
)  # fmt: skip
def test_a_line_about_an_error_has_its_names_and_none_of_its_values(
    number: int, sqlstate: str, message: str, named: str
) -> None:
    line = describe(number, sqlstate, message)
    assert line.startswith(f"{verdict_of(number).reason} (error {number}, SQLSTATE {sqlstate}")
    assert named in line
    assert CANARY not in line


def test_both_servers_numbers_for_one_refusal_mean_the_same() -> None:
    for mariadb, mysql in ((4025, 3819), (1969, 3024), (4151, 3118), (1927, 3169)):
        assert VERDICTS[mariadb] == VERDICTS[mysql]


@pytest.mark.parametrize(
    ("timeout_ms", "limits"), [(30_000, ("29", "29.75")), (2_000, ("1", "1.75")), (1, ("1", "0.25"))]
)
def test_the_server_gives_up_before_the_hub_does(timeout_ms: int, limits: tuple[str, str]) -> None:
    statement = begin_limits(timeout_ms)
    assert re.findall(r"(?:lock_wait|statement)_time(?:out)? = ([\d.]+)", statement) == [limits[0], *limits]


MYSQL_NAMES = mysql_sql.names_of(MysqlConfig("db.example.com", "your_database", "terra_user"))
POSTGRES_NAMES = postgres_sql.names_of(PostgresConfig("db.example.com", "your_database", "terra_user"))


@pytest.mark.parametrize(
    ("page", "verdicts", "names"),
    [
        ("mysql", mysql_errors.VERDICTS, MYSQL_NAMES),
        ("postgres", postgres_errors.VERDICTS, POSTGRES_NAMES),
    ],
)
def test_the_page_lists_every_code_and_what_becomes_of_it(
    page: str, verdicts: Mapping[Any, Verdict], names: dict[str, str]
) -> None:
    text = (PAGES / f"{page}.md").read_text()
    for code, verdict in verdicts.items():
        line = f"| {code} | {WORDS[verdict.blame]} | {verdict.reason} | {filled(verdict.hint, names)} |"
        assert line.replace("  |", " |") in text.splitlines()
