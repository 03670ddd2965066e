"""The steps of an SQS destination's check.

A message that was sent cannot be taken back with the rights that a sender has. So a check leaves
nothing behind: it finds the queue, and tries sending only where ``check_sends`` agrees to a message.
"""

from collections.abc import Callable, Iterator
from contextlib import suppress

from destinations.adapters.aws import ROLE
from destinations.adapters.aws_check import is_about_signing_in, trust_is_narrow
from destinations.adapters.aws_errors import Failure
from destinations.adapters.base import Step, StepFailed, StepStatus, run_step
from destinations.adapters.http_check import resolved
from destinations.adapters.least_rights import least_rights_step
from destinations.adapters.sqs_config import SqsConfig
from destinations.adapters.sqs_errors import DENIED
from destinations.adapters.sqs_link import QueueLink
from destinations.adapters.sqs_message import NO_USER, Entry, healthcheck_body
from destinations.adapters.sqs_staging import Stage
from destinations.adapters.testing import test_message
from destinations.egress import EgressPolicy

_CONNECT_CODES = {
    "connect_failed", "connect_timeout", "connection_closed", "deadline", "dns_failed", "egress_refused", "timeout",
}  # fmt: skip
_AGREE = "Turn on check_sends, and a check sends one healthcheck that says that it is a test."
_IN_CLEAR = "Use https://, unless the server is on the hub's own network."
_WARNING = StepStatus.WARNING
_ENOUGH = "sqs:SendMessage and sqs:GetQueueUrl on this queue: the set-up has the policy"
_CANNOT_LOOK = "Allow sqs:GetQueueUrl on {arn}, as the set-up text has it."


def check_steps(link: QueueLink, stage: Stage | None, config: SqsConfig, policy: EgressPolicy) -> Iterator[Step]:
    """Yield each step; stop after one that failed."""
    check = _Check(link, stage, config, policy)
    for name, action in check.steps():
        step = run_step(name, action)
        yield step
        if step.status is StepStatus.FAILED:
            return
        if name == "queue":
            yield from least_rights_step(check.more_than_needed, "The key", _ENOUGH)


class _Check:
    """What one step learns and a later one needs: the queue is asked for once."""

    def __init__(self, link: QueueLink, stage: Stage | None, config: SqsConfig, policy: EgressPolicy) -> None:
        self._link, self._stage, self._config, self._policy = link, stage, config, policy
        self._failure: Failure | None = None
        self._url = ""

    def steps(self) -> Iterator[tuple[str, Callable[[], str]]]:
        """Yield names and actions; what does not apply to the set-up is left out."""
        if self._link.problem():
            yield "authenticate", self.set_up
            return
        yield from (("resolve", self.resolve), ("connect", self.connect), ("TLS", self.tls))
        yield "authenticate", self.authenticate
        if self._config.auth == ROLE:
            yield "external id", lambda: trust_is_narrow(self._link.access)
        yield "queue", self.queue
        if self._stage:
            yield "bucket", self.bucket
        yield "send", self.send

    def set_up(self) -> str:
        """Say what is missing before anybody is asked."""
        if problem := self._link.problem():
            raise problem.step()
        return ""

    def resolve(self) -> str:
        """Look the endpoint's name up, and judge its addresses."""
        return resolved(self._link.client.meta.endpoint_url, self._policy)

    def connect(self) -> str:
        """Ask for the queue, and keep what failed after the connection stood for the step that it belongs to."""
        try:
            self._url = self._link.asked_url()
        except Exception as error:  # botocore's, urllib3's and the guard's: each has its line in a table
            self._failure = self._link.failure(error)
        self._raise_if(lambda code: code in _CONNECT_CODES)
        return "The endpoint answers."

    def tls(self) -> str:
        """Tell whether the connection is encrypted, and the server proven."""
        self._raise_if(lambda code: code == "tls_failed")
        if str(self._link.client.meta.endpoint_url).startswith("http://"):
            raise StepFailed("The endpoint is http://: links to health data go out in clear.", _IN_CLEAR, _WARNING)
        return "The certificate is right for the host."

    def authenticate(self) -> str:
        """Tell whether the key, or the role, is taken."""
        self._raise_if(is_about_signing_in)
        return "The role lets the hub in." if self._config.auth == ROLE else "The access key is taken."

    def queue(self) -> str:
        """Tell whether the queue is there, and what it is."""
        if self._failure and self._failure.code == DENIED and self._link.queue.url:
            detail = "The queue was not looked up: sqs:GetQueueUrl is not allowed."
            raise StepFailed(detail, _CANNOT_LOOK.format(arn=self._link.arn), _WARNING)
        self._raise_if(lambda code: True)
        if problem := self._link.url_problem(self._url):
            raise problem.step()
        limit = self._link.asked_limit(self._url)
        kind = "FIFO" if self._link.queue.is_fifo else "standard"
        takes = f"messages of up to {limit:,} bytes" if limit else "messages of a size that may not be looked up"
        return f"{self._link.queue.name} is a {kind} queue and takes {takes}."

    def more_than_needed(self) -> list[str]:
        """Return what the key may do beside sending, as far as looking tells."""
        with suppress(Exception):  # botocore's, urllib3's and the guard's: that it did not work is all that is asked
            self._link.client.list_queues(MaxResults=1)
            return ["list the account's queues (sqs:ListQueues)"]
        return []

    def bucket(self) -> str:
        """Tell whether payloads may be put into the bucket; nothing is put."""
        if self._stage and (failure := self._stage.try_put()):
            raise failure.step()
        return f"{self._config.s3_bucket} may be written to."

    def send(self) -> str:
        """Send a test event, where the operator agreed to find one in the queue."""
        if not self._config.check_sends:
            detail = "Not tried: a message that was sent cannot be taken back."
            raise StepFailed(detail, _AGREE, StepStatus.SKIPPED)
        if problem := self._link.open():
            raise problem.step()
        message = test_message()
        group = NO_USER if self._link.queue.is_fifo else ""
        for _, outcome in self._link.send([Entry(0, message.event_id, healthcheck_body(message), group)]):
            if isinstance(outcome, Failure):
                raise outcome.step()
        return "A healthcheck that says that it is a test is in the queue."

    def _raise_if(self, belongs: Callable[[str], bool]) -> None:
        if self._failure and belongs(self._failure.code):
            raise self._failure.step()
