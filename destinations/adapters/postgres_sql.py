"""The SQL of a PostgreSQL destination. Values are parameters, names are quoted identifiers, always.

The rows of a statement go as one JSON text that the server unfolds. An array per column, whose
elements the driver quotes one by one, gave a quarter fewer events per second, measured side by side.
"""

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, LiteralString

import orjson
from psycopg import sql

from destinations.adapters.rows import DATA, OTHER, REPLACED, STATE_TYPES, TABLES, USERS, Column, Table

Statement = tuple[sql.SQL | sql.Composed | LiteralString, Sequence[Any]]

# Hubs that create tables in one database wait for each other, until the transaction ends:
# CREATE TABLE IF NOT EXISTS fails with 23505 where two run at once. The number is any; ASCII "terrahub".
LOCK_CREATION: Statement = ("SELECT pg_advisory_xact_lock(%s)", (0x7465727261687562,))

# Run by a superuser or the database's owner. Source: docs.tryterra.co, *Destinations*, "SQL Database".
PAGE_SCRIPT = (
    "CREATE USER {username} WITH PASSWORD 'your_password';",
    "GRANT CONNECT ON DATABASE {database} TO {username};",
    "GRANT USAGE ON SCHEMA {schema} TO {username};",
    "GRANT CREATE ON SCHEMA {schema} TO {username};",
)


def names_of(config: Any) -> dict[str, str]:
    """Return this destination's names as they stand in SQL, for hints and for the set-up text."""
    quoted = {name: sql.Identifier(getattr(config, name)).as_string() for name in ("database", "schema", "username")}
    return quoted | {"host": config.host, "place": quoted["schema"]}


def begin(timeout_ms: int) -> list[Statement]:
    """Open a transaction in which nothing of the server's defaults changes what the hub relies on.

    READ COMMITTED: the statement after the locking of users must see what the lock waited for.
    Constraints at once: a bad row must show in its own statement, not at the commit. The timeouts
    are local, so that a pooler hands on no session of ours, and a hub that stalls holds no locks.
    """
    limit = f"{timeout_ms}ms"
    return [
        ("BEGIN ISOLATION LEVEL READ COMMITTED", ()),
        ("SET CONSTRAINTS ALL IMMEDIATE", ()),
        (
            "SELECT set_config('statement_timeout', %s, true), "
            "set_config('idle_in_transaction_session_timeout', %s, true)",
            (limit, limit),
        ),
    ]


def savepoint(table: Table) -> Statement:
    """Mark the place to which the rows of one table are taken back."""
    return sql.SQL("SAVEPOINT {}").format(sql.Identifier(table.name)), ()


def release(table: Table) -> Statement:
    """Forget the table's savepoint and keep what came after it."""
    return sql.SQL("RELEASE SAVEPOINT {}").format(sql.Identifier(table.name)), ()


def roll_back_to(table: Table) -> list[Statement]:
    """Take back what came after the table's savepoint, and forget it."""
    return [(sql.SQL("ROLLBACK TO SAVEPOINT {}").format(sql.Identifier(table.name)), ()), release(table)]


class TerraTables:
    """Statements for Terra's three tables in one schema."""

    def __init__(self, schema: str) -> None:
        """Compose each statement once."""
        self._schema = schema
        self._lock_users = self._compose(_LOCK_USERS, USERS)
        self._update_users = self._compose(_UPDATE_USERS, USERS)
        self._upsert = {table.name: self._compose(_UPSERT_PAYLOADS, table) for table in (DATA, OTHER)}

    def write(self, table: Table, rows: Sequence[Any]) -> list[Statement]:
        """Return what writes ``rows`` into ``table``; each row at most once, users in the order of their ids."""
        if table is USERS:
            values = [_as_json(rows, (*_names(USERS), "seen_at", "state_at"))]
            return [(self._lock_users, values), (self._update_users, values)]
        return [(self._upsert[table.name], [_as_json(rows, _names(table))])]

    def create(self, missing: Iterable[Table]) -> list[Statement]:
        """Return what creates tables, with the rights of the page's script and no more."""
        statements: list[Statement] = []
        for table in missing:
            statements.append((self._compose(_CREATE, table), ()))
            if table is not USERS:
                statements.append((self._compose(_CREATE_INDEX, table), ()))
        return statements

    def existing(self) -> Statement:
        """Ask which of the tables exist: rows of one name each."""
        return (
            "SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = %s AND c.relname = ANY(%s)",
            (self._schema, [table.name for table in TABLES]),
        )

    def columns(self) -> Statement:
        """Ask for the columns of the tables: rows of (table, column, most characters or NULL)."""
        return (
            "SELECT c.relname, a.attname, "
            "CASE WHEN a.atttypid IN ('pg_catalog.varchar'::regtype, 'pg_catalog.bpchar'::regtype) "
            "AND a.atttypmod > 4 THEN a.atttypmod - 4 END "
            "FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid "
            "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = %s AND c.relname = ANY(%s) AND a.attnum > 0 AND NOT a.attisdropped",
            (self._schema, [table.name for table in TABLES]),
        )

    def rights(self) -> Statement:
        """Ask for (may use, may create) of the schema; no row where there is no such schema."""
        return (
            "SELECT pg_catalog.has_schema_privilege(oid, 'USAGE'), pg_catalog.has_schema_privilege(oid, 'CREATE') "
            "FROM pg_catalog.pg_namespace WHERE nspname = %s",
            (self._schema,),
        )

    def table_rights(self) -> Statement:
        """Ask for (table, right) of every right that writing needs and the user lacks."""
        return (
            "SELECT c.relname, wanted FROM pg_catalog.pg_class c "
            "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, unnest(%s::text[]) AS wanted "
            "WHERE n.nspname = %s AND c.relname = ANY(%s) AND NOT pg_catalog.has_table_privilege(c.oid, wanted)",
            (["SELECT", "INSERT", "UPDATE"], self._schema, [table.name for table in TABLES]),
        )

    def read(self, table: Table, key: str) -> Statement:
        """Ask for every column of one row."""
        names = sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns)
        query = sql.SQL("SELECT {} FROM {} WHERE {} = %s")
        return query.format(names, self._name(table), sql.Identifier(table.key)), (key,)

    def delete(self, table: Table, column: str, values: Sequence[str], most: int) -> Statement:
        """Delete up to ``most`` rows whose column has one of ``values``."""
        query = sql.SQL(  # by key, because DELETE knows no LIMIT
            "DELETE FROM {table} WHERE {key} IN (SELECT {key} FROM {table} WHERE {column} = ANY(%s) LIMIT %s)"
        )
        named = {"table": self._name(table), "key": sql.Identifier(table.key), "column": sql.Identifier(column)}
        return query.format(**named), (list(values), most)

    def _compose(self, template: LiteralString, table: Table) -> sql.Composed:
        name = table.name
        return sql.SQL(template).format(
            table=self._name(table),
            data=self._name(DATA),
            other=self._name(OTHER),
            index=sql.Identifier(f"{name}_user_id_created_at"),
            key=sql.Identifier(table.key),
            columns=sql.SQL(", ").join(sql.Identifier(column.name) for column in table.columns),
            definitions=sql.SQL(", ").join(map(_definition, table.columns)),
            replaced=sql.Literal(REPLACED),
            state_types=sql.SQL(", ").join(sql.Literal(kind) for kind in STATE_TYPES),
        )

    def _name(self, table: Table) -> sql.Identifier:
        return sql.Identifier(self._schema, table.name)


def _definition(column: Column) -> sql.Composed:
    return sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(column_type(column)))


def column_type(column: Column) -> LiteralString:
    """Return the type that a column is made with."""
    return "timestamptz" if column.is_moment else "text"


def _names(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.columns)


def _as_json(rows: Sequence[Any], names: tuple[str, ...]) -> str:
    values_of = attrgetter(*names)
    return orjson.dumps([dict(zip(names, values_of(row), strict=True)) for row in rows]).decode()


_CREATE = "CREATE TABLE IF NOT EXISTS {table} ({definitions}, PRIMARY KEY ({key}))"

# What operators ask by ("the latest of this user"), and what _UPDATE_USERS asks by.
_CREATE_INDEX = "CREATE INDEX IF NOT EXISTS {index} ON {table} (user_id, created_at)"

# Makes the users that are new, and locks the rows of those that are not (a conflict locks its row
# even where WHERE is false), so that the next statement sees all that other writers did to them.
_LOCK_USERS = """
INSERT INTO {table} ({columns}) SELECT * FROM json_to_recordset(%s::json) AS given ({definitions})
ON CONFLICT ({key}) DO UPDATE SET {key} = EXCLUDED.{key} WHERE false
"""

# Changes only rows that differ, which for data of an active user is none. Whether an event is the
# user's newest is judged by the payload tables, whose rows say when their events were made: a few
# index probes for each user that differs. An older event fills only what is empty.
_UPDATE_USERS = """
WITH new AS (
  SELECT * FROM json_to_recordset(%s::json) AS given ({definitions}, seen_at timestamptz, state_at timestamptz)
), judged AS MATERIALIZED (
  SELECT new.*,
    coalesce(greatest(
      (SELECT max(d.created_at) FROM {data} d WHERE d.user_id = held.user_id),
      (SELECT max(o.created_at) FROM {other} o WHERE o.user_id = held.user_id)
    ) <= new.seen_at, true) AS is_newest,
    new.state = {replaced} OR held.state IS DISTINCT FROM {replaced} AND coalesce(greatest(
      (SELECT max(d.created_at) FROM {data} d WHERE d.user_id = held.user_id),
      (SELECT max(o.created_at) FROM {other} o WHERE o.user_id = held.user_id AND o.payload_type IN ({state_types}))
    ) <= new.state_at, true) AS sets_state
  FROM {table} held JOIN new USING (user_id)
  WHERE (coalesce(new.reference_id, held.reference_id), coalesce(new.created_at, held.created_at),
         coalesce(new.granted_scopes, held.granted_scopes), coalesce(new.provider, held.provider),
         coalesce(new.state, held.state))
    IS DISTINCT FROM (held.reference_id, held.created_at, held.granted_scopes, held.provider, held.state)
)
UPDATE {table} AS held SET
  reference_id = CASE WHEN is_newest THEN coalesce(new.reference_id, held.reference_id)
                 ELSE coalesce(held.reference_id, new.reference_id) END,
  created_at = CASE WHEN is_newest THEN coalesce(new.created_at, held.created_at)
               ELSE coalesce(held.created_at, new.created_at) END,
  granted_scopes = CASE WHEN is_newest THEN coalesce(new.granted_scopes, held.granted_scopes)
                   ELSE coalesce(held.granted_scopes, new.granted_scopes) END,
  provider = CASE WHEN is_newest THEN coalesce(new.provider, held.provider)
             ELSE coalesce(held.provider, new.provider) END,
  state = CASE WHEN sets_state THEN coalesce(new.state, held.state) ELSE coalesce(held.state, new.state) END
FROM judged AS new WHERE held.user_id = new.user_id
"""

# A repeat of an event changes nothing but its link, which is new after the old one was revoked.
_UPSERT_PAYLOADS = """
INSERT INTO {table} AS held ({columns}) SELECT * FROM json_to_recordset(%s::json) AS given ({definitions})
ON CONFLICT ({key}) DO UPDATE SET payload_url = EXCLUDED.payload_url
WHERE held.payload_url IS DISTINCT FROM EXCLUDED.payload_url
"""
