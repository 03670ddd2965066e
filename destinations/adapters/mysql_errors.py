"""What errors of MySQL and MariaDB mean for a delivery: retry, reject the row, or call the destination unwell.

Numbers: https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html and
https://mariadb.com/docs/server/reference/error-codes. Up to about 3000 they mean the same on both;
above, each has its own, and 4025 (MariaDB) and 3819 (MySQL) are one and the same refusal.
"""

import re
from collections.abc import Mapping

from destinations.adapters.rows import TABLES
from destinations.adapters.sql_errors import OUR_COLUMNS, SLOW, UNKNOWN, Blame, Verdict

_ROW, _MOMENT, _DESTINATION = Blame.ROW, Blame.MOMENT, Blame.DESTINATION
_LOGIN = "Check the user name and the password of this destination, and that {account} may log in from the hub."
_ADMIT = "Let {account} log in from the hub's address: CREATE USER names the hosts that a user may come from."
_GRANT = "Run: GRANT CREATE, SELECT, INSERT, UPDATE, DELETE ON {pattern}.* TO {account};"
_DATABASE = "Check the database's name; if it is right, run: CREATE DATABASE {database}; " + _GRANT
_FIT_COLUMNS = "Give the table the columns that the documentation lists, of type VARCHAR(191), TEXT or DATETIME(6)."
_DEFAULT = "Give the column a default, let it be NULL, or drop it: the hub fills only the documented columns."
_PLAIN_TABLES = "Use plain InnoDB tables, not views."
_WRITABLE = "Connect to the primary server, not to a replica, or turn read_only off."
_CONNECTIONS = "Raise the server's max_connections."
_USER_LIMIT = "Raise the limits of {account} (MAX_USER_CONNECTIONS, MAX_QUERIES_PER_HOUR and the like)."
_BLOCKED = "Run FLUSH HOSTS (MariaDB) or TRUNCATE performance_schema.host_cache (MySQL) on {host}."
_DISK = "Free disk space on {host}."
_NEW_LOGIN = "Run: ALTER USER {account} IDENTIFIED BY 'your_password'; then enter it here."
_UNLOCK = "Run: ALTER USER {account} ACCOUNT UNLOCK;"
_BINLOG = "Set the server's binlog_format to ROW or MIXED: the hub reads what was committed."
_TLS_WANTED = "The server takes this user over TLS only: choose the TLS mode verify-full."

# By number. Those that only MySQL has cannot be had from MariaDB, and the other way round.
VERDICTS: Mapping[int, Verdict] = {
    1020: Verdict(_MOMENT, "another transaction changed the row first"),
    1021: Verdict(_DESTINATION, "the server's disk is full", _DISK),
    1030: Verdict(_DESTINATION, "the server's storage engine had an error"),
    1037: Verdict(_DESTINATION, "the server is out of memory"),
    1038: Verdict(_DESTINATION, "the server is out of memory for sorting"),
    1040: Verdict(_DESTINATION, "the server takes no more connections", _CONNECTIONS),
    1041: Verdict(_DESTINATION, "the server is out of memory"),
    1043: Verdict(_DESTINATION, "the login failed half-way"),
    1044: Verdict(_DESTINATION, "the user may not use the database, or there is none of that name", _DATABASE),
    1045: Verdict(_DESTINATION, "the user name or the password is wrong", _LOGIN),
    1047: Verdict(_DESTINATION, "the node of the cluster is not ready"),
    1048: Verdict(_ROW, "a column must not be empty"),
    1049: Verdict(_DESTINATION, "the database does not exist", _DATABASE),
    1053: Verdict(_DESTINATION, "the server is being shut down"),
    1054: Verdict(_DESTINATION, "a column is missing", _FIT_COLUMNS),
    1062: Verdict(_ROW, "a unique key of the table refuses the row"),
    1114: Verdict(_DESTINATION, "the table is full", _DISK),
    1118: Verdict(_ROW, "the row is larger than the server can store"),
    1129: Verdict(_DESTINATION, "the server blocks the hub's address after too many broken logins", _BLOCKED),
    1130: Verdict(_DESTINATION, "the server takes no user from the hub's address", _ADMIT),
    1136: Verdict(_DESTINATION, "the columns are not as they should be", _FIT_COLUMNS),
    1142: Verdict(_DESTINATION, "a permission on the table is missing", _GRANT),
    1143: Verdict(_DESTINATION, "a permission on a column is missing", _GRANT),
    1146: Verdict(_DESTINATION, "a table is missing", _GRANT),
    1153: Verdict(_DESTINATION, "the server's max_allowed_packet is too small", "Set max_allowed_packet to 16 MB."),
    1203: Verdict(_DESTINATION, "the user has as many connections as it may have", _USER_LIMIT),
    1205: Verdict(_MOMENT, "another transaction holds a lock"),
    1206: Verdict(_DESTINATION, "the server has no room for more locks"),
    1213: Verdict(_MOMENT, "it was chosen as the victim of a deadlock"),
    1216: Verdict(_ROW, "a foreign key of the table refuses the row"),
    1226: Verdict(_DESTINATION, "the user has used up what it may use", _USER_LIMIT),
    1227: Verdict(_DESTINATION, "a permission is missing", _GRANT),
    1264: Verdict(_ROW, "a value is out of its column's range"),
    1265: Verdict(_ROW, "a value does not fit its column"),
    1288: Verdict(_DESTINATION, "the table cannot be written like this", _PLAIN_TABLES),
    1290: Verdict(_DESTINATION, "the server is read-only", _WRITABLE),
    1292: Verdict(_ROW, "a value is of another type than its column"),
    1317: Verdict(_DESTINATION, "an administrator stopped the statement"),
    1364: Verdict(_DESTINATION, "a column that is none of the hub's has no default", _DEFAULT),
    1366: Verdict(_ROW, "a value holds letters that its column cannot hold"),
    1370: Verdict(_DESTINATION, "a permission on a routine is missing", _GRANT),
    1406: Verdict(_ROW, "a value is too long for its column"),
    1412: Verdict(_MOMENT, "the table was changed meanwhile"),
    1452: Verdict(_ROW, "a foreign key of the table refuses the row"),
    1471: Verdict(_DESTINATION, "the table cannot be written like this", _PLAIN_TABLES),
    1524: Verdict(_DESTINATION, "the server lacks the plugin that proves this user"),
    1644: Verdict(_ROW, "a trigger of the table refuses the row"),
    1665: Verdict(_DESTINATION, "the server's binary log cannot hold what the hub writes", _BINLOG),
    1690: Verdict(_ROW, "a value is out of range"),
    1792: Verdict(_DESTINATION, "the transaction is read-only", _WRITABLE),
    1820: Verdict(_DESTINATION, "the user has to set a new password", _NEW_LOGIN),
    1836: Verdict(_DESTINATION, "the server is read-only", _WRITABLE),
    1862: Verdict(_DESTINATION, "the password has expired", _NEW_LOGIN),
    1927: Verdict(_DESTINATION, "an administrator ended the session"),
    1969: Verdict(_DESTINATION, "the server took too long", SLOW),
    3024: Verdict(_DESTINATION, "the server took too long", SLOW),
    3118: Verdict(_DESTINATION, "the account is locked", _UNLOCK),
    3140: Verdict(_ROW, "a column of type JSON refuses the value"),
    3159: Verdict(_DESTINATION, "the server asks for TLS", _TLS_WANTED),
    3169: Verdict(_DESTINATION, "an administrator ended the session"),
    3819: Verdict(_ROW, "a constraint of the table refuses the row"),
    4025: Verdict(_ROW, "a constraint of the table refuses the row"),
    4031: Verdict(_DESTINATION, "the server ended an idle session"),
    4151: Verdict(_DESTINATION, "the account is locked", _UNLOCK),
}
NO_SUCH_TABLE = 1146
DEADLOCK = 1213
TOO_LONG = 1406
TOO_SLOW = (1969, 3024)

# Names in messages, in the servers' English. Values of rows stand before them, so each pattern is
# tied to an end of the message, and what it finds has to be a name that the hub knows.
_COLUMN = re.compile(
    r"(?:(?:for|in value for) column ['`]?(?P<column>[^'`\s]+)['`]?(?: at row \d+)?\.?"
    r"|^Column '(?P<empty>[^']+)' cannot be null"
    r"|^Unknown column '(?P<unknown>[^']+)' in '[^']*')$"
)
_QUALIFIED = re.compile(r"for column (?:`[^`]*`\.){2}`(?P<column>[^`]+)` at row \d+$")
_CONSTRAINT = re.compile(
    r"^CONSTRAINT `(?P<check>[^`]{1,64})` failed for `[^`]*`\.`[^`]*`$"
    r"|^Check constraint '(?P<mysql>[^']{1,64})' is violated\.$"
    r"|^Cannot add or update a child row: a foreign key constraint fails "
    r"\(`[^`]*`\.`[^`]*`, CONSTRAINT `(?P<foreign>[^`]{1,64})` "
)
_DENIED = re.compile(r"^(?P<command>SELECT|INSERT|UPDATE|DELETE|CREATE) command denied to user ")
_DEFAULTLESS = re.compile(r"^Field '(?P<column>[A-Za-z0-9_$]{1,64})' doesn't have a default value$")


def verdict_of(number: int) -> Verdict:
    """Return the table's line for an error's number."""
    return VERDICTS.get(number, UNKNOWN)


def describe(number: int, sqlstate: str, message: str, table: str = "") -> str:
    """Return one line about an error of a statement, with the names that its message gives.

    The server's own words stand in none: they hold values of rows, and anything at all where a
    trigger raised them.
    """
    command = _named(_DENIED, message)
    places = {
        "command": command,
        "table": table or _table_of(message),
        "column": _column_of(message),
        "constraint": _named(_CONSTRAINT, message),
    }
    codes = [f"error {number}", *([f"SQLSTATE {sqlstate}"] if sqlstate else [])]
    named = [f"{kind} {name}" for kind, name in places.items() if name]
    return f"{verdict_of(number).reason} ({', '.join([*codes, *named])})"


def _column_of(message: str) -> str:
    found = _named(_QUALIFIED, message) or _named(_COLUMN, message).rpartition(".")[2]
    return found if found in OUR_COLUMNS else _named(_DEFAULTLESS, message)


def _table_of(message: str) -> str:
    """Return the one of the hub's tables that a message about a missing table or permission ends with."""
    names = [table.name for table in TABLES if re.search(rf"[`.']{table.name}['`]( doesn't exist)?$", message)]
    return names[0] if names else ""


def _named(pattern: re.Pattern[str], message: str) -> str:
    match = pattern.search(message)
    return next(filter(None, match.groups()), "") if match else ""
