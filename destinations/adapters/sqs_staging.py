"""Payloads in the user's own bucket: put there under their event's key, and linked to by a presigned URL."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from destinations import terra
from destinations.adapters.aws import AwsAccess, AwsCredentials
from destinations.adapters.aws_errors import BadAnswer, Failure
from destinations.adapters.base import Effect, Limits, Message, Outcome
from destinations.adapters.objects import CONTENT_TYPE, check_key, clean_prefix, object_of
from destinations.adapters.s3_client import bucket_client
from destinations.adapters.s3_errors import s3_failure
from destinations.adapters.sqs_config import SqsConfig, bucket_region_of, bucket_statement
from destinations.egress import EgressPolicy
from destinations.identity import HubIdentity
from destinations.scrubbing import Scrubber

# Where S3 destinations have the same fields under other names.
_RIGHTS = (
    "Allow s3:PutObject and s3:GetObject on {arn}, as the set-up text has it; or the bucket does not exist: "
    "check s3_bucket."
)
_HINTS = {
    "bad_response": "Check s3_endpoint_url: something else than an S3 store answers there.",
    "AccessDenied": _RIGHTS,
    "http_403": _RIGHTS,
    "NoSuchBucket": "Check s3_bucket and s3_region, or make the bucket.",
    "PermanentRedirect": "Set s3_region to the bucket's own.",
    "AuthorizationHeaderMalformed": "Set s3_region to the bucket's own.",
    "http_301": "Set s3_region to the bucket's own.",
}
_BODY = b"{}"
_OTHER_DIGEST = base64.b64encode(hashlib.md5(b"another body", usedforsecurity=False).digest()).decode()
_DIGEST_REFUSED = ("BadDigest", "InvalidDigest")


class Stage:
    """Puts payloads into the bucket. Many threads may use it at once."""

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
        statement = bucket_statement(config)
        self._access = AwsAccess(
            config,
            credentials,
            identity,
            policy,
            region=bucket_region_of(config),
            statements=[statement],
            timeout_s=limits.timeout_s,
            connections=limits.concurrency,
            ca_pem=config.ca_certificate,
        )
        self._names = {"bucket": config.s3_bucket, "arn": statement["Resource"], **self._access.names}
        self._clean: Callable[[str], str] = Scrubber(self._access.secrets).text
        self._client: Any = None

    def open(self) -> None:
        """Make the client, before threads share it."""
        if self._client is None:
            self._client = bucket_client(self._access, self._config.s3_endpoint_url)

    def url_of(self, message: Message) -> str | Failure:
        """Put the payload of an event, and return a URL that opens it for ``expires_in`` seconds.

        The key is that of buckets, in a folder that the event's id names: a later event of the same
        key must not change what an earlier message leads to.
        """
        try:
            made = object_of(message, "/".join(filter(None, (clean_prefix(self._config.s3_prefix), message.event_id))))
        except terra.InvalidPayload as invalid:
            return Failure("unprocessable", str(invalid), outcome=Outcome.REJECTED, effect=Effect.NONE)
        try:
            self.put(made.key, message.body, made.metadata)
            return self.link_to(made.key)
        except Exception as error:  # botocore's, urllib3's and the guard's: each has its line in a table
            return self.failure(error)

    def put(self, key: str, body: bytes, metadata: Mapping[str, str], **about: str) -> None:
        """Put an object; raise botocore's errors. ``about`` is for more of the request's parameters."""
        answer = self._client.put_object(
            Bucket=self._config.s3_bucket, Key=key, Body=body, ContentType=CONTENT_TYPE, Metadata=metadata, **about
        )
        if not answer.get("ETag"):
            raise BadAnswer

    def try_put(self) -> Failure | None:
        """Return why nothing could be put, without putting anything: the digest is another body's.

        Whether the bucket is there and the right is given is judged first; then the body is refused.
        """
        self.open()
        try:
            self.put(check_key(self._config.s3_prefix), _BODY, {}, ContentMD5=_OTHER_DIGEST)
        except Exception as error:  # as in ``url_of``
            failure = self.failure(error)
            return None if failure.code in _DIGEST_REFUSED else failure
        return None

    def link_to(self, key: str) -> str:
        """Return a presigned URL of an object."""
        parameters = {"Bucket": self._config.s3_bucket, "Key": key}
        return str(
            self._client.generate_presigned_url("get_object", Params=parameters, ExpiresIn=self._config.expires_in)
        )

    def failure(self, error: Exception) -> Failure:
        """Return what an error means."""
        failure = s3_failure(error, self._names, self._clean)
        hint = _HINTS.get(failure.code, failure.hint)
        return replace(failure, hint=hint.format_map(self._names))

    def close(self) -> None:
        """Close the connections."""
        self._client = None
        self._access.close()
