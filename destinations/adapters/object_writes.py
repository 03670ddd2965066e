"""Events on their way into a bucket over HTTP: what each of them asks for next, and what became of it.

A new object takes one request, which the store only grants where no object has its key yet. Where one
has, its metadata says whose it is: an older event's is overwritten, if it is still that version of it;
a newer event's stays. So a late event overwrites no newer one, however many workers write at once.
"""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from time import monotonic
from typing import Any

from destinations import terra
from destinations.adapters.base import Feed, Message, Outcome, Outcomes, Result
from destinations.adapters.objects import EventObject, may_replace, object_of, superseded
from destinations.http import Exchange, HttpClient, HttpRequest, HttpResponse
from destinations.httperrors import HttpError

LOOK_FIRST_BYTES = 256 * 1024  # a body that large is not sent to learn that the key is taken
MOST_ROUNDS = 8  # overwrites that came too late, before the schedule takes over
ABSENT = ""  # the version of an object that is not there


@dataclass(slots=True)
class Upload:
    """One event on its way."""

    message: Message
    object: EventObject
    started: float  # by the monotonic clock
    version: str | None  # what the next write expects to be there; None: not known, so the next request looks
    rounds: int = 0
    secret: str = ""  # what the request that is under way was signed with
    renewed: bool = False  # whether the store let it be signed anew once


@dataclass(frozen=True, slots=True)
class Found:
    """A look found an object: which version of it, and what is written beside it."""

    version: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Written:
    """A write was done; ``response`` is what is kept of the answer."""

    response: Mapping[str, Any]


class Said(Enum):
    """What else an answer can say."""

    MISSING = "a look found no object"
    TAKEN = "a write was not done: something else is there than it expects"
    AGAIN = "the same request is to be made anew"


class CannotAsk(Exception):
    """No request can be made now; ``result`` is what the event gets."""

    def __init__(self, result: Result) -> None:
        """Take the result."""
        super().__init__(result.code)
        self.result = result


class Store(ABC):
    """One bucket: makes the requests, and reads the answers."""

    place: Mapping[str, str]  # the bucket, as the delivery log has it
    contended_code: str  # of an event that lost ``MOST_ROUNDS`` races for its key, in the store's own word

    @abstractmethod
    def request(self, upload: Upload) -> HttpRequest:
        """Return the next request, its ``timeout_s`` that of one try: a look where ``version`` is None, else a write.

        Raises ``CannotAsk``.
        """

    @abstractmethod
    def read(self, upload: Upload, answer: HttpResponse) -> Found | Written | Said | Result:
        """Return what an answer to that request says; a ``Result`` ends the event."""

    @abstractmethod
    def failed(self, upload: Upload, error: HttpError) -> Result:
        """Return what a request without an answer means."""


class Writes:
    """Writes the events of one feed into one store."""

    def __init__(self, feed: Feed, store: Store, prefix: str) -> None:
        """Take from ``feed`` what there is room for; put ``prefix`` in front of every key."""
        self._feed, self._store, self._prefix = feed, store, prefix
        self._again: deque[Upload] = deque()
        self._ended: list[tuple[Message, Result]] = []

    def outcomes(self, client: HttpClient) -> Iterator[Outcomes]:
        """Write everything, as many at once as ``client`` has under way; a slow one holds up no other."""
        while True:
            for group in client.stream(self._requests):
                if ended := self._results(group):
                    yield ended
            if not (ended := self._results()):  # those that ended without a request
                return
            yield ended

    def _requests(self, most: int) -> Iterable[HttpRequest]:
        """Return the next requests, those of events that are under way first."""
        uploads = [self._again.popleft() for _ in range(min(most, len(self._again)))]
        uploads += self._taken(most - len(uploads))
        return [request for upload in uploads if (request := self._request(upload))]

    def _taken(self, most: int) -> Iterator[Upload]:
        for message in self._feed.take(most) if most > 0 else ():
            try:
                made = object_of(message, self._prefix)
            except terra.InvalidPayload as invalid:
                self._ended.append((message, Result(Outcome.REJECTED, "unprocessable", str(invalid))))
            else:
                yield Upload(message, made, monotonic(), None if len(message.body) > LOOK_FIRST_BYTES else ABSENT)

    def _request(self, upload: Upload) -> HttpRequest | None:
        """Return an event's next request, in what is left of its time; ``None`` where the event has ended."""
        try:
            request = self._store.request(upload)
        except CannotAsk as cannot:
            self._end(upload, cannot.result)
            return None
        left = upload.started + request.timeout_s - monotonic()
        if left <= 0:
            self._end(upload, self._store.failed(upload, _out_of_time(request.timeout_s)))
            return None
        # The first one has the whole: libcurl's handles are set anew only for another time.
        request.timeout_s, request.tag = left if request.timeout_s - left > 0.05 else request.timeout_s, upload
        return request

    def _results(self, group: Iterable[Exchange] = ()) -> Outcomes:
        """Return the events that are done with after these exchanges; the others ask for more."""
        for request, answer in group:
            upload: Upload = request.tag
            if result := self._after(upload, answer):
                self._end(upload, result)
            else:
                self._again.append(upload)
        ended, self._ended = self._ended, []
        return ended

    def _after(self, upload: Upload, answer: HttpResponse | HttpError) -> Result | None:
        """Return what became of an event; ``None`` where it has to ask for more."""
        if isinstance(answer, HttpError):
            return self._store.failed(upload, answer)
        said = self._store.read(upload, answer)
        if isinstance(said, Result):
            return said
        if isinstance(said, Written):
            return Result(Outcome.DELIVERED, status_code=answer.status, response=said.response)
        if isinstance(said, Found):
            return _after_look(upload, said)
        if said is Said.MISSING:
            upload.version = ABSENT
        return self._after_loss(upload) if said is Said.TAKEN else None

    def _after_loss(self, upload: Upload) -> Result | None:
        upload.version = None
        upload.rounds += 1
        if upload.rounds < MOST_ROUNDS:
            return None
        detail = f"The object was written by others {MOST_ROUNDS} times between a look at it and a write."
        return Result(Outcome.RETRY, self._store.contended_code, detail, "Look who else writes to this prefix.")

    def _end(self, upload: Upload, result: Result) -> None:
        took = round((monotonic() - upload.started) * 1000)
        request = {**self._store.place, "key": upload.object.key, "bytes": len(upload.message.body)}
        self._ended.append((upload.message, replace(result, duration_ms=took, request=request)))


def _after_look(upload: Upload, found: Found) -> Result | None:
    if may_replace(found.metadata, upload.object.position):
        upload.version = found.version
        return None
    return superseded(found.metadata)


def _out_of_time(timeout_s: float) -> HttpError:
    hint = "Raise the destination's timeout: a write takes three requests where its key is taken."
    return HttpError("deadline", f"The object was not written within {timeout_s:g} s.", hint)
