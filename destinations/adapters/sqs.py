"""SQS: a message for each event, with a link to its payload; standard and FIFO queues."""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from time import monotonic
from typing import ClassVar

from destinations.adapters.aws import AwsCredentials
from destinations.adapters.aws_errors import Failure
from destinations.adapters.base import (
    Adapter,
    Effect,
    Feed,
    Limits,
    Message,
    Outcome,
    Outcomes,
    Result,
    Step,
    deliver_by_stream,
)
from destinations.adapters.sqs_check import check_steps
from destinations.adapters.sqs_config import SqsConfig, problems, queue_of, region_of
from destinations.adapters.sqs_link import QueueLink, requests_at_once
from destinations.adapters.sqs_message import (
    HEALTHCHECK,
    MAX_ENTRIES,
    Entry,
    Unsendable,
    group_of,
    healthcheck_body,
    packed,
    pointer_body,
)
from destinations.adapters.sqs_setup import setup_text, terraform_text
from destinations.adapters.sqs_staging import Stage
from destinations.egress import EgressPolicy
from destinations.identity import HubIdentity

POLL_S = 0.02  # how long a new message may wait in the feed while requests are under way
PUTTING = 0.5  # the part of a try's time that payloads may take: one that hangs must not hold up the others' messages


class SqsAdapter(Adapter[SqsConfig, AwsCredentials]):
    """Sends up to ten messages in a request, several requests at once; to a FIFO queue one after the other."""

    type = "sqs"
    label = "Amazon SQS"
    setup_label = "AWS CLI"
    icon = "dynamic_feed"
    summary = "A message in your queue for each event, with a link that opens its payload for some minutes."
    on_repeat = (
        "The queue gets another message, with the same payload_reference. A FIFO queue drops it, if the first one "
        "came within five minutes."
    )
    config_spec = SqsConfig
    credentials_spec = AwsCredentials
    max_batch = 100
    host_fields: ClassVar[frozenset[str]] = frozenset(
        {"queue", "s3_bucket", "endpoint_url", "s3_endpoint_url", "ca_certificate"}
    )

    def __init__(
        self,
        config: SqsConfig,
        credentials: AwsCredentials,
        limits: Limits | None = None,
        policy: EgressPolicy | None = None,
    ) -> None:
        """Keep the set-up; open no connection yet."""
        super().__init__(config, credentials, limits, policy)
        self._link: QueueLink | None = None
        self._stage: Stage | None = None
        self._senders: ThreadPoolExecutor | None = None
        self._putters: ThreadPoolExecutor | None = None
        queue = queue_of(config)
        # Requests that overtake each other would put a user's events out of order.
        self._at_once = 1 if queue and queue.is_fifo else requests_at_once(self.limits)

    def target(self) -> str:
        """Return ``SQS name (eu-west-1)``, with the bucket where payloads wait in one."""
        queue = queue_of(self.config)
        name = f"SQS {queue.name if queue else '(unreadable)'} ({region_of(self.config) or 'no region'})"
        return f"{name}, payloads in {self.config.s3_bucket}" if self.config.s3_bucket else name

    def wants_payload_url(self) -> bool:
        """Tell whether messages need the hub's link: a bucket has links of its own."""
        return not self.config.s3_bucket

    def link_lifetime_s(self) -> int | None:
        """Return what messages say in ``expires_in``."""
        return self.config.expires_in

    def deliver(self, batch: Sequence[Message]) -> Sequence[Result]:
        """Send a batch; only messages that were not taken come back as failed."""
        return deliver_by_stream(self.stream, batch)

    def stream(self, feed: Feed) -> Iterator[Outcomes]:
        """Send what ``feed`` has, ten messages in a request, with several requests under way."""
        running: set[Future[Outcomes]] = set()
        while True:
            while len(running) < self._at_once and (batch := feed.take(MAX_ENTRIES)):
                running.add(self._started(batch))
            if not running:
                return
            patience = None if len(running) == self._at_once else POLL_S
            done, running = wait(running, patience, FIRST_COMPLETED)
            for future in done:
                yield future.result()

    def check(self) -> Iterator[Step]:
        """Find the queue; send a marked healthcheck only where ``check_sends`` agrees to it."""
        link, stage = self._new_link(), self._new_stage()
        try:
            yield from check_steps(link, stage, self.config, self.policy)
        finally:
            link.close()
            if stage:
                stage.close()

    @classmethod
    def setup(cls, config: SqsConfig) -> str:
        """Return the policies to paste into IAM."""
        return cls.setup_for(config, HubIdentity())

    @classmethod
    def setup_for(cls, config: SqsConfig, identity: HubIdentity) -> str:
        """Return the policies to paste into IAM, for one saved destination of this hub."""
        return setup_text(config, identity)

    @classmethod
    def terraform(cls, config: SqsConfig, identity: HubIdentity) -> str:
        """Return the same as a module for Terraform."""
        return terraform_text(config, identity)

    @classmethod
    def validate(cls, config: SqsConfig) -> Mapping[str, str]:
        """Refuse what names no queue, regions that disagree, and URLs of a host that is not set up."""
        return dict(problems(config))

    def close(self) -> None:
        """Close the connections, and end the threads when they are done."""
        for threads in (self._senders, self._putters):
            if threads:
                threads.shutdown(wait=False, cancel_futures=True)
        for part in (self._link, self._stage):
            if part:
                part.close()
        self._senders = self._putters = self._link = self._stage = None

    def _started(self, batch: Sequence[Message]) -> "Future[Outcomes]":
        """Begin with a request: in a thread, unless it cannot even be tried."""
        from destinations.adapters.aws_guard import until

        link = self._link = self._link or self._new_link()
        self._senders = self._senders or ThreadPoolExecutor(self._at_once, thread_name_prefix="sqs")
        started = monotonic()
        with until(started + self.limits.timeout_s):
            problem = self._opened(link)
        if problem:
            refused: Future[Outcomes] = Future()
            refused.set_result([(message, problem.result(duration_ms=_since(started))) for message in batch])
            return refused
        return self._senders.submit(self._request, batch, link, started)

    def _opened(self, link: QueueLink) -> Failure | None:
        if problem := link.open():
            return problem
        if self.config.s3_bucket:
            self._stage = self._stage or self._new_stage()
            self._putters = self._putters or ThreadPoolExecutor(self.limits.concurrency, thread_name_prefix="s3")
        if self._stage:
            self._stage.open()
        return None

    def _request(self, batch: Sequence[Message], link: QueueLink, started: float) -> Outcomes:
        """Send up to ten messages, once their payloads are in their place: all within the time for one try."""
        from destinations.adapters.aws_guard import until

        ends = started + self.limits.timeout_s
        put_by = monotonic() + (ends - monotonic()) * PUTTING
        mapped = self._putters.map if self._putters else map
        made = list(mapped(lambda n, message: self._entry(n, message, link, put_by), range(len(batch)), batch))
        outcomes: dict[int, Failure | str] = {n: one for n, one in enumerate(made) if isinstance(one, Failure)}
        with until(ends):  # also where a request has to be taken apart
            outcomes |= _sent([one for one in made if isinstance(one, Entry)], link)
        took = _since(started)
        return [(message, _result(message, outcomes[n], link, took)) for n, message in enumerate(batch)]

    def _entry(self, position: int, message: Message, link: QueueLink, put_by: float) -> Entry | Failure:
        """Return what is sent for an event; with a bucket, once its payload is there."""
        try:
            body = healthcheck_body(message) if message.type == HEALTHCHECK else self._pointer(message, put_by)
        except Unsendable as unsendable:
            return Failure("unprocessable", str(unsendable), outcome=Outcome.REJECTED, effect=Effect.NONE)
        if isinstance(body, Failure):
            return body
        return Entry(position, message.event_id, body, group_of(message.user_id) if link.queue.is_fifo else "")

    def _pointer(self, message: Message, put_by: float) -> str | Failure:
        url = self._staged(message, self._stage, put_by) if self._stage else message.payload_url
        return url if isinstance(url, Failure) else pointer_body(message, url, self.config.expires_in)

    def _staged(self, message: Message, stage: Stage, put_by: float) -> str | Failure:
        from destinations.adapters.aws_guard import until

        with until(put_by):
            return stage.url_of(message)

    def _new_link(self) -> QueueLink:
        return QueueLink(self.config, self.credentials, self.identity, self.policy, self.limits)

    def _new_stage(self) -> Stage | None:
        if not self.config.s3_bucket:
            return None
        return Stage(self.config, self.credentials, self.identity, self.policy, self.limits)


def _sent(entries: Sequence[Entry], link: QueueLink) -> dict[int, Failure | str]:
    """Send entries; return the id that each got, or what went wrong, by its position."""
    fitting, refused = link.by_size(entries)
    if refused:
        link.look_again()
        fitting, refused = link.by_size(entries)
    found: dict[int, Failure | str] = dict(refused)
    for request in packed(fitting):
        found |= {entry.position: outcome for entry, outcome in link.send(request)}
    return found


def _result(message: Message, outcome: Failure | str, link: QueueLink, took_ms: int) -> Result:
    request = {"queue": link.queue.name, "payload_reference": message.event_id}
    if isinstance(outcome, Failure):
        return outcome.result(duration_ms=took_ms, request=request)
    return Result(Outcome.DELIVERED, duration_ms=took_ms, request=request, response={"message_id": outcome})


def _since(started: float) -> int:
    return round((monotonic() - started) * 1000)
