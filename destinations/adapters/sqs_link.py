"""The queue of one destination: found once, asked for its limit, and sent to by several threads."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from destinations.adapters.aws import AwsAccess, AwsCredentials, Statement
from destinations.adapters.aws_errors import BadAnswer, Failure
from destinations.adapters.base import Limits
from destinations.adapters.sqs_config import (
    SqsConfig,
    host_problem,
    queue_of,
    queue_statement,
    region_of,
)
from destinations.adapters.sqs_errors import (
    PER_MESSAGE,
    QUEUE_MISSING,
    SESSION_ENDED,
    entry_failure,
    request_failure,
    too_large,
)
from destinations.adapters.sqs_message import LARGEST_MESSAGE, MAX_ENTRIES, Entry
from destinations.adapters.sqs_queue import EXAMPLES, QueueName, UnknownQueue, read_queue
from destinations.egress import EgressPolicy
from destinations.identity import HubIdentity
from destinations.scrubbing import Scrubber

SIZE_LIMIT = "MaximumMessageSize"
# What becomes of one entry: the id that the queue gave it, or why it was not taken.
Sent = tuple[Entry, Failure | str]


class QueueLink:
    """Finds the queue and sends to it. ``open`` goes first."""

    def __init__(
        self,
        config: SqsConfig,
        credentials: AwsCredentials,
        identity: HubIdentity,
        policy: EgressPolicy,
        limits: Limits,
    ) -> None:
        """Keep the set-up; send nothing yet."""
        self._config = config
        self._limits = limits
        self.access = AwsAccess(
            config,
            credentials,
            identity,
            policy,
            region=region_of(config),
            statements=_session_statements(config),
            timeout_s=limits.timeout_s,
            connections=requests_at_once(limits),
            ca_pem=config.ca_certificate,
        )
        self.queue = queue_of(config) or QueueName("", config.queue)
        self.arn = self.queue.arn(region_of(config))
        self._names = {"queue": self.queue.name, "arn": self.arn, **self.access.names}
        self._clean: Callable[[str], str] = Scrubber(self.access.secrets).text
        self._client: Any = None
        self._url = ""
        self._limit: int | None = None
        self._is_stale = False

    @property
    def client(self) -> Any:
        """Return the client of SQS. Call ``problem`` before."""
        if self._client is None:
            self._client = self.access.client("sqs", endpoint_url=self._config.endpoint_url)
        return self._client

    def problem(self) -> Failure | None:
        """Return what is wrong with the set-up, where nobody needs to be asked."""
        if not self.queue.account:
            return Failure("queue_unreadable", f"The queue is written wrongly. Write {EXAMPLES}.", "Correct queue.")
        return self.access.problem()

    def open(self) -> Failure | None:
        """Find the queue, unless it is found; return why it cannot be used."""
        if self._is_stale:  # here and not where it was found out: other threads were still sending
            self.close()
        if self._url:
            return None
        if problem := self.problem():
            return problem
        try:
            url = self.queue.url or self.asked_url()
            if problem := self.url_problem(url):
                return problem
            self._limit = self.asked_limit(url)
        except Exception as error:  # botocore's, urllib3's and the guard's: each has its line in a table
            return self.failure(error)
        self._url = url
        return None

    def by_size(self, entries: Sequence[Entry]) -> tuple[Sequence[Entry], Mapping[int, Failure]]:
        """Return those that the queue takes, as far as is known (it has the last word), and why not, by position.

        All by one limit: another thread may learn of a new one meanwhile.
        """
        limit = self._limit
        fitting = [entry for entry in entries if entry.size <= (limit or LARGEST_MESSAGE)]
        others = (entry for entry in entries if entry not in fitting)
        return fitting, {entry.position: too_large(entry.size, limit) for entry in others}

    def look_again(self) -> None:
        """Ask for the queue's limit anew: somebody may have raised it."""
        with suppress(Exception):  # a connection that failed will say so when messages are sent
            self._limit = self.asked_limit(self._url)

    def send(self, entries: Sequence[Entry]) -> Iterator[Sent]:
        """Send up to ten messages in one request; yield what became of each."""
        try:
            answer = self.client.send_message_batch(
                QueueUrl=self._url, Entries=[entry.as_request() for entry in entries]
            )
        except Exception as error:  # as in ``open``
            yield from self._refused(entries, self.failure(error))
            return
        taken = {name: str(one.get("MessageId", "")) for name, one in _named(answer, "Successful")}
        failed = dict(_named(answer, "Failed"))
        for entry in entries:
            position = str(entry.position)
            message_id = taken.get(position)
            why = failed.get(position)
            yield entry, entry_failure(why, self._names, self._clean) if message_id is None else message_id

    def failure(self, error: Exception) -> Failure:
        """Return what an error means; after some of them, the next ``open`` begins anew."""
        failure = request_failure(error, self._names, self._clean)
        self._is_stale |= failure.code in (*SESSION_ENDED, QUEUE_MISSING)
        return failure

    def close(self) -> None:
        """Close the connections."""
        self._url, self._client, self._is_stale = "", None, False
        self.access.close()

    def asked_url(self) -> str:
        """Ask for the queue's URL; raise botocore's errors, and ``BadAnswer``."""
        answer = self.client.get_queue_url(QueueName=self.queue.name, QueueOwnerAWSAccountId=self.queue.account)
        if not answer.get("QueueUrl"):
            raise BadAnswer
        return str(answer["QueueUrl"])

    def url_problem(self, url: str) -> Failure | None:
        """Return why messages are not sent to a queue's URL: it is on a host that nobody set up."""
        try:
            problem = host_problem(read_queue(url), self._config.endpoint_url)
        except UnknownQueue as unknown:
            problem = str(unknown)
        hint = "Write queue as the URL that it has at this endpoint."
        return Failure("queue_url_refused", problem, hint) if problem else None

    def asked_limit(self, url: str) -> int | None:
        """Return the queue's own limit in bytes; ``None`` where it may not be read: the set-up text has no such right.

        Raises what stands for a connection that failed.
        """
        from botocore.exceptions import ClientError

        try:
            answer = self.client.get_queue_attributes(QueueUrl=url, AttributeNames=[SIZE_LIMIT])
            return int(answer["Attributes"][SIZE_LIMIT])
        except (ClientError, KeyError, ValueError):
            return None

    def _refused(self, entries: Sequence[Entry], failure: Failure) -> Iterator[Sent]:
        """Yield one failure for all, or find the message that spoilt the request: it was refused as a whole."""
        if len(entries) == 1 or failure.code not in PER_MESSAGE:
            yield from ((entry, failure) for entry in entries)
            return
        for entry in entries:
            yield from self.send([entry])


def _named(answer: Mapping[str, Any], kind: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield (id, what is said of it); leave out what names no message."""
    yield from ((one["Id"], one) for one in answer.get(kind) or () if one and one.get("Id"))


def requests_at_once(limits: Limits) -> int:
    """Return how many requests are under way at once: each has up to ten tries in it."""
    return max(1, -(-limits.concurrency // MAX_ENTRIES))


def _session_statements(config: SqsConfig) -> Sequence[Statement]:
    """Return the most that a role's session may do. It grants nothing: the role has to allow it too."""
    queue: Mapping[str, Any] = queue_statement(config)
    region = region_of(config)
    optional = {**queue, "Action": "sqs:GetQueueAttributes"}
    via = {"StringLike": {"kms:ViaService": f"sqs.{region}.*"}}
    encryption = {
        "Effect": "Allow",
        "Action": ["kms:GenerateDataKey", "kms:Decrypt"],
        "Resource": "*",
        "Condition": via,
    }
    return [queue, optional, encryption]
