"""Azure Blob destinations for the tests."""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from azure.storage.blob import BlobClient

from destinations.adapters.azureblob import AzureBlobAdapter
from destinations.adapters.azureblob_config import ACCOUNT_KEY, AzureBlobConfig, AzureBlobCredentials
from destinations.adapters.azureblob_secrets import read_token
from destinations.adapters.base import Limits, Message, Result
from destinations.egress import EgressPolicy
from destinations.specs import load
from tests.adapters.contract import Stored
from tests.services.azurite import AzureServer
from tests.services.proxy import FaultProxy

LOCAL = EgressPolicy(allow=("127.0.0.0/8",))
Credentials = dict[str, str]


@dataclass
class Place:
    """A container of a test's own."""

    server: AzureServer
    container: str

    @property
    def config(self) -> dict[str, Any]:
        """Return the config of a destination there."""
        return {"account": self.server.account, "container": self.container, "endpoint_url": self.server.endpoint}

    def token(self, permissions: str = "rcw", **more: Any) -> Credentials:
        """Return credentials as the hub stores them: a new SAS token."""
        return {"sas_token": read_token(self.server.token(self.container, permissions, **more))}

    def adapter(
        self, credentials: Credentials | None = None, limits: Limits | None = None, **config: Any
    ) -> AzureBlobAdapter:
        """Return an adapter, by default with a token of the least rights; an account key in ``credentials`` signs."""
        held = credentials or self.token()
        auth = {"auth": ACCOUNT_KEY} if "account_key" in held else {}
        made = load(AzureBlobConfig, {**self.config, **auth, **config})
        return AzureBlobAdapter(made, load(AzureBlobCredentials, held), limits, LOCAL)

    def through(self, proxy: FaultProxy, limits: Limits | None = None, **config: Any) -> AzureBlobAdapter:
        """Return an adapter whose connections go through ``proxy``."""
        url = f"http://127.0.0.1:{proxy.port}{urlsplit(self.server.endpoint).path}"
        return self.adapter(limits=limits, endpoint_url=url, **config)

    def official(self, name: str) -> BlobClient:
        """Return the official client for a blob of this container."""
        return self.server.client.get_blob_client(self.container, name)

    def deliver(self, *messages: Message, credentials: Credentials | None = None, **config: Any) -> list[Result]:
        """Deliver messages by an adapter of their own."""
        adapter = self.adapter(credentials, **config)
        results = list(adapter.deliver(messages))
        adapter.close()
        return results

    @property
    def key(self) -> Credentials:
        """Return the account's key as credentials."""
        return {"account_key": self.server.key}

    def blobs(self) -> dict[str, tuple[bytes, dict[str, str]]]:
        """Return (bytes, metadata) by name, as the official client reads them."""
        return self.server.blobs(self.container)

    def stored(self) -> list[Stored]:
        """Return the events that are there."""
        return [Stored(metadata.get("terra_event_id", "?"), body) for body, metadata in self.blobs().values()]


def place_on(server: AzureServer) -> Place:
    return Place(server, server.make_container())
