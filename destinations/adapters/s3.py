"""S3: each event is an object of its exact bytes, in a bucket of AWS or of a store that speaks S3."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import ClassVar

from destinations.adapters.base import Adapter, Erased, Feed, Message, Outcomes, Person, Result, Step
from destinations.adapters.object_erasing import erase_objects
from destinations.adapters.pool import Pool
from destinations.adapters.s3_check import check_steps
from destinations.adapters.s3_config import (
    S3Config,
    S3Credentials,
    place_of,
    problems,
)
from destinations.adapters.s3_erasing import S3Shelf
from destinations.adapters.s3_link import Link
from destinations.adapters.s3_setup import setup_text, terraform_text
from destinations.identity import HubIdentity


class S3Adapter(Adapter[S3Config, S3Credentials]):
    """Puts up to ``limits.concurrency`` objects at once, over kept connections."""

    type = "s3"
    label = "Amazon S3"
    setup_label = "AWS CLI"
    icon = "inventory_2"
    summary = "Each event as an object of its exact bytes, in a bucket of AWS or of another store that speaks S3."
    on_repeat = "No duplicates: the event's object is written again, unless a newer event has taken its key."
    erases = True
    config_spec = S3Config
    credentials_spec = S3Credentials
    host_fields: ClassVar[frozenset[str]] = frozenset({"bucket", "endpoint_url", "ca_certificate"})

    _link: Link | None = None
    _pool: Pool | None = None

    def target(self) -> str:
        """Return ``s3://bucket/prefix (eu-west-1)``; of another store, with its endpoint."""
        where = self.config.endpoint_url or self.config.region
        return f"{place_of(self.config)} ({where})"

    def wants_payload_url(self) -> bool:
        """Tell that no link is needed: the object has the bytes themselves."""
        return False

    def deliver(self, batch: Sequence[Message]) -> Sequence[Result]:
        """Write a batch; return one result per message, in order."""
        return self._threads().deliver(batch, self._work())

    def stream(self, feed: Feed) -> Iterator[Outcomes]:
        """Write what ``feed`` has; a slow object holds up no other."""
        return self._threads().stream(feed, self._work())

    def check(self) -> Iterator[Step]:
        """Write a test object, read it back and remove it, as far as the rights go."""
        link = Link(self)
        try:
            yield from check_steps(link)
        finally:
            link.close()

    def erase(self, person: Person, messages: Iterable[Message]) -> Erased:
        """Remove the person's objects; it takes rights that delivering does not."""
        link = Link(self)
        try:
            if problem := link.access.problem():
                return Erased(failed=problem.result())
            return erase_objects(S3Shelf(link), self.config.prefix, person, messages, place_of(self.config))
        finally:
            link.close()

    @classmethod
    def setup(cls, config: S3Config) -> str:
        """Return the policies to paste at AWS."""
        return setup_text(config, HubIdentity())

    @classmethod
    def setup_for(cls, config: S3Config, identity: HubIdentity) -> str:
        """Return the policies to paste at AWS, with the hub's user and this destination's external id."""
        return setup_text(config, identity)

    @classmethod
    def terraform(cls, config: S3Config, identity: HubIdentity) -> str:
        """Return the same as a module for Terraform."""
        return terraform_text(config, identity)

    @classmethod
    def validate(cls, config: S3Config) -> Mapping[str, str]:
        """Refuse what stores would read in two ways."""
        return problems(config)

    def close(self) -> None:
        """End the threads when they are done, and close the connections."""
        if self._pool:
            self._pool.close()
        if self._link:
            self._link.close()
        self._pool = self._link = None

    def _threads(self) -> Pool:
        self._pool = self._pool or Pool(self.limits.concurrency)
        return self._pool

    def _work(self) -> Callable[[Message], Result]:
        """Return what a thread does with a message; the client is made here, in one thread."""
        self._link = self._link or Link(self)
        problem = self._link.access.problem()
        if problem:
            return lambda message: problem.result()
        self._link.prepare()
        return self._link.deliver
