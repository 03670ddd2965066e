"""Supabase: each payload as an object in Storage, and rows about it through the Data API."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from destinations.adapters.base import (
    Adapter,
    Erased,
    Feed,
    Limits,
    Message,
    Outcomes,
    Person,
    Result,
    Step,
    deliver_by_stream,
)
from destinations.adapters.object_erasing import NotErased, erase_objects
from destinations.adapters.supabase_api import Api, base_url
from destinations.adapters.supabase_check import check_steps
from destinations.adapters.supabase_config import SupabaseConfig, SupabaseCredentials, problems
from destinations.adapters.supabase_erasing import RowEraser, SupabaseShelf
from destinations.adapters.supabase_errors import Judge
from destinations.adapters.supabase_rows import RowWriter
from destinations.adapters.supabase_setup import setup_text
from destinations.adapters.supabase_stream import Stream
from destinations.egress import EgressPolicy
from destinations.http import HttpClient


class SupabaseAdapter(Adapter[SupabaseConfig, SupabaseCredentials]):
    """An event counts as delivered once its object and its rows are both in."""

    type = "supabase"
    label = "Supabase"
    setup_label = "SQL editor"
    icon = "bolt"
    summary = "Payloads in a storage bucket, and rows about them in terra_users and the payload tables."
    on_repeat = "No duplicates: the row with the event's id and its object are written again."
    erases = True
    config_spec = SupabaseConfig
    credentials_spec = SupabaseCredentials
    max_batch = 500
    host_fields: ClassVar[frozenset[str]] = frozenset({"project_url", "ca_certificate", "bucket", "schema"})

    def __init__(
        self,
        config: SupabaseConfig,
        credentials: SupabaseCredentials,
        limits: Limits | None = None,
        policy: EgressPolicy | None = None,
    ) -> None:
        """Keep the set-up; open no connection yet."""
        super().__init__(config, credentials, limits, policy)
        self._api = Api(config, credentials, self.limits.timeout_s)
        self._judge = Judge(config.schema, config.bucket, [credentials.api_key])
        self._writer = RowWriter(self._api, self._judge)
        self._client: HttpClient | None = None

    def target(self) -> str:
        """Return ``https://project.supabase.co, bucket terra-payloads, schema public``."""
        return f"{base_url(self.config.project_url)}, bucket {self.config.bucket}, schema {self.config.schema}"

    def wants_payload_url(self) -> bool:
        """Tell that messages need no link of the hub: rows link to the object."""
        return False

    def deliver(self, batch: Sequence[Message]) -> Sequence[Result]:
        """Deliver a batch; return one result per message, in order."""
        return deliver_by_stream(self.stream, batch)

    def stream(self, feed: Feed) -> Iterator[Outcomes]:
        """Deliver what ``feed`` has; a slow upload holds up no other event."""
        self._client = self._client or HttpClient(self.policy, concurrency=self.limits.concurrency)
        stream = Stream(self._api, self._judge, self._writer, feed, self.limits.concurrency)
        while True:
            for group in self._client.stream(stream.requests):
                for request, answer in group:
                    stream.answered(request, answer)
                if done := stream.take_done():
                    yield done
            done = stream.take_done()  # events that needed no request
            if not done:
                return
            yield done

    def check(self) -> Iterator[Step]:
        """Write an object and a row of each kind, read them back, and take them away again."""
        client = HttpClient(self.policy)
        try:
            yield from check_steps(client, self._api, self._judge, self.policy, self.credentials.api_key)
        finally:
            client.close()

    def erase(self, person: Person, messages: Iterable[Message]) -> Erased:
        """Remove the person's objects, then the rows about them."""
        self._client = self._client or HttpClient(self.policy, concurrency=self.limits.concurrency)
        messages = [one for one in messages if not one.user_id]  # the others are found by the user
        shelf = SupabaseShelf(self._client, self._api, self._judge)
        erased = erase_objects(shelf, "", person, messages, f"bucket {self.config.bucket}")
        if erased.failed:
            return erased
        try:
            RowEraser(self._client, self._api, self._judge).erase(person, messages)
        except NotErased as failed:
            return replace(erased, failed=failed.result)
        return replace(erased, detail=f"{erased.detail} Rows in schema {self.config.schema} too; only objects count.")

    @classmethod
    def setup(cls, config: SupabaseConfig) -> str:
        """Return the SQL that makes the bucket and the tables."""
        return setup_text(config)

    @classmethod
    def validate(cls, config: SupabaseConfig) -> Mapping[str, str]:
        """Refuse URLs that are ambiguous or have a path, and certificates that are none."""
        return dict(problems(config))

    def close(self) -> None:
        """Close the connections."""
        if self._client:
            self._client.close()
            self._client = None
