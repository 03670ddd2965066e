"""The storage routes of Supabase, as far as the transcript in tests/data shows them.

``tests/test_supabase_double.py`` replays the transcript against this. What it does not show was read off
the sources of supabase/storage: user metadata comes base64-encoded in ``x-metadata``, and goes out as
``metadata`` of the info route.
"""

import base64
import hashlib
import json
import re
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.parser import BytesParser
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qs, unquote

import jwt

# The characters that the real one takes in a key: S3's safe ones, and those that S3 calls special.
_KEY = re.compile(r"[A-Za-z0-9_/!\-.*'() &$@=;:+,?]+")
# The recorded server's tenant, which stands in one of its messages.
_TENANT = "stub/stub"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: its status, body and headers."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class StorageError(Exception):
    """A refusal. Its own status stands in the body, as text; that of the answer is 400."""

    def __init__(self, status: int, error: str, message: str, code: str) -> None:
        super().__init__(message)
        self.body = {"statusCode": str(status), "error": error, "message": message, "code": code}


def _no_bucket() -> StorageError:
    return StorageError(404, "Bucket not found", "Bucket not found", "NoSuchBucket")


def _no_object() -> StorageError:
    return StorageError(404, "not_found", "Object not found", "NoSuchKey")


def _denied(message: str) -> StorageError:
    return StorageError(403, "Unauthorized", message, "AccessDenied")


@dataclass
class Bucket:
    """A bucket and its limits."""

    name: str
    public: bool = False
    file_size_limit: int | None = None
    allowed_mime_types: list[str] | None = None
    created_at: float = 0.0
    objects: dict[str, "Object"] = field(default_factory=dict)

    def described(self, listed: bool = False) -> dict[str, Any]:
        kind = {"type": "STANDARD"} if listed else {}
        at = _iso(self.created_at)
        return {
            "id": self.name, "name": self.name, "owner": "", "public": self.public, **kind,
            "file_size_limit": self.file_size_limit, "allowed_mime_types": self.allowed_mime_types,
            "created_at": at, "updated_at": at,
        }  # fmt: skip


@dataclass
class Object:
    """An object: its bytes, and what it was sent with."""

    key: str
    body: bytes
    mime: str
    cache_control: str
    user_metadata: dict[str, Any]
    created_at: float
    updated_at: float
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    version: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def etag(self) -> str:
        return f'"{hashlib.md5(self.body).hexdigest()}"'

    def headers(self, cached: bool = True) -> dict[str, str]:
        return {
            "content-type": self.mime, "etag": self.etag, "x-robots-tag": "none",
            "last-modified": format_datetime(datetime.fromtimestamp(int(self.updated_at), UTC), usegmt=True),
            **({"cache-control": self.cache_control} if cached else {}),
        }  # fmt: skip

    def system_metadata(self) -> dict[str, Any]:
        return {
            "eTag": self.etag, "size": len(self.body), "mimetype": self.mime, "cacheControl": self.cache_control,
            "lastModified": _iso(self.updated_at), "contentLength": len(self.body), "httpStatusCode": 200,
        }  # fmt: skip

    def times(self) -> dict[str, Any]:
        return {
            "updated_at": _iso(self.updated_at), "created_at": _iso(self.created_at),
            "last_accessed_at": _iso(self.created_at),
        }  # fmt: skip


@dataclass(frozen=True)
class Request:
    """A request to the storage routes; ``path`` is still percent-encoded and holds the query."""

    method: str
    path: str
    headers: Mapping[str, str]  # names in lower case
    body: bytes = b""


class Storage:
    """Buckets in memory behind the routes that the hub and the official client use."""

    def __init__(self, secret: str, clock: Callable[[], float] = time.time) -> None:
        """Take the project's JWT secret."""
        self.secret, self.clock = secret, clock
        self.buckets: dict[str, Bucket] = {}

    def answer(self, request: Request) -> Reply:
        """Answer one request."""
        try:
            return self._route(request)
        except StorageError as error:
            return _json(error.body, 400)

    def _route(self, request: Request) -> Reply:
        path, _, query = request.path.partition("?")
        parts = path.removeprefix("/").split("/", 1)
        rest = parts[1] if len(parts) > 1 else ""
        if parts[0] == "status":
            return Reply(200)
        if parts[0] == "bucket":
            return self._bucket_route(request, unquote(rest))
        if parts[0] != "object":
            return _json({"message": f"Route {request.method}:{path} not found", "error": "Not Found"}, 404)
        return self._object_route(request, rest, query)

    def _bucket_route(self, request: Request, rest: str) -> Reply:
        role = self._role(request)
        name, _, action = rest.partition("/")
        if request.method == "POST" and not name:
            return self._create_bucket(json.loads(request.body), role)
        if not name:
            return _json([one.described(listed=True) for one in self.buckets.values()])
        bucket = self._bucket(name, role)
        if request.method == "GET":
            return _json(bucket.described())
        if action == "empty":
            bucket.objects.clear()
            return _json({"message": "Empty bucket has been queued. Completion may take up to an hour."})
        if bucket.objects:
            raise StorageError(409, "InvalidRequest", "The bucket you tried to delete is not empty", "InvalidRequest")
        del self.buckets[name]
        return _json({"message": "Successfully deleted"})

    def _create_bucket(self, about: dict[str, Any], role: str) -> Reply:
        if role != "service_role":
            raise _denied("new row violates row-level security policy")
        name = about.get("id") or about["name"]
        if name in self.buckets:
            raise StorageError(409, "Duplicate", "The resource already exists", "BucketAlreadyExists")
        limits = about.get("file_size_limit"), about.get("allowed_mime_types")
        self.buckets[name] = Bucket(name, bool(about.get("public")), *limits, created_at=self.clock())
        return _json({"name": name})

    def _object_route(self, request: Request, rest: str, query: str) -> Reply:
        first, _, behind = rest.partition("/")
        method = request.method
        if first == "sign" and method == "GET":
            return self._signed(behind, query)
        if first == "public":
            return self._read(self._public(behind), head=method == "HEAD")
        role = self._role(request)
        if first == "sign":
            return self._sign(behind, json.loads(request.body), role)
        if first == "list":
            return self._list(self._bucket(unquote(behind), role), json.loads(request.body))
        if first == "info":
            return self._info(self._object(behind, role))
        if first == "authenticated":
            return self._read(self._object(behind, role), head=method == "HEAD")
        if method == "DELETE":
            return self._remove(self._bucket(unquote(first), role), json.loads(request.body)["prefixes"])
        if method in ("POST", "PUT"):
            return self._upload(request, rest, role)
        return self._read(self._object(rest, role), head=method == "HEAD")

    def _role(self, request: Request) -> str:
        sent = request.headers.get("authorization")
        if sent is None:
            raise StorageError(400, "Error", "headers must have required property 'authorization'", "InvalidRequest")
        try:
            claims = jwt.decode(
                sent.removeprefix("Bearer "), self.secret, ["HS256"], {"verify_aud": False, "verify_exp": False}
            )
        except jwt.InvalidSignatureError:
            raise _denied("signature verification failed") from None
        except jwt.InvalidTokenError:
            raise _denied("Invalid Compact JWS") from None
        if claims.get("exp", self.clock()) < self.clock():
            raise _denied('"exp" claim timestamp check failed')
        return str(claims.get("role", "anon"))

    def _bucket(self, name: str, role: str) -> Bucket:
        bucket = self.buckets.get(name)
        if bucket is None or role != "service_role":  # there are no policies here that let others see one
            raise _no_bucket()
        return bucket

    def _object(self, path: str, role: str) -> Object:
        name, _, key = unquote(path).partition("/")
        found = self._bucket(name, role).objects.get(key)
        if found is None:
            raise _no_object()
        return found

    def _public(self, path: str) -> Object:
        name, _, key = unquote(path).partition("/")
        bucket = self.buckets.get(name)
        if bucket is None or not bucket.public:
            raise _no_bucket()
        if key not in bucket.objects:
            raise _no_object()
        return bucket.objects[key]

    def _upload(self, request: Request, path: str, role: str) -> Reply:
        name, _, key = unquote(path).partition("/")
        if not _KEY.fullmatch(key):
            raise StorageError(400, "InvalidKey", f"Invalid key: {key}", "InvalidKey")
        bucket = self.buckets.get(name)
        if bucket is None:
            raise _no_bucket()
        if role != "service_role":
            raise _denied("new row violates row-level security policy")
        held = bucket.objects.get(key)
        may_replace = request.method == "PUT" or request.headers.get("x-upsert") == "true"
        if held and not may_replace:
            raise StorageError(409, "Duplicate", "The resource already exists", "KeyAlreadyExists")
        if {".", ".."} & set(key.split("/")):
            place = f"{_TENANT}/{name}/{key}/{uuid.uuid4()}"
            raise StorageError(400, "InvalidKey", f"Invalid key: {place} contains dot path segment", "InvalidKey")
        made = self._object_of(request, key)
        _check_limits(bucket, made)
        if held:
            made.id, made.created_at = held.id, held.created_at
        bucket.objects[key] = made
        return _json({"Key": f"{name}/{key}", "Id": made.id})

    def _object_of(self, request: Request, key: str) -> Object:
        headers, now = request.headers, self.clock()
        mime = headers.get("content-type", "application/octet-stream")
        if mime.startswith("multipart/form-data"):
            return _from_form(mime, request.body, key, now)
        sent = headers.get("x-metadata")
        metadata = json.loads(base64.b64decode(sent)) if sent else {}
        return Object(key, request.body, mime, headers.get("cache-control", "no-cache"), metadata, now, now)

    def _read(self, held: Object, head: bool) -> Reply:
        headers = held.headers() | {"cache-control": "no-cache"}
        if head:
            return Reply(200, b"", headers | {"content-length": str(len(held.body))})
        return Reply(200, held.body, headers)

    def _info(self, held: Object) -> Reply:
        bucket = next(one.name for one in self.buckets.values() if one.objects.get(held.key) is held)
        body = {
            "id": held.id, "name": held.key, "version": held.version, "bucket_id": bucket, "size": len(held.body),
            "content_type": held.mime, "cache_control": held.cache_control, "etag": held.etag,
            "metadata": held.user_metadata, "last_modified": _iso(held.updated_at), "created_at": _iso(held.created_at),
        }  # fmt: skip
        kept = {name: value for name, value in held.headers().items() if name not in ("content-type", "x-robots-tag")}
        reply = _json(body)
        return Reply(200, reply.body, {**kept, **reply.headers})

    def _list(self, bucket: Bucket, asked: dict[str, Any]) -> Reply:
        """List one folder; a folder in it is a row without an id (storage-js's reference; it was not recorded)."""
        folder = asked.get("prefix", "").rstrip("/")
        folder = f"{folder}/" if folder else ""
        rows = {}
        for key, one in sorted(bucket.objects.items()):
            name, deeper, _ = key.removeprefix(folder).partition("/")
            if key.startswith(folder) and name.startswith(asked.get("search", "")):
                about = {"id": one.id, **one.times(), "metadata": one.system_metadata()}
                rows[name] = {"name": name} | (dict.fromkeys(about) if deeper else about)
        start = asked.get("offset", 0)
        return _json(list(rows.values())[start : start + asked.get("limit", 100)])

    def _remove(self, bucket: Bucket, keys: list[str]) -> Reply:
        gone = [bucket.objects.pop(key) for key in keys if key in bucket.objects]
        return _json(
            [
                {
                    "name": one.key, "bucket_id": bucket.name, "owner": "", "owner_id": "", "version": one.version,
                    "id": one.id, **one.times(), "metadata": one.system_metadata(), "user_metadata": one.user_metadata,
                }
                for one in gone
            ]
        )  # fmt: skip

    def _sign(self, path: str, asked: dict[str, Any], role: str) -> Reply:
        self._object(path, role)
        now = int(self.clock())
        claims = {"url": unquote(path), "scope": "download", "iat": now, "exp": now + int(asked["expiresIn"])}
        token = jwt.encode(claims, self.secret, "HS256", {"typ": None})
        return _json({"signedURL": f"/object/sign/{path}?token={token}"})

    def _signed(self, path: str, query: str) -> Reply:
        try:
            claims = jwt.decode(parse_qs(query)["token"][0], self.secret, ["HS256"], {"verify_exp": False})
        except jwt.InvalidTokenError:
            raise StorageError(400, "InvalidJWT", "signature verification failed", "InvalidJWT") from None
        if claims["exp"] < self.clock():
            raise StorageError(400, "InvalidJWT", '"exp" claim timestamp check failed', "InvalidJWT")
        held = self._object(path, "service_role")
        return Reply(200, held.body, held.headers(cached=False))


def _check_limits(bucket: Bucket, made: Object) -> None:
    if bucket.allowed_mime_types and made.mime.partition(";")[0] not in bucket.allowed_mime_types:
        raise StorageError(415, "invalid_mime_type", f"mime type {made.mime} is not supported", "InvalidMimeType")
    if bucket.file_size_limit is not None and len(made.body) > bucket.file_size_limit:
        raise StorageError(413, "Payload too large", "The object exceeded the maximum allowed size", "EntityTooLarge")


def _from_form(mime: str, body: bytes, key: str, now: float) -> Object:
    """Read the form that the official client sends: its file, ``cacheControl`` and ``metadata``."""
    form = BytesParser().parsebytes(f"Content-Type: {mime}\r\n\r\n".encode() + body)
    fields = {}
    for part in form.get_payload():
        name = part.get_param("name", header="content-disposition")
        fields[name] = part
    file = next(part for part in fields.values() if part.get_filename() is not None)
    age = fields["cacheControl"].get_payload(decode=True).decode() if "cacheControl" in fields else ""
    metadata = json.loads(fields["metadata"].get_payload(decode=True)) if "metadata" in fields else {}
    cache = f"max-age={age}" if age else "no-cache"
    return Object(key, file.get_payload(decode=True), file.get_content_type(), cache, metadata, now, now)


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{int(moment * 1000) % 1000:03}Z"


def _json(value: Any, status: int = 200) -> Reply:
    body = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
    return Reply(status, body, {"content-type": "application/json; charset=utf-8"})
