"""What an SQS destination is set up with, and what is wrong with a set-up."""

from collections.abc import Iterator
from dataclasses import dataclass

from destinations.adapters.aws import (
    REGION_PATTERN,
    ROLE,
    AwsConfig,
    Statement,
    config_problems,
    endpoint_problem,
    partition_of,
)
from destinations.adapters.objects import MAX_PREFIX, PREFIX_LETTERS, PREFIX_PATTERN, clean_prefix, prefix_problem
from destinations.adapters.s3_client import BUCKET_PATTERN, bucket_problem
from destinations.adapters.sqs_queue import EXAMPLES, QueueName, UnknownQueue, read_queue
from destinations.hosts import EgressRefused, parse_url
from destinations.pem import EXAMPLE, MALFORMED, is_pem
from destinations.specs import option

DEFAULT_LIFETIME_S = 600
# SigV4 takes presigned URLs for a week at most. Those that a role signed end with its session,
# which botocore renews when it has 10 minutes left.
LONGEST_LIFETIME_S = 7 * 24 * 3600
LONGEST_OF_A_ROLE_S = 600


@dataclass(frozen=True, slots=True, kw_only=True)
class SqsConfig(AwsConfig):
    """Which queue, and where payloads wait for those who read it."""

    queue: str = option(
        "Queue",
        placeholder="https://sqs.eu-west-1.amazonaws.com/123456789012/terra",
        stand_in="arn:aws:sqs:eu-west-1:123456789012:YOUR_QUEUE",
        help=f"Write {EXAMPLES}. A name that ends in .fifo is a FIFO queue.",
    )
    region: str = option(
        "Region",
        default="",
        pattern=REGION_PATTERN,
        placeholder="eu-west-1",
        help="Needed only where the queue's URL or ARN does not say it.",
    )
    expires_in: int = option(
        "Link lifetime",
        placeholder="600",
        default=DEFAULT_LIFETIME_S,
        minimum=60,
        maximum=LONGEST_LIFETIME_S,
        help="Seconds for which the link in a message opens. Read the queue faster, or raise it.",
    )
    s3_bucket: str = option(
        "Bucket for payloads",
        default="",
        pattern=BUCKET_PATTERN,
        expected="a bucket's name, not its ARN",
        placeholder="my-terra-payloads",
        help="Payloads are put there, and links lead there. Empty: links lead to the hub.",
    )
    s3_prefix: str = option(
        "Prefix in the bucket",
        default="",
        pattern=PREFIX_PATTERN,
        expected=PREFIX_LETTERS,
        placeholder="terra/staged",
        help="Stands in front of every key there.",
        max_length=MAX_PREFIX,
        advanced=True,
    )
    s3_region: str = option(
        "Region of the bucket",
        default="",
        pattern=REGION_PATTERN,
        placeholder="eu-west-1",
        help="Empty: the queue's region.",
        advanced=True,
    )
    check_sends: bool = option(
        "Checks send a message",
        default=False,
        help="A check then sends one healthcheck that says that it is a test. Else the right to send is not tried.",
    )
    endpoint_url: str = option(
        "Endpoint",
        default="",
        placeholder="https://sqs.example.com",
        help="For servers that speak the protocol of SQS. Empty: AWS.",
        advanced=True,
    )
    s3_endpoint_url: str = option(
        "Endpoint of the bucket",
        default="",
        placeholder="https://s3.example.com",
        help="For stores that speak the protocol of S3. Empty: AWS.",
        advanced=True,
    )
    ca_certificate: str = option(
        "CA certificate",
        default="",
        placeholder=EXAMPLE,
        help="PEM text of the CA that signed the endpoints' certificates. Empty: the public CAs.",
        multiline=True,
        advanced=True,
        max_length=100_000,
    )


def region_of(config: SqsConfig) -> str:
    """Return the queue's region; empty where nothing says it."""
    queue = queue_of(config)
    return (queue.region if queue else "") or config.region


def queue_of(config: SqsConfig) -> QueueName | None:
    """Return what ``queue`` names; ``None`` where it names nothing."""
    try:
        return read_queue(config.queue)
    except UnknownQueue:
        return None


def queue_statement(config: SqsConfig) -> Statement:
    """Return what the user or role has to be allowed at the queue."""
    queue = queue_of(config)
    resource = queue.arn(region_of(config)) if queue else "*"
    return {"Effect": "Allow", "Action": ["sqs:SendMessage", "sqs:GetQueueUrl"], "Resource": resource}


def bucket_statement(config: SqsConfig) -> Statement:
    """Return what the user or role has to be allowed at the bucket: to put payloads, and to sign links to them."""
    partition = partition_of(bucket_region_of(config))
    folder = "/".join(filter(None, (config.s3_bucket, clean_prefix(config.s3_prefix))))
    resource = f"arn:{partition}:s3:::{folder}/*"
    return {"Effect": "Allow", "Action": ["s3:PutObject", "s3:GetObject"], "Resource": resource}


def bucket_region_of(config: SqsConfig) -> str:
    """Return the bucket's region: its own, else the queue's."""
    return config.s3_region or region_of(config)


def problems(config: SqsConfig) -> Iterator[tuple[str, str]]:
    """Yield (field, what to change) for everything that is wrong with ``config``."""
    yield from config_problems(config).items()
    yield from _queue_problems(config)
    for field in ("endpoint_url", "s3_endpoint_url"):
        if problem := endpoint_problem(getattr(config, field)):
            yield field, problem
    if problem := bucket_problem(config.s3_bucket):
        yield "s3_bucket", problem
    if problem := prefix_problem(config.s3_prefix):
        yield "s3_prefix", problem
    if config.auth == ROLE and config.s3_bucket and config.expires_in > LONGEST_OF_A_ROLE_S:
        limit = f"Must be at most {LONGEST_OF_A_ROLE_S}: links that a role signs end with its session."
        yield "expires_in", f"{limit} For a longer life use an access key, or the hub's own links (no bucket)."
    if config.ca_certificate.strip() and not is_pem(config.ca_certificate):
        yield "ca_certificate", MALFORMED


def _queue_problems(config: SqsConfig) -> Iterator[tuple[str, str]]:
    try:
        queue = read_queue(config.queue)
    except UnknownQueue as unknown:
        yield "queue", str(unknown)
        return
    if not (queue.region or config.region):
        yield "region", "Give the region: the queue does not say it."
    if queue.region and config.region not in ("", queue.region):
        yield "region", f"The queue is in {queue.region}. Write that, or leave the region empty."
    if queue.url and (problem := host_problem(queue, config.endpoint_url)):
        yield "queue", problem


def host_problem(queue: QueueName, endpoint_url: str) -> str:
    """Return why a queue's URL is not one of the endpoint; ``""`` where it is.

    Health data must not go to a host that only a queue's URL names.
    """
    if not endpoint_url:
        if not queue.authority:
            return ""
        return f"{queue.authority} is no host of SQS at AWS. For another server fill in endpoint_url."
    try:
        expected = parse_url(endpoint_url).authority
    except EgressRefused:
        return ""  # the endpoint has a message of its own
    here = queue.authority or parse_url(queue.url).authority
    return "" if here == expected else f"The queue's URL is at {here}, the endpoint at {expected}."
