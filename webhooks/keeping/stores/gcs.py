"""Payloads in a bucket of Google Cloud Storage. django-storages' backend does the work.

https://django-storages.readthedocs.io/en/latest/backends/gcloud.html
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import google.auth
from django.core.files.base import ContentFile, File
from google.api_core.exceptions import Forbidden, GoogleAPIError, NotFound, RetryError, Unauthorized
from google.auth.exceptions import DefaultCredentialsError, GoogleAuthError, TransportError
from google.cloud.storage import Client
from google.cloud.storage.exceptions import DataCorruption, InvalidResponse
from google.cloud.storage.retry import DEFAULT_RETRY
from google.oauth2 import service_account
from requests.exceptions import ConnectionError as Unconnected
from requests.exceptions import RequestException, Timeout
from storages.backends.gcloud import GoogleCloudStorage
from storages.utils import clean_name

from webhooks.keeping.stores.base import CONNECT_SECONDS, PROBE_NAME, READ_SECONDS, Names, StoreFailed, event_of

# https://developers.google.com/identity/protocols/oauth2/scopes#storage
OBJECTS = ["https://www.googleapis.com/auth/devstorage.read_write"]
SIGNING = ["https://www.googleapis.com/auth/cloud-platform"]  # by the IAM API, where the host's identity has no key
# Google's clients go on trying for two minutes unless told; a sender does not wait that long.
_WAITS: dict[str, Any] = {
    "timeout": (CONNECT_SECONDS, READ_SECONDS),
    "retry": DEFAULT_RETRY.with_timeout(CONNECT_SECONDS),
}
_ROLE = "Give the service account the role roles/storage.objectAdmin on the bucket."


class GcsPayloadStore(GoogleCloudStorage):
    """django-storages' GoogleCloudStorage with a key from the settings, bounded waits, and no look before a write."""

    bucket_name: str
    location: str
    service_account_key: str
    api_endpoint: str

    def get_default_settings(self) -> dict[str, Any]:
        """Return django-storages' options and two of the hub's own."""
        own = {"service_account_key": "", "api_endpoint": ""}
        return dict(super().get_default_settings()) | own

    def __init__(self, **options: Any) -> None:
        """Take django-storages' options. Without a key, links are signed by Google's IAM API."""
        super().__init__(iam_sign_blob=not options.get("service_account_key"), file_overwrite=True, **options)

    @property
    def client(self) -> Any:
        """Return the one client of this process."""
        if self._client is None:
            with _as_os_errors():
                self.credentials = self.credentials or self._own_credentials()
            endpoint = {"api_endpoint": self.api_endpoint} if self.api_endpoint else None
            self._client = Client(project=self.project_id, credentials=self.credentials, client_options=endpoint)
        return self._client

    def _own_credentials(self) -> Any:
        if not self.service_account_key:
            return google.auth.default(scopes=SIGNING)[0]
        try:
            key = json.loads(self.service_account_key)
            return service_account.Credentials.from_service_account_info(key, scopes=OBJECTS)
        except ValueError as error:  # its text may hold parts of the key
            raise StoreFailed("PAYLOAD_GCS_KEY is not the JSON key of a service account.") from error

    def _save(self, name: str, content: "File[Any]") -> str:
        blob = self.bucket.blob(self._normalize_name(clean_name(name)))
        with _as_os_errors():
            blob.upload_from_file(
                content, rewind=True, size=content.size, content_type="application/json", checksum="crc32c", **_WAITS
            )
        return str(clean_name(name))

    def _open(self, name: str, mode: str = "rb") -> "File[bytes]":
        """Read an object in one request; its checksum is compared before the first byte is handed out."""
        blob = self.bucket.blob(self._normalize_name(clean_name(name)))
        with _as_os_errors():
            try:
                return ContentFile(blob.download_as_bytes(checksum="crc32c", **_WAITS), name)
            except NotFound:
                self._see_the_bucket(blob.name)
                raise FileNotFoundError("Google Cloud Storage has no such object.") from None

    def _see_the_bucket(self, key: str) -> None:
        """Raise ``NotFound`` where not only an object is missing: the answers about both look alike."""
        list(self.client.list_blobs(self.bucket_name, prefix=key, max_results=1, **_WAITS))

    def delete(self, name: str) -> None:
        """Delete an object."""
        with _as_os_errors():
            try:
                self.bucket.delete_blob(self._normalize_name(clean_name(name)), **_WAITS)
            except NotFound:
                return

    def names(self, after: str, most: int) -> Names:
        """List what comes next under the prefix."""
        prefix = f"{self.location}/" if self.location else ""
        begin = prefix + after if after else None
        with _as_os_errors():
            rows = self.client.list_blobs(
                self.bucket_name,
                prefix=prefix,
                start_offset=begin,
                max_results=most + 1,
                fields="items(name)",
                **_WAITS,
            )
            found = [row.name.removeprefix(prefix) for row in rows]
        names = [name for name in found if name != after]  # Google's listing begins with the offset itself
        return Names([name for name in names if event_of(name)], names[-1] if names else after, len(found) <= most)

    def place(self) -> str:
        """Return the bucket's URL, and the endpoint where it is not Google's."""
        at = f" at {self.api_endpoint}" if self.api_endpoint else ""
        return f"gs://{'/'.join(filter(None, [self.bucket_name, self.location]))}{at}"

    def probe(self) -> None:
        """Overwrite one small object."""
        self.save(PROBE_NAME, ContentFile(b"The hub can write here."))

    def fresh_link(self, name: str, lifetime_s: int) -> str:
        """Return a signed URL."""
        asked: dict[str, Any] = {"expiration": timedelta(seconds=lifetime_s)}
        if self.api_endpoint:
            asked["api_access_endpoint"] = self.api_endpoint
        with _as_os_errors():
            try:
                return str(self.url(name, parameters=asked))
            except AttributeError as error:  # Google's word for credentials that cannot sign
                hint = "Set PAYLOAD_GCS_KEY, or turn PAYLOAD_REDIRECT off."
                raise StoreFailed(f"The hub's credentials for Google Cloud cannot sign links. {hint}") from error


@contextmanager
def _as_os_errors() -> Iterator[None]:
    """Turn what Google's clients raise into what a payload store raises."""
    try:
        yield
    except (Unauthorized, Forbidden) as error:
        raise StoreFailed(f"Google Cloud Storage answered {error.code}. {_ROLE}") from error
    except NotFound as error:
        raise StoreFailed("Google Cloud Storage has no such bucket. Make it, or correct PAYLOAD_GCS_BUCKET.") from error
    except DefaultCredentialsError as error:
        hint = "Set PAYLOAD_GCS_KEY, or give this host a service account."
        raise StoreFailed(f"The hub has no credentials for Google Cloud. {hint}") from error
    except (GoogleAPIError, GoogleAuthError, RequestException, InvalidResponse, DataCorruption) as error:
        raise _of_failure(error.cause if isinstance(error, RetryError) else error) from error


def _of_failure(error: Exception | None) -> StoreFailed:
    if isinstance(error, (Unconnected, Timeout, TransportError)):
        words = f"Google Cloud Storage cannot be reached ({type(error).__name__}). Look at the network."
        return StoreFailed(words, unreachable=True)
    if isinstance(error, GoogleAuthError):
        return StoreFailed("Google does not take the hub's credentials. Look at PAYLOAD_GCS_KEY.")
    return StoreFailed(f"Google Cloud Storage failed ({type(error).__name__}).")
