"""Payloads in a bucket of Amazon S3, or of a store that speaks S3. django-storages' backend does the work.

https://django-storages.readthedocs.io/en/latest/backends/amazon-S3.html
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any, cast

from boto3.exceptions import Boto3Error
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError, NoCredentialsError
from botocore.exceptions import ConnectionError as Unconnected
from django.core.files.base import ContentFile, File
from storages.backends.s3 import S3Storage
from storages.utils import clean_name

from webhooks.keeping.stores.base import (
    CONNECT_SECONDS,
    PROBE_NAME,
    READ_SECONDS,
    TRIES,
    Names,
    StoreFailed,
    event_of,
)

CONNECTIONS = 64  # kept open per process: as many as the server has threads
_LARGEST_PUT = 5 * 1024**3  # of one request, by S3's limits

_HINTS = {
    "AccessDenied": "Allow s3:PutObject, s3:GetObject and s3:DeleteObject on the bucket's objects, "
    "and s3:ListBucket on the bucket.",
    "NoSuchBucket": "Make the bucket, or correct PAYLOAD_S3_BUCKET.",
    "InvalidAccessKeyId": "Correct PAYLOAD_S3_ACCESS_KEY_ID.",
    "SignatureDoesNotMatch": "Correct PAYLOAD_S3_SECRET_ACCESS_KEY.",
    "AuthorizationHeaderMalformed": "Correct PAYLOAD_S3_REGION.",
    "PermanentRedirect": "Correct PAYLOAD_S3_REGION.",
    "RequestTimeTooSkewed": "Set this host's clock.",
}


class S3PayloadStore(S3Storage):
    """django-storages' S3Storage with one client for all threads, bounded waits, and reads in one request."""

    bucket_name: str
    location: str
    endpoint_url: str | None

    def __init__(self, **options: Any) -> None:
        """Take django-storages' options; the client's own configuration is set here."""
        config = _client_config(options.get("endpoint_url"))
        # One request for each body: it is there as a whole, or not at all.
        transfer = TransferConfig(use_threads=False, multipart_threshold=_LARGEST_PUT)
        super().__init__(client_config=config, transfer_config=transfer, file_overwrite=True, **options)
        self._shared: Any = None
        self._lock = threading.Lock()

    @property
    def connection(self) -> Any:
        """Return the one connection of this process; only its client is used, which threads may share.

        django-storages makes one per thread, at 100 ms and 12 MB each.
        """
        with self._lock:
            if self._shared is None:
                self._shared = super().connection
        return self._shared

    def _save(self, name: str, content: "File[Any]") -> str:
        with _as_os_errors():
            return str(super()._save(name, content))

    def _open(self, name: str, mode: str = "rb") -> "File[bytes]":
        """Ask for the object once and read it as it comes; django-storages asks three times and holds all of it."""
        key = self._normalize_name(clean_name(name))
        with _as_os_errors():
            held = self.connection.meta.client.get_object(Bucket=self.bucket_name, Key=key)
        return File(cast("IO[bytes]", _Body(held["Body"])), name)

    def delete(self, name: str) -> None:
        """Delete an object."""
        with _as_os_errors():
            super().delete(name)

    def names(self, after: str, most: int) -> Names:
        """List what comes next under the prefix."""
        prefix = f"{self.location}/" if self.location else ""
        asked = {"Bucket": self.bucket_name, "Prefix": prefix, "MaxKeys": most}
        if after:
            asked["StartAfter"] = prefix + after
        with _as_os_errors():
            found = self.connection.meta.client.list_objects_v2(**asked)
        keys = [item["Key"].removeprefix(prefix) for item in found.get("Contents", [])]
        return Names([key for key in keys if event_of(key)], keys[-1] if keys else after, not found["IsTruncated"])

    def place(self) -> str:
        """Return the bucket's URL, and the endpoint where it is not Amazon's."""
        at = f" at {self.endpoint_url}" if self.endpoint_url else ""
        return f"s3://{'/'.join(filter(None, [self.bucket_name, self.location]))}{at}"

    def probe(self) -> None:
        """Overwrite one small object."""
        self.save(PROBE_NAME, ContentFile(b"The hub can write here."))

    def fresh_link(self, name: str, lifetime_s: int) -> str:
        """Return a presigned URL."""
        with _as_os_errors():
            return str(self.url(name, expire=lifetime_s))


class _Body:
    """The bytes of an object as they come."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        with _as_os_errors():
            return bytes(self._stream.read(size if size >= 0 else None))

    def close(self) -> None:
        self._stream.close()


def _client_config(endpoint: str | None) -> Config:
    """Return what the client is told.

    Stores other than Amazon's often know neither buckets as host names nor the checksums that boto3 adds unasked.
    """
    checksums = "when_required" if endpoint else "when_supported"
    return Config(
        signature_version="s3v4",
        s3={"addressing_style": "path" if endpoint else "auto"},
        request_checksum_calculation=checksums,
        response_checksum_validation=checksums,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": TRIES, "mode": "standard"},
        max_pool_connections=CONNECTIONS,
    )


@contextmanager
def _as_os_errors() -> Iterator[None]:
    """Turn what boto3 raises, none of which is an ``OSError``, into what a payload store raises."""
    try:
        yield
    except ClientError as error:
        raise _of_answer(error.response) from error
    except NoCredentialsError as error:
        hint = "Set PAYLOAD_S3_ACCESS_KEY_ID and PAYLOAD_S3_SECRET_ACCESS_KEY, or give this host a role."
        raise StoreFailed(f"The hub has no credentials for S3. {hint}") from error
    except (Unconnected, HTTPClientError) as error:
        words = f"S3 cannot be reached ({type(error).__name__}). Look at PAYLOAD_S3_ENDPOINT and the network."
        raise StoreFailed(words, unreachable=True) from error
    except (BotoCoreError, Boto3Error) as error:
        raise StoreFailed(f"S3 failed ({type(error).__name__}).") from error


def _of_answer(response: Any) -> OSError:
    code, message = response["Error"].get("Code", ""), response["Error"].get("Message", "")
    if code == "NoSuchKey":
        return FileNotFoundError("S3 has no such object.")
    words = f"S3 answered {code}: {str(message)[:300].rstrip('.')}."
    return StoreFailed(" ".join(filter(None, [words, _HINTS.get(code, "")])))
