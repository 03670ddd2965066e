"""What the tests of the PostgreSQL destination share."""

import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from psycopg import sql

from destinations.adapters.base import Limits, Message, Outcome, Result
from destinations.adapters.postgres import PostgresAdapter, PostgresConfig, PostgresCredentials
from destinations.egress import EgressPolicy
from tests.services.postgres import Login, PostgresServer

SAMPLES = Path(__file__).parent.parent / "samples"
RECEIVED = datetime(2026, 7, 2, 10, 0, tzinfo=UTC)
LOCAL = EgressPolicy(allow=("127.0.0.0/8",))
CANARY = "canary-of-a-person"
USER = "40f7b0e1-89e2-43ac-a5b8-1e29c8d47cad"


def adapter_for(
    server: PostgresServer, login: Login, *, password: str | None = None, timeout_s: float = 20, **config: Any
) -> PostgresAdapter:
    """Return an adapter as an operator would set it up: TLS verified where the server's CA is known."""
    known = {"host": server.host, "port": server.port, "database": login.database, "username": login.user}
    trust = {"ca_certificate": server.authority.pem} if server.authority else {"ssl_mode": "disable"}
    credentials = PostgresCredentials(login.password if password is None else password)
    return PostgresAdapter(PostgresConfig(**(known | trust | config)), credentials, Limits(timeout_s), LOCAL)


def event(body: Any, at: int | None = None, event_id: str = "") -> Message:
    """Return an event of any body; ``at`` is Terra's clock, in seconds after RECEIVED."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {} if at is None else {"x-terra-ordering-timestamp": str(round(RECEIVED.timestamp() + at) * 1000)}
    key = event_id or str(uuid.uuid4())
    return Message(key, "any", raw, RECEIVED, headers=headers, payload_url=f"https://hub.example.com/p/{key}")


def sample(name: str) -> Message:
    """Return a sample file as an event that has the file's name for its id."""
    return event((SAMPLES / f"{name}.json").read_bytes(), event_id=name)


def daily(user_id: Any = USER, at: int | None = None, **user: Any) -> Message:
    """Return a data event of one user."""
    about = {"user_id": user_id, "provider": "GARMIN", "reference_id": "r", "scopes": "s"} | user
    return event({"type": "daily", "user": about, "data": []}, at)


def news(kind: str, at: int | None = None, **user: Any) -> Message:
    """Return an event about a user, such as ``deauth``."""
    about = {"user_id": USER, "provider": "GARMIN", "reference_id": "r", "scopes": "s"} | user
    return event({"type": kind, "status": "success", "user": about}, at)


def table_rows(server: PostgresServer, login: Login, table: str, columns: str = "*") -> list[tuple[Any, ...]]:
    """Return what the operator sees in a table, in the order of its key."""
    with server.connect(login.database) as connection:
        query = sql.SQL("SELECT {} FROM {} ORDER BY 1").format(sql.SQL(columns), sql.Identifier(table))  # type: ignore[arg-type]
        return connection.execute(query).fetchall()


def run_sql(server: PostgresServer, login: Login, *statements: str) -> None:
    """Run statements as the superuser in the destination's database."""
    with server.connect(login.database) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def outcomes(results: Sequence[Result]) -> list[Outcome]:
    """Return the outcome of each result."""
    return [result.outcome for result in results]


def only(results: Sequence[Result]) -> Result:
    """Return the one result that every message of a batch got."""
    (result,) = {(r.outcome, r.code, r.detail, r.hint, r.effect): r for r in results}.values()
    return result


def raising(condition: str, sqlstate: str, table: str = "terra_data_payloads") -> str:
    """Return SQL that lets ``table`` refuse rows, as an operator's own trigger may."""
    return f"""
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      IF {condition} THEN RAISE EXCEPTION 'no %', NEW.user_id USING ERRCODE = '{sqlstate}'; END IF;
      RETURN NEW; END $$;
    CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION refuse();
    """
