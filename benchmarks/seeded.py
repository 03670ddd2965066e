"""A hub on a large database, which can be kept: seeding it takes minutes, and it is the same each time."""

import json
import secrets
import shutil
import tempfile
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.hub import POSTGRES, Database, Hub, environment
from tests.services import free_port, postgres
from tests.services.processes import give_to
from tests.sink import Sink

DATABASE = "hub_seeded"
FACTS = "seed.json"
# While it is filled, a crash may cost everything: nobody has acknowledged anything.
FILLING = {
    "wal_level": "minimal", "max_wal_senders": "0", "max_wal_size": "4GB", "autovacuum": "off",
}  # fmt: skip
FULL: Mapping[str, int] = {
    "events": 2_000_000, "users": 50_000, "destinations": 200, "attempts": 10_000_000, "days": 10,
}  # fmt: skip
SMALL: Mapping[str, int] = {"events": 20_000, "users": 500, "destinations": 20, "attempts": 100_000, "days": 10}


@contextmanager
def seeded_hub(sizes: Mapping[str, int], keep: Path | None, **env: str) -> Iterator[tuple[Hub, dict[str, Any]]]:
    """Give a hub on a seeded database, and what is known of it; nothing of it runs but the database and a sink.

    ``keep`` names a folder: the database that lies there is used, or one is made there and stays. What was
    seeded with earlier migrations gets the newer ones.
    """
    with tempfile.TemporaryDirectory(prefix="hub-benchmark-") as made, ExitStack() as stack:
        place = _place(keep, Path(made))
        facts = _facts(place, sizes)
        server = postgres.start(fsync=True, keep=place)
        stack.callback(server.stop)
        database = Database(POSTGRES, Path(made), server, DATABASE)
        port = free_port()
        variables = environment(database, port) | facts["env"] | env
        hub = Hub(database, Path(made), stack, port, variables, stack.enter_context(Sink(directory=made, keeps=False)))
        hub.manage("migrate", "--verbosity", "0")
        with server.connect(DATABASE) as connection:
            connection.execute("ANALYZE")  # what migrations added is known to the planner
        yield hub, facts


def _place(keep: Path | None, made: Path) -> Path:
    """Return the folder of the database; the server's user must be able to go there."""
    place = (keep or made / "database").absolute()
    place.mkdir(parents=True, exist_ok=True)
    made.chmod(0o711)
    give_to(postgres.USER, place)
    return place


def _facts(place: Path, sizes: Mapping[str, int]) -> dict[str, Any]:
    """Return what is known of the seeded database in ``place``; seed it where there is none."""
    file = place / FACTS
    if not file.exists():
        shutil.rmtree(place / "data", ignore_errors=True)  # of a seeding that was cut off
        facts = _seed(place, sizes)
        file.touch(0o600)
        file.write_text(json.dumps(facts))
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def _seed(place: Path, sizes: Mapping[str, int]) -> dict[str, Any]:
    own = {
        "SECRET_KEY": secrets.token_urlsafe(50),
        "CREDENTIAL_KEYS": f"bench:{b64encode(secrets.token_bytes(32)).decode()}",
    }
    server = postgres.start(settings=FILLING, keep=place)
    try:
        with server.connect() as connection:
            connection.execute(f"CREATE DATABASE {DATABASE}".encode())
        database = Database(POSTGRES, place, server, DATABASE)
        hub = Hub(database, place, ExitStack(), 0, environment(database, 0) | own | {"ALLOW_UNSAFE_DB": "1"}, None)
        plan = {
            "secret": secrets.token_hex(16), "password": secrets.token_hex(16),
            "sizes": {**sizes, "end": datetime.now(UTC).isoformat()},
        }  # fmt: skip
        rows = hub.run_django("benchmarks.seeding", plan, quiet=False)
    finally:
        server.stop()
    return {"env": own, "password": plan["password"], "sizes": dict(sizes), "rows": rows}
