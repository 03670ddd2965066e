"""Azure Blob Storage: Azurite, Microsoft's own emulator, from npm.

``HUB_TEST_AZURE=<connection string>`` (with an account key) uses an existing account instead: containers are
made there and deleted at the end. Else ``npm ci`` installs what tests/services/azurite/package-lock.json names
into ``.services/azurite``, once; ``HUB_TEST_INSTALL=0`` forbids it.
"""

import atexit
import base64
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from azure.core.exceptions import ResourceNotFoundError
from azure.storage.blob import BlobServiceClient, ContainerSasPermissions, generate_container_sas

from tests.services import ServiceMissing, free_port, npm
from tests.services.processes import end, launch, wait_until_up

LOCK = Path(__file__).with_name("azurite")  # package.json and package-lock.json
INSTEAD = "name an account: HUB_TEST_AZURE=<connection string>"
API_VERSION = "2023-11-03"  # of the official client; its newest is newer than Azurite
ACCOUNT = "hubtests"
Metadata = dict[str, str]


@dataclass
class AzureServer:
    """A running server: one account, its key, and the official client's way into it."""

    endpoint: str  # without a final slash
    account: str
    key: str
    process: "subprocess.Popen[bytes] | None" = None
    folder: Path | None = None
    _made: list[str] = field(default_factory=list)

    @property
    def address(self) -> tuple[str, int]:
        """Return host and port."""
        parts = urlsplit(self.endpoint)
        return parts.hostname or "", parts.port or {"http": 80, "https": 443}[parts.scheme]

    @property
    def client(self) -> BlobServiceClient:
        """Return the official client, with the account's key; it does not try again by itself."""
        credential = {"account_name": self.account, "account_key": self.key}
        return BlobServiceClient(self.endpoint, credential=credential, api_version=API_VERSION, retry_total=0)

    def make_container(self) -> str:
        """Make an empty container and return its name."""
        name = f"hub-test-{secrets.token_hex(6)}"
        self.client.create_container(name)
        self._made.append(name)
        return name

    def token(self, container: str, permissions: str = "rcw", hours: float = 24 * 30, **more: Any) -> str:
        """Return a SAS token of a container; ``more`` goes to the official client's maker of it."""
        if "policy_id" not in more:
            more |= {"permission": ContainerSasPermissions.from_string(permissions)}
        expiry = datetime.now(UTC) + timedelta(hours=hours)
        return str(
            generate_container_sas(
                self.account, container, **{"account_key": self.key, "expiry": expiry, "protocol": "https,http", **more}
            )
        )

    def blobs(self, container: str) -> dict[str, tuple[bytes, Metadata]]:
        """Return what the official client reads in a container: (bytes, metadata) by name."""
        there = self.client.get_container_client(container)
        try:
            found = list(there.list_blobs(include=["metadata"]))
        except ResourceNotFoundError:
            return {}
        return {blob.name: (there.download_blob(blob.name).readall(), dict(blob.metadata or {})) for blob in found}

    def stop(self) -> None:
        """End what was started here, by its process id; tidy up on an existing account."""
        if self.process is None:
            for name in self._made:
                with suppress(ResourceNotFoundError):
                    self.client.delete_container(name)
        else:
            end(self.process, signal.SIGKILL)  # it holds everything in memory
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)


@lru_cache(maxsize=1)
def azure_service() -> AzureServer:
    """Return the session's server, started on first use and stopped at exit."""
    named = os.environ.get("HUB_TEST_AZURE", "")
    server = existing(named) if named else start()
    atexit.register(server.stop)
    return server


def existing(named: str) -> AzureServer:
    """Return the account that a connection string names."""
    parts = dict(part.split("=", 1) for part in named.strip().strip(";").split(";"))
    try:
        account, key = parts["AccountName"], parts["AccountKey"]
    except KeyError as missing:
        raise ServiceMissing(f"HUB_TEST_AZURE has no {missing}: give an account's connection string.") from None
    scheme, suffix = parts.get("DefaultEndpointsProtocol", "https"), parts.get("EndpointSuffix", "core.windows.net")
    endpoint = parts.get("BlobEndpoint") or f"{scheme}://{account}.blob.{suffix}"
    return AzureServer(endpoint.rstrip("/"), account, key)


def start() -> AzureServer:
    """Start Azurite on a free port of 127.0.0.1, with an account of its own."""
    program = find_program()
    folder, port, key = Path(tempfile.mkdtemp(prefix="hub-azurite-")), free_port(), new_key()
    command = [
        "env", f"AZURITE_ACCOUNTS={ACCOUNT}:{key}", str(npm.find_node("azurite", INSTEAD)), str(program),
        "--blobHost", "127.0.0.1", "--blobPort", str(port), "--inMemoryPersistence", "--silent", "--disableTelemetry",
    ]  # fmt: skip
    # As whoever runs the tests: nobody else has to be able to read what is installed.
    process = launch(command, folder, "root", "KILL")
    wait_until_up(process, folder, lambda: socket.create_connection(("127.0.0.1", port), 1), ConnectionError)
    return AzureServer(f"http://127.0.0.1:{port}/{ACCOUNT}", ACCOUNT, key, process, folder)


def new_key() -> str:
    """Return an account key like Azure's: 64 random bytes in base64."""
    return base64.b64encode(secrets.token_bytes(64)).decode()


# --- getting it -------------------------------------------------------------------------------
def find_program() -> Path:
    """Return Azurite's script for blobs, installed where it has to be; raise ``ServiceMissing``."""
    return npm.installed("azurite", LOCK, INSTEAD) / "azurite" / "dist" / "src" / "blob" / "main.js"
