"""SeaweedFS: a real object store that checks signatures, policies and preconditions, with an STS and an IAM of its own.

``HUB_TEST_S3=http://key:secret@host:port`` (an administrator) uses an existing store instead; tests
that make users or assume roles are then skipped.

What SeaweedFS does not do: it takes any region, ignores an expected owner, and knows no external
id in trust policies (a role that asks for one can never be assumed).
"""

import atexit
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from tests.services import ServiceMissing, free_port
from tests.services.wheels import program

START_SECONDS = 60
REGION = "us-east-1"
ROLE_ARN = "arn:aws:iam::123456789012:role/HubWriter"
_GRPC = 10_000  # each port of SeaweedFS has a twin so much higher


@dataclass(frozen=True)
class Key:
    """An access key."""

    id: str
    secret: str


# Its secret is part of what tests look for in everything that is shown.
CANARY_KEY = Key("HUBCANARYKEY000000001", "canary-7f3a91-of-a-user-with-every-right")
HUB_KEY = Key("HUBCALLERKEY000000001", "canary-7f3a91-of-the-hubs-own-user")  # may assume ROLE_ARN, and nothing else
HUB_ARN = "arn:aws:iam::000000000000:user/hub"


@dataclass
class SeaweedServer:
    """A running store, and an administrator's way into it."""

    endpoint: str
    admin: Key
    process: subprocess.Popen[bytes] | None = None
    folder: Path | None = None
    ports: Sequence[int] = ()
    _buckets: list[str] = field(default_factory=list)
    _users: int = 0
    _clients: dict[tuple[str, Key], Any] = field(default_factory=dict)

    @property
    def writer(self) -> Key:
        """Return the key of a user who may write, read and delete objects."""
        return CANARY_KEY if self.process else self.admin

    @property
    def address(self) -> tuple[str, int]:
        """Return (host, port)."""
        parts = urlsplit(self.endpoint)
        return parts.hostname or "", parts.port or 80

    def client(self, service: str = "s3", key: Key | None = None) -> Any:
        """Return a bare client, by default an administrator's."""
        wanted = (service, key or self.admin)
        if wanted not in self._clients:
            self._clients[wanted] = self._new_client(*wanted)
        return self._clients[wanted]

    def _new_client(self, service: str, key: Key) -> Any:
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            aws_access_key_id=key.id,
            aws_secret_access_key=key.secret,
            region_name=REGION,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )

    def create_bucket(self) -> str:
        """Make an empty bucket; each takes room of its own, so tests share one and differ in prefixes."""
        name = f"hub-{secrets.token_hex(6)}"
        self.client().create_bucket(Bucket=name)
        self._buckets.append(name)
        return name

    def create_user(self, statements: Sequence[Mapping[str, Any]]) -> Key:
        """Make a user with these statements of a policy and no other right; wait until they are in force."""
        if self.process is None:
            raise ServiceMissing("Users can be made on a SeaweedFS that the tests start: unset HUB_TEST_S3.")
        self._users += 1
        name, iam = f"user-{self._users}-{secrets.token_hex(4)}", self.client("iam")
        iam.create_user(UserName=name)
        made = iam.create_access_key(UserName=name)["AccessKey"]
        policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
        iam.put_user_policy(UserName=name, PolicyName="rights", PolicyDocument=policy)
        key = Key(made["AccessKeyId"], made["SecretAccessKey"])
        self._wait_until_known(key)
        return key

    def _wait_until_known(self, key: Key) -> None:
        give_up, client = time.monotonic() + START_SECONDS, self.client("sts", key)
        while True:
            try:
                client.get_caller_identity()
                return
            except client.exceptions.ClientError:
                assert time.monotonic() < give_up, "The new user's key is not taken."
                time.sleep(0.05)

    def stop(self) -> None:
        """End the server that was started here, by its process id; tidy up on an existing one."""
        if self.process is None:
            self._drop_all()
        elif self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)  # SIGTERM takes 17 s and more
            self.process.wait()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
        for path in Path("/tmp").glob("seaweedfs-*.sock"):
            if path.stem.rpartition("-")[2] in {str(port + more) for port in self.ports for more in (0, _GRPC)}:
                path.unlink(missing_ok=True)

    def _drop_all(self) -> None:
        client = self.client()
        for bucket in self._buckets:
            for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
                for item in page.get("Contents", ()):
                    client.delete_object(Bucket=bucket, Key=item["Key"])
            client.delete_bucket(Bucket=bucket)


@lru_cache(maxsize=1)
def seaweed_server() -> SeaweedServer:
    """Return the store that HUB_TEST_S3 names, else a new one; it is stopped at exit."""
    url = os.environ.get("HUB_TEST_S3", "")
    server = _existing(url) if url else start()
    atexit.register(server.stop)
    return server


def _existing(url: str) -> SeaweedServer:
    parts = urlsplit(url)
    where = f"{parts.scheme}://{parts.hostname}:{parts.port or 80}"
    return SeaweedServer(where, Key(parts.username or "", parts.password or ""))


def start() -> SeaweedServer:
    """Start a new store on free ports."""
    weed = program("weed")
    folder = Path(tempfile.mkdtemp(prefix="hub-seaweedfs-"))
    admin = Key("HUBADMINKEY0000000001", secrets.token_hex(20))
    (folder / "identities.json").write_text(json.dumps(_identities(admin)))
    (folder / "iam.json").write_text(json.dumps(_IAM))
    ports = _free_ports(4)
    process = _launch(weed, folder, ports)
    server = SeaweedServer(f"http://127.0.0.1:{ports[0]}", admin, process, folder, ports)
    _wait_until_up(server, folder)
    return server


def _free_ports(count: int) -> list[int]:
    """Return ports whose twins, where it speaks gRPC, are free too."""
    found: list[int] = []
    while len(found) < count:
        port = free_port() - _GRPC
        if port not in found and _is_free(port):
            found.append(port)
    return found


def _is_free(port: int) -> bool:
    with suppress(OSError), socket.create_server(("127.0.0.1", port)):
        return True
    return False


def _launch(weed: Path, folder: Path, ports: Sequence[int]) -> "subprocess.Popen[bytes]":
    s3, master, volume, filer = ports
    options = {
        "dir": folder, "ip": "127.0.0.1", "ip.bind": "127.0.0.1", "master.port": master, "master.telemetry": "false",
        "master.volumeSizeLimitMB": 64, "volume.port": volume, "volume.max": 200, "volume.preStopSeconds": 0,
        "filer.port": filer, "s3.port": s3, "s3.config": folder / "identities.json",
        "s3.iam.config": folder / "iam.json", "s3.iam.readOnly": "false", "s3.autoCreateBucket": "false",
        "s3.port.iceberg": 0, "s3.port.lance": 0,
    }  # fmt: skip
    # setpriv asks the kernel for a SIGKILL when the tests die in a way that runs no exit handler.
    command = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    command += [str(weed), "-logtostderr=true", "server", "-s3"]
    command += [f"-{name}={value}" for name, value in options.items()]
    environment = os.environ | {"WEED_S3_SSE_KEY": "a key for tests"}
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=environment)


def _wait_until_up(server: SeaweedServer, folder: Path) -> None:
    assert server.process is not None
    give_up = time.monotonic() + START_SECONDS
    while True:
        with suppress(OSError), urllib.request.urlopen(f"{server.endpoint}/healthz", timeout=5):
            return
        if server.process.poll() is not None or time.monotonic() > give_up:
            server.process.kill()
            raise RuntimeError("SeaweedFS did not start:\n" + (folder / "log").read_text()[-2000:])
        time.sleep(0.05)


def _allow(actions: Sequence[str], resource: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": [resource]}
    return {"Version": "2012-10-17", "Statement": [statement]}


_OBJECTS = _allow(["s3:PutObject", "s3:GetObject", "s3:DeleteObject"], "arn:aws:s3:::hub-*/*")
_ASSUME = _allow(["sts:AssumeRole"], "*")


def _identities(admin: Key) -> dict[str, Any]:
    def identity(name: str, key: Key, actions: Sequence[str], *policies: str) -> dict[str, Any]:
        keys = [{"accessKey": key.id, "secretKey": key.secret}]
        return {"name": name, "credentials": keys, "actions": list(actions), "policyNames": list(policies)}

    return {
        "identities": [
            identity("admin", admin, ["Admin", "Read", "List", "Tagging", "Write"]),
            identity("canary", CANARY_KEY, [], "Objects"),
            identity("hub", HUB_KEY, ["sts:AssumeRole"], "Assume"),
        ],
        "policies": [
            {"name": "Objects", "content": json.dumps(_OBJECTS)},
            {"name": "Assume", "content": json.dumps(_ASSUME)},
        ],
    }


_IAM = {
    "sts": {
        "tokenDuration": "1h", "maxSessionLength": "12h", "issuer": "seaweedfs-sts",
        "signingKey": "dGVzdC1zaWduaW5nLWtleS0zMi1jaGFyYWN0ZXJzLWxvbmc=",
    },
    "policy": {"defaultEffect": "Deny", "storeType": "memory"},
    "roles": [
        {
            "roleName": "HubWriter", "roleArn": ROLE_ARN, "attachedPolicies": ["HubWrite"],
            "trustPolicy": {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": ["sts:AssumeRole"]}],
            },
        }
    ],
    "policies": [{"name": "HubWrite", "document": _OBJECTS}, {"name": "Assume", "document": _ASSUME}],
}  # fmt: skip
