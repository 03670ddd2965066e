"""What PostgreSQL's errors mean for a delivery: retry, reject the row, or call the destination unwell.

Codes: https://www.postgresql.org/docs/current/errcodes-appendix.html
"""

from collections.abc import Mapping
from typing import Any

from destinations.adapters.sql_errors import OUR_COLUMNS, SLOW, UNKNOWN, Blame, Verdict, one_line

_ROW, _MOMENT, _DESTINATION = Blame.ROW, Blame.MOMENT, Blame.DESTINATION
_LOGIN = "Check the user name and the password of this destination."
_ADMIT = "Let pg_hba.conf admit {username} to {database} from the hub's address."
_GRANT = (
    "Run: GRANT USAGE, CREATE ON SCHEMA {schema} TO {username}; for tables that another user owns also: "
    "GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA {schema} TO {username};"
)
_FIT_COLUMNS = "Give the table the columns that the documentation lists, of type TEXT or TIMESTAMPTZ."
_PLAIN_TABLES = "Use plain tables, not views."
_WRITABLE = "Connect to the primary server, not to a replica, or make the database writable."
_CONNECTIONS = "Raise the server's max_connections, or the CONNECTION LIMIT of {username}."

# By SQLSTATE, or by its class (the first two characters).
VERDICTS: Mapping[str, Verdict] = {
    "08": Verdict(_DESTINATION, "the connection broke"),
    "0A": Verdict(_DESTINATION, "the table cannot be written like this", _PLAIN_TABLES),
    "22": Verdict(_ROW, "a value does not fit its column"),
    "23": Verdict(_ROW, "a constraint of the table refuses the row"),
    "25006": Verdict(_DESTINATION, "the database is read-only", _WRITABLE),
    "28": Verdict(_DESTINATION, "the server refuses this user", _ADMIT),
    "28P01": Verdict(_DESTINATION, "the password is wrong", _LOGIN),
    "3D": Verdict(_DESTINATION, "the database does not exist", "Check the name, or run: CREATE DATABASE {database};"),
    "3F": Verdict(_DESTINATION, "the schema does not exist", "Check the name, or run: CREATE SCHEMA {schema};"),
    "40": Verdict(_MOMENT, "the server rolled the transaction back"),
    "40001": Verdict(_MOMENT, "it could not be serialized with another transaction"),
    "40P01": Verdict(_MOMENT, "it was chosen as the victim of a deadlock"),
    "42": Verdict(_DESTINATION, "the tables are not as they should be", _FIT_COLUMNS),
    "42501": Verdict(_DESTINATION, "a permission is missing", _GRANT),
    "42703": Verdict(_DESTINATION, "a column is missing", _FIT_COLUMNS),
    "42804": Verdict(_DESTINATION, "a column has another type", _FIT_COLUMNS),
    "42P01": Verdict(_DESTINATION, "a table is missing", "Run: GRANT CREATE ON SCHEMA {schema} TO {username};"),
    "42P10": Verdict(_DESTINATION, "a primary key is missing", "Make the first column of each table its primary key."),
    "53": Verdict(_DESTINATION, "the server has run out of a resource"),
    "53100": Verdict(_DESTINATION, "the server's disk is full", "Free disk space on {host}."),
    "53200": Verdict(_DESTINATION, "the server is out of memory"),
    "53300": Verdict(_DESTINATION, "the server takes no more connections", _CONNECTIONS),
    "54": Verdict(_ROW, "a value is larger than PostgreSQL can index or store"),
    "55": Verdict(_DESTINATION, "the table cannot be written like this", _PLAIN_TABLES),
    "55P03": Verdict(_MOMENT, "another transaction holds a lock"),
    "57": Verdict(_DESTINATION, "the server ended the session"),
    "57014": Verdict(_DESTINATION, "the server took too long", SLOW),
    "57P01": Verdict(_DESTINATION, "an administrator ended the session, or the server is being restarted"),
    "57P03": Verdict(_DESTINATION, "the server is starting, stopping or recovering"),
    "58": Verdict(_DESTINATION, "the server had a system error"),
    "P0": Verdict(_ROW, "a trigger of the table refuses the row"),
    "XX": Verdict(_DESTINATION, "the server had an internal error"),
}


def verdict_of(sqlstate: str | None) -> Verdict:
    """Return the table's line for an SQLSTATE, or for its class."""
    code = sqlstate or ""
    return VERDICTS.get(code) or VERDICTS.get(code[:2], UNKNOWN)


def is_row_error(error: Any) -> bool:
    """Tell whether one row is to blame for a ``psycopg.Error``, so that its neighbours can be delivered.

    A row that leaves a column empty which is none of Terra's is not to blame: the column is.
    """
    if error.sqlstate == "23502" and error.diag.column_name not in OUR_COLUMNS:
        return False
    return verdict_of(error.sqlstate).blame is Blame.ROW


def describe(error: Any, table: str = "", column: str = "") -> str:
    """Return one line about a ``psycopg.Error``, with the names of table, column and constraint.

    ``table`` and ``column`` stand in where the server names none.

    The server's own words stand in it only where they hold no value of a row: its DETAIL always
    may, its message may for data errors, and anything may in what a trigger raises.
    """
    verdict, diag = verdict_of(error.sqlstate), error.diag
    if verdict.blame is not Blame.ROW and verdict is not UNKNOWN and not diag.context and diag.message_primary:
        return f"{verdict.reason}: {one_line(diag.message_primary)}"
    places = {
        "table": diag.table_name or table,
        "column": diag.column_name or column,
        "constraint": diag.constraint_name,
    }
    named = [f"{kind} {name}" for kind, name in places.items() if name]
    return f"{verdict.reason} ({', '.join([type(error).__name__, *named])})"
