"""The other side of one destination of each type: how it is set up, and how its owner reads it.

A new type is one class and one line in ``RECEIVERS``. Its owner reads with the system's official client.
"""

import base64
import json
import socket
import threading
import urllib.request
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, ClassVar
from urllib.parse import unquote

import pytest
from postgrest import SyncPostgrestClient
from standardwebhooks import Webhook
from storage3 import SyncStorageClient
from terra.utils.verify_signature import verify_terra_webhook_signature

from destinations import services
from destinations.models import Destination
from tests.adapters.azureblob_support import Place as AzurePlace
from tests.adapters.gcs_support import Place as GcsPlace
from tests.adapters.gcs_support import place_on
from tests.adapters.s3_support import Folder, credentials_of, new_folder
from tests.adapters.sql_support import Place as SqlPlace
from tests.adapters.sqs_support import config_of, downloaded, key_for, stored
from tests.every_type.expected import USERS, Posted, Row, by_key
from tests.hub import SECRET, Hub
from tests.services.ministack import Queue, SqsServer
from tests.services.supabase import BUCKET, Project
from tests.sink import Sink

REFERENCE, DEV_ID = "reference-of-terra", "environment-of-terra"  # what every sample is posted with
Fixtures = Callable[[str], Any]  # a fixture by its name
Values = Mapping[str, Any]


@dataclass(frozen=True)
class Silence:
    """A port of 127.0.0.1 that takes connections up and says nothing, or that refuses them."""

    port: int
    hangs: bool
    ended: threading.Event

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextmanager
def silence(hangs: bool) -> Iterator[Silence]:
    """Keep a port silent meanwhile."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        if hangs:
            listener.listen(128)
        made = Silence(listener.getsockname()[1], hangs, threading.Event())
        try:
            yield made
        finally:
            made.ended.set()


class Receiver(ABC):
    """One system that works, with a place of its own for a test."""

    type: ClassVar[str]
    config: Values
    credentials: Values
    environment: Mapping[str, str] = {}  # of the worker, where a config names no server

    def set_up(self, hub: Hub, **settings: Any) -> Destination:
        """Make a destination for the hub's source."""
        about = {"config": self.config, "credentials": self.credentials, "name": self.type} | settings
        about |= {name: dict(about[name]) for name in ("config", "credentials")}
        return services.create_destination(type=self.type, sources=[hub.source.slug], **about).destination

    @abstractmethod
    def silent(self, nobody: Silence) -> Values:
        """Return the config of a destination that gets no answer."""

    @abstractmethod
    def event_ids(self) -> set[str]:
        """Return which events are there."""

    @abstractmethod
    def check(self, posted: Sequence[Posted]) -> None:
        """Compare all that is there with what has to be there."""


class WebhookReceiver(Receiver):
    """A receiver that checks both signatures, with Terra's own verifier and with Standard Webhooks' library."""

    type = "webhook"

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self.config = {"url": sink.url("/hook"), "auth": "bearer"}
        self.credentials = {
            "signing_secret": SECRET,
            "token": "canary-token-of-the-receiver",
            "secret_headers": {"X-Api-Key": "canary-key-of-the-receiver"},
            "secret_query": {"sig": "canary-signature-in-the-url"},
        }

    def silent(self, nobody: Silence) -> Values:
        return {**self.config, "url": nobody.url}

    def event_ids(self) -> set[str]:
        return {one.headers["webhook-id"] for one in self.sink.requests("/hook")}

    def check(self, posted: Sequence[Posted]) -> None:
        received = self.sink.requests("/hook")
        assert {one.headers["webhook-id"]: one.body for one in received} == {one.event_id: one.body for one in posted}
        assert len(received) == len(posted)
        by_id = {one.event_id: one for one in posted}
        for one in received:
            assert verify_terra_webhook_signature(one.body.decode(), one.headers["terra-signature"], SECRET)
            Webhook(base64.b64encode(SECRET.encode()).decode()).verify(one.body, one.headers)
            assert one.headers["content-type"] == "application/json"
            assert one.headers["terra-reference"] == REFERENCE
            assert one.headers["dev-id"] == DEV_ID
            assert one.headers["x-api-key"] == self.credentials["secret_headers"]["X-Api-Key"]
            assert b"/hook?sig=canary-signature-in-the-url " in one.head
            sent = by_id[one.headers["webhook-id"]]
            assert one.headers["x-terra-trace-id"] == sent.name
            assert one.headers["x-terra-ordering-timestamp"] == str(round(sent.made_at.timestamp() * 1000))


class SqlReceiver(Receiver):
    """A database whose user has the page's grants and no more; psycopg and PyMySQL read it."""

    def __init__(self, kind: str, place: SqlPlace) -> None:
        self.type = kind  # type: ignore[misc]
        self.place = place
        login = place.login
        self.config = {
            "host": place.server.host, "port": place.server.port, "database": login.database, "username": login.user,
            "ssl_mode": "disable",
        }  # fmt: skip
        self.credentials = {"password": login.password}

    def silent(self, nobody: Silence) -> Values:
        return {**self.config, "host": "127.0.0.1", "port": nobody.port}

    def event_ids(self) -> set[str]:
        found = [self.place.rows(table, "payload_id") for table in ("terra_data_payloads", "terra_other_payloads")]
        return {event_id for rows in found for (event_id,) in rows}

    def check(self, posted: Sequence[Posted]) -> None:
        bodies = {one.event_id: one.body for one in posted}
        assert self.place.tables() == {"terra_users", "terra_data_payloads", "terra_other_payloads"}
        assert self.place.rows("terra_users") == sorted(USERS)
        for table, wanted in tables(posted).items():
            rows = self.place.rows(table)
            assert [row[:-1] for row in rows] == wanted
            for event_id, *_, url in rows:
                assert read(url) == bodies[event_id]


class Bucket(Receiver):
    """A place for objects."""

    @abstractmethod
    def objects(self) -> Mapping[str, tuple[bytes, Mapping[str, str]]]:
        """Return (bytes, metadata) by key, without the prefix; names of metadata as Terra's headers have them."""

    def event_ids(self) -> set[str]:
        return {metadata["terra-event-id"] for _, metadata in self.objects().values()}

    def check(self, posted: Sequence[Posted]) -> None:
        wanted = by_key(posted)
        objects = self.objects()
        assert sorted(objects) == sorted(wanted)
        for key, (body, metadata) in objects.items():
            assert body == wanted[key].body, key
            assert metadata["terra-event-id"] == wanted[key].event_id
            assert metadata["terra-reference"] == REFERENCE


class S3Receiver(Bucket):
    """A folder of a bucket; boto3 reads it."""

    type = "s3"

    def __init__(self, folder: Folder) -> None:
        self.folder = folder
        self.config = folder.config()
        self.credentials = asdict(credentials_of(folder.server.writer))

    def silent(self, nobody: Silence) -> Values:
        return {**self.config, "endpoint_url": nobody.url}

    def objects(self) -> Mapping[str, tuple[bytes, Mapping[str, str]]]:
        found = {key: self.folder.read(key) for key in self.folder.names()}
        assert {one["ContentType"] for one in found.values()} == {"application/json"}
        return {key: (one["body"], one["Metadata"]) for key, one in found.items()}


class GcsReceiver(Bucket):
    """A bucket; google-cloud-storage reads it. The hub's own settings name the server."""

    type = "gcs"

    def __init__(self, place: GcsPlace) -> None:
        self.place = place
        self.environment = place.server.environment
        self.config = {"bucket": place.bucket}
        self.credentials = {"service_account_key": place.key}

    def silent(self, nobody: Silence) -> Values:
        gate = self.place.server.gate
        if gate is None:
            pytest.skip("A bucket that does not answer needs the gate: unset HUB_TEST_GCS.")
        bucket = place_on(self.place.server).bucket
        if nobody.hangs:
            gate.before(f"/b/{bucket}/", lambda: nobody.ended.wait(60) and None, times=1000)
        else:
            gate.fail(503, "backendError", "Backend Error", where=f"/b/{bucket}/", times=1000)
        return {"bucket": bucket}

    def objects(self) -> Mapping[str, tuple[bytes, Mapping[str, str]]]:
        return self.place.objects()


class AzureReceiver(Bucket):
    """A container; azure-storage-blob reads it."""

    type = "azureblob"

    def __init__(self, place: AzurePlace) -> None:
        self.place = place
        self.config = place.config
        self.credentials = place.token()

    def silent(self, nobody: Silence) -> Values:
        return {**self.config, "endpoint_url": f"{nobody.url}/{self.config['account']}"}

    def objects(self) -> Mapping[str, tuple[bytes, Mapping[str, str]]]:
        blobs = self.place.blobs()  # names of Azure's metadata have no hyphens
        return {
            name: (body, {key.replace("_", "-"): value for key, value in metadata.items()})
            for name, (body, metadata) in blobs.items()
        }


class SupabaseReceiver(Bucket):
    """A project; Supabase's own clients for Storage and for tables read it."""

    type = "supabase"

    def __init__(self, project: Project) -> None:
        self.project = project
        self.config = {"project_url": project.url}
        self.credentials = {"api_key": project.key}
        self._headers = {"apikey": project.key, "Authorization": f"Bearer {project.key}"}
        self._tables = SyncPostgrestClient(f"{project.url}/rest/v1", headers=self._headers)
        self._files = SyncStorageClient(f"{project.url}/storage/v1/", self._headers).from_(BUCKET)

    def silent(self, nobody: Silence) -> Values:
        return {"project_url": nobody.url}

    def check(self, posted: Sequence[Posted]) -> None:
        super().check(posted)
        keys, kept = {one.event_id: one.key for one in posted}, by_key(posted)
        assert self.rows("terra_users") == sorted(USERS)
        for table, wanted in tables(posted).items():
            rows = self.rows(table)
            assert [row[:-1] for row in rows] == wanted
            for event_id, *_, url in rows:
                assert unquote(url).endswith(f"/{BUCKET}/{keys[event_id]}")
                assert read(url, self._headers) == kept[keys[event_id]].body

    def objects(self) -> Mapping[str, tuple[bytes, Mapping[str, str]]]:
        return {key: (self._files.download(key), self._files.info(key)["metadata"]) for key in self._keys("")}

    def _keys(self, folder: str) -> Iterator[str]:
        for one in self._files.list(folder, {"limit": 1000}):
            path = f"{folder}/{one['name']}".lstrip("/")
            yield from [path] if one["id"] else self._keys(path)

    def rows(self, table: str) -> list[tuple[Any, ...]]:
        """Return the rows of a table in the order of their keys."""
        found = self._tables.from_(table).select("*").execute().data
        return sorted(tuple(_moment(name, value) for name, value in one.items()) for one in found)  # type: ignore[union-attr]


class SqsReceiver(Receiver):
    """A queue; boto3 reads it, and follows the links."""

    type = "sqs"

    def __init__(self, server: SqsServer, queue: Queue, credentials: Values | None = None, **config: Any) -> None:
        self.server, self.queue = server, queue
        self.config = config_of(server, queue, **config)
        self.credentials = key_for(server, self.config) if credentials is None else credentials

    def silent(self, nobody: Silence) -> Values:
        return {**self.config, "endpoint_url": nobody.url, "queue": f"{nobody.url}/000000000000/{self.queue.name}"}

    def event_ids(self) -> set[str]:
        return {stored(one).event_id for one in self.queue.messages()}

    def check(self, posted: Sequence[Posted]) -> None:
        received = {stored(one).event_id: one for one in self.queue.messages()}
        assert sorted(received) == sorted(one.event_id for one in posted)
        assert len(self.queue.seen) == len(posted)
        for one in posted:
            message = received[one.event_id]
            if one.type == "healthcheck":
                assert message["Body"].encode() == one.body
                continue
            said = json.loads(message["Body"])
            said.pop("url")
            assert said == one.pointer
            assert downloaded(message) == one.body


RECEIVERS: Mapping[str, Callable[[Fixtures], Receiver]] = {
    "webhook": lambda fixture: WebhookReceiver(fixture("sink")),
    "postgres": lambda fixture: SqlReceiver("postgres", fixture("postgres_place")),
    "mysql": lambda fixture: SqlReceiver("mysql", fixture("mysql_place")),
    "supabase": lambda fixture: SupabaseReceiver(fixture("project")),
    "s3": lambda fixture: S3Receiver(new_folder(fixture("seaweed"), fixture("bucket"))),
    "gcs": lambda fixture: GcsReceiver(fixture("place")),
    "azureblob": lambda fixture: AzureReceiver(fixture("azure_place")),
    "sqs": lambda fixture: SqsReceiver(fixture("sqs"), fixture("sqs").create_queue()),
}


def environment_of(hub: Hub, *receivers: Receiver) -> dict[str, str]:
    """Return the environment of a worker that delivers to ``receivers``; links lead to the running server."""
    found = {"PUBLIC_URL": f"http://127.0.0.1:{hub.server.port}"}
    for receiver in receivers:
        found |= receiver.environment
    return found


def tables(posted: Sequence[Posted]) -> dict[str, list[Row]]:
    """Return the rows of both tables of payloads in the order of their keys, without their links."""
    return {
        "terra_data_payloads": sorted(one.row for one in posted if one.is_data),
        "terra_other_payloads": sorted(one.row for one in posted if not one.is_data),
    }


def read(url: str, headers: Mapping[str, str] | None = None) -> bytes:
    """Download what a link leads to."""
    with urllib.request.urlopen(urllib.request.Request(url, headers=dict(headers or {})), timeout=10) as answer:
        return bytes(answer.read())


def _moment(name: str, value: Any) -> Any:
    return datetime.fromisoformat(value) if value and name.endswith(("_at", "_time")) else value
