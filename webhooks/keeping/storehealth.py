"""What this process has lately seen of the payload store: for its log, for ``/readyz``, and to fail fast."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic

import structlog

from webhooks.keeping.stores.base import StoreFailed

log = structlog.get_logger(__name__)

WRITTEN_COUNTS_S = 60.0  # for so long a write that went well says that the next one will
FAILED_COUNTS_S = 5.0  # and for so long one that failed says the contrary
# While the store gives no answer at all, it is asked by one caller in so many seconds. Else every
# thread of a server would come to wait for it, and small bodies behind them.
LEFT_ALONE_S = 3.0


class PayloadStoreDown(Exception):
    """The payload store does not take or give bodies at this moment; the text says why."""


@dataclass(slots=True)
class _Seen:
    written_at: float = float("-inf")  # monotonic; when a write last went well
    failed_at: float = float("-inf")
    silent_at: float = float("-inf")  # when it last gave no answer
    reason: str = ""


_seen = _Seen()


@contextmanager
def watched(place: Callable[[], str], event: str) -> Iterator[None]:
    """Ask something of the store. Its failures are logged as ``event`` and raised as ``PayloadStoreDown``."""
    if monotonic() - _seen.silent_at < LEFT_ALONE_S:
        raise PayloadStoreDown(_seen.reason)
    try:
        yield
    except OSError as error:
        where = place()
        _note_failure(error, where)
        log.error(event, store=where, error=words(error))
        raise PayloadStoreDown(_seen.reason) from error


def note_written() -> None:
    """Remember that a write went well."""
    _seen.written_at = monotonic()


def probed(place: Callable[[], str], probe: Callable[[], None]) -> None:
    """Raise ``PayloadStoreDown`` while writes fail; run ``probe`` where nothing recent tells."""
    now = monotonic()
    if _seen.failed_at > _seen.written_at and now - _seen.failed_at < FAILED_COUNTS_S:
        raise PayloadStoreDown(_seen.reason)
    if now - _seen.written_at > WRITTEN_COUNTS_S or _seen.failed_at > _seen.written_at:
        with watched(place, "payload_store_not_writable"):
            probe()
        note_written()


def words(error: OSError) -> str:
    """Return an error in words, without the paths and names that Python adds."""
    return str(error) if isinstance(error, StoreFailed) else error.strerror or type(error).__name__


def _note_failure(error: OSError, where: str) -> None:
    _seen.failed_at = monotonic()
    _seen.reason = f"The payload store ({where}) failed: {words(error).rstrip('.')}."
    if getattr(error, "unreachable", False):
        _seen.silent_at = _seen.failed_at
