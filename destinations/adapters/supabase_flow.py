"""Jobs that take several requests each, many of them at once over one HTTP client.

A job is a generator: it yields the requests that it needs next, and is sent their answers, in order, when
all have come. So a chain of requests reads like plain code, and holds up no other.
"""

from collections import deque
from collections.abc import Generator, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import TypeVar

from destinations.http import HttpClient, HttpRequest, HttpResponse
from destinations.httperrors import HttpError

ReturnT = TypeVar("ReturnT")
SLACK_S = 0.05
Answer = HttpResponse | HttpError
Steps = Generator[Sequence[HttpRequest], Sequence[Answer], ReturnT]


@dataclass(slots=True)
class _Wave:
    """The requests of a job that are under way together."""

    job: Steps[None]
    ends: float  # by the monotonic clock
    timeout_s: float  # of the job as a whole
    left: int
    answers: list[Answer | None] = field(default_factory=list)


class Flow:
    """Keeps the requests of all jobs in a queue, and hands each job its answers."""

    def __init__(self) -> None:
        """Start with no job."""
        self._queue: deque[HttpRequest] = deque()

    def start(self, job: Steps[None], started: float, timeout_s: float) -> None:
        """Begin a job: its first requests join the queue. It has ``timeout_s`` seconds from ``started`` on.

        ``started`` is by the monotonic clock. Each request gets what is left; where nothing is, it is answered
        with a timeout instead of being sent.
        """
        self._advance(job, started + timeout_s, timeout_s, None)

    def take(self, most: int) -> list[HttpRequest]:
        """Return up to ``most`` requests to send now."""
        found: list[HttpRequest] = []
        while self._queue and len(found) < most:
            request = self._queue.popleft()
            wave, _ = request.tag
            left = wave.ends - monotonic()
            if left <= 0:
                self.answered(request, _out_of_time(wave.timeout_s))
                continue
            # The first one has the whole: libcurl's handles are set anew only for another time.
            if request.timeout_s - left > SLACK_S:
                request.timeout_s = left
            found.append(request)
        return found

    def answered(self, request: HttpRequest, answer: Answer) -> None:
        """Take the answer to a request of ``take``; go on with its job once it was the last one."""
        wave, place = request.tag
        wave.answers[place] = answer
        wave.left -= 1
        if not wave.left:
            self._advance(wave.job, wave.ends, wave.timeout_s, wave.answers)

    def _advance(self, job: Steps[None], ends: float, timeout_s: float, answers: Sequence[Answer] | None) -> None:
        try:
            requests = next(job) if answers is None else job.send(answers)
        except StopIteration:
            return
        wave = _Wave(job, ends, timeout_s, len(requests), [None] * len(requests))
        for place, request in enumerate(requests):
            request.tag = wave, place
        self._queue.extend(requests)


def _out_of_time(timeout_s: float) -> HttpError:
    hint = "Raise the destination's timeout: an event takes several requests, one after the other."
    return HttpError("timeout", f"The event was not written within {timeout_s:g} s.", hint)


def run_alone(client: HttpClient, job: Steps[ReturnT]) -> ReturnT:
    """Run one job to its end, one request after the other, and return what it returns."""
    answers: list[Answer] | None = None
    while True:
        try:
            requests = next(job) if answers is None else job.send(answers)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]  # StopIteration is not generic
        answers = [fetched(client, request) for request in requests]


def fetched(client: HttpClient, request: HttpRequest) -> Answer:
    """Send one request, wait for its answer, and return it, or why none came."""
    try:
        return client.fetch(request)
    except HttpError as error:
        return error
