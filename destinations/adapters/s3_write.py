"""Writes one event to one key, so that a late, older event never takes the place of a newer one.

Three steps at most, and each is safe against other workers: write if there is nothing; look at what
is there; write if that is still there. What holds depends on what the user may do:

- ``s3:PutObject`` and ``s3:GetObject``: no older event ever overwrites a newer one, among any
  number of workers.
- ``s3:PutObject`` alone: what is there cannot be read. An event overwrites it, unless this worker
  itself has put a newer one there. Across workers, or after a restart, a late one may overwrite.
"""

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import monotonic
from typing import Any

from destinations.adapters.aws_errors import BadAnswer, code_of
from destinations.adapters.objects import CONTENT_TYPE, EventObject, Position, may_replace
from destinations.adapters.s3_config import BUCKET_DEFAULT, KMS, READ_FIRST, STANDARD, S3Config

ROUNDS = 5  # how often a write that lost a race is tried again at once
REMEMBERED = 4096  # keys whose newest event a worker keeps in mind
ASK_AGAIN_S = 300.0  # how long a refusal to read is believed
_LOST_RACE = {"PreconditionFailed", "ConditionalRequestConflict", "http_412", "http_409", "NoSuchKey"}
_GONE = {"NoSuchKey", "http_404"}
_UNREADABLE = {"AccessDenied", "http_403"}


class _Unreadable(Exception):
    """What is there may not be read with this user's rights."""


@dataclass(frozen=True, slots=True)
class Written:
    """What became of a write: the object's ETag, or the metadata of the newer one that was kept."""

    etag: str = ""
    kept: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True)
class _There:
    """An object that is there already."""

    etag: str
    metadata: Mapping[str, str]


class Writer:
    """Puts objects into one bucket. Many threads may use it."""

    def __init__(self, client: Any, config: S3Config) -> None:
        """Take botocore's client of the bucket's store."""
        self._client = client
        self._reads_first = config.overwrites == READ_FIRST
        self.place = {"Bucket": config.bucket} | _owner(config)
        self._fixed = self.place | _storage(config)
        self._keys = _Keys()
        self._newest = _Newest()
        self._unreadable_until = 0.0

    def put(self, item: EventObject, body: bytes) -> Written:
        """Write an event, or keep the newer one that is there; raise botocore's errors."""
        with self._keys.alone(item.key):
            written = self._put(item, body)
            if written.kept is None:
                self._newest.note(item.key, item.position)
            return written

    def put_as_is(self, key: str, body: bytes, metadata: Mapping[str, str], **conditions: str) -> Any:
        """Write an object with the headers that the config asks for; return botocore's answer, which has an ETag."""
        answer = self._client.put_object(
            **self._fixed, Key=key, Body=body, Metadata=dict(metadata), ContentType=CONTENT_TYPE, **conditions
        )
        _etag_of(answer)
        return answer

    def _put(self, item: EventObject, body: bytes) -> Written:
        for attempt in range(1, ROUNDS + 1):
            try:
                return self._try(item, body)
            except self._client.exceptions.ClientError as error:
                if code_of(error) not in _LOST_RACE or attempt == ROUNDS:
                    raise
        raise AssertionError  # not reached: the last round returns or raises

    def _try(self, item: EventObject, body: bytes) -> Written:
        """Do one round; a race that was lost is raised as S3 said it."""
        if not self._reads_first:
            try:
                return self._write(item, body, IfNoneMatch="*")
            except self._client.exceptions.ClientError as error:
                if code_of(error) not in _LOST_RACE:
                    raise
        try:
            there = self._look(item.key)
        except _Unreadable:
            return self._write_blindly(item, body)
        if there is None:
            return self._write(item, body, **({} if self._reads_first else {"IfNoneMatch": "*"}))
        if not may_replace(there.metadata, item.position):
            return Written(kept=there.metadata)
        return self._write(item, body, **({} if self._reads_first else {"IfMatch": there.etag}))

    def _write(self, item: EventObject, body: bytes, **conditions: str) -> Written:
        answer = self.put_as_is(item.key, body, item.metadata, **conditions)
        return Written(_etag_of(answer).strip('"'))

    def _look(self, key: str) -> _There | None:
        """Return what is there; ``None`` where nothing is; raise ``_Unreadable`` where it may not be read."""
        if monotonic() < self._unreadable_until:
            raise _Unreadable
        try:
            answer = self._client.head_object(**self.place, Key=key)
        except self._client.exceptions.ClientError as error:
            if code_of(error) in _UNREADABLE:
                self._unreadable_until = monotonic() + ASK_AGAIN_S
                raise _Unreadable from error
            if code_of(error) in _GONE:
                return None
            raise
        return _There(_etag_of(answer), answer["Metadata"])

    def _write_blindly(self, item: EventObject, body: bytes) -> Written:
        newest = self._newest.of(item.key)
        if newest and newest > item.position:
            return Written(kept={})
        return self._write(item, body)


def _etag_of(answer: Mapping[str, Any]) -> str:
    """Return the ETag, which every store of S3 gives; a log-in page that is answered with 200 has none."""
    etag = str(answer.get("ETag") or "")
    if not etag:
        raise BadAnswer
    return etag


def _owner(config: S3Config) -> dict[str, str]:
    return {"ExpectedBucketOwner": config.expected_bucket_owner} if config.expected_bucket_owner else {}


def _storage(config: S3Config) -> dict[str, str]:
    found = {}
    if config.storage_class != STANDARD:
        found["StorageClass"] = config.storage_class
    if config.encryption != BUCKET_DEFAULT:
        found["ServerSideEncryption"] = config.encryption
    if config.encryption == KMS and config.kms_key_id:
        found["SSEKMSKeyId"] = config.kms_key_id
    return found


@dataclass
class _Keys:
    """Lets one thread at a time work on a key; others wait."""

    _busy: dict[str, tuple[threading.Lock, int]] = field(default_factory=dict)  # with how many want it
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def alone(self, key: str) -> Iterator[None]:
        with self._lock:
            turn, wanted = self._busy.get(key, (threading.Lock(), 0))
            self._busy[key] = turn, wanted + 1
        try:
            with turn:
                yield
        finally:
            with self._lock:
                turn, wanted = self._busy.pop(key)
                if wanted > 1:
                    self._busy[key] = turn, wanted - 1


@dataclass
class _Newest:
    """The newest event of each key that this worker has written, of the last ``REMEMBERED`` keys."""

    _known: OrderedDict[str, Position] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, key: str, position: Position) -> None:
        with self._lock:
            self._known[key] = max(position, self._known.get(key, position))
            self._known.move_to_end(key)
            if len(self._known) > REMEMBERED:
                self._known.popitem(last=False)

    def of(self, key: str) -> Position | None:
        with self._lock:
            return self._known.get(key)
