"""What an operator calls a queue: its URL, its ARN, or account id and name.

Forms: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-queue-message-identifiers.html
and https://docs.aws.amazon.com/general/latest/gr/sqs-service.html (hosts, also the older ones).
"""

import re
from dataclasses import dataclass

from destinations.adapters.aws import partition_of
from destinations.hosts import EgressRefused, parse_url

REGION = r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}"
ACCOUNT = r"[0-9]{12}"
NAME = r"(?=.{1,80}$)[A-Za-z0-9_-]+(\.fifo)?"
EXAMPLES = "https://sqs.eu-west-1.amazonaws.com/123456789012/name, an ARN, or 123456789012/name"

_ARN = re.compile(rf"arn:aws[a-z-]*:sqs:(?P<region>{REGION}):(?P<account>{ACCOUNT}):(?P<name>{NAME})")
_PAIR = re.compile(rf"(?P<account>{ACCOUNT})/(?P<name>{NAME})")
_PATH = re.compile(rf"(/[^/?]+)*/(?P<account>[^/?]+)/(?P<name>{NAME})")
_AWS_HOST = re.compile(
    rf"(sqs|sqs-fips)\.(?P<region>{REGION})\.(amazonaws\.com(\.cn)?|api\.aws|api\.amazonwebservices\.com\.cn)"
    rf"|((?P<older>{REGION})\.)?queue\.amazonaws\.com(\.cn)?"
)
_OLDEST_REGION = "us-east-1"  # of queue.amazonaws.com


class UnknownQueue(ValueError):
    """A text that names no queue; the message says what to write."""


@dataclass(frozen=True, slots=True)
class QueueName:
    """A queue, as far as its name tells."""

    account: str
    name: str
    region: str = ""  # empty where the name does not say
    url: str = ""  # where a URL was given
    authority: str = ""  # the URL's host and port, where they are not those of AWS

    @property
    def is_fifo(self) -> bool:
        """Tell whether messages need a group and are deduplicated."""
        return self.name.endswith(".fifo")

    def arn(self, region: str) -> str:
        """Return the ARN, as IAM policies write it; ``region`` counts where the name does not say."""
        there = self.region or region
        return f"arn:{partition_of(there)}:sqs:{there}:{self.account}:{self.name}"


def read_queue(text: str) -> QueueName:
    """Return what ``text`` names; raise ``UnknownQueue``."""
    if "://" in text:
        return _of_url(text)
    if match := _ARN.fullmatch(text):
        return QueueName(match["account"], match["name"], match["region"])
    if match := _PAIR.fullmatch(text):
        return QueueName(match["account"], match["name"])
    raise UnknownQueue(f"Does not name a queue: write {EXAMPLES}.")


def aws_region(host: str) -> str:
    """Return the region of one of AWS's own hosts for SQS; empty for any other host."""
    match = _AWS_HOST.fullmatch(host)
    return (match["region"] or match["older"] or _OLDEST_REGION) if match else ""


def _of_url(text: str) -> QueueName:
    try:
        endpoint = parse_url(text)
    except EgressRefused as refused:
        raise UnknownQueue(f"{refused.detail} {refused.hint}".strip()) from refused
    path = _PATH.fullmatch(endpoint.path)
    if not path:
        raise UnknownQueue(f"The URL names no queue: write {EXAMPLES}.")
    region = aws_region(endpoint.host)
    if region and endpoint.scheme != "https":
        raise UnknownQueue("Write the URL with https://.")
    authority = "" if region else endpoint.authority
    return QueueName(path["account"], path["name"], region, endpoint.url, authority)
