"""The part of PostgREST that the hub uses, over a real PostgreSQL.

It runs SQL of the same shape as PostgREST does, with the role of the request's JWT: types, constraints,
grants, row-level security and their errors are PostgreSQL's own. Status codes, and the texts of PostgREST's
own errors, follow its documentation (docs.postgrest.org, *Errors*); they are not recorded.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

import jwt
import psycopg
from psycopg import sql
from psycopg_pool import ConnectionPool

from tests.services.supabase_storage import Reply, Request

# SQLSTATE, or its class, to status: docs.postgrest.org, *Errors*, "HTTP Status Codes".
_STATUSES = {
    "08": 503, "09": 500, "0L": 403, "0P": 403, "23503": 409, "23505": 409, "25006": 405, "25": 500, "28": 403,
    "2D": 500, "38": 500, "39": 500, "3B": 500, "40": 500, "53400": 500, "53": 503, "54": 500, "55": 500, "57": 500,
    "58": 500, "F0": 500, "HV": 500, "P0001": 400, "P0": 500, "XX": 500, "42883": 404, "42P01": 404, "42P17": 500,
}  # fmt: skip
_OPERATORS = {"eq": "=", "gt": ">", "gte": ">=", "lt": "<", "lte": "<=", "neq": "<>"}
_WORDS = {"null": "NULL", "true": "TRUE", "false": "FALSE"}
_NO_FILTER = frozenset({"select", "order", "limit", "offset", "columns", "on_conflict"})


class RestError(Exception):
    """A refusal, in PostgREST's form."""

    def __init__(self, status: int, code: str, message: str, details: Any = None, hint: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"code": code, "details": details, "hint": hint, "message": message}


@dataclass(frozen=True)
class _Call:
    """One request to a table, taken apart."""

    method: str
    table: str
    schema: str
    query: Sequence[tuple[str, str]]
    prefer: str
    body: bytes
    claims: Mapping[str, Any]
    columns: Sequence[str] = ()

    @property
    def name(self) -> sql.Identifier:
        return sql.Identifier(self.schema, self.table)

    def asked(self, name: str, default: str = "") -> str:
        return dict(self.query).get(name, default)


@dataclass
class Rest:
    """The routes below ``/rest/v1`` of one database."""

    dsn: str
    secret: str
    schemas: Sequence[str] = ("public",)
    pool: "ConnectionPool[psycopg.Connection[Any]]" = field(init=False)

    def __post_init__(self) -> None:
        self.pool = ConnectionPool(self.dsn, min_size=0, max_size=8, open=True)

    def close(self) -> None:
        self.pool.close()

    def answer(self, request: Request) -> Reply:
        """Answer one request."""
        try:
            claims = self._claims(request.headers.get("authorization", ""))
            return self._table(request, claims)
        except RestError as error:
            return _reply(error.body, error.status)

    def _claims(self, sent: str) -> Mapping[str, Any]:
        if not sent:
            return {"role": "anon"}
        try:
            claims = jwt.decode(sent.removeprefix("Bearer "), self.secret, ["HS256"], {"verify_aud": False})
        except jwt.ExpiredSignatureError:
            raise RestError(401, "PGRST303", "JWT expired") from None
        except jwt.InvalidTokenError:
            raise RestError(401, "PGRST301", "No suitable key or wrong key type") from None
        return {"role": "anon"} | claims

    def _table(self, request: Request, claims: Mapping[str, Any]) -> Reply:
        path, _, query = request.path.partition("?")
        reads = request.method in ("GET", "HEAD")
        schema = request.headers.get("accept-profile" if reads else "content-profile", self.schemas[0])
        if schema not in self.schemas:
            exposed = ", ".join(self.schemas)
            raise RestError(406, "PGRST106", f"Invalid schema: {schema}", None, f"Only these are exposed: {exposed}")
        pairs = parse_qsl(query, keep_blank_values=True)
        prefer = request.headers.get("prefer", "")
        call = _Call(request.method, path.strip("/"), schema, pairs, prefer, request.body, claims)
        try:
            with self.pool.connection() as connection:
                return self._run(connection, call)
        except psycopg.Error as error:
            raise _translated(error, claims) from None

    def _run(self, connection: "psycopg.Connection[Any]", call: _Call) -> Reply:
        columns = [name for (name,) in connection.execute(_COLUMNS, (call.schema, call.table))]
        if not columns:
            place = f"'{call.schema}.{call.table}'"
            raise RestError(404, "PGRST205", f"Could not find the table {place} in the schema cache")
        call = _Call(**{**vars(call), "columns": columns})
        role = call.claims["role"]
        connection.execute(
            "SELECT set_config('role', %s, true), set_config('request.jwt.claims', %s, true)",
            (role, json.dumps(dict(call.claims))),
        )
        return {"GET": _select, "POST": _insert, "PATCH": _update, "DELETE": _delete}[call.method](connection, call)


_COLUMNS = """
SELECT a.attname FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum
"""


def _select(connection: "psycopg.Connection[Any]", call: _Call) -> Reply:
    wanted = _selected(call)
    where, values = _where(call)
    query = sql.SQL("SELECT coalesce(json_agg(to_json(_)), '[]')::text FROM (SELECT {} FROM {}{}{}{}) _").format(
        wanted, call.name, where, _order(call), _limit(call)
    )
    return _rows(connection.execute(query, values))


def _insert(connection: "psycopg.Connection[Any]", call: _Call) -> Reply:
    rows, keys = _payload(call)
    names = sql.SQL(", ").join(map(sql.Identifier, keys))
    query: sql.Composable = sql.SQL(
        "INSERT INTO {table} ({names}) SELECT {names} FROM json_populate_recordset(NULL::{table}, %s)"
    ).format(table=call.name, names=names)
    if "resolution=" in call.prefer:
        query += _on_conflict(call, keys)
    return _write(connection, call, query, [json.dumps(rows)], 201)


def _on_conflict(call: _Call, keys: Sequence[str]) -> sql.Composable:
    target = sql.SQL(", ").join(map(sql.Identifier, call.asked("on_conflict").split(",")))
    if "ignore-duplicates" in call.prefer:
        return sql.SQL(" ON CONFLICT ({}) DO NOTHING").format(target)
    sets = [sql.SQL("{0} = EXCLUDED.{0}").format(sql.Identifier(key)) for key in keys]
    return sql.SQL(" ON CONFLICT ({}) DO UPDATE SET {}").format(target, sql.SQL(", ").join(sets))


def _update(connection: "psycopg.Connection[Any]", call: _Call) -> Reply:
    rows, keys = _payload(call)
    sets = [sql.SQL("{0} = _body.{0}").format(sql.Identifier(key)) for key in keys]
    where, values = _where(call)
    query = sql.SQL(
        "UPDATE {table} SET {sets} FROM (SELECT * FROM json_populate_record(NULL::{table}, %s)) _body{where}"
    )
    made = query.format(table=call.name, sets=sql.SQL(", ").join(sets), where=where)
    return _write(connection, call, made, [json.dumps(rows[0]), *values], 200)


def _delete(connection: "psycopg.Connection[Any]", call: _Call) -> Reply:
    where, values = _where(call)
    return _write(connection, call, sql.SQL("DELETE FROM {}{}").format(call.name, where), values, 200)


def _write(
    connection: "psycopg.Connection[Any]", call: _Call, query: sql.Composable, values: Sequence[Any], status: int
) -> Reply:
    if "return=representation" not in call.prefer:
        connection.execute(query, values)
        return Reply(201 if status == 201 else 204)
    wrapped = sql.SQL(
        "WITH _ AS ({} RETURNING {}.*) SELECT coalesce(json_agg(row_to_json(w)), '[]')::text FROM (SELECT {} FROM _) w"
    )
    made = wrapped.format(query, call.name, _selected(call, "_"))
    return _rows(connection.execute(made, values), status)


def _payload(call: _Call) -> tuple[list[dict[str, Any]], list[str]]:
    try:
        given = json.loads(call.body)
    except ValueError:
        raise RestError(400, "PGRST102", "Empty or invalid json") from None
    rows = given if isinstance(given, list) else [given]
    keys = call.asked("columns").replace('"', "").split(",") if call.asked("columns") else list(rows[0])
    if not call.asked("columns") and any(row.keys() != rows[0].keys() for row in rows):
        raise RestError(400, "PGRST102", "All object keys must match")
    for key in keys:
        if key not in call.columns:
            raise RestError(400, "PGRST204", f"Could not find the '{key}' column of '{call.table}' in the schema cache")
    return rows, keys


def _selected(call: _Call, table: str = "") -> sql.Composable:
    asked = call.asked("select", "*")
    if asked == "*":
        return sql.SQL("*")
    place = (table,) if table else (call.schema, call.table)
    return sql.SQL(", ").join(sql.Identifier(*place, name) for name in asked.split(","))


def _where(call: _Call) -> tuple[sql.Composable, list[Any]]:
    parts, values = [], []
    for name, condition in call.query:
        if name not in _NO_FILTER:
            made, given = _condition(sql.Identifier(call.schema, call.table, name), condition)
            parts.append(made)
            values += given
    return (sql.SQL(" WHERE ") + sql.SQL(" AND ").join(parts) if parts else sql.SQL("")), values


def _condition(column: sql.Identifier, condition: str) -> tuple[sql.Composable, list[Any]]:
    operator, _, value = condition.partition(".")
    if operator == "not":
        made, given = _condition(column, value)
        return sql.SQL("NOT ({})").format(made), given
    if operator == "is" and value in _WORDS:
        return sql.SQL("{} IS {}").format(column, sql.SQL(_WORDS[value])), []  # type: ignore[arg-type]
    if operator == "in":
        return sql.SQL("{} = ANY (%s)").format(column), [_list(value)]
    if operator not in _OPERATORS:
        raise RestError(400, "PGRST100", f'"failed to parse filter ({condition[:20]})" (line 1, column 1)')
    # psycopg sends text without a type, as PostgREST writes its literals: the column says what it is read as.
    return sql.SQL("{} {} %s").format(column, sql.SQL(_OPERATORS[operator])), [value]  # type: ignore[arg-type]


def _list(text: str) -> list[str]:
    r"""Read ``("a","b\"c",d)``: values in double quotes have ``\`` before ``"`` and ``\``."""
    found, at, inner = [], 0, text.removeprefix("(").removesuffix(")")
    while at < len(inner):
        if inner[at] != '"':
            end = inner.find(",", at)
            end = len(inner) if end < 0 else end
            found.append(inner[at:end])
            at = end + 1
            continue
        value, at = "", at + 1
        while inner[at] != '"':
            at += inner[at] == "\\"
            value += inner[at]
            at += 1
        found.append(value)
        at += 2
    return found


def _order(call: _Call) -> sql.Composable:
    asked = call.asked("order")
    if not asked:
        return sql.SQL("")
    name, _, direction = asked.partition(".")
    word = "DESC" if direction.startswith("desc") else "ASC"
    last = " NULLS LAST" if direction.endswith("nullslast") else ""
    return sql.SQL(" ORDER BY {} {}").format(sql.Identifier(name), sql.SQL(word + last))  # type: ignore[arg-type]


def _limit(call: _Call) -> sql.Composable:
    most = min(int(call.asked("limit", "1000")), 1000)  # Supabase's max-rows
    return sql.SQL(" LIMIT {} OFFSET {}").format(most, int(call.asked("offset", "0")))


def _rows(cursor: "psycopg.Cursor[Any]", status: int = 200) -> Reply:
    text = str((cursor.fetchone() or ("[]",))[0])
    return Reply(status, text.encode(), {"content-type": "application/json; charset=utf-8"})


def _translated(error: psycopg.Error, claims: Mapping[str, Any]) -> RestError:
    state = error.sqlstate or "08000"
    status = _STATUSES.get(state, _STATUSES.get(state[:2], 400))
    if state == "42501":
        status = 401 if claims["role"] == "anon" else 403
    diag = error.diag
    return RestError(status, state, diag.message_primary or "", diag.message_detail, diag.message_hint)


def _reply(value: Any, status: int) -> Reply:
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return Reply(status, body, {"content-type": "application/json; charset=utf-8"})
