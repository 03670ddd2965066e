"""A Supabase project for the tests: PostgREST's and Storage's routes behind one address, as the gateway has them.

``HUB_TEST_SUPABASE_URL`` and ``HUB_TEST_SUPABASE_KEY`` (a secret or service_role key) name a project of Supabase's own
beside it, an empty one in which the SQL of the destination's set-up was run: the contract suite then runs against both.
"""

import json
import os
import secrets
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

import httpx
import jwt
from psycopg.conninfo import conninfo_to_dict

from tests.services import ServiceMissing
from tests.services.postgres import PostgresServer, destination_server
from tests.services.supabase_rest import Rest
from tests.services.supabase_storage import Bucket, Reply, Request, Storage

BUCKET = "terra-payloads"
# What a new project has: its roles, its rights on new tables, and the table that holds its buckets.
ROLES = """
DO $$ DECLARE name text; BEGIN
  FOREACH name IN ARRAY ARRAY['anon', 'authenticated', 'service_role'] LOOP
    BEGIN
      EXECUTE format('CREATE ROLE %I NOLOGIN %s', name, CASE name WHEN 'service_role' THEN 'BYPASSRLS' ELSE '' END);
    EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
    END;
  END LOOP;
END $$
"""
NEW_PROJECT = """
DROP SCHEMA IF EXISTS public, storage CASCADE;
CREATE SCHEMA public;
GRANT USAGE ON SCHEMA public TO anon, authenticated, service_role;
ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT ALL ON TABLES TO anon, authenticated, service_role;
CREATE SCHEMA storage;
CREATE TABLE storage.buckets (
  id text PRIMARY KEY, name text NOT NULL UNIQUE, owner uuid, created_at timestamptz DEFAULT now(),
  updated_at timestamptz DEFAULT now(), public boolean DEFAULT false, file_size_limit bigint, allowed_mime_types text[]
);
"""


# What the gateway lets through without a key.
_OPEN = ("/storage/v1/object/sign/", "/storage/v1/object/public/")


@dataclass
class Rule:
    """What the next requests get that are so made, instead of their answer."""

    method: str
    path: str  # a part of it
    reply: Reply | None = None
    times: int = 1
    loses_answer: bool = False
    action: Callable[[], None] | None = None  # runs before the request is carried out


@dataclass
class Project:
    """One project: a database of its own, buckets of its own, keys of its own."""

    server: PostgresServer
    database: str
    secret: str
    url: str = ""
    key: str = ""
    secret_key: str = ""  # of the newer kind, which the gateway exchanges for a JWT
    schemas: Sequence[str] = ("public",)
    delay_s: float = 0.0  # of every answer, as a network would have it
    rest_key: str = ""  # where set, the Data API is sent this JWT instead of the request's own
    rules: list[Rule] = field(default_factory=list)
    requests: deque[tuple[str, str]] = field(default_factory=lambda: deque(maxlen=1000))  # the last ones

    def __post_init__(self) -> None:
        self._owner = self.server.connect(self.database)
        self.rest = Rest(self.server.dsn(self.database), self.secret, self.schemas)
        self.storage = Storage(self.secret)
        self.key = self.key or self.token("service_role")
        self._gateway = _Gateway(self)
        self.url = f"http://127.0.0.1:{self._gateway.server_address[1]}"

    def reset(self) -> None:
        """Make a new, empty project of this one: no bucket, no table, no rule."""
        self._owner.execute(NEW_PROJECT)
        self.rest.secret, self.rest.schemas, self.rest_key = self.secret, self.schemas, ""
        self.storage.buckets.clear()
        self.rules.clear()
        self.requests.clear()

    def token(self, role: str, **claims: Any) -> str:
        """Return a key of the older kind for a role."""
        made = {"iss": "supabase", "role": role, "exp": int(time.time()) + 3600} | claims
        return jwt.encode(made, self.secret, "HS256")

    def paste(self, script: str) -> None:
        """Run a script as its owner does in the SQL editor."""
        self._owner.execute(script.encode())
        found = self._owner.execute("SELECT id, public, file_size_limit, allowed_mime_types FROM storage.buckets")
        for name, *limits in found:
            self.storage.buckets.setdefault(name, Bucket(name, *limits, created_at=time.time()))

    def rows(self, table: str, columns: str = "*", schema: str = "public") -> list[tuple[Any, ...]]:
        """Return what stands in a table, in the order of its first column."""
        return self._owner.execute(f'SELECT {columns} FROM "{schema}"."{table}" ORDER BY 1'.encode()).fetchall()

    def objects(self, bucket: str = BUCKET) -> dict[str, bytes]:
        """Return what lies in a bucket."""
        return {key: held.body for key, held in self.storage.buckets[bucket].objects.items()}

    def reply_next(self, method: str, path: str, reply: Reply, times: int = 1) -> None:
        """Let the next requests whose path has ``path`` in it get ``reply``."""
        self.rules.append(Rule(method, path, reply, times))

    def lose_next_answer(self, method: str, path: str) -> None:
        """Carry the next such request out, and cut the connection instead of answering."""
        self.rules.append(Rule(method, path, loses_answer=True))

    def do_before_next(self, method: str, path: str, action: Callable[[], None], times: int = 1) -> None:
        """Run ``action`` just before the next such requests are carried out."""
        self.rules.append(Rule(method, path, times=times, action=action))

    def hold_next(self, method: str, path: str) -> threading.Event:
        """Answer the next such request only once the event that is returned is set."""
        released = threading.Event()
        self.do_before_next(method, path, lambda: released.wait(60) and None)
        return released

    def answer(self, request: Request) -> Reply | None:
        """Answer a request as the gateway does; ``None``: the connection is cut instead."""
        self.requests.append((request.method, request.path))
        rule = self._rule(request) or Rule("", "")
        if rule.reply:
            return rule.reply
        if rule.action:
            rule.action()
        reply = self._carried_out(request)
        return None if rule.loses_answer else reply

    def close(self) -> None:
        """Stop answering."""
        self._gateway.shutdown()
        self._gateway.server_close()
        self.rest.close()
        self._owner.close()

    def _rule(self, request: Request) -> Rule | None:
        for rule in self.rules:
            if rule.method == request.method and rule.path in request.path:
                rule.times -= 1
                if rule.times <= 0:
                    self.rules.remove(rule)
                return rule
        return None

    def _carried_out(self, request: Request) -> Reply:
        key = request.headers.get("apikey", "")
        if not key and not request.path.startswith(_OPEN):
            return _message(401, "No API key found in request")
        headers = dict(request.headers)
        if key.startswith("sb_"):
            if key != self.secret_key:
                return _message(401, "Invalid API key")
            headers.setdefault("authorization", f"Bearer {self.key}")  # what was sent is handed on as it is
        _, service, _, rest = request.path.split("/", 3)
        inner = Request(request.method, f"/{rest}", headers, request.body)
        if service == "rest":
            if self.rest_key:
                headers["authorization"] = f"Bearer {self.rest_key}"
            return self.rest.answer(inner)
        if service == "storage":
            return self.storage.answer(inner)
        return _message(404, "no Route matched with those values")


def _message(status: int, text: str) -> Reply:
    return Reply(status, json.dumps({"message": text}).encode(), {"content-type": "application/json"})


class _Gateway(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, project: Project) -> None:
        self.project = project
        super().__init__(("127.0.0.1", 0), _Handler)
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of clients that went away, and everything of the rest."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Gateway

    def log_message(self, *_: Any) -> None:
        """Log nothing."""

    def _do(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        if self.server.project.delay_s:
            time.sleep(self.server.project.delay_s)
        reply = self.server.project.answer(Request(self.command, self.path, headers, body))
        if reply is None:
            self.connection.shutdown(socket.SHUT_RDWR)
            self.close_connection = True
            return
        lines = {"content-length": str(len(reply.body)), **reply.headers}
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.wfile.write(f"HTTP/1.1 {reply.status} Said\r\n{head}\r\n".encode() + reply.body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = _do


def start(server: PostgresServer, schemas: Sequence[str] = ("public",)) -> Project:
    """Start a new, empty project: no bucket, no table."""
    database = server.create_database()
    with server.connect(database) as connection:
        connection.execute(ROLES)
    made = secrets.token_hex(20)
    project = Project(server, database, made, secret_key=f"sb_secret_{secrets.token_hex(8)}", schemas=schemas)
    project.reset()
    return project


def new_project() -> Project:
    """Start a project in the session's PostgreSQL."""
    return start(destination_server())


class RealProject:
    """A project of Supabase's own, reached by its APIs alone."""

    tables = ("terra_data_payloads", "terra_other_payloads", "terra_users")

    def __init__(self, url: str, key: str) -> None:
        self.url, self.key = url.rstrip("/"), key
        headers = {"apikey": key} | ({} if key.startswith("sb_") else {"Authorization": f"Bearer {key}"})
        self._client = httpx.Client(base_url=self.url, headers=headers, timeout=30)
        self._keys: set[str] = set()
        held = [table for table in self.tables if self._rows(table)]
        if held:
            raise RuntimeError(f"{', '.join(held)} of {self.url} hold rows: the tests need a project of their own.")

    def stored(self) -> list[tuple[str, bytes | None]]:
        """Return the id of each event that has a row, with its object's bytes; without, where that is another's."""
        return [self._stored(row) for table in self.tables[:2] for row in self._rows(table)]

    def clear(self) -> None:
        """Delete every row, and every object that a row links to."""
        self.stored()
        for table in self.tables:
            key = "user_id" if table == "terra_users" else "payload_id"
            self._client.delete(f"/rest/v1/{table}", params={key: "not.is.null"}).raise_for_status()
        if self._keys:
            body = {"prefixes": sorted(self._keys)}
            self._client.request("DELETE", f"/storage/v1/object/{BUCKET}", json=body).raise_for_status()
        self._keys.clear()

    def _rows(self, table: str) -> list[dict[str, Any]]:
        answer = self._client.get(f"/rest/v1/{table}", params={"select": "*"})
        answer.raise_for_status()
        return list(answer.json())

    def _stored(self, row: dict[str, Any]) -> tuple[str, bytes | None]:
        key = row["payload_url"].partition(f"/authenticated/{BUCKET}/")[2]
        self._keys.add(unquote(key))
        info = self._client.get(f"/storage/v1/object/info/{BUCKET}/{key}").json()
        is_own = info["metadata"].get("terra-event-id") == row["payload_id"]
        return row["payload_id"], self._client.get(row["payload_url"]).content if is_own else None


@lru_cache(maxsize=1)
def real_project() -> RealProject:
    """Return the project that the environment names."""
    url, key = os.environ.get("HUB_TEST_SUPABASE_URL", ""), os.environ.get("HUB_TEST_SUPABASE_KEY", "")
    if not (url and key):
        raise ServiceMissing("HUB_TEST_SUPABASE_URL and HUB_TEST_SUPABASE_KEY name no project of Supabase's own.")
    return RealProject(url, key)


def main() -> None:
    """Serve a project with its set-up done until standard input ends; then say what it holds.

    For benchmarks, which need it in a process of its own: ``python -m tests.services.supabase DSN DELAY``.
    The delay is what each answer takes longer, in seconds.
    """
    from destinations.adapters.supabase import SupabaseAdapter
    from destinations.adapters.supabase_config import SupabaseConfig

    known = conninfo_to_dict(sys.argv[1])
    project = start(PostgresServer(str(known["host"]), int(str(known["port"])), sys.argv[1]))
    project.paste(SupabaseAdapter.setup(SupabaseConfig(project_url=project.url)))
    project.delay_s = float(sys.argv[2])
    _say({"url": project.url, "key": project.key})
    sys.stdin.read()
    _say({"rows": len(project.rows("terra_data_payloads", "payload_id")), "objects": len(project.objects())})


def _say(value: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
