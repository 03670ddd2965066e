"""Azure Blob Storage: each event is a block blob of a container, byte for byte as it was received.

Over the hub's own HTTP client, not Microsoft's: docs/destinations/azureblob.md says why.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import ClassVar

from destinations.adapters.azureblob_api import Container
from destinations.adapters.azureblob_check import Check
from destinations.adapters.azureblob_config import (
    SAS_TOKEN,
    AzureBlobConfig,
    AzureBlobCredentials,
    missing_secret,
    place_of,
    problems,
)
from destinations.adapters.azureblob_erasing import AzureShelf
from destinations.adapters.azureblob_errors import Judge
from destinations.adapters.azureblob_secrets import expiry_of, secret_texts
from destinations.adapters.azureblob_setup import setup_text, terraform_text
from destinations.adapters.azureblob_store import ContainerStore
from destinations.adapters.base import (
    Adapter,
    Effect,
    Erased,
    Feed,
    Limits,
    Message,
    Outcome,
    Outcomes,
    Person,
    Result,
    Step,
    deliver_by_stream,
)
from destinations.adapters.object_erasing import erase_objects
from destinations.adapters.object_writes import Writes
from destinations.adapters.objects import clean_prefix
from destinations.egress import EgressPolicy
from destinations.http import HttpClient
from destinations.identity import HubIdentity


class AzureBlobAdapter(Adapter[AzureBlobConfig, AzureBlobCredentials]):
    """Writes many blobs at once over kept connections, and hands results out as they come."""

    type = "azureblob"
    label = "Azure Blob Storage"
    setup_label = "Azure CLI"
    icon = "cloud_upload"
    summary = "One blob per event in your container, with the exact bytes received."
    on_repeat = "No duplicates: the event's blob is written again, unless a newer event has taken its name."
    erases = True
    config_spec = AzureBlobConfig
    credentials_spec = AzureBlobCredentials
    # A SAS token is sent to the endpoint; and an account's key would open any container of it.
    host_fields: ClassVar[frozenset[str]] = frozenset({"account", "container", "endpoint_url", "ca_certificate"})

    def __init__(
        self,
        config: AzureBlobConfig,
        credentials: AzureBlobCredentials,
        limits: Limits | None = None,
        policy: EgressPolicy | None = None,
    ) -> None:
        """Keep the set-up; open no connection yet."""
        super().__init__(config, credentials, limits, policy)
        secrets = secret_texts(credentials.sas_token, credentials.account_key)
        self._judge = Judge({"account": config.account, "container": config.container}, lambda: secrets)
        if config.auth == SAS_TOKEN:
            self._judge.expires = expiry_of(credentials.sas_token)
        self._container = Container(config, credentials, self.limits.timeout_s)
        self._client: HttpClient | None = None

    def target(self) -> str:
        """Return ``https://account.blob.core.windows.net/container/prefix``."""
        return "/".join(filter(None, (place_of(self.config), clean_prefix(self.config.prefix))))

    def wants_payload_url(self) -> bool:
        """Tell whether messages need their link: blobs hold the payload itself."""
        return False

    def deliver(self, batch: Sequence[Message]) -> Sequence[Result]:
        """Write a batch; return one result per message, in order."""
        return deliver_by_stream(self.stream, batch)

    def stream(self, feed: Feed) -> Iterator[Outcomes]:
        """Write what ``feed`` has, up to ``limits.concurrency`` blobs at once; a slow one holds up no other."""
        if not self._container.usable:
            yield from self._refuse(feed)
            return
        self._client = self._client or HttpClient(self.policy, concurrency=self.limits.concurrency)
        store = ContainerStore(self._container, self._judge)
        yield from Writes(feed, store, self.config.prefix).outcomes(self._client)

    def check(self) -> Iterator[Step]:
        """Try each right that is needed; write a blob, read and delete it, where deleting is allowed."""
        yield from Check(self.config, self.credentials, self._container, self._judge).steps(self.policy)

    def erase(self, person: Person, messages: Iterable[Message]) -> Erased:
        """Remove the person's blobs; it takes rights that delivering does not."""
        if not self._container.usable:
            return Erased(failed=self._missing())
        self._client = self._client or HttpClient(self.policy, concurrency=self.limits.concurrency)
        shelf = AzureShelf(self._client, self._container, self._judge)
        return erase_objects(shelf, self.config.prefix, person, messages, self.target())

    @classmethod
    def setup(cls, config: AzureBlobConfig) -> str:
        """Return the commands that make the container and what opens it, with this config's names in them."""
        return setup_text(config)

    @classmethod
    def terraform(cls, config: AzureBlobConfig, identity: HubIdentity) -> str:
        """Return the same as a module for Terraform."""
        return terraform_text(config)

    @classmethod
    def validate(cls, config: AzureBlobConfig) -> Mapping[str, str]:
        """Refuse a prefix that Azure would change, and an endpoint that is none, or another account's."""
        return dict(problems(config))

    def close(self) -> None:
        """Close the connections."""
        if self._client:
            self._client.close()
            self._client = None

    def _refuse(self, feed: Feed) -> Iterator[Outcomes]:
        result = self._missing()
        while batch := feed.take(self.max_batch):
            yield [(message, result) for message in batch]

    def _missing(self) -> Result:
        detail, hint = missing_secret(self.config)
        return Result(Outcome.RETRY, "credentials_missing", detail, hint, effect=Effect.FAILURE)
