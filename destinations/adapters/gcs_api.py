"""The requests of the Cloud Storage JSON API that the hub makes, and how their answers are read.

https://cloud.google.com/storage/docs/json_api/v1; preconditions:
https://cloud.google.com/storage/docs/request-preconditions
"""

import base64
import json
import secrets
from collections.abc import Mapping, Sequence
from hashlib import md5
from typing import Any
from urllib.parse import quote, urlencode

from destinations.adapters.object_writes import Found
from destinations.adapters.objects import CONTENT_TYPE
from destinations.http import HttpRequest, HttpResponse

# What no writer needs: whoever has the key could take the bucket away, or let others in.
TOO_MANY = {
    "storage.buckets.delete": "delete the bucket",
    "storage.buckets.update": "change the bucket",
    "storage.buckets.setIamPolicy": "say who may use the bucket",
}
# The rights that writing needs: an overwrite is a deletion and a creation.
PERMISSIONS = ("storage.objects.create", "storage.objects.get", "storage.objects.delete")


class Bucket:
    """Makes requests for one bucket. ``bearer`` is the access token."""

    def __init__(self, api: str, name: str, timeout_s: float) -> None:
        """Speak to the API at ``api``, a URL without a path."""
        self._api, self._name, self.timeout_s = api.rstrip("/"), quote(name, safe=""), timeout_s
        # So long a random text stands in no body, unless somebody puts it there who can read this process.
        boundary = f"hub-{secrets.token_hex(16)}"
        self._type = f"Content-Type: multipart/related; boundary={boundary}"
        self._before = f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n".encode()
        self._between = f"\r\n--{boundary}\r\nContent-Type: {CONTENT_TYPE}\r\n\r\n".encode()
        self._after = f"\r\n--{boundary}--\r\n".encode()

    def upload(self, bearer: str, key: str, metadata: Mapping[str, str], body: bytes, generation: str) -> HttpRequest:
        """Write an object with its metadata, if ``generation`` of it is the one that is there (``ABSENT``: none)."""
        resource = {
            "name": key,
            "contentType": CONTENT_TYPE,
            "metadata": dict(metadata),
            # Google compares it with what arrived, and stores nothing where they differ.
            "md5Hash": base64.b64encode(md5(body, usedforsecurity=False).digest()).decode(),
        }
        parts = (self._before, json.dumps(resource).encode(), self._between, body, self._after)
        query = {"uploadType": "multipart", "ifGenerationMatch": generation or "0", "fields": "generation"}
        url = f"{self._api}/upload/storage/v1/b/{self._name}/o?{urlencode(query)}"
        return self._request("POST", url, bearer, [self._type], b"".join(parts))

    def look(self, bearer: str, key: str) -> HttpRequest:
        """Ask for an object's generation and metadata."""
        return self._request("GET", f"{self._object(key)}?fields=generation,metadata", bearer)

    def read(self, bearer: str, key: str) -> HttpRequest:
        """Ask for an object's bytes."""
        return self._request("GET", f"{self._object(key)}?alt=media", bearer)

    def delete(self, bearer: str, key: str, generation: str) -> HttpRequest:
        """Delete one generation of an object for good, also in a bucket with versions; ``ABSENT``: the live one."""
        which = f"?generation={generation}" if generation else ""
        return self._request("DELETE", f"{self._object(key)}{which}", bearer)

    def list(self, bearer: str, start: str, further: str, delimiter: str) -> HttpRequest:
        """Ask for a page of the names that begin with ``start``; ``further`` is the token of a page before.

        With a delimiter, what follows it is left out, and each beginning is listed once, as a prefix. A page is so
        small that its answer is kept whole.
        """
        query = {
            "prefix": start, "pageToken": further, "delimiter": delimiter, "maxResults": "50",
            "fields": "items/name,prefixes,nextPageToken",
        }  # fmt: skip
        given = urlencode({name: text for name, text in query.items() if text})
        return self._request("GET", f"{self._api}/storage/v1/b/{self._name}/o?{given}", bearer)

    def permissions(self, bearer: str) -> HttpRequest:
        """Ask which of ``PERMISSIONS`` and ``TOO_MANY`` the account has here; asking needs no right itself."""
        query = urlencode([("permissions", one) for one in (*PERMISSIONS, *TOO_MANY)])
        return self._request("GET", f"{self._api}/storage/v1/b/{self._name}/iam/testPermissions?{query}", bearer)

    def _object(self, key: str) -> str:
        return f"{self._api}/storage/v1/b/{self._name}/o/{quote(key, safe='')}"

    def _request(
        self, method: str, url: str, bearer: str, headers: Sequence[str] = (), body: bytes | None = None
    ) -> HttpRequest:
        return HttpRequest(method, url, [*headers, f"Authorization: Bearer {bearer}"], body, self.timeout_s)


def json_of(answer: HttpResponse) -> Mapping[str, Any]:
    """Return the JSON object that an answer holds; an empty one where it holds something else."""
    try:
        value = json.loads(answer.body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def stored_in(answer: HttpResponse) -> Found | None:
    """Read what ``upload`` or ``look`` was answered; ``None`` where it is no object of the API."""
    value = json_of(answer)
    generation, metadata = value.get("generation"), value.get("metadata") or {}
    if not (isinstance(generation, str) and generation.isascii() and generation.isdigit()):
        return None
    texts = (
        {name: text for name, text in metadata.items() if isinstance(text, str)} if isinstance(metadata, dict) else {}
    )
    return Found(generation, texts)
