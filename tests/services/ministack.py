"""SQS and STS: MiniStack behind the gate of ``tests.services.awsgate``, which checks what MiniStack does not.

``HUB_TEST_SQS=https://access-key:secret@sqs.eu-west-1.amazonaws.com`` (an administrator; another
server with ``http://key:secret@host:port``) uses an existing server instead: queues are made there
and deleted at the end. Tests that need users or faults of their own need the gate, and are skipped.
"""

import atexit
import os
import re
import secrets
import shutil
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3
import pytest
from botocore.config import Config

from tests.services import free_port, wheels
from tests.services.awsgate import Gate
from tests.services.iam import allow

START_SECONDS = 60.0
SESSION = boto3.session.Session()  # one for all: each new one reads the service's description again
REGION = "eu-west-1"


@dataclass
class Queue:
    """A queue, and everything that was read from it so far."""

    client: Any
    url: str
    arn: str
    wait_s: int = 0  # how long a look at an empty queue may take: real ones show messages late
    seen: list[dict[str, Any]] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.arn.rpartition(":")[2]

    def messages(self) -> Sequence[dict[str, Any]]:
        """Take what is in the queue out of it; return all that was ever read, in order."""
        while found := self._receive():
            self.seen += found
            entries = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(found)]
            self.client.delete_message_batch(QueueUrl=self.url, Entries=entries)
        return self.seen

    def _receive(self) -> list[dict[str, Any]]:
        answer = self.client.receive_message(
            QueueUrl=self.url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=self.wait_s,
            AttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return list(answer.get("Messages", []))

    def set(self, **attributes: str) -> None:
        """Change attributes of the queue."""
        self.client.set_queue_attributes(QueueUrl=self.url, Attributes=attributes)


@dataclass
class SqsServer:
    """A running server, and an administrator's way into it."""

    url: str
    region: str
    access_key: str
    secret: str
    gate_or_none: Gate | None = None
    process: "subprocess.Popen[bytes] | None" = None
    folder: Path | None = None
    _made: list[str] = field(default_factory=list)

    @property
    def gate(self) -> Gate:
        """Return the gate; skip the test where an existing server is used."""
        if self.gate_or_none is None:
            pytest.skip("This test needs users and faults of its own: unset HUB_TEST_SQS.")
        return self.gate_or_none

    @property
    def endpoint_url(self) -> str:
        """Return what a destination needs as its endpoint; nothing for AWS itself."""
        return "" if re.fullmatch(r"https://sqs\.[\w-]+\.amazonaws\.com", self.url) else self.url

    def client(self, access_key: str = "", secret: str = "") -> Any:
        """Return a client, by default the administrator's."""
        return SESSION.client(
            "sqs",
            endpoint_url=self.url,
            region_name=self.region,
            aws_access_key_id=access_key or self.access_key,
            aws_secret_access_key=secret or self.secret,
            config=Config(retries={"total_max_attempts": 1}, proxies={}),
        )

    def create_queue(self, *, fifo: bool = False, **attributes: str) -> Queue:
        """Make an empty queue with a name of its own."""
        client = self.client()
        name = f"hub-test-{secrets.token_hex(6)}" + (".fifo" if fifo else "")
        attributes |= {"FifoQueue": "true"} if fifo else {}
        url = client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        self._made.append(url)
        arn = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        return Queue(client, url, arn, wait_s=0 if self.gate_or_none else 1)

    def stop(self) -> None:
        """End what was started here, by its process id; delete what was made on an existing server."""
        if self.process is None:
            for url in self._made:
                self.client().delete_queue(QueueUrl=url)
        else:
            self.process.kill()
            self.process.wait()
        if self.gate_or_none:
            self.gate_or_none.__exit__()
        if self.folder:
            shutil.rmtree(self.folder, ignore_errors=True)


@lru_cache(maxsize=1)
def sqs_server() -> SqsServer:
    """Return the session's server, started on first use and stopped at exit."""
    named = os.environ.get("HUB_TEST_SQS", "")
    server = existing(named) if named else start()
    atexit.register(server.stop)
    return server


def existing(named: str) -> SqsServer:
    """Return the server that a URL with an administrator's key names."""
    parts = urlsplit(named)
    host = parts.hostname or ""
    url = f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
    on_aws = re.fullmatch(r"sqs\.([\w-]+)\.amazonaws\.com", host)
    region = on_aws[1] if on_aws else REGION
    return SqsServer(url, region, unquote(parts.username or ""), unquote(parts.password or ""))


def start() -> SqsServer:
    """Start MiniStack on a free port of 127.0.0.1, and a gate before it with one administrator."""
    program, folder, port = wheels.program("ministack"), Path(tempfile.mkdtemp(prefix="hub-ministack-")), free_port()
    process = _launch(program, folder, port)
    _wait_until_up(process, folder, f"http://127.0.0.1:{port}/_ministack/health")
    gate = Gate(("127.0.0.1", port))
    key = gate.directory.add_user("administrator", allow("*"))
    return SqsServer(gate.url, REGION, key, gate.directory.users[key].secret, gate, process, folder)


def _launch(program: Path, folder: Path, port: int) -> "subprocess.Popen[bytes]":
    environment = {
        "BIND_HOST": "127.0.0.1",  # it would listen on every address
        "GATEWAY_PORT": str(port),
        "HOME": str(folder),
        "LOG_LEVEL": "WARNING",
        "PATH": os.environ.get("PATH", ""),
        "SERVICES": "sqs",
        "TMPDIR": str(folder),
    }
    # setpriv asks the kernel for a signal when the tests die in a way that runs no exit handler.
    command = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            [*command, str(program)], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )


def _wait_until_up(process: "subprocess.Popen[bytes]", folder: Path, url: str) -> None:
    give_up = time.monotonic() + START_SECONDS
    while True:
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > give_up:
                process.kill()
                raise RuntimeError("MiniStack did not start:\n" + (folder / "log").read_text()[-2000:]) from None
            time.sleep(0.05)
