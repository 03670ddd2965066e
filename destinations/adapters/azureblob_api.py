"""The requests to Azure Blob Storage that the hub makes, how they are signed, and how their answers are read.

https://learn.microsoft.com/rest/api/storageservices/put-blob and its neighbours; SharedKey:
https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key
"""

import base64
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import formatdate
from hashlib import md5, sha256
from urllib.parse import quote, urlencode, urlsplit

from destinations.adapters.azureblob_config import (
    SAS_TOKEN,
    AzureBlobConfig,
    AzureBlobCredentials,
    place_of,
)
from destinations.adapters.azureblob_secrets import key_bytes
from destinations.adapters.object_writes import ABSENT, Found
from destinations.adapters.objects import CONTENT_TYPE
from destinations.http import HttpRequest, HttpResponse

# Of the REST API. Since 2019-12-12 one Put Blob takes 5,000 MiB.
VERSION = "2021-12-02"
_META = "x-ms-meta-"
# What the string to sign has of a request, in its order, before the x-ms- headers and the resource.
_SIGNED = (
    "content-encoding", "content-language", "content-length", "content-md5", "content-type", "date",
    "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Signed:
    """A request, and what it was signed with, which no text may show."""

    request: HttpRequest
    secret: str


class Container:
    """Makes the signed requests for one container."""

    def __init__(self, config: AzureBlobConfig, credentials: AzureBlobCredentials, timeout_s: float) -> None:
        """Give each request ``timeout_s`` seconds."""
        self._config, self._timeout_s = config, timeout_s
        self.url = place_of(config)
        self._path = urlsplit(self.url).path
        self._token = credentials.sas_token if config.auth == SAS_TOKEN else ""
        self._key = b"" if config.auth == SAS_TOKEN else key_bytes(credentials.account_key)

    @property
    def usable(self) -> bool:
        """Tell whether there is something to sign with."""
        return bool(self._token or self._key)

    def write(self, key: str, metadata: Mapping[str, str], body: bytes, version: str) -> Signed:
        """Write a blob with its metadata, if its ETag that is there is ``version`` (``ABSENT``: if none is there)."""
        headers = {
            "content-length": str(len(body)),
            # Azure compares it with what arrived, and stores nothing where they differ.
            "content-md5": base64.b64encode(md5(body, usedforsecurity=False).digest()).decode(),
            "content-type": CONTENT_TYPE,
            "x-ms-blob-type": "BlockBlob",
            **({"if-none-match": "*"} if version == ABSENT else {"if-match": version}),
            **{_META + _identifier(name): text for name, text in metadata.items()},
        }
        return self._signed("PUT", key, headers, body)

    def look(self, key: str) -> Signed:
        """Ask for a blob's ETag and metadata."""
        return self._signed("HEAD", key)

    def read(self, key: str) -> Signed:
        """Ask for a blob's bytes."""
        return self._signed("GET", key)

    def delete(self, key: str) -> Signed:
        """Delete a blob."""
        return self._signed("DELETE", key)

    def list(self, start: str, delimiter: str, marker: str) -> Signed:
        """Ask for a page of the names that begin with ``start``; ``marker`` is the next one of a page before.

        With a delimiter, names that go on behind it are listed once, as a prefix. A page is so small that its
        answer is kept whole.
        """
        query = {
            "comp": "list", "delimiter": delimiter, "marker": marker, "maxresults": "40", "prefix": start,
            "restype": "container",
        }  # fmt: skip
        return self._signed("GET", "", query={name: text for name, text in query.items() if text})

    def _signed(
        self,
        method: str,
        key: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Signed:
        name, asked = (f"/{quote(key)}" if key else ""), urlencode(query or {}, quote_via=quote)
        own = {**(headers or {}), "x-ms-version": VERSION}
        if self._token:
            return Signed(self._request(method, f"{name}?{asked}{'&' if asked else ''}{self._token}", own, body), "")
        own["x-ms-date"] = formatdate(usegmt=True)
        lines = [f"/{self._config.account}{self._path}{name}"]
        lines += [f"{parameter}:{text}" for parameter, text in sorted((query or {}).items())]
        text = string_to_sign(method, own, "\n".join(lines))
        signature = base64.b64encode(hmac.digest(self._key, text.encode(), sha256)).decode()
        own["authorization"] = f"SharedKey {self._config.account}:{signature}"
        return Signed(self._request(method, f"{name}?{asked}" if asked else name, own, body), signature)

    def _request(self, method: str, rest: str, headers: Mapping[str, str], body: bytes | None) -> HttpRequest:
        # libcurl knows the length of a body, and says it itself.
        lines = [f"{name}: {text}" for name, text in headers.items() if name != "content-length"]
        return HttpRequest(method, f"{self.url}{rest}", lines, body, self._timeout_s, self._config.ca_certificate)


def string_to_sign(method: str, headers: Mapping[str, str], resource: str) -> str:
    """Return the text whose HMAC is a request's signature; ``headers`` have names in lower case.

    ``resource`` is a slash, the account and the path of the URL; under it, a line for each parameter of the
    query, sorted. The order of the hub's own x-ms- headers is the same in every collation.
    """
    named = {name: "" if name == "content-length" and text == "0" else text for name, text in headers.items()}
    lines = [method, *(named.get(name, "") for name in _SIGNED)]
    lines += [f"{name}:{text}" for name, text in sorted(named.items()) if name.startswith("x-ms-")]
    return "\n".join([*lines, resource])


def _identifier(name: str) -> str:
    """Return the name of a metadatum as Azure takes it, which must be a C# identifier: hyphens become underscores."""
    return name.replace("-", "_")


def found_in(answer: HttpResponse) -> Found | None:
    """Read what ``look`` or ``write`` was answered; ``None`` where it names no version of a blob."""
    headers = answer.headers
    if not headers.get("etag") or "x-ms-request-id" not in headers:
        return None
    metadata = {
        name.removeprefix(_META).replace("_", "-"): text for name, text in headers.items() if name.startswith(_META)
    }
    return Found(headers["etag"], metadata)
