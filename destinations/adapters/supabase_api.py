"""Requests to a project's Storage and to its Data API (PostgREST).

Storage: supabase.com/docs/guides/storage. PostgREST: docs.postgrest.org, *Tables and Views*, *Preferences*.
"""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from urllib.parse import quote, urlencode

from destinations.adapters.supabase_config import SECRET_KEY, SupabaseConfig, SupabaseCredentials
from destinations.hosts import EgressRefused, parse_url
from destinations.http import HttpRequest

_JSON = "Content-Type: application/json"
MERGE = "resolution=merge-duplicates,return=minimal"
IGNORE = "resolution=ignore-duplicates,return=minimal"
RETURN = "return=representation"


class Api:
    """Makes the requests of one project."""

    def __init__(self, config: SupabaseConfig, credentials: SupabaseCredentials, timeout_s: float) -> None:
        """Sign each request with the key; give each at most ``timeout_s`` seconds, which is the time of a whole try."""
        self.config, self.timeout_s = config, timeout_s
        self._base = base_url(config.project_url)
        self._headers = list(_authorization(credentials.api_key))
        self._bucket = quote(config.bucket, safe="")

    # --- Storage --------------------------------------------------------------------------------
    def object_url(self, key: str) -> str:
        """Return where an object can be read, with the project's key."""
        return f"{self._base}/storage/v1/object/authenticated/{self._bucket}/{_path(key)}"

    def create_object(self, key: str, body: bytes, metadata: Mapping[str, str]) -> HttpRequest:
        """Upload an object that is not there yet."""
        return self._upload("POST", key, body, metadata, "false")

    def replace_object(self, key: str, body: bytes, metadata: Mapping[str, str]) -> HttpRequest:
        """Upload an object whether or not it is there."""
        return self._upload("PUT", key, body, metadata, "true")

    def object_info(self, key: str) -> HttpRequest:
        """Ask for what is known of an object; ``metadata`` of the answer is what it was uploaded with."""
        return self._storage("GET", f"object/info/{self._bucket}/{_path(key)}")

    def read_object(self, key: str) -> HttpRequest:
        """Read an object."""
        return self._storage("GET", f"object/authenticated/{self._bucket}/{_path(key)}")

    def remove_object(self, key: str) -> HttpRequest:
        """Remove an object."""
        body = json.dumps({"prefixes": [key]}).encode()
        return self._storage("DELETE", f"object/{self._bucket}", [_JSON], body)

    def list_objects(self, folder: str, start: str, most: int, offset: int) -> HttpRequest:
        """List what lies directly in a folder, of what begins with ``start``; a folder in it has no id."""
        asked = {"prefix": folder, "search": start, "limit": most, "offset": offset}
        asked |= {"sortBy": {"column": "name", "order": "asc"}}
        return self._storage("POST", f"object/list/{self._bucket}", [_JSON], json.dumps(asked).encode())

    def bucket(self) -> HttpRequest:
        """Ask for what is known of the bucket."""
        return self._storage("GET", f"bucket/{self._bucket}")

    def _upload(self, method: str, key: str, body: bytes, metadata: Mapping[str, str], upsert: str) -> HttpRequest:
        # Storage keeps the JSON object of x-metadata, which is base64, as the object's user metadata.
        encoded = base64.b64encode(json.dumps(metadata).encode()).decode()
        headers = [_JSON, f"x-upsert: {upsert}", f"x-metadata: {encoded}"]
        return self._storage(method, f"object/{self._bucket}/{_path(key)}", headers, body)

    def _storage(self, method: str, path: str, headers: Iterable[str] = (), body: bytes | None = None) -> HttpRequest:
        return self._request(method, f"storage/v1/{path}", headers, body)

    # --- rows -----------------------------------------------------------------------------------
    def select(self, table: str, columns: Iterable[str], limit: int, *filters: tuple[str, str]) -> HttpRequest:
        """Ask for rows; a filter is a column with a condition such as ``eq.value``, or ``order``."""
        query = [("select", ",".join(columns)), *filters, ("limit", str(limit))]
        return self._rest("GET", table, query, [f"Accept-Profile: {self.config.schema}"])

    def insert(self, table: str, rows: Sequence[Mapping[str, Any]], key: str, prefer: str) -> HttpRequest:
        """Insert rows, which all have the same columns; ``prefer`` says what becomes of those whose key is there."""
        return self._rest("POST", table, [("on_conflict", key)], [f"Prefer: {prefer}"], rows)

    def update(
        self, table: str, values: Mapping[str, Any], filters: Iterable[tuple[str, str]], returned: str
    ) -> HttpRequest:
        """Set columns of the rows that match all ``filters``; the answer lists them by their column ``returned``."""
        return self._rest("PATCH", table, [("select", returned), *filters], [f"Prefer: {RETURN}"], values)

    def delete(self, table: str, *filters: tuple[str, str]) -> HttpRequest:
        """Delete the rows that match."""
        return self._rest("DELETE", table, filters, [f"Content-Profile: {self.config.schema}"])

    def _rest(
        self, method: str, table: str, query: Sequence[tuple[str, str]], headers: list[str], values: Any = None
    ) -> HttpRequest:
        body = None
        if values is not None:
            headers = [*headers, _JSON, f"Content-Profile: {self.config.schema}"]
            body = json.dumps(values, separators=(",", ":")).encode()
        return self._request(method, f"rest/v1/{table}?{urlencode(query, quote_via=quote)}", headers, body)

    def _request(self, method: str, path: str, headers: Iterable[str], body: bytes | None) -> HttpRequest:
        lines = [*self._headers, *headers]
        return HttpRequest(method, f"{self._base}/{path}", lines, body, self.timeout_s, self.config.ca_certificate)


def _path(key: str) -> str:
    """Return a key as it stands in a URL: of what keys are made of, nothing has to be escaped."""
    return quote(key, safe="/:")


def base_url(project_url: str) -> str:
    """Return the project's URL without a final slash, in the one form in which it is judged and dialled."""
    try:
        return parse_url(project_url).url.removesuffix("/")
    except EgressRefused:
        return project_url  # refused again, in words, when it is dialled


def _authorization(key: str) -> Iterable[str]:
    """Yield the headers with the key.

    A secret key (``sb_secret_…``) is no JWT: the hosted gateway takes it from ``apikey`` and puts a JWT into
    ``Authorization`` itself, and Storage refuses it there.
    """
    yield f"apikey: {key}"
    if not key.startswith(SECRET_KEY):
        yield f"Authorization: Bearer {key}"


def equals(value: str) -> str:
    """Return the condition that a column holds ``value``."""
    return f"eq.{value}"


def one_of(values: Iterable[str]) -> str:
    """Return the condition that a column holds one of ``values``."""
    escaped = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "in.({})".format(",".join(f'"{value}"' for value in escaped))


def still(value: str | None) -> str:
    """Return the condition that a column still holds what was read from it."""
    return "is.null" if value is None else equals(value)
