"""The SQL of a MySQL destination, in what MariaDB 10.11 and MySQL 8 both understand.

Values are parameters, names are quoted identifiers, always. ``VALUES()`` is deprecated in MySQL
8.0.20, but the row alias that replaces it is unknown to MariaDB.
"""

# ruff: noqa: S608  # the names are constants of rows.py, the values are parameters
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from destinations.adapters.rows import DATA, OTHER, STATE_TYPES, TABLES, USERS, Column, Table

Statement = tuple[str, Sequence[Any]]

# Without a strict mode the server cuts texts and makes zeros of dates, and says nothing.
STRICT_MODE = "STRICT_ALL_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"
# The server is to give up first: its answer keeps the connection, the hub's own deadline costs it.
SERVER_HEAD_START_MS = 250
# Every server takes a statement of this size: the smallest default of max_allowed_packet is 1 MiB.
# One row is always smaller: five texts of at most MOST_TEXT_BYTES, each byte of which may be escaped.
MOST_STATEMENT_BYTES = 1_000_000
MOST_TEXT_BYTES = 65_535  # of a TEXT column
# 191 letters of four bytes are as much as an index of any row format can hold.
_KEY_TYPE, _TEXT_TYPE, _MOMENT_TYPE = "varchar(191)", "text", "datetime(6)"
_OPTIONS = "ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin"

# Run by an administrator. Source: docs.tryterra.co, *Destinations*, "SQL Database".
PAGE_SCRIPT = (
    "CREATE USER {account} IDENTIFIED BY 'your_password';",
    "GRANT CREATE, SELECT, INSERT, UPDATE, DELETE ON {pattern}.* TO {account};",
)


def names_of(config: Any) -> dict[str, str]:
    """Return this destination's names as they stand in SQL, for hints and for the set-up text.

    ``pattern`` is the database's name in a GRANT, where an underscore would stand for any letter.
    """
    database = quoted(config.database)
    return {
        "database": database,
        "pattern": database.replace("_", r"\_"),
        "place": database,
        "account": f"'{config.username}'@'%'",
        "host": config.host,
    }


def quoted(name: str) -> str:
    """Return a name as an identifier."""
    return "`" + name.replace("`", "``") + "`"


def begin_limits(timeout_ms: int) -> str:
    """Return what bounds the transaction that follows: its waits for locks, and on MariaDB its statements.

    Seconds, at least one. MySQL takes ``/*M! */`` for a comment, and has no such limit for writes.
    """
    seconds = max(1, (timeout_ms - SERVER_HEAD_START_MS) // 1000)
    statement = max(0.25, (timeout_ms - SERVER_HEAD_START_MS) / 1000)
    return (
        f"SET SESSION time_zone = '+00:00', innodb_lock_wait_timeout = {seconds}, lock_wait_timeout = {seconds} "
        f"/*M! , max_statement_time = {statement:.2f} */"
    )


def create(table: Table) -> str:
    """Return what makes a table where it is missing: the server lets one writer do it at a time."""
    definitions = [f"{column.name} {column_type(column)}{_not_null(table, column)}" for column in table.columns]
    definitions.append(f"PRIMARY KEY ({table.key})")
    if table is not USERS:  # what operators ask by ("the latest of this user"), and what newest_events() asks by
        definitions.append(f"KEY {table.name}_user_id_created_at (user_id, created_at)")
    return f"CREATE TABLE IF NOT EXISTS {table.name} ({', '.join(definitions)}) {_OPTIONS}"


def _not_null(table: Table, column: Column) -> str:
    return " NOT NULL" if column.name == table.key else ""


def column_type(column: Column) -> str:
    """Return the type that a column is made with."""
    if column.is_moment:
        return _MOMENT_TYPE
    return _KEY_TYPE if column.name in ("user_id", "payload_id") else _TEXT_TYPE


def upserts(table: Table, rows: Sequence[Any], changed: Sequence[str]) -> Iterator[Statement]:
    """Return what inserts rows, and where a row's key is there already changes its columns ``changed``.

    With none in ``changed`` nothing changes, but the rows that are there are locked.
    """
    names = [column.name for column in table.columns]
    head = f"INSERT INTO {table.name} ({', '.join(names)}) VALUES "
    settings = ", ".join(f"{name} = VALUES({name})" for name in changed) or f"{table.key} = {table.key}"
    tail = f" ON DUPLICATE KEY UPDATE {settings}"
    one = f"({', '.join(['%s'] * len(names))})"
    for part in _parts([[stored(getattr(row, name)) for name in names] for row in rows]):
        yield head + ", ".join([one] * len(part)) + tail, [value for values in part for value in values]


def _parts(rows: Sequence[list[Any]]) -> Iterator[list[list[Any]]]:
    """Split rows so that each part fits into one statement, also if every letter has to be escaped."""
    part: list[list[Any]] = []
    size = 0
    for values in rows:
        # A letter takes four bytes at most: only those of one byte are ever escaped.
        bytes_of_row = sum(4 * len(value) + 4 if isinstance(value, str) else 32 for value in values)
        if part and size + bytes_of_row > MOST_STATEMENT_BYTES:
            yield part
            part, size = [], 0
        part.append(values)
        size += bytes_of_row
    if part:
        yield part


def held_users(user_ids: Sequence[str]) -> Statement:
    """Ask for the rows of users."""
    names = ", ".join(column.name for column in USERS.columns)
    return f"SELECT {names} FROM {USERS.name} WHERE user_id IN ({_places(user_ids)})", user_ids


def newest_events(user_ids: Sequence[str]) -> Sequence[Statement]:
    """Ask when each user's newest event was made, and the newest that set a state: (user_id, one, other)."""
    places = _places(user_ids)
    return [
        (
            f"SELECT user_id, MAX(created_at), MAX(created_at) FROM {DATA.name} "
            f"WHERE user_id IN ({places}) GROUP BY user_id",
            user_ids,
        ),
        (
            f"SELECT user_id, MAX(created_at), MAX(CASE WHEN payload_type IN ({_places(STATE_TYPES)}) "
            f"THEN created_at END) FROM {OTHER.name} WHERE user_id IN ({places}) GROUP BY user_id",
            [*STATE_TYPES, *user_ids],
        ),
    ]


def _places(values: Sequence[Any]) -> str:
    return ", ".join(["%s"] * len(values))


def idle_tries(table: Table) -> Iterator[tuple[str, str]]:
    """Return (right, statement that needs it and changes nothing) for what writing needs of a table."""
    key, name = table.key, table.name
    yield "SELECT", f"SELECT {key} FROM {name} LIMIT 0"
    yield "INSERT", f"INSERT INTO {name} ({key}) SELECT {key} FROM {name} WHERE 1 = 0"
    yield "UPDATE", f"UPDATE {name} SET {key} = {key} WHERE 1 = 0"


def delete(table: Table, column: str, values: Sequence[str], most: int) -> Statement:
    """Delete up to ``most`` rows whose column has one of ``values``."""
    return f"DELETE FROM {table.name} WHERE {column} IN ({_places(values)}) LIMIT {most}", values


def read(table: Table, key: str) -> Statement:
    """Ask for every column of one row."""
    names = ", ".join(column.name for column in table.columns)
    return f"SELECT {names} FROM {table.name} WHERE {table.key} = %s", [key]


def columns(database: str) -> Statement:
    """Ask for the columns of the tables: rows of (table, column)."""
    names = [table.name for table in TABLES]
    return (
        "SELECT table_name, column_name FROM information_schema.columns "
        f"WHERE table_schema = %s AND table_name IN ({_places(names)})",
        [database, *names],
    )


def unique_keys(database: str) -> Statement:
    """Ask for what keeps rows one: rows of (table, engine, unique key or NULL, column or NULL)."""
    names = [table.name for table in TABLES]
    return (
        "SELECT t.table_name, t.engine, s.index_name, s.column_name FROM information_schema.tables t "
        "LEFT JOIN information_schema.statistics s ON s.table_schema = t.table_schema "
        "AND s.table_name = t.table_name AND s.non_unique = 0 "
        f"WHERE t.table_schema = %s AND t.table_name IN ({_places(names)}) "
        "ORDER BY t.table_name, s.index_name, s.seq_in_index",
        [database, *names],
    )


def stored(value: Any) -> Any:
    """Return a value as it is stored: moments in UTC, without a zone."""
    return value.astimezone(UTC).replace(tzinfo=None) if isinstance(value, datetime) else value


def aware(value: Any) -> Any:
    """Return a value as the hub knows it: stored moments with their zone."""
    return value.replace(tzinfo=UTC) if isinstance(value, datetime) else value
