"""What the answers of a service over HTTP, or the lack of one, mean: a table's line made into a result."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar

from destinations.adapters.base import Effect, Outcome, Result
from destinations.http import HttpResponse
from destinations.httperrors import HttpError
from destinations.retryafter import retry_after
from destinations.scrubbing import Scrubber

STORED = 4 * 1024  # characters of an answer that are kept
LONGEST_DETAIL = 500


@dataclass(frozen=True, slots=True)
class Verdict:
    """One line of a table. ``{names}`` are filled in."""

    says: str
    hint: str
    outcome: Outcome = Outcome.RETRY
    effect: Effect = Effect.FAILURE
    wait_s: float | None = None  # how long a destination is left alone that asks for it without a Retry-After


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is no success, in the service's words."""

    status: int
    code: str  # stable: the service's own, else http_<status>
    message: str


class Judge(ABC):
    """Makes results of answers, with a destination's names in them and its secrets out of them."""

    service: ClassVar[str]  # who answers, as people say it

    def __init__(self, names: Mapping[str, str], secrets: Callable[[], Iterable[str]]) -> None:
        """Fill in ``names``; ``secrets`` knows those of the moment."""
        self.names, self._secrets = names, secrets

    @abstractmethod
    def read(self, answer: HttpResponse) -> Refusal:
        """Read an answer of the service, or of a server before it."""

    @abstractmethod
    def verdict(self, refusal: Refusal) -> Verdict:
        """Return the line of the table."""

    def refused(self, answer: HttpResponse, *sent: str) -> Result:
        """Judge an answer that is no success; ``sent`` are secrets of this one request."""
        refusal, scrubber = self.read(answer), self._scrubber(sent)
        verdict = self.verdict(refusal)
        wait = retry_after(answer.headers.get("retry-after", ""), datetime.now(UTC)) or verdict.wait_s
        pauses = refusal.status in (429, 503) and wait and verdict.effect is Effect.FAILURE
        said = _one_line(scrubber.text(refusal.message, cut=True))
        return Result(
            verdict.outcome,
            refusal.code,
            f"{self.service} answered {refusal.status}: {verdict.says.format_map(self.names)}. {said}".strip(),
            verdict.hint.format_map(self.names),
            retry_after=wait,
            effect=Effect.PAUSE if pauses else verdict.effect,
            status_code=refusal.status,
            duration_ms=answer.duration_ms,
            response=_snapshot(answer, scrubber),
        )

    def failed(self, error: HttpError, *sent: str) -> Result:
        """Judge a request without an answer: it is tried again, and the destination is unwell."""
        detail = self._scrubber(sent).text(error.detail)
        return Result(
            Outcome.RETRY, error.code, detail, error.hint, effect=Effect.FAILURE, duration_ms=error.duration_ms
        )

    def answered(self, answer: HttpResponse | HttpError, *sent: str) -> Result:
        """Judge either."""
        return self.failed(answer, *sent) if isinstance(answer, HttpError) else self.refused(answer, *sent)

    def _scrubber(self, sent: Iterable[str]) -> Scrubber:
        return Scrubber([*self._secrets(), *sent])


def _snapshot(answer: HttpResponse, scrubber: Scrubber) -> dict[str, Any]:
    # Scrubbed before it is cut, so that the cut leaves no half of a secret.
    text = scrubber.text(answer.body.decode(errors="replace"), answer.truncated).replace("\x00", "\ufffd")
    return {"status": answer.status, "body": text[:STORED], "truncated": answer.truncated or len(text) > STORED}


def _one_line(text: str) -> str:
    return "".join(letter if letter.isprintable() else " " for letter in text.strip())[:LONGEST_DETAIL]
