"""The way to one bucket, for many threads: writes one event within the time for a try."""

from time import monotonic
from typing import Any

from destinations import terra
from destinations.adapters.aws import AwsAccess
from destinations.adapters.aws_errors import Failure
from destinations.adapters.base import Adapter, Message, Outcome, Result
from destinations.adapters.objects import EventObject, object_of, superseded
from destinations.adapters.s3_client import bucket_client
from destinations.adapters.s3_config import S3Config, S3Credentials, arn_of, statements_of
from destinations.adapters.s3_errors import s3_failure
from destinations.adapters.s3_write import Writer, Written
from destinations.scrubbing import Scrubber


class Link:
    """The way to one bucket: made on first use, and used by many threads."""

    def __init__(self, adapter: Adapter[S3Config, S3Credentials]) -> None:
        """Send nothing yet."""
        self.config, self.policy, self.limits = adapter.config, adapter.policy, adapter.limits
        self.access = AwsAccess(
            adapter.config,
            adapter.credentials,
            adapter.identity,
            adapter.policy,
            region=adapter.config.region,
            statements=statements_of(adapter.config),
            timeout_s=adapter.limits.timeout_s,
            connections=adapter.limits.concurrency,
            ca_pem=adapter.config.ca_certificate,
        )
        self.client: Any = None
        self._writer: Writer | None = None
        self._clean = Scrubber(self.access.secrets).text
        self.arn = arn_of(adapter.config, "*")
        self._names = {"bucket": adapter.config.bucket, "arn": self.arn, **self.access.names}

    def prepare(self) -> Writer:
        """Return the writer, and make the client where there is none; call ``access.problem`` before."""
        if self._writer is None:
            self.client = bucket_client(self.access, self.config.endpoint_url, self.config.addressing_style)
            self._writer = Writer(self.client, self.config)
        return self._writer

    def deliver(self, message: Message) -> Result:
        """Write one event within the time for a try."""
        from destinations.adapters.aws_guard import within

        started = monotonic()
        try:
            item = object_of(message, self.config.prefix)
        except terra.InvalidPayload as invalid:
            return Result(Outcome.REJECTED, "unprocessable", str(invalid))
        about = {"request": {"bucket": self.config.bucket, "key": item.key, "bytes": len(message.body)}}
        try:
            with within(self.limits.timeout_s):
                written = self.prepare().put(item, message.body)
        except Exception as error:
            return self.failure(error).result(duration_ms=_since(started), **about)
        return _delivered(written, item, duration_ms=_since(started), **about)

    def failure(self, error: Exception) -> Failure:
        """Return what an error means, in words without secrets."""
        return s3_failure(error, self._names, self._clean)

    def close(self) -> None:
        """Close the connections."""
        self.access.close()
        self.client = self._writer = None


def _delivered(written: Written, item: EventObject, **about: Any) -> Result:
    if written.kept is None:
        return Result(Outcome.DELIVERED, response={"etag": written.etag}, **about)
    return superseded(written.kept, **about)


def _since(started: float) -> int:
    return round((monotonic() - started) * 1000)
