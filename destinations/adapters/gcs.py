"""Google Cloud Storage: each event is an object of a bucket, byte for byte as it was received."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

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
from destinations.adapters.gcs_api import Bucket
from destinations.adapters.gcs_config import GcsConfig, GcsCredentials, endpoints_of, problems
from destinations.adapters.gcs_key import public_facts, secret_texts
from destinations.adapters.gcs_results import Judge
from destinations.adapters.gcs_setup import setup_text, terraform_text
from destinations.adapters.object_erasing import erase_objects
from destinations.adapters.object_writes import Writes
from destinations.adapters.objects import clean_prefix
from destinations.egress import EgressPolicy
from destinations.http import HttpClient
from destinations.identity import HubIdentity

if TYPE_CHECKING:
    from destinations.adapters.gcs_token import Token


class GcsAdapter(Adapter[GcsConfig, GcsCredentials]):
    """Writes many objects at once over kept connections, and hands results out as they come."""

    type = "gcs"
    label = "Google Cloud Storage"
    setup_label = "gcloud"
    icon = "cloud"
    summary = "One object per event in your bucket, with the exact bytes received."
    on_repeat = "No duplicates: the event's object is written again, unless a newer event has taken its name."
    erases = True
    config_spec = GcsConfig
    credentials_spec = GcsCredentials
    # What the key signs goes to Google only; but who may change the bucket should not get to use it on another one.
    host_fields: ClassVar[frozenset[str]] = frozenset({"bucket"})

    def __init__(
        self,
        config: GcsConfig,
        credentials: GcsCredentials,
        limits: Limits | None = None,
        policy: EgressPolicy | None = None,
    ) -> None:
        """Keep the set-up; open no connection, and read the key only when it is needed."""
        super().__init__(config, credentials, limits, policy)
        account = public_facts(credentials.service_account_key)["service_account_email"]
        names = {"bucket": config.bucket, "account": account or "the service account"}
        self._judge = Judge(names, self._secrets)
        self._client: HttpClient | None = None
        self._token: Token | None = None

    def target(self) -> str:
        """Return ``gs://bucket/prefix``."""
        return "/".join(filter(None, (f"gs://{self.config.bucket}", clean_prefix(self.config.prefix))))

    def wants_payload_url(self) -> bool:
        """Tell whether messages need their link: objects hold the payload itself."""
        return False

    def deliver(self, batch: Sequence[Message]) -> Sequence[Result]:
        """Write a batch; return one result per message, in order."""
        return deliver_by_stream(self.stream, batch)

    def stream(self, feed: Feed) -> Iterator[Outcomes]:
        """Write what ``feed`` has, up to ``limits.concurrency`` objects at once; a slow one holds up no other."""
        from destinations.adapters.gcs_store import GcsStore

        try:
            token = self._opened_token()
        except ValueError as unusable:
            yield from self._refuse(feed, str(unusable))
            return
        self._client = self._client or HttpClient(self.policy, concurrency=self.limits.concurrency)
        store = GcsStore(self.config.bucket, self._bucket(), token, self._judge)
        yield from Writes(feed, store, self.config.prefix).outcomes(self._client)

    def check(self) -> Iterator[Step]:
        """Write an object, read it and delete it again, after each thing that this needs was tried by itself."""
        from destinations.adapters.gcs_check import Check

        check = Check(self.config, endpoints_of(self.identity), self._bucket(), self._opened_token, self._judge)
        yield from check.steps(self.policy)

    def erase(self, person: Person, messages: Iterable[Message]) -> Erased:
        """Remove the person's objects."""
        from destinations.adapters.gcs_erasing import GcsShelf

        try:
            token = self._opened_token()
        except ValueError as unusable:
            return Erased(failed=_unusable(str(unusable)))
        self._client = self._client or HttpClient(self.policy, concurrency=self.limits.concurrency)
        shelf = GcsShelf(self._client, self._bucket(), token, self._judge)
        return erase_objects(shelf, self.config.prefix, person, messages, self.target())

    @classmethod
    def setup(cls, config: GcsConfig) -> str:
        """Return the commands that make the account, its right and its key, with this bucket's name in them."""
        return setup_text(config)

    @classmethod
    def terraform(cls, config: GcsConfig, identity: HubIdentity) -> str:
        """Return the same as a module for Terraform."""
        return terraform_text(config)

    @classmethod
    def validate(cls, config: GcsConfig) -> Mapping[str, str]:
        """Refuse a bucket and a prefix that no bucket can have."""
        return dict(problems(config))

    def close(self) -> None:
        """Close the connections and forget the token."""
        if self._client:
            self._client.close()
        self._client = self._token = None

    def _bucket(self) -> Bucket:
        return Bucket(endpoints_of(self.identity).api, self.config.bucket, self.limits.timeout_s)

    def _opened_token(self) -> "Token":
        """Return the account's token keeper; raise ``ValueError`` for a stored key that is none."""
        from destinations.adapters.gcs_token import Token

        if self._token is None:
            key, endpoints = self.credentials.service_account_key, endpoints_of(self.identity)
            self._token = Token(key, endpoints, self.policy, self.limits.timeout_s)
        return self._token

    def _refuse(self, feed: Feed, detail: str) -> Iterator[Outcomes]:
        result = _unusable(detail)
        while batch := feed.take(self.max_batch):
            yield [(message, result) for message in batch]

    def _secrets(self) -> list[str]:
        """Return the key's texts and the last token, which texts from outside must not show."""
        last = self._token.secrets() if self._token else []
        return [*secret_texts(self.credentials.service_account_key), *last]


def _unusable(detail: str) -> Result:
    hint = "Edit the destination and upload the service account's key again."
    return Result(Outcome.RETRY, "key_unusable", detail, hint, effect=Effect.FAILURE)
